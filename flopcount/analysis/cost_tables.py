"""Result -> Table: its cost by module, by operator and by kind, in exact values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..core.amount import Amount, summed
from ..core.cost_table import CostColumn, cost_columns, cost_table
from ..core.errors import UnknownNameError
from ..core.layer_tree import Branch, in_running_order, layer_tree, shown_modules
from ..core.ops import Kind
from ..core.protocol import describe_clip
from ..core.quantity import of_modules, of_operators
from ..core.result import CONVENTION, ModuleRow, Result
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
    "field_lines",
    "field_of",
    "notes_of_table",
    "output_of",
    "table_by",
]

BY = ("module", "operator", "kind")
_NAMED = 4  # layers that a note names


def table_by(
    result: Result, by: str, depth: int, *, training: Step | None = None, fields: Fields | None = None
) -> Table:
    """The table by module, operator or kind.

    Arguments:
        result: one forward pass.
        by: one of `BY`.
        depth: down to which level of modules; -1 for all.
        training: a training step, whose phases are shown instead.
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
    """Modules down to `depth` (-1: all levels), in the order in which they run.

    As text a tree: a module holds what is below it. As data one row per module, where a row above that depth holds only
    its own operators, so that every count column sums to its total. Modules with nothing to count are left out; those
    that have parameters and are never called share a line, and a note names them.
    """
    labels = [Column("layer", "text"), Column("type", "text", drop=1, tone="quiet"), Column("output", "text", drop=4)]
    if fields is not None:
        labels.append(Column("field", "text"))

    def named(label: str, row: ModuleRow | None) -> tuple[Any, ...]:
        more = () if fields is None else ("" if row is None else field_of(row, fields),)
        return (label, *(("", "") if row is None else (row.type, output_of(row, result))), *more)

    ordered = in_running_order(result.modules, result.course)
    rows = [(named(_layer(row, result), row), cost) for row, cost in shown_modules(ordered, depth) if cost]
    branches = list(layer_tree(ordered, depth, result.course, summed))
    tree = [(b.level, named(b.label(result.model), b.named), b.cost) for b in branches]
    columns = cost_columns((*of_modules(), *of_operators()))
    return _table(result, labels, rows, columns, fields, tree, tuple(_idle_lines(branches)))


def _idle_lines(branches: Iterable[Branch[ModuleRow]]) -> Iterator[str]:
    """What never runs, by name, with what it has."""
    idle = [row for branch in branches for row in branch.idle]
    if idle:
        names = ", ".join(f"{row.path} ({si(row.params)} parameters)" for row in idle[:_NAMED])
        yield f"never called: {names}" + (f" and {len(idle) - _NAMED} more" if len(idle) > _NAMED else "")


def _table(
    result: Result,
    labels: Sequence[Column],
    rows: Iterable[tuple[tuple[Any, ...], Amount]],
    columns: Sequence[CostColumn[Amount]],
    fields: Fields | None,
    tree: Iterable[tuple[int, tuple[Any, ...], Amount]] = (),
    more: tuple[str, ...] = (),
) -> Table:
    """The rows with their shares of all MACs, or of all FLOPs where nothing is a contraction."""
    of = "macs" if result.macs else "total_flops"
    share: CostColumn[Amount] = CostColumn(Column("share", "share", drop=7), lambda cost: (cost[of], result.total[of]))
    lines = notes(result, fields, more)
    return cost_table(title(result), labels, rows, (*columns, share), result.total, lines, tree)


def _layer(row: ModuleRow, result: Result) -> str:
    return row.path or f"({result.model})"


