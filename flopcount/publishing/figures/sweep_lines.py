"""A sweep as lines: MACs or time against one of its names, a line for each combination of the others."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ...analysis.sweep_rows import SweepRow, SweepRows
from ...core.errors import InputError, UnknownNameError
from .themes import DARK, LIGHT, STYLES, dress

__all__ = ["HEIGHTS", "LINES", "sweep_lines"]

LINES = 12  # as many as one can tell apart
_GIGA = 10**9
_LOOKS = ("3D CNN", "transformer", "two pathways", "two streams", "image", "2D CNN", "recurrent")  # seven of them


HEIGHTS = {
    "macs": "GMACs per forward pass (GFLOPs = 2 × GMACs)",
    "time": "ms per forward pass, estimated",
}
"""What a line may show, and the name of its axis."""


def _heights(row: SweepRow, y: str) -> tuple[float, ...]:
    """GMACs; or the time with its range in milliseconds."""
    if y == "time":
        times = row.times
        return () if times is None else (times.estimate * 1000, times.low * 1000, times.high * 1000)
    return (row.macs / _GIGA,) if row.macs else ()


def sweep_lines(sweep: SweepRows, x: str, ax: Axes | None = None, *, y: str = "macs", dark: bool = False) -> Axes:
    """GMACs or milliseconds (log) against the numbers of one name; what was not counted leaves a gap.

    A band around a line of time is its range.

    Raises:
        UnknownNameError: the sweep has no such name, or `y` is neither "macs" nor "time".
        InputError: nothing to draw, or more lines than one can tell apart.
    """
    if x not in sweep.names:
        raise UnknownNameError("column of the sweep", x, sweep.names, f"choose {', '.join(sweep.names)}")
    if y not in HEIGHTS:
        raise UnknownNameError("axis of the sweep", y, HEIGHTS, f"choose {' or '.join(HEIGHTS)}")
    if y == "time" and sweep.pricing is None:
        raise InputError("the sweep has no time", [("fix", "name a device: on, or --on on the command line")])
    lines: dict[tuple[Any, ...], list[tuple[float, ...]]] = {}
    for row in sweep.rows:
        heights = _heights(row, y)
        if heights:
            label = tuple(f"{row.configuration.get(name)}" for name in sweep.names if name != x)
            lines.setdefault(label, []).append((row.configuration[x], *heights))
    if not lines:
        raise InputError("no configuration of the sweep was counted", [("fix", "see its table for the reasons")])
    if len(lines) > LINES:
        raise InputError(f"{len(lines)} lines are too many to tell apart", [("fix", f"sweep fewer than {LINES + 1}")])
    theme = DARK if dark else LIGHT
    if ax is None:
        ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")[1]
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.set_facecolor(theme.ground)
    for index, (label, points) in enumerate(lines.items()):
        across, up, *span = zip(*sorted(points), strict=True)
        again, look = divmod(index, len(_LOOKS))
        style = STYLES[_LOOKS[look]]
        line = "--" if again else "-"
        ax.plot(across, up, line, marker=style[2], markersize=4.5, color=style[dark], label=" ".join(label))
        if len(span) == 2:
            ax.fill_between(across, span[0], span[1], color=style[dark], alpha=0.15, linewidth=0)
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    sizes = sorted({point[0] for points in lines.values() for point in points})
    if len(sizes) <= LINES:
        ax.xaxis.set_major_locator(FixedLocator(sizes))
        ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(x, fontsize=9)
    ax.set_ylabel(HEIGHTS[y], fontsize=9)
    if y == "time" and sweep.pricing is not None:
        least, most = ax.get_ylim()
        if most < 10 * least:  # within a power of ten the ticks between are all there is
            ax.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.set_title(f"{sweep.pricing.conditions}; band: what 8 of 10 networks lie between", fontsize=9)
    dress(ax, theme)
    if any(any(label) for label in lines):
        handles, labels = ax.get_legend_handles_labels()
        ax.legend(
            handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8,
            labelcolor=theme.ink,
        )  # fmt: skip
    return ax
