"""Pipeline -> Table: one row per stage, in exact values, and the notes under it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..analysis.cost_tables import BY, notes_of_table, table_by
from ..core.amount import Amount
from ..core.cost_table import CostColumn, cost_columns, cost_table
from ..core.errors import InputError, UnknownNameError
from ..core.quantity import of_modules, of_operators
from ..core.result import CONVENTION, Result
from ..core.table import Column, Table
from ..core.units import decimals, exact, percent, si
from ..core.wording import assumed_lines, cost_text, missing_lines, uncosted_lines
from .staged_job import StagedJob

__all__ = ["by_stage", "job_lines", "sentence", "table_of_layers"]


def by_stage(pipeline: StagedJob) -> Table:
    """One row per stage; parameters stand in the first stage that has them, and every column sums to its total."""
    amounts, total = [leaf.total for leaf in pipeline.leaves], pipeline.total
    quantities = [q for q in (*of_modules(), *of_operators(total)) if all(a.knows(q) for a in (total, *amounts))]
    rows = [
        ((leaf.place, leaf.stage.model, exact(leaf.runs * leaf.passes)), pipeline.shown_total(leaf))
        for leaf in pipeline.leaves
    ]
    labels = (
        Column("stage", "text"),
        Column("model", "text", drop=1, tone="quiet"),
        Column("times", "text"),
    )
    of = "macs" if total.macs else "total_flops"
    share: CostColumn[Amount] = CostColumn(Column("share", "share", drop=7), lambda amount: (amount[of], total[of]))
    columns = (*cost_columns(quantities), share)
    return cost_table(pipeline.name, labels, rows, columns, total, tuple(_notes(pipeline)))


def _notes(pipeline: StagedJob) -> Iterator[str]:
    result = pipeline.result
    if isinstance(result, Result):
        yield from missing_lines(result)
    else:
        yield from uncosted_lines(result.uncosted)
        yield from assumed_lines(result.assumed)
    yield f"total: {cost_text(pipeline.total)}; {si(pipeline.params)} parameters"
    yield from unit_lines(pipeline)
    yield from job_lines(pipeline)
    departures = result.departures if isinstance(result, Result) else ()
    yield from (f"departs from the paper: {departure}" for departure in departures)
    yield f"convention: {CONVENTION}"
    if result.engine in ("fake", "real"):
        yield f"engine: {result.engine} tensors, since a stage could not run on shapes alone"


def unit_lines(pipeline: StagedJob) -> Iterator[str]:
    """What one of each unit costs."""
    for row in pipeline.per_units:
        if row.count == 1 and not row.unit.stage:
            yield f"this is one {row.words}"
            continue
        count = "" if row.count <= 1 else f" ({_number(row.count)} of them)"
        yield f"per {row.words}{count}: {cost_text(row.total)}"
    one_each = any(row.count == pipeline.batch and not row.unit.stage for row in pipeline.per_units)
    if pipeline.batch is not None and pipeline.batch != 1 and not one_each:
        sample = pipeline.total.growing("batch") // pipeline.batch
        yield f"per sample (batch {pipeline.batch}): {cost_text(sample)}"


def job_lines(pipeline: StagedJob) -> Iterator[str]:
    """What the job itself says, how often each stage runs, the parameters, and shared weights."""
    yield from pipeline.all_notes
    if times := "; ".join(_times(pipeline)):
        yield f"times: {times}"
    if pipeline.parameters:
        yield f"parameters: {', '.join(f'{name} = {_number(value)}' for name, value in pipeline.parameters.items())}"
    yield from _shared_weights(pipeline)


def _times(pipeline: StagedJob) -> Iterator[str]:
    """How often stages run that have an expression for it; those with the same one together."""
    same: dict[str, list[str]] = {}
    for leaf in pipeline.leaves:
        if leaf.stage.times.names:
            around = "" if leaf.runs == 1 else f", in what runs {exact(leaf.runs)} times"
            how = f"{leaf.stage.times.text} = {exact(leaf.passes)}{around}"
            same.setdefault(how, []).append(leaf.place)
    for how, places in same.items():
        yield f"{' and '.join(places)} {'runs' if len(places) == 1 else 'run'} {how}"


def _number(value: object) -> str:
    return exact(value) if isinstance(value, int) else f"{float(value):g}"  # type: ignore[arg-type]


def _shared_weights(pipeline: StagedJob) -> Iterator[str]:
    """Which stages have the weights of an earlier one, whose row shows them."""
    first: dict[str, str] = {}
    for leaf in pipeline.leaves:
        owner = first.setdefault(leaf.weights, leaf.place)
        if owner != leaf.place and leaf.stage.report.total.params:
            yield f"weights: those of {leaf.place} are those of {owner}, and count once"


def table_of_layers(pipeline: StagedJob, by: str, depth: int) -> Table:
    """The table by module, operator or kind, with the notes of the job; rows sum to the total.

    Raises:
        UnknownNameError: no such table.
        InputError: a stage was saved, so its layers are not known.
    """
    if by not in BY:
        tables = ("stage", *BY)
        raise UnknownNameError("table", by, tables, f"choose {', '.join(tables)}")
    result = pipeline.result
    if not isinstance(result, Result):
        why = f"stages of {result.model} were saved, without their operators"
        raise InputError(f"no table by {by}: {why}", [("fix", "count them again, or show the stages")])
    table = table_by(result, by, depth)
    return replace(table, notes=(*_notes(pipeline), *notes_of_table(table, result)))


def sentence(pipeline: StagedJob) -> str:
    """The line for a paper: "14.3 PMACs (28.6 PFLOPs) per video, 99.0% of it denoise, 7.2 G parameters"."""
    total = pipeline.total
    parts = [f"{decimals(total.macs, 'MACs')} ({decimals(total.flops, 'FLOPs')})"]
    largest = max(pipeline.stages, key=lambda stage: pipeline.stage_total(stage).macs)
    if len(pipeline.stages) > 1 and total.macs:
        share = percent(pipeline.stage_total(largest).macs, total.macs)
        parts.append(f"{share} of it {largest.name}")
    missing = sum(row.calls for row in pipeline.result.uncosted)
    if missing:
        parts.append(f"{missing} operation{'s' * (missing > 1)} uncosted")
    if pipeline.result.assumed:
        parts.append("partly assumed")
    return ", ".join([*parts, f"{decimals(total.params)} parameters"])