def output_of(row: ModuleRow, result: Result) -> str:
    """C×T×H×W of the first call, without the batch if the input has one; "+1" for each further shape.

    A layer is used elsewhere if it is never called, but its weights are used: its work is in the row of the module that
    runs it, as with `layer.forward(x)` and within TorchScript.
    """
    if not row.calls and not row.cost.total_flops:  # a ModuleList is never called either, but its children are
        return "used elsewhere" if row.used_elsewhere else "never called"
    if not row.output_shapes:
        return ""
    first, *others = row.output_shapes
    return times(first if result.input.batch is None else first[1:] or first) + (f" +{len(others)}" if others else "")


def field_of(row: ModuleRow, fields: Fields) -> str:
    """T×H×W that a unit of the first output sees; "+1" for each further field."""
    first, *others = fields.get(row.path, ()) or ("",)
    return f"{first}" + (f" +{len(others)}" if others else "")


def field_lines(fields: Fields, of: str) -> Iterable[str]:
    """What a field is, of an input or clip, and why it is unknown where it is."""
    yield f"field: positions of the {of} that the unit in the middle of an output sees; global means all of them"
    for cause in dict.fromkeys(field.lost for of_module in fields.values() for field in of_module if field.lost):
        yield f"field unknown: from {cause} on, whose dependences are not known"


def by_operator(result: Result, fields: Fields | None = None) -> Table:
    """One row per operator under its canonical name; views, which cost and move nothing, are left out."""
    labels = (Column("operator", "text"), Column("kind", "text", drop=1, tone="quiet"), Column("calls", tally=True))
    rows = [((row.op, row.kind.value, row.calls), row.cost) for row in result.operators if row.kind is not Kind.VIEW]
    return _table(result, labels, rows, cost_columns(of_operators(), always=True), fields)


def by_kind(result: Result, fields: Fields | None = None) -> Table:
    """One row per kind of operator."""
    rows = []
    for kind in Kind:
        same = [row for row in result.operators if row.kind is kind]
        if same and kind is not Kind.VIEW:
            rows.append(((kind.value, sum(row.calls for row in same)), summed(row.cost for row in same)))
    labels = (Column("kind", "text", tone="quiet"), Column("calls", tally=True))
    return _table(result, labels, rows, cost_columns(of_operators(), always=True), fields)


def notes(result: Result, fields: Fields | None = None, more: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The notes under every table, the most important first: gaps, assumptions, totals, `more`, the clip."""
    lines = [*missing_lines(result), _total_line(result), *more]
    sample = result.per_sample
    if sample is not None and result.input.batch != 1:
        lines.append(f"per sample (batch {result.input.batch}): {cost_text(sample)}")
    if result.views.count > 1:
        views = result.views
        lines.append(f"per video of {views} = {views.count} views: {cost_text(result.per_video)}")
    clip = result.input.clip
    if clip is not None:
        lines.append(f"clip: {describe_clip(clip, fps=result.input.fps, stride=result.input.stride)}")
        if result.input.fps is not None and sample is not None:
            span = clip.frames * result.input.stride / result.input.fps
            rate = f"{si(sample.macs / span, 'MACs')} = {si(sample.flops / span, 'FLOPs')}"
            lines.append(f"per second of video, clips end to end: {rate}")
    lines += field_lines(fields, "input" if clip is None else "clip") if fields is not None else ()
    if result.input.values:
        lines.append(f"values as given: {'; '.join(result.input.values)}")
    lines += [f"departs from the paper: {departure}" for departure in result.departures]
    lines.append(f"convention: {CONVENTION}")
    if result.engine in ("fake", "real"):
        lines.append(f"engine: {result.engine} tensors, since the module could not run on shapes alone")
    return tuple(lines)


def notes_of_table(table: Table, result: Result) -> tuple[str, ...]:
    """The notes that are of this table and not of every table of its result: what names the layers that never run."""
    common = notes(result)
    return tuple(note for note in table.notes if note not in common)


def _total_line(result: Result) -> str:
    trainable = result.trainable_params
    frozen = "" if trainable == result.params else f", {si(trainable)} of them trainable"
    return f"total: {cost_text(result.total)}; {si(result.params)} parameters{frozen}"
