"""Result -> Table: its cost by module, by operator and by kind, in exact values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..core.errors import UnknownNameError
from ..core.ops import Kind
from ..core.protocol import describe_clip
from ..core.result import CONVENTION, Amount, ModuleRow, Result
from ..core.table import Column, Table
from ..core.units import si, times
from ..core.wording import cost_text, missing_lines, title
from ..training.step import Step
from ..training.tables import training_table
from .receptive_field import Fields

__all__ = [
    "BY",
    "by_kind",
    "by_module",
    "by_operator",
    "output_of",
    "table_by",
]

BY = ("module", "operator", "kind")


_SHARE = Column("share", "share", drop=7)
_COST = (Column("MACs"), Column("FLOPs", drop=5), Column("other", drop=3))


def table_by(
    result: Result, by: str, depth: int, *, training: Step | None = None, fields: Fields | None = None
) -> Table:
    """The table by module, operator or kind.

    Arguments:
        result: one forward pass.
        by: one of `BY`.
        depth: down to which level of modules; -1 for all.
        training: a step, whose phases are shown instead.
        fields: what each layer sees of the clip, shown beside its cost.

    Raises:
        UnknownNameError: no such table.
    """
    if by not in BY:
        raise UnknownNameError("table", by, BY, f"choose {', '.join(BY)}")
    if training is not None:
        return training_table(training, by, depth)
    if by == "module":
        return by_module(result, depth, fields)
    return by_operator(result, fields) if by == "operator" else by_kind(result, fields)


def by_module(result: Result, depth: int = 2, fields: Fields | None = None) -> Table:
    """One row per module down to `depth` (-1: all levels); a row above that depth holds only its own operators.

    Modules that neither cost anything nor have parameters are left out; a module that has parameters and was never
    called says so. Every count column sums to its total row.
    """
    columns = (
        Column("layer", "text"),
        Column("type", "text", drop=1),
        Column("output", "text", drop=4),
        *([Column("field", "text")] if fields is not None else []),
        Column("params", drop=2),
        *_COST,
        _SHARE,
    )
    rows = []
    for row in result.modules:
        if depth >= 0 and row.depth > depth:
            continue
        whole = row.depth == depth
        cost, params = (row.cost, row.params) if whole else (row.own, row.own_params)
        if not (cost.total_flops or params):
            continue
        field = () if fields is None else (_field(row, fields),)
        rows.append((_layer(row, result), row.type, output_of(row), *field, params, *_amount(cost, result)))
    blank = ("",) * (len(columns) - 1 - len((_SHARE, *_COST, "params")))
    total = ("total", *blank, result.params, *_amount(result.total, result))
    return Table(title(result), columns, tuple(rows), total, notes(result, fields))


def _layer(row: ModuleRow, result: Result) -> str:
    return row.path or f"({result.model})"


def output_of(row: ModuleRow) -> str:
    """C×T×H×W of the first call, without the batch; "+1" for each further shape."""
    if not row.calls and not row.cost.total_flops:  # a ModuleList is not called either, but what is in it
        return "never called"
    if not row.output_shapes:
        return ""
    first, *others = row.output_shapes
    return times(first[1:] or first) + (f" +{len(others)}" if others else "")


def _field(row: ModuleRow, fields: Fields) -> str:
    """T×H×W that a unit of the first output sees; "+1" for each further field."""
    first, *others = fields.get(row.path, ()) or ("",)
    return f"{first}" + (f" +{len(others)}" if others else "")


def _field_lines(fields: Fields) -> Iterable[str]:
    yield "field: positions of the clip that the unit in the middle of an output sees; global is all of them"
    for cause in dict.fromkeys(field.lost for of_module in fields.values() for field in of_module if field.lost):
        yield f"field unknown: since {cause}, whose dependences are not known"


def by_operator(result: Result, fields: Fields | None = None) -> Table:
    """One row per operator under its canonical name; views, which cost and move nothing, are left out."""
    columns = (
        Column("operator", "text"),
        Column("kind", "text", drop=1),
        Column("calls"),
        *_COST,
        Column("read", "bytes", drop=2),
        Column("written", "bytes", drop=2),
        _SHARE,
    )
    rows = [
        (row.op, row.kind.value, row.calls, *_traffic(row.cost, row.bytes_read, row.bytes_written, result))
        for row in result.operators
        if row.kind is not Kind.VIEW
    ]
    return Table(title(result), columns, tuple(rows), _total(result, rows, "total", ""), notes(result, fields))


def by_kind(result: Result, fields: Fields | None = None) -> Table:
    """One row per kind of operator."""
    columns = (
        Column("kind", "text"),
        Column("calls"),
        *_COST,
        Column("read", "bytes", drop=2),
        Column("written", "bytes", drop=2),
        _SHARE,
    )
    rows = []
    for kind in Kind:
        same = [row for row in result.operators if row.kind is kind]
        if same and kind is not Kind.VIEW:
            cost = sum((row.cost for row in same), Amount())
            read, written = sum(row.bytes_read for row in same), sum(row.bytes_written for row in same)
            rows.append((kind.value, sum(row.calls for row in same), *_traffic(cost, read, written, result)))
    return Table(title(result), columns, tuple(rows), _total(result, rows, "total"), notes(result, fields))


def _total(result: Result, rows: list[tuple[Any, ...]], *labels: str) -> tuple[Any, ...]:
    calls = sum(row[len(labels)] for row in rows)
    return (*labels, calls, *_traffic(result.total, result.bytes_read, result.bytes_written, result))


def _traffic(cost: Amount, read: int, written: int, result: Result) -> tuple[Any, ...]:
    *work, share = _amount(cost, result)
    return (*work, read, written, share)


def _amount(cost: Amount, result: Result) -> tuple[Any, ...]:
    """MACs, FLOPs, other, and the share of all MACs (of all FLOPs where nothing is a contraction)."""
    share = (cost.macs, result.macs) if result.macs else (cost.total_flops, result.total_flops)
    return cost.macs, cost.flops, cost.other_flops, share


def notes(result: Result, fields: Fields | None = None) -> tuple[str, ...]:
    """What stands under every table, the most important first: gaps, totals, protocol, clip, convention."""
    lines = [*missing_lines(result), _total_line(result)]
    if result.input.batch > 1:
        lines.append(f"per sample (batch {result.input.batch}): {cost_text(result.per_sample)}")
    if result.views.count > 1:
        views = result.views
        lines.append(f"per video of {views} = {views.count} views: {cost_text(result.per_video)}")
    clip = result.input.clip
    if clip is not None:
        lines += describe_clip(clip, fps=result.input.fps, stride=result.input.stride).splitlines()
        if result.input.fps is not None:
            lines.append(f"per second of video, clips end to end: {_per_second(result)}")
    lines += _field_lines(fields) if fields is not None else ()
    lines += [f"departs from the paper: {departure}" for departure in result.departures]
    lines.append(f"convention: {CONVENTION}")
    if result.engine != "meta":
        lines.append(f"engine: {result.engine} tensors, since the module could not run on shapes alone")
    return tuple(lines)


def _total_line(result: Result) -> str:
    trainable = result.trainable_params
    frozen = "" if trainable == result.params else f", {si(trainable)} of them trainable"
    return f"total: {cost_text(result.total)}; {si(result.params)} parameters{frozen}"


def _per_second(result: Result) -> str:
    clip, fps = result.input.clip, result.input.fps
    assert clip is not None
    assert fps is not None
    span = clip.frames * result.input.stride / fps
    return f"{si(result.per_sample.macs / span, 'MACs')} = {si(result.per_sample.flops / span, 'FLOPs')}"
