"""Cost against accuracy: logarithmic MACs or time, bubbles of parameters, families by colour and marker.

How far a marker is filled says how its network was pre-trained, and each kind of pre-training has a Pareto front. Every
point has its name; those without room for it are named below the chart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from textwrap import wrap
from typing import TYPE_CHECKING, Any, TypeAlias

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ...core.errors import InputError
from ...facts.pretraining import Pretraining
from ..comparison_rows import OURS, ComparedNetworks, Row
from .labels import Box, Spot, leader, place, trail
from .themes import DARK, LIGHT, STYLES, Theme, dress

if TYPE_CHECKING:
    from matplotlib.axes._secondary_axes import SecondaryAxis
    from matplotlib.figure import Figure

__all__ = ["scatter"]

_Line: TypeAlias = tuple[Spot, Spot]
SIZE_INCHES = (10.4, 7.6)
GIGA = 10**9
MILLI = 1e-3
_AREA_PER_M = 1.6  # points² of bubble per million parameters
_LEAST_AREA = 22.0
_MOST_PARAMS_M = 300  # larger bubbles would hide their neighbours
_LEGEND_PARAMS_M = {4: "4 M params", 30: "30 M params", 120: "120 M params", _MOST_PARAMS_M: "300 M params or more"}


def scatter(
    comparison: ComparedNetworks, per: str = "view", ax: Axes | None = None, *, x: str = "macs", dark: bool = False
) -> Axes:
    """Draw a comparison; a new figure where `ax` is None. The upper axis of MACs is FLOPs, twice the lower one.

    On an axis of time a bar is the range of the estimate; a network whose time is unknown has no point.

    Raises:
        InputError: no row to plot.
        UnknownNameError: `per` is neither "view" nor "video", or `x` neither "macs" nor "time".
    """
    points = {row: cost for row in comparison.rows if (cost := row.across(per, x)) is not None}
    if not points:
        seen = f"{len(comparison.unplotted)} rows without a point"
        if comparison.rows:
            seen = "no time is known: name a device" if not comparison.conditions else comparison.rows[0].untimed
        raise InputError(f"nothing to plot on {comparison.dataset}", [("seen", seen)])
    rows = tuple(points)
    spots = {row: (cost / (GIGA if x == "macs" else MILLI), row.score) for row, cost in points.items()}
    fronts = comparison.fronts(per, x)
    theme = DARK if dark else LIGHT
    if ax is None:
        ax = plt.subplots(figsize=SIZE_INCHES, layout="constrained")[1]
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.set_facecolor(theme.ground)
    _frame(ax, comparison, per, theme, x)
    for kind, front in fronts.items():
        ax.plot(*zip(*(spots[row] for row in front), strict=True), color=theme.front, lw=1.2, ls=LINES[kind], zorder=1)
    bars = _ranges(ax, rows, per, theme) if x == "time" else []
    for row in rows:
        _mark(ax, row, spots[row], theme)
    if comparison.metric.lower_is_better:
        ax.invert_yaxis()
    ax.margins(0.07, 0.09)
    _legend(ax, rows, fronts, theme, ranges=bool(bars))
    _named(ax, spots, fronts, bars, theme)
    return ax


def _mark(ax: Axes, row: Row, spot: Spot, theme: Theme) -> None:
    """The point of a row, filled as far as its network was pre-trained."""
    colour, marker = STYLES[row.family][theme.dark], STYLES[row.family][2]
    filled = _FILLED[row.pretraining]
    look: dict[str, Any] = {
        "s": _area(row.params),
        "edgecolor": theme.ink,
        "linewidth": 0.6,
        "zorder": 3,
        "gid": f"point {row.name}",
    }
    ax.scatter(*spot, marker=marker, color=colour if filled == "full" else theme.ground, alpha=0.85, **look)
    if filled in ("left", "top"):
        half = MarkerStyle(marker, fillstyle=filled)
        ax.scatter(*spot, marker=half, color=colour, linewidth=0, s=look["s"], zorder=3.1)
    if filled != "full":  # its colour is all that tells the family of a hollow marker
        ax.scatter(*spot, marker=marker, facecolor="none", edgecolor=colour, linewidth=1.5, s=look["s"], zorder=3.2)


def _ranges(ax: Axes, rows: tuple[Row, ...], per: str, theme: Theme) -> list[_Line]:
    """A bar from low to high at each point; both ends of each."""
    bars: list[_Line] = []
    for row in rows:
        times = row.times_per(per)
        assert times is not None
        ends = ((times.low / MILLI, row.score), (times.high / MILLI, row.score))
        colour = STYLES[row.family][theme.dark]
        ax.plot(*zip(*ends, strict=True), color=colour, lw=1.1, alpha=0.7, marker="|", ms=5, zorder=2)
        bars.append(ends)
    return bars


LINES: Mapping[Pretraining, str] = {
    Pretraining.SCRATCH: ":",
    Pretraining.IMAGENET: "--",
    Pretraining.MORE: "-",
    Pretraining.UNSAID: "-.",
}
_FILLED: Mapping[Pretraining | None, Any] = {
    Pretraining.SCRATCH: "none",
    Pretraining.IMAGENET: "left",
    Pretraining.MORE: "full",
    Pretraining.UNSAID: "top",
    None: "full",  # the user's own
}
_GMACS = "GMACs per {per} (papers' GFLOPs)"


def _doubled(macs: Any) -> Any:
    return 2 * macs


def _halved(flops: Any) -> Any:
    return flops / 2


def _area(params: int) -> float:
    return _LEAST_AREA + _AREA_PER_M * min(params / 10**6, _MOST_PARAMS_M)


def _frame(ax: Axes, comparison: ComparedNetworks, per: str, theme: Theme, x: str) -> None:
    ax.set_xscale("log")
    ax.grid(visible=True, which="major", color=theme.faint, lw=0.7)
    ax.set_axisbelow(True)
    label = (
        f"ms per {comparison.unit(per)}, estimated on {comparison.conditions}"
        if x == "time"
        else _GMACS.format(per=comparison.unit(per))
    )
    ax.set_xlabel(label, fontsize=9)
    metric = comparison.metric
    ax.set_ylabel(f"{metric.name} on {comparison.dataset} ({metric.unit}), as printed", fontsize=9)
    costs = [cost for row in comparison.rows if (cost := row.across(per, x))]
    narrow = max(costs) < _NARROW * min(costs)
    axes: list[Axes | SecondaryAxis] = [ax]
    if x == "macs":
        twice = ax.secondary_xaxis("top", functions=(_doubled, _halved))
        twice.set_xlabel(f"GFLOPs per {comparison.unit(per)} = 2 × GMACs", fontsize=9)
        axes.append(twice)
    for axis in axes:
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,)))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.12g}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
        dress(axis, theme)


def _legend(
    ax: Axes, rows: tuple[Row, ...], fronts: Mapping[Pretraining, tuple[Row, ...]], theme: Theme, *, ranges: bool
) -> None:
    """Families, pre-training, fronts and bubbles outside, on the right, where they can cover nothing."""
    look: dict[str, Any] = {"ls": "", "mec": theme.ink, "mew": 0.6}
    families = [family for family in STYLES if any(row.family == family for row in rows)]
    handles = [
        Line2D([], [], marker=STYLES[family][2], color=STYLES[family][theme.dark], ms=7, label=family, **look)
        for family in families
    ]
    for kind in fronts:
        marker: dict[str, Any] = {"marker": "o", "ms": 7, "fillstyle": _FILLED[kind], "mec": theme.ink, "mew": 0.9}
        marker |= {"color": theme.ink, "markerfacecoloralt": theme.ground}
        handles.append(Line2D([], [], ls="", label=f"pre-training: {kind.value}", **marker))
    for kind in fronts:
        handles.append(Line2D([], [], color=theme.front, lw=1.2, ls=LINES[kind], label=f"front: {kind.value}"))
    if ranges:
        handles.append(Line2D([], [], color=theme.ink, lw=1.1, marker="|", ms=5, label="range: 8 of 10"))
    handles += [
        Line2D([], [], marker="o", mfc="none", ms=_area(size * 10**6) ** 0.5, label=label, **look)
        for size, label in _LEGEND_PARAMS_M.items()
    ]
    legend = ax.legend(
        handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=7.5, frameon=False, labelspacing=0.9
    )
    for text in legend.get_texts():
        text.set_color(theme.ink)


def _named(
    ax: Axes,
    spots: Mapping[Row, Spot],
    fronts: Mapping[Pretraining, tuple[Row, ...]],
    bars: Sequence[_Line],
    theme: Theme,
) -> None:
    """Names beside their points, or below the chart where a point has no room for its name.

    What stands below takes room from the chart, so that places are sought anew until the lines below are enough.
    """
    caption = ax.annotate(
        "", (0, 0), (0, -38), xycoords="axes fraction", textcoords="offset points", fontsize=6.3, color=theme.ink,
        va="top", annotation_clip=False, gid="unnamed",
    )  # fmt: skip
    lines = 0
    for _ in range(_TURNS):
        caption.set_text("\n".join([" "] * lines))
        for artist in [*ax.texts, *ax.lines]:
            if str(artist.get_gid()).startswith(("label ", "leader ")):
                artist.remove()
        without = _label(ax, spots, fronts, bars, theme)
        below = wrap(f"no room for the names of: {', '.join(without)}", _CAPTION_LETTERS) if without else []
        if len(below) <= lines:
            break
        lines = len(below)
    caption.set_text("\n".join(below))


_TURNS = 4
_NARROW = 50  # where costs are this close, powers of ten alone would leave an axis almost without numbers
_CAPTION_LETTERS = 190


def _label(
    ax: Axes,
    spots: Mapping[Row, Spot],
    fronts: Mapping[Pretraining, tuple[Row, ...]],
    bars: Sequence[_Line],
    theme: Theme,
) -> list[str]:
    """Names beside their points, those of fronts first, then the best; what is returned has no room for one."""
    figure: Figure | None = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # settles the layout, so that pixels mean something
    to_points = 72 / figure.dpi
    leading = {row for front in fronts.values() for row in front} | {row for row in spots if row.family == OURS}
    sign = 1 if ax.yaxis_inverted() else -1
    best_first = sorted(spots, key=lambda row: (row not in leading, sign * row.score, row.name))
    texts = [
        ax.text(
            0,
            0,
            row.title,
            fontsize=6.5,
            color=theme.ink,
            weight="bold" if row in leading else "normal",
            zorder=5,
            gid=f"label {row.name}",
        )
        for row in best_first
    ]
    sizes = []
    for text in texts:
        extent = text.get_window_extent()
        sizes.append((extent.width + 3, extent.height + 1))
    centres = _pixels(ax, [spots[row] for row in best_first])
    radii = [_area(row.params) ** 0.5 / 2 / to_points for row in best_first]
    inside = ax.get_window_extent()
    bounds = Box(inside.x0 + 2, inside.y0 + 2, inside.x1 - 2, inside.y1 - 2)
    lines = [*([spots[row] for row in front] for front in fronts.values()), *bars]
    dots = [dot for line in lines for start, end in pairwise(_pixels(ax, line)) for dot in trail(start, end)]
    boxes = place(centres, radii, sizes, bounds, dots)
    back = ax.transData.inverted()
    without = []
    for row, text, box, centre, radius in zip(best_first, texts, boxes, centres, radii, strict=True):
        if box is None:
            text.remove()
            without.append(row.title)
            continue
        left, bottom = back.transform((box.left + 1.5, box.bottom + 0.5))
        text.set_position((left, bottom))
        text.set_verticalalignment("bottom")
        line = leader(centre, radius, box)
        if line is not None:
            (x0, y0), (x1, y1) = back.transform(line)
            ax.plot([x0, x1], [y0, y1], color=theme.front, lw=0.5, zorder=2, gid=f"leader {row.name}")
    return sorted(set(without))


def _pixels(ax: Axes, spots: Sequence[Spot]) -> list[Spot]:
    return [(float(x), float(y)) for x, y in ax.transData.transform(spots)]
