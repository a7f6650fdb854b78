"""Cost against accuracy: logarithmic MACs or time, bubbles of parameters, families by colour and marker.

How far a marker is filled says how its network was pre-trained, and each kind of pre-training has a Pareto front. Every
point has its name; those without room for it are named below the chart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from matplotlib.axes import Axes
from matplotlib.markers import MarkerStyle

from ...core.errors import InputError
from ..chart_size import PAGE, ChartSize, chart_size
from ..comparison_rows import ComparedNetworks, Row
from .bubbles import across
from .labels import Spot
from .scatter_legend import FILLED, LINES, legend_below, legend_lines, legend_right
from .scatter_names import name_points
from .themes import STYLES, Theme, canvas, dress, theme_of
from .ticks import linear_ticks, log_ticks
from .words import wrapped

if TYPE_CHECKING:
    from matplotlib.axes._secondary_axes import SecondaryAxis

__all__ = ["scatter"]

_Line: TypeAlias = tuple[Spot, Spot]
_GIGA = 10**9
_MILLI = 1e-3
_HIGH = {"3.3in": 3.0, "7in": 4.9, "page": 7.6}  # inches, without a legend below
_GMACS = "GMACs per {per} (papers' GFLOPs)"


def scatter(
    comparison: ComparedNetworks,
    per: str = "view",
    ax: Axes | None = None,
    *,
    x: str = "macs",
    dark: bool = False,
    width: str = PAGE.name,
) -> Axes:
    """Draw a comparison; a new figure where `ax` is None. The upper axis of MACs is FLOPs, twice the lower one.

    On an axis of time a bar is the range of the estimate; a network whose time is unknown has no point.

    Raises:
        InputError: no row to plot.
        UnknownNameError: `per` is neither "view" nor "video", `x` neither "macs" nor "time", or no such width.
    """
    size, theme, own = chart_size(width), theme_of(dark), ax is None
    points = {row: cost for row in comparison.rows if (cost := row.across(per, x)) is not None}
    if not points:
        seen = f"{len(comparison.unplotted)} rows without a point"
        if comparison.rows:
            seen = "no time is known: name a device" if not comparison.conditions else comparison.rows[0].untimed
        raise InputError(f"nothing to plot on {comparison.dataset}", [("seen", seen)])
    rows = tuple(points)
    spots = {row: (cost / (_GIGA if x == "macs" else _MILLI), row.score) for row, cost in points.items()}
    fronts = comparison.fronts(per, x)
    below = own and size.legend_columns > 0
    ax = canvas(ax, theme, size, _height(size, rows, fronts, below, x == "time"))
    _frame(ax, comparison, per, theme, x, size)
    for kind, front in fronts.items():
        corners = zip(*(spots[row] for row in front), strict=True)
        ax.plot(*corners, color=theme.front, lw=size.line * 0.8, ls=LINES[kind], zorder=1)
    bars = _ranges(ax, rows, per, theme, size) if x == "time" else []
    for row in rows:
        _mark(ax, row, spots[row], theme, size)
    if comparison.metric.lower_is_better:
        ax.invert_yaxis()
    ax.margins(0.07, 0.09)
    draw_legend = legend_below if below else legend_right
    draw_legend(ax, rows, fronts, theme, size, ranges=bool(bars))
    lines = [*([spots[row] for row in front] for front in fronts.values()), *bars]
    name_points(ax, spots, fronts, lines, theme, size, grows=own and size.height is None)
    return ax


def _height(size: ChartSize, rows: tuple[Row, ...], fronts: Mapping[Any, Any], below: bool, ranges: bool) -> float:
    """Inches of a new figure, its legend included."""
    legend = size.inches(legend_lines(rows, fronts, size, ranges=ranges), size.small * 1.45) if below else 0.0
    return _HIGH.get(size.name, PAGE.width) + legend


def _mark(ax: Axes, row: Row, spot: Spot, theme: Theme, size: ChartSize) -> None:
    """The point of a row, filled as far as its network was pre-trained."""
    colour, marker = STYLES[row.family][theme.dark], STYLES[row.family][2]
    filled = FILLED[row.pretraining]
    edge = size.line * 0.4
    look: dict[str, Any] = {
        "s": across(row.params, marker, size) ** 2,
        "edgecolor": theme.ink,
        "linewidth": edge,
        "zorder": 3,
        "gid": f"point {row.name}",
    }
    ax.scatter(*spot, marker=marker, color=colour if filled == "full" else theme.ground, alpha=0.85, **look)
    if filled in ("left", "top"):
        half = MarkerStyle(marker, fillstyle=filled)
        ax.scatter(*spot, marker=half, color=colour, linewidth=0, s=look["s"], zorder=3.1)
    if filled != "full":  # its colour is all that tells the family of a hollow marker
        ax.scatter(*spot, marker=marker, facecolor="none", edgecolor=colour, lw=size.line, s=look["s"], zorder=3.2)


def _ranges(ax: Axes, rows: tuple[Row, ...], per: str, theme: Theme, size: ChartSize) -> list[_Line]:
    """A bar from low to high at each point; both ends of each."""
    bars: list[_Line] = []
    for row in rows:
        times = row.times_per(per)
        assert times is not None
        ends = ((times.low / _MILLI, row.score), (times.high / _MILLI, row.score))
        look: dict[str, Any] = {"color": STYLES[row.family][theme.dark], "lw": size.line * 0.75, "alpha": 0.7}
        ax.plot(*zip(*ends, strict=True), marker="|", ms=size.marker, zorder=2, **look)
        bars.append(ends)
    return bars


def _doubled(macs: Any) -> Any:
    return 2 * macs


def _halved(flops: Any) -> Any:
    return flops / 2


def _frame(ax: Axes, comparison: ComparedNetworks, per: str, theme: Theme, x: str, size: ChartSize) -> None:
    ax.set_xscale("log")
    ax.grid(visible=True, which="major", color=theme.faint, lw=size.line * 0.4)
    ax.set_axisbelow(True)
    label = (
        f"ms per {comparison.unit(per)}, estimated on {comparison.conditions}"
        if x == "time"
        else _GMACS.format(per=comparison.unit(per))
    )
    room = size.letters(size.width * 0.85, size.text) if size.narrow else None
    ax.set_xlabel(wrapped(label, room))
    metric = comparison.metric
    ax.set_ylabel(f"{metric.name} on {comparison.dataset} ({metric.unit}), as printed")
    axes: list[Axes | SecondaryAxis] = [ax]
    if x == "macs":
        twice = ax.secondary_xaxis("top", functions=(_doubled, _halved))
        twice.set_xlabel(f"GFLOPs per {comparison.unit(per)} = 2 × GMACs")
        axes.append(twice)
    for axis in axes:
        log_ticks(axis.xaxis)
        dress(axis, theme, size)
    linear_ticks(ax.yaxis)
