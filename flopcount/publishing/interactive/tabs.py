"""The tabs of a network besides its cost: time, training, memory, span and receptive field, from the same tables.

Each tab has a sentence, a few numbers, bars where parts of a whole are to be seen, and tables as a command prints them.
What cannot be had says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...analysis.field_table import field_table
from ...analysis.memory import Memory
from ...core.quantity import PICO
from ...core.result import Result
from ...core.table import Table
from ...core.units import duration, percent, si, times
from ...hardware.cost import Cost
from ...hardware.cost_tables import cost_table_by
from ...training.training import Training
from ..cost_report import CostReport
from ..readings import OPTIMIZER, Readings
from .page_table import table_of

__all__ = ["Bar", "Part", "Tab", "paper_depth", "tabs_of"]

PAPER_DEPTH, PAPER_ROWS = 2, 32
SCREEN, PAPER = "unprinted", "printed"
"""Classes of assets/page.css, of what is on screen or on paper alone."""

COLOURS = 8
"""Of the parts of a bar, after which they begin again; assets/page.css has them."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a bar: what it is, its number as text, where it starts and how wide it is in percent, its colour."""

    name: str
    text: str
    start: str
    width: str
    colour: int


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar with its parts; those of one chart are drawn to the same scale, or each to its own whole."""

    name: str
    text: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Tab:
    """A tab: its key in the address, its name, a sentence, the command that says the same; numbers, bars and tables.

    Of what cannot be had there is the reason alone.
    """

    key: str
    name: str
    lead: str = ""
    command: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    chart: str = ""
    bars: tuple[Bar, ...] = ()
    tables: tuple[dict[str, Any], ...] = ()
    missing: str = ""


def tabs_of(cost: CostReport, depth: int) -> list[Tab]:
    """The tabs of a network, in their order; tables by layer go down to `depth` (-1: all levels)."""
    return [_time(cost, depth), *_of_readings(cost, depth)]


def _time(cost: CostReport, depth: int) -> Tab:
    found = cost.cost
    if found is None:
        why = "no device was named; the command that made this page takes one, such as --on rtx-4090 --dtype amp"
        return Tab("time", "Time", missing=why)
    seconds = found.times
    return Tab(
        "time",
        "Time",
        f"What a forward pass takes on {found.conditions}, and which layers take it.",
        f"flopcount cost {cost.name} --on {found.conditions.device.name}",
        (
            ("estimate", duration(seconds.estimate)),
            ("8 of 10 networks", seconds.span),
            ("at least, by the datasheet", duration(seconds.bound)),
        ),
        "Kinds of kernel: their share of MACs, and of time",
        tuple(_shares_of_kinds(found)),
        (
            *_by_layer(cost, depth, lambda level: _titled(cost_table_by(found, "module", level), "by layer")),
            _on(SCREEN, replace(_titled(cost_table_by(found, "kind", depth), "by kind of kernel"), notes=())),
        ),
    )


def _shares_of_kinds(cost: Cost) -> Iterator[Bar]:
    macs = [(kind.kind, kind.macs, si(kind.macs, "MACs")) for kind in cost.by_kind]
    spent = [(kind.kind, round(kind.seconds * PICO), duration(kind.seconds)) for kind in cost.by_kind]
    for name, parts in (("MACs", macs), ("time", spent)):
        whole = sum(amount for _, amount, _ in parts)
        texts = [(kind, amount, f"{percent(amount, whole)}, {text}") for kind, amount, text in parts]
        yield _bar(name, "", texts, whole)


def _of_readings(cost: CostReport, depth: int) -> Iterator[Tab]:
    names = (("training", "Training"), ("memory", "Memory"), ("span", "Span"), ("field", "Receptive field"))
    if cost.readings is None:
        yield from (Tab(key, name, missing="it was not asked for") for key, name in names)
        return
    made = (_training(cost, cost.readings, depth), _memory(cost, cost.readings), _span(cost, cost.readings, depth))
    for (key, name), tab in zip(names, (*made, _field(cost, cost.readings, depth)), strict=True):
        yield tab or Tab(key, name, missing=cost.readings.missing.get(name.lower(), "it was not found"))


def _training(cost: CostReport, readings: Readings, depth: int) -> Tab | None:
    training = readings.training
    if training is None:
        return None
    return Tab(
        "training",
        "Training",
        f"What one training step costs: forward pass, loss, backward pass and optimizer ({OPTIMIZER}).",
        f"flopcount model {cost.name} --train --optimizer {OPTIMIZER}",
        (
            ("a step", si(training.total.macs, "MACs")),
            ("other FLOPs", si(training.total.other_flops)),
            ("trained parameters", si(training.trained_params)),
        ),
        "MACs of a forward pass, and of a step by phase",
        tuple(_phases(training)),
        _by_layer(cost, depth, training.by_module),
    )


def _phases(training: Training) -> Iterator[Bar]:
    whole = training.total.macs
    parts = (
        ("forward", training.forward.macs),
        ("loss", training.loss.macs),
        ("backward by input", training.backward_by_input.macs),
        ("backward by weight", training.backward_by_weight.macs),
        ("recomputed", training.recomputation.macs),
        ("optimizer", training.optimizer_step.macs),
    )
    texts = [(name, macs, si(macs, "MACs")) for name, macs in parts]
    yield _bar("forward pass", "", texts[:1], whole)
    yield _bar("training step", "", texts, whole)


def _memory(cost: CostReport, readings: Readings) -> Tab | None:
    memory = readings.memory
    if memory is None:
        return None
    step = memory.step(OPTIMIZER)
    return Tab(
        "memory",
        "Memory",
        f"What is in memory at the worst moment of a forward pass, and of a training step with {OPTIMIZER}.",
        f"flopcount memory {cost.name} --optimizer {OPTIMIZER}",
        (
            ("a forward pass", si(memory.inference, "B")),
            ("a training step", "unknown" if step is None else si(step, "B")),
        ),
        "Bytes at the peak",
        tuple(_held(memory)),
        (_on("", memory.table(OPTIMIZER)),),
    )


def _held(memory: Memory) -> Iterator[Bar]:
    table = memory.table(OPTIMIZER)
    sums = {name: [row[at] for row in table.rows] for at, name in ((2, "forward pass"), (3, "training step"))}
    known = {name: amounts for name, amounts in sums.items() if all(isinstance(amount, int) for amount in amounts)}
    whole = max(map(sum, known.values()), default=0)
    for name, amounts in known.items():
        labels = [f"{row[0]} ({row[1]})" if row[1] else row[0] for row in table.rows]
        parts = [(label, amount, si(amount, "B")) for label, amount in zip(labels, amounts, strict=True)]
        yield _bar(name, si(sum(amounts), "B"), parts, whole)


def _span(cost: CostReport, readings: Readings, depth: int) -> Tab | None:
    span = readings.span
    if span is None:
        return None
    return Tab(
        "span",
        "Span",
        "How much of the work could run at once on any number of processors, and the chain of operations that cannot.",
        f"flopcount span {cost.name}",
        (
            ("work", si(span.work, "FLOPs")),
            ("span, on the critical path", si(span.span)),
            ("work ÷ span", si(span.parallelism)),
            ("dependent operations", si(span.chain)),
            ("steps of recurrence", si(span.steps)),
        ),
        tables=_by_layer(cost, depth, span.table),
    )


def _field(cost: CostReport, readings: Readings, depth: int) -> Tab | None:
    fields = readings.fields
    if fields is None:
        return None
    clip = next((field.clip for of_module in fields.values() for field in of_module), ())
    last = fields.get("", ())
    return Tab(
        "field",
        "Receptive field",
        "What a unit of each layer sees of the clip, frames × height × width.",
        f"flopcount model {cost.name} --receptive-field",
        (("the clip", times(clip)), *((("the output sees", str(last[0])),) if last else ())),
        tables=_by_layer(cost, depth, lambda level: field_table(cost.report, fields, level)),
    )


def paper_depth(report: Result) -> int:
    """How many levels of modules tables have on paper: two, fewer where those are too many rows; 0 is none."""

    def rows(depth: int) -> int:
        return sum(row.depth <= depth and bool(row.cost) for row in report.modules)

    return next((depth for depth in range(PAPER_DEPTH, 0, -1) if rows(depth) <= PAPER_ROWS), 0)


def _by_layer(cost: CostReport, depth: int, table: Callable[[int], Table]) -> tuple[dict[str, Any], ...]:
    """The table down to this level; if paper has fewer levels, another that is there alone."""
    least = paper_depth(cost.report)
    if 0 <= depth <= least:
        return (_on("", table(depth)),)
    words = f"on paper down to depth {least}" if least else "on paper as a whole, since its layers are many"
    return (_on(SCREEN, table(depth)), _on(PAPER, _titled(table(least), words)))


def _on(where: str, table: Table) -> dict[str, Any]:
    """The table as the template shows it; `where` is the class of what is on screen or on paper alone."""
    return {**table_of(table), "where": where}


def _titled(table: Table, more: str) -> Table:
    return replace(table, title=f"{table.title}, {more}")


def _bar(name: str, text: str, parts: Sequence[tuple[str, int, str]], whole: int) -> Bar:
    """The parts with something in them, one after another; a part keeps the colour of its place."""
    drawn: list[Part] = []
    start = 0.0
    for at, (label, amount, words) in enumerate(parts):
        if not amount:
            continue
        width = 100 * amount / whole if whole else 0.0
        drawn.append(Part(label, words, f"{start:.4f}", f"{width:.4f}", at % COLOURS))
        start += width
    return Bar(name, text, tuple(drawn))
