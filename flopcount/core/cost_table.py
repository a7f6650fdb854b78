"""Costs as a table: labelled rows with the same columns of amounts, and a total that they sum to.

The table of a count and that of a training step have different columns and the same layout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Generic, TypeVar

from .quantity import Quantity, quantity_column
from .table import Column, Line, Table

__all__ = ["CostColumn", "cost_columns", "cost_table"]

CostT = TypeVar("CostT")


@dataclass(frozen=True, slots=True)
class CostColumn(Generic[CostT]):
    """A column, and the function that gives its value from the cost of a row."""

    column: Column
    of: Callable[[CostT], Any]


def cost_columns(quantities: Iterable[Quantity], *, always: bool = False) -> list[CostColumn[Any]]:
    """A column per quantity; minor ones are shown where there is room for them, or `always`."""
    return [CostColumn(quantity_column(q, always=always), itemgetter(q.name)) for q in quantities]


def cost_table(
    title: str,
    labels: Sequence[Column],
    rows: Iterable[tuple[tuple[Any, ...], CostT]],
    columns: Sequence[CostColumn[CostT]],
    total: CostT,
    notes: tuple[str, ...],
    tree: Iterable[tuple[int, tuple[Any, ...], CostT]] = (),
) -> Table:
    """The table; a label column of counts has a total too. `tree` has the same as lines, each with its level."""

    def row(names: tuple[Any, ...], cost: CostT) -> tuple[Any, ...]:
        return (*names, *(column.of(cost) for column in columns))

    body = tuple(row(names, cost) for names, cost in rows)
    sums = (sum(row[at] for row in body) if c.kind == "count" else "" for at, c in enumerate(labels) if at)
    last = ("total", *sums, *(column.of(total) for column in columns))
    lines = tuple(Line(level, row(names, cost)) for level, names, cost in tree)
    return Table(title, (*labels, *(column.column for column in columns)), body, last, notes, lines)
