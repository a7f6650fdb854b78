"""The names of a comparison: beside their points, or below the chart where a point has no room for its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from textwrap import wrap

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...facts.pretraining import Pretraining
from ..chart_size import ChartSize
from ..comparison_rows import OURS, Row
from .bubbles import across
from .labels import Box, Spot, leader, place, trail
from .themes import STYLES, Theme

__all__ = ["name_points"]

_TURNS = 4
_FAR = 9.0  # lines of names, beyond which a reader does not follow from a point to its name


def name_points(
    ax: Axes,
    spots: Mapping[Row, Spot],
    fronts: Mapping[Pretraining, tuple[Row, ...]],
    lines: Sequence[Sequence[Spot]],
    theme: Theme,
    size: ChartSize,
    *,
    grows: bool,
) -> None:
    """Name each point, clear of the others, of their names and of `lines`.

    What stands below takes room from the chart, or makes its figure higher where it `grows`; places are sought anew
    until the lines below are enough.
    """
    figure: Figure | None = ax.get_figure(root=True)
    assert figure is not None
    drop = -(2.6 * size.text + 1.6 * size.small + 1.3 * size.text * ax.get_xlabel().count("\n"))
    caption = ax.annotate(
        "", (0, 0), (0, drop), xycoords="axes fraction", textcoords="offset points", fontsize=size.least,
        color=theme.ink, va="top", annotation_clip=False, gid="unnamed",
    )  # fmt: skip
    high, count = figure.get_figheight(), 0
    for _ in range(_TURNS):
        caption.set_text("\n".join([" "] * count))
        if grows:
            figure.set_figheight(high + size.inches(count, size.least))
        for artist in [*ax.texts, *ax.lines]:
            if str(artist.get_gid()).startswith(("label ", "leader ")):
                artist.remove()
        without = _label(ax, spots, fronts, lines, theme, size)
        beneath = ax.get_window_extent().width / figure.dpi
        room = beneath if size.legend_columns or size.height is not None else size.width * 0.9
        below = _caption(without, size.letters(room, size.least), size)
        if len(below) <= count:
            break
        count = len(below)
    caption.set_text("\n".join(below))


def _caption(without: Sequence[str], letters: int, size: ChartSize) -> list[str]:
    """The lines below the chart: all names that have no room, or on a smaller chart as many as it has lines for."""
    for shown in range(len(without), 0, -1):
        names = "; ".join(name.replace(" ", _BOUND).replace("-", _HYPHEN) for name in without[:shown])
        more = f" and {len(without) - shown} more, which the table has" if shown < len(without) else ""
        lines = wrap(f"no room for the names of: {names}{more}", letters)
        if len(lines) <= _CAPTION.get(size.name, len(lines)):
            return [line.replace(_BOUND, " ").replace(_HYPHEN, "-") for line in lines]
    return []


_CAPTION = {"3.3in": 7, "7in": 8, "slide": 2}
_BOUND, _HYPHEN = "\N{NO-BREAK SPACE}", "\N{NON-BREAKING HYPHEN}"  # so that a name stays on a line


def _label(
    ax: Axes,
    spots: Mapping[Row, Spot],
    fronts: Mapping[Pretraining, tuple[Row, ...]],
    lines: Sequence[Sequence[Spot]],
    theme: Theme,
    size: ChartSize,
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
            fontsize=size.least,
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
        sizes.append((extent.width * to_points + 2, extent.height * to_points + 0.6))
    centres = _points(ax, [spots[row] for row in best_first], to_points)
    radii = [across(row.params, STYLES[row.family][2], size) / 2 for row in best_first]
    inside = ax.get_window_extent()
    bounds = Box(*(edge * to_points for edge in (inside.x0 + 2, inside.y0 + 2, inside.x1 - 2, inside.y1 - 2)))
    ends = (pair for line in lines for pair in pairwise(_points(ax, line, to_points)))
    dots = [dot for start, end in ends for dot in trail(start, end)]
    boxes = place(centres, radii, sizes, bounds, dots, _FAR * size.least, len(leading))
    back = ax.transData.inverted()
    without = []
    for row, text, box, centre, radius in zip(best_first, texts, boxes, centres, radii, strict=True):
        if box is None:
            text.remove()
            without.append(row.title)
            continue
        left, bottom = back.transform(((box.left + 1) / to_points, (box.bottom + 0.3) / to_points))
        text.set_position((left, bottom))
        text.set_verticalalignment("bottom")
        line = leader(centre, radius, box)
        if line is not None:
            (x0, y0), (x1, y1) = back.transform([(x / to_points, y / to_points) for x, y in line])
            ax.plot([x0, x1], [y0, y1], color=theme.front, lw=size.line * 0.35, zorder=2, gid=f"leader {row.name}")
    return sorted(set(without))


def _points(ax: Axes, spots: Sequence[Spot], to_points: float) -> list[Spot]:
    """Places in the figure, in points of type."""
    return [(float(x) * to_points, float(y) * to_points) for x, y in ax.transData.transform(spots)]
