"""The networks of one page side by side: a row for each, which leads to its own tab."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from ...core.quantity import TABLE, of_modules, of_operators
from ...core.table import Column, Table
from ...core.wording import missing_lines
from ..cost_report import CostReport
from .page_table import Shown, page_table

__all__ = ["side_by_side", "side_by_side_table"]


def side_by_side(costs: Sequence[CostReport]) -> dict[str, Any] | None:
    """The table, where there is more than one network; what follows from another column stands small below it."""
    if len(costs) < 2:
        return None
    table = side_by_side_table(costs)
    below = {next(iter(quantity.made_of)): quantity for quantity in of_operators() if quantity.made_of}
    titles = {quantity.title for quantity in below.values()}
    asides = {TABLE[name].title: f"{{{quantity.title}}} {quantity.title}" for name, quantity in below.items()}
    asides["clip"] = "{views} views"
    shown = [Shown(key, aside=asides.get(key, "")) for column in table.columns if (key := column.name) not in titles]
    made = page_table(table, [entry for entry in shown if entry.key != "views"])
    for cells, cost in zip(made["rows"], costs, strict=True):
        cells[0] = replace(cells[0], url=f"#{urlencode({'tab': cost.name})}")
    return made


def side_by_side_table(costs: Sequence[CostReport]) -> Table:
    """One row per network, as counted; an empty cell is unknown, and its network's tab says why."""
    quantities = (*of_modules(), *of_operators())
    columns = (
        Column("network", "text"),
        Column("clip", "text"),
        *(Column(quantity.title, unit=quantity.unit) for quantity in quantities),
        Column("views", "text"),
        Column("MACs per video"),
        Column("MACs of a training step"),
        Column("memory of a forward pass", unit="B"),
        Column("work ÷ span"),
        *((Column("time", unit="s", pico=True),) if any(cost.cost for cost in costs) else ()),
    )
    rows = tuple(
        (
            cost.name,
            str(cost.report.input.clip or ""),
            *(cost.report.total[quantity.name] for quantity in quantities),
            str(cost.report.views),
            cost.report.per_video.macs,
            *_read(cost),
            *((cost.report.total["time"] if cost.cost else "",) if any(other.cost for other in costs) else ()),
        )
        for cost in costs
    )
    notes = (
        "each network as counted, at the clip of its row; its tab has the rest",
        *(f"{cost.name}: {line}" for cost in costs for line in missing_lines(cost.report)),
        *(f"{cost.name} departs from its paper: {text}" for cost in costs for text in cost.report.departures),
    )
    return Table("The networks of this page", columns, rows, None, notes)


def _read(cost: CostReport) -> tuple[Any, ...]:
    """MACs of a training step, bytes of a forward pass, parallelism; "" is unknown."""
    readings = cost.readings
    if readings is None:
        return ("", "", "")
    return (
        "" if readings.training is None else readings.training.total.macs,
        "" if readings.memory is None else readings.memory.inference,
        "" if readings.span is None else readings.span.parallelism,
    )
