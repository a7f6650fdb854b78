"""The critical path of a forward pass as a time-line: which module it is in, after how many dependent operations.

Across are operations that cannot run at once, one step of arithmetic each; down are modules, in the order in which the
path comes to them. A module that it comes back to, as a recurrence does, has a bar for each visit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from ...analysis.span import Span
from ...core.errors import InputError
from ...core.table import Column, Table
from ...core.units import percent, plural, si
from ..chart_size import SPREAD, chart_size
from .bars import BARS, bars_height, name_bars, prefix_of
from .themes import STYLES, bare_sides, canvas, dress, theme_of
from .ticks import linear_ticks
from .words import gap_lines, paper_name, wrapped

__all__ = ["span_data", "span_timeline"]


@dataclass(frozen=True, slots=True)
class _Visit:
    """A stretch of the critical path in one module: its first operation, how many there are, and of how many ops."""

    module: str
    begin: int
    length: int
    ops: int


def span_timeline(
    span: Span, ax: Axes | None = None, *, depth: int = 2, dark: bool = False, width: str = SPREAD.name
) -> Axes:
    """The critical path by module, down to `depth` (-1: all levels), along the operations that it is long.

    The modules that take most of it have a row each; all others share the last one.

    Raises:
        InputError: nothing is on the path.
        UnknownNameError: no such width.
    """
    size, theme = chart_size(width), theme_of(dark)
    visits = _visits(span, depth)
    lengths: dict[str, int] = {}
    for visit in visits:
        lengths[visit.module] = lengths.get(visit.module, 0) + visit.length
    largest = set(sorted(lengths, key=lambda module: -lengths[module])[:BARS])
    names = [module for module in lengths if module in largest]
    others = [module for module in lengths if module not in largest]
    place_of = {name: place for place, name in enumerate(names)} | dict.fromkeys(others, len(names))
    names += [f"{len(others)} others"] if others else []
    gaps = gap_lines(span.gaps, size.letters(size.width * 0.6, size.text))
    ax = canvas(ax, theme, size, bars_height(len(names), size) + size.inches(len(gaps), size.text))
    scale, prefix = prefix_of(span.span)
    ends = dict.fromkeys(range(len(names)), 0)
    for visit in visits:
        place, end = place_of[visit.module], visit.begin + visit.length
        gathers = visit.module in others
        colour = theme.front if gathers else STYLES["3D CNN"][dark]
        look: dict[str, Any] = {
            "facecolor": colour,
            "edgecolor": colour,
            "linewidth": size.line * 0.4,
        }  # one step must show
        ax.broken_barh([(visit.begin / scale, visit.length / scale)], (place - 0.36, 0.72), gid="visit", **look)
        ends[place] = max(ends[place], end)
    inches = name_bars(ax, [name or f"({span.model})" for name in names], size)
    totals = [sum(lengths[module] for module, at in place_of.items() if at == place) for place in range(len(names))]
    texts = [f"{si(total)}  {percent(total, span.span)}" for total in totals]
    beyond = (max(map(len, texts)) + 1) / size.letters(inches, size.small)
    ax.set_xlim(0, span.span / scale / (1 - min(beyond, 0.6)))
    gap = span.span / scale * 0.01
    for place, text in enumerate(texts):
        ax.text(ends[place] / scale + gap, place, text, fontsize=size.small, color=theme.ink, va="center")
    linear_ticks(ax.xaxis, most=4 if size.narrow else 7)
    room = size.letters(inches, size.text)
    unit = {"k": "thousand ", "M": "million ", "G": "billion ", "T": "trillion "}.get(prefix, "")
    ax.set_xlabel("\n".join([wrapped(f"{unit}operations, one after another", room), *gaps]))
    steps = f", {plural(span.steps, 'sequential step')}" if span.steps > 1 else ""
    clip = f" on {span.clip}" if span.clip else ""
    title = f"{paper_name(span.model)}{clip}: span {si(span.span)} operations, longest chain {span.chain:,} ops{steps}"
    ax.set_title(wrapped(title, room))
    bare_sides(ax)
    dress(ax, theme, size)
    return ax


def span_data(span: Span, depth: int = 2) -> Table:
    """The bars of the chart in their order: each visit of the critical path to a module.

    Raises:
        InputError: nothing is on the path.
    """
    columns = (
        Column("layer", "text"),
        Column("begins after (operations)"),
        Column("length (operations)"),
        Column("ops"),
        Column("share of span", "share"),
    )
    rows = tuple(
        (visit.module or f"({span.model})", visit.begin, visit.length, visit.ops, (visit.length, span.span))
        for visit in _visits(span, depth)
    )
    return Table("", columns, rows, None)


def _visits(span: Span, depth: int) -> list[_Visit]:
    """The critical path as stretches in one module each; what does no arithmetic takes none of it."""
    if not span.span:
        raise InputError(f"{span.model} does no arithmetic, so nothing is on its critical path")
    visits: list[_Visit] = []
    begin = 0
    for step in span.path:
        module = step.module if depth < 0 else ".".join(step.module.split(".")[:depth])
        if visits and visits[-1].module == module:
            last = visits.pop()
            visits.append(_Visit(module, last.begin, last.length + step.depth, last.ops + 1))
        else:
            visits.append(_Visit(module, begin, step.depth, 1))
        begin += step.depth
    return [visit for visit in visits if visit.length]
