"""Report -> Table: rows of exact values with typed columns. Renderers decide how a value looks, never what it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .clip import describe_clip
from .errors import UnknownNameError
from .ops import Kind
from .report import CONVENTION, Amount, ModuleRow, Report, UncostedRow
from .units import decimals, si, times

__all__ = [
    "BY",
    "Column",
    "Formula",
    "Table",
    "by_kind",
    "by_module",
    "by_operator",
    "cost_text",
    "missing_lines",
    "output_of",
    "sentence",
    "table_by",
    "title",
    "uncosted_lines",
]

BY = ("module", "operator", "kind")


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, what its values are ("text", "prose", "count", "bytes", "delta", "share"), when it goes.

    `drop` says in which order columns leave a narrow terminal: 1 first, 0 never.
    """

    name: str
    kind: str = "count"
    drop: int = 0


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula in a table: as a person reads it, and for LaTeX's math mode."""

    text: str
    latex: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Table:
    """Exact values: text, integers, or for shares a pair (part, whole). Count columns sum to their total, if any."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    total: tuple[Any, ...] | None
    notes: tuple[str, ...] = ()

    def to_markdown(self) -> str:
        """GitHub's markdown."""
        return self._render("markdown")

    def to_latex(self) -> str:
        """LaTeX with booktabs."""
        return self._render("latex")

    def to_csv(self) -> str:
        """Exact integers, no notes."""
        return self._render("csv")

    def _render(self, form: str) -> str:
        from .renderers import render

        return render(self, form)

    def __str__(self) -> str:
        return self._render("table")

    def _repr_html_(self) -> str:
        return self._render("html")


_SHARE = Column("share", "share", drop=7)
_COST = (Column("MACs"), Column("FLOPs", drop=5), Column("other", drop=3))


def table_by(report: Report, by: str, depth: int) -> Table:
    """The table by module, operator or kind, of a training step if there is one; `depth` concerns modules alone."""
    if by not in BY:
        raise UnknownNameError("table", by, BY, f"choose {', '.join(BY)}")
    if report.training is not None:
        from .training.tables import training_table

        return training_table(report.training, by, depth)
    return by_module(report, depth) if by == "module" else by_operator(report) if by == "operator" else by_kind(report)


def by_module(report: Report, depth: int = 2) -> Table:
    """One row per module down to `depth` (-1: all levels); a row above that depth holds only its own operators.

    Modules that neither cost anything nor have parameters are left out; a module that has parameters and was never
    called says so. Every count column sums to its total row.
    """
    columns = (
        Column("layer", "text"),
        Column("type", "text", drop=1),
        Column("output", "text", drop=4),
        *([Column("field", "text")] if report.receptive_field is not None else []),
        Column("params", drop=2),
        *_COST,
        _SHARE,
    )
    rows = []
    for row in report.modules:
        if depth >= 0 and row.depth > depth:
            continue
        whole = row.depth == depth
        cost, params = (row.cost, row.params) if whole else (row.own, row.own_params)
        if not (cost.total_flops or params):
            continue
        seen = _fields(row, report)
        rows.append((_layer(row, report), row.type, output_of(row), *seen, params, *_amount(cost, report)))
    blank = ("",) * (len(columns) - 1 - len((_SHARE, *_COST, "params")))
    total = ("total", *blank, report.params, *_amount(report.total, report))
    return Table(title(report), columns, tuple(rows), total, notes(report))


def _layer(row: ModuleRow, report: Report) -> str:
    return row.path or f"({report.model})"


def output_of(row: ModuleRow) -> str:
    """C×T×H×W of the first call, without the batch; "+1" for each further shape."""
    if not row.calls and not row.cost.total_flops:  # a ModuleList is not called either, but what is in it
        return "never called"
    if not row.output_shapes:
        return ""
    first, *others = row.output_shapes
    return times(first[1:] or first) + (f" +{len(others)}" if others else "")


def _fields(row: ModuleRow, report: Report) -> tuple[str, ...]:
    """T×H×W that a unit of the first output sees; "+1" for each further field. Nothing where it was not asked for."""
    if report.receptive_field is None:
        return ()
    first, *others = report.receptive_field.get(row.path, ()) or ("",)
    return (f"{first}" + (f" +{len(others)}" if others else ""),)


def _field_lines(report: Report) -> Iterable[str]:
    fields = report.receptive_field
    if fields is None:
        return
    yield "field: positions of the clip that the unit in the middle of an output sees; global is all of them"
    for lost in dict.fromkeys(field.lost for found in fields.values() for field in found if field.lost):
        yield f"field unknown: since {lost}, whose dependences are not known"


def by_operator(report: Report) -> Table:
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
        (row.op, row.kind.value, row.calls, *_traffic(row.cost, row.bytes_read, row.bytes_written, report))
        for row in report.operators
        if row.kind is not Kind.VIEW
    ]
    return Table(title(report), columns, tuple(rows), _total(report, rows, "total", ""), notes(report))


def by_kind(report: Report) -> Table:
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
        found = [row for row in report.operators if row.kind is kind]
        if found and kind is not Kind.VIEW:
            cost = sum((row.cost for row in found), Amount())
            read, written = sum(row.bytes_read for row in found), sum(row.bytes_written for row in found)
            rows.append((kind.value, sum(row.calls for row in found), *_traffic(cost, read, written, report)))
    return Table(title(report), columns, tuple(rows), _total(report, rows, "total"), notes(report))


