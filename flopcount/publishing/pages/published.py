"""What papers and model zoos print about one network: every number, how it was read, and its verdict."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.table import Column, Table
from ...core.units import exact
from ...facts import ZooModel
from ...verification import RowVerdict, verdicts_table
from ..cost_report import CostReport

__all__ = ["published_section", "published_table"]


def published_section(cost: CostReport) -> Iterator[str]:
    """The table, or a sentence that flopcount knows no printed number of the network."""
    if cost.verdicts:
        yield published_table(cost.verdicts).to_markdown()
    else:
        yield f"flopcount knows no paper or model zoo that prints a number of {cost.name}."


def published_table(verdicts: tuple[RowVerdict, ...]) -> Table:
    """Two rows for a source that prints both cost and parameters."""
    columns = (
        Column("of", "text"),
        Column("printed", "text"),
        Column("read as", "prose"),
        Column("counted"),
        Column("verdict", "text"),
        Column("because", "prose"),
        Column("source", "prose"),
    )
    rows = tuple(row for verdict in verdicts for row in _rows(verdict))
    return Table("", columns, rows, None, verdicts_table(verdicts).notes)


def _rows(verdict: RowVerdict) -> Iterator[tuple[str, ...]]:
    row, model, counted = verdict.row, verdict.model, verdict.counted
    second_hand = ", second hand" if row.secondary else ""
    source = f"[{row.source}]({row.url}), {row.locator}{second_hand}"
    at = f"at {model.clip}, {model.num_classes} classes" if isinstance(model, ZooModel) else ""
    if row.cost and verdict.cost:
        times = _multiplied(verdict)
        amount = exact(counted.macs * times) if counted and times else ""
        cells = (str(row.cost), f"{_unit(verdict)} {at}", amount, str(verdict.cost), verdict.cost.why)
        yield (row.model, *cells, source)
    if row.params and verdict.params:
        amount = exact(counted.params) if counted else ""
        yield (row.model, str(row.params), f"parameters {at}", amount, str(verdict.params), verdict.params.why, source)


def _unit(verdict: RowVerdict) -> str:
    row = verdict.row
    word = {"mac": "MACs", "2mac": "FLOPs, 2 per MAC,", "unknown": "MACs or FLOPs"}[row.convention]
    views = f"all {row.views} views" if row.views else "all views, their number unknown,"
    return f"{word} of {'one view' if row.scope == 'view' else views}"


def _multiplied(verdict: RowVerdict) -> int:
    """The factor from our MACs of one view to the number that the source says it prints; 0 where unknown."""
    row = verdict.row
    per_mac = {"mac": 1, "2mac": 2, "unknown": 0}[row.convention]
    return per_mac * (1 if row.scope == "view" else row.views or 0)
