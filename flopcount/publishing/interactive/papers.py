"""What papers print about a network -> two tables: verdicts on cost and on parameters, each row with its source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...core.table import Table
from ...verification import RowVerdict, verdicts_table
from .page_table import Shown, page_table

__all__ = ["paper_tables"]

_COST = (
    Shown("model", "network (as named there)", "{data}"),
    Shown("printed", "printed cost"),
    Shown("MACs", "MACs counted here", "{clip}"),
    Shown("cost", "verdict on cost"),
    Shown("because", "why that verdict"),
    Shown("by accident", "odds of an accident"),
    Shown("source", "source"),
)
_PARAMS = (
    Shown("model", "network (as named there)", "{data}"),
    Shown("printed params", "printed parameters"),
    Shown("params", "parameters counted here"),
    Shown("params are", "verdict on parameters"),
    Shown("because they", "why that verdict"),
    Shown("they by accident", "odds of an accident"),
    Shown("source", "source"),
)


def paper_tables(verdicts: Sequence[RowVerdict]) -> list[dict[str, Any]]:
    """A table of the rows that print a cost, and one of those that print parameters, where there are any."""
    printed = (
        ("Costs that papers print", _COST, [verdict for verdict in verdicts if verdict.cost is not None]),
        ("Parameters that papers print", _PARAMS, [verdict for verdict in verdicts if verdict.params is not None]),
    )
    return [_table(title, shown, rows) for title, shown, rows in printed if rows]


def _table(title: str, shown: Sequence[Shown], verdicts: Sequence[RowVerdict]) -> dict[str, Any]:
    table: Table = replace(verdicts_table(verdicts), title=title)
    return page_table(table, shown, [verdict.row.url for verdict in verdicts])