def _total(report: Report, rows: list[tuple[Any, ...]], *labels: str) -> tuple[Any, ...]:
    calls = sum(row[len(labels)] for row in rows)
    return (*labels, calls, *_traffic(report.total, report.bytes_read, report.bytes_written, report))


def _traffic(cost: Amount, read: int, written: int, report: Report) -> tuple[Any, ...]:
    *work, share = _amount(cost, report)
    return (*work, read, written, share)


def _amount(cost: Amount, report: Report) -> tuple[Any, ...]:
    """MACs, FLOPs, other, and the share of all MACs (of all FLOPs where nothing is a contraction)."""
    share = (cost.macs, report.macs) if report.macs else (cost.total_flops, report.total_flops)
    return cost.macs, cost.flops, cost.other_flops, share


def title(report: Report) -> str:
    """Model and input."""
    shapes = ", ".join(times(shape) for shape in report.input.shapes)
    return f"{report.model} on {shapes} {report.input.dtype}"


def notes(report: Report) -> tuple[str, ...]:
    """What stands under every table, the most important first: gaps, totals, protocol, clip, convention."""
    lines = [*missing_lines(report), _total_line(report)]
    if report.input.batch > 1:
        lines.append(f"per sample (batch {report.input.batch}): {cost_text(report.per_sample)}")
    if report.views.count > 1:
        views = report.views
        lines.append(f"per video of {views} = {views.count} views: {cost_text(report.per_video)}")
    clip = report.input.clip
    if clip is not None:
        lines += describe_clip(clip, fps=report.input.fps, stride=report.input.stride).splitlines()
        if report.input.fps is not None:
            lines.append(f"per second of video, clips end to end: {_per_second(report)}")
    lines += _field_lines(report)
    lines += [f"departs from the paper: {departure}" for departure in report.departures]
    lines.append(f"convention: {CONVENTION}")
    if report.engine != "meta":
        lines.append(f"engine: {report.engine} tensors, since the module could not run on shapes alone")
    return tuple(lines)


def _total_line(report: Report) -> str:
    trainable = report.trainable_params
    frozen = "" if trainable == report.params else f", {si(trainable)} of them trainable"
    return f"total: {cost_text(report.total)}; {si(report.params)} parameters{frozen}"


def cost_text(cost: Amount) -> str:
    """MACs, FLOPs and the others in words."""
    return f"{si(cost.macs, 'MACs')} = {si(cost.flops, 'FLOPs')}, and {si(cost.other_flops)} other FLOPs"


def _per_second(report: Report) -> str:
    clip, fps = report.input.clip, report.input.fps
    assert clip is not None
    assert fps is not None
    span = clip.frames * report.input.stride / fps
    return f"{si(report.per_sample.macs / span, 'MACs')} = {si(report.per_sample.flops / span, 'FLOPs')}"


_PLACES = 3


def uncosted_lines(uncosted: Iterable[UncostedRow]) -> Iterable[str]:
    """One line per operator without a rule: how often, where, and how large."""
    for row in uncosted:
        places = ", ".join(place or "the model itself" for place in row.modules[:_PLACES])
        more = f" and {len(row.modules) - _PLACES} more" if len(row.modules) > _PLACES else ""
        calls = f"{row.calls} call" + "s" * (row.calls > 1)
        size = f"{si(row.elements, 'elements')} read and written"
        yield f"UNCOSTED {row.op}: {calls} in {places}{more}; {size}, up to {si(row.upper_macs, 'MACs')}"


def missing_lines(report: Report) -> Iterable[str]:
    """What no rule knows, and how much that may be."""
    yield from uncosted_lines(report.uncosted)
    if report.uncosted:
        unknown = report.unknown
        share = f"{1000 * unknown.elements_costed // max(unknown.elements_written, 1) / 10:.1f}%"  # never rounded up
        yield (
            f"the unknown: {share} of all elements written are costed; the rest may add up to "
            f"{si(unknown.upper_macs, 'MACs')} (an estimate, no guarantee: one for each element read by each written)"
        )


def sentence(report: Report) -> str:
    """The line for a paper: "38.5 GMACs (77.1 GFLOPs) per 16×112×112 clip, ..., 80.0 M parameters"."""
    sample, clip = report.per_sample, report.input.clip
    unit = f"{clip} clip" if clip is not None else f"{_sample_shapes(report)} input"
    parts = [f"{decimals(sample.macs, 'MACs')} ({decimals(sample.flops, 'FLOPs')}) per {unit}"]
    if report.views.count > 1:
        parts.append(f"{report.views.count} views: {decimals(report.per_video.macs, 'MACs')} per video")
    missing = sum(row.calls for row in report.uncosted)
    if missing:
        parts.append(f"{missing} operation{'s' * (missing > 1)} uncosted")
    return ", ".join([*parts, f"{decimals(report.params)} parameters"])


def _sample_shapes(report: Report) -> str:
    """Shapes of one sample: without the batch where it leads."""
    batch = report.input.batch
    return " and ".join(times(s[1:] if len(s) > 1 and s[0] == batch else s) for s in report.input.shapes)
