"""A sweep as lines: MACs against one of its names, a line for each combination of the others."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ...analysis.sweep_rows import SweepRows
from ...core.errors import InputError, UnknownNameError
from .themes import DARK, LIGHT, STYLES, dress

__all__ = ["LINES", "sweep_lines"]

LINES = 12  # as many as one can tell apart
_GIGA = 10**9
_LOOKS = ("3D CNN", "transformer", "two pathways", "two streams", "image", "2D CNN", "recurrent")  # seven of them


def sweep_lines(sweep: SweepRows, x: str, ax: Axes | None = None, *, dark: bool = False) -> Axes:
    """GMACs (log) against the numbers of one name; a configuration that was not counted leaves a gap.

    Raises:
        UnknownNameError: the sweep has no such name.
        InputError: nothing to draw, or more lines than one can tell apart.
    """
    if x not in sweep.names:
        raise UnknownNameError("column of the sweep", x, sweep.names, f"choose {', '.join(sweep.names)}")
    lines: dict[tuple[Any, ...], list[tuple[float, float]]] = {}
    for row in sweep.rows:
        if row.macs:
            label = tuple(f"{row.configuration.get(name)}" for name in sweep.names if name != x)
            lines.setdefault(label, []).append((row.configuration[x], row.macs / _GIGA))
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
        across, up = zip(*sorted(points), strict=True)
        again, look = divmod(index, len(_LOOKS))
        style = STYLES[_LOOKS[look]]
        line = "--" if again else "-"
        ax.plot(across, up, line, marker=style[2], markersize=4.5, color=style[dark], label=" ".join(label))
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    sizes = sorted({across for points in lines.values() for across, _ in points})
    if len(sizes) <= LINES:
        ax.xaxis.set_major_locator(FixedLocator(sizes))
        ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(x, fontsize=9)
    ax.set_ylabel("GMACs per forward pass (GFLOPs = 2 × GMACs)", fontsize=9)
    dress(ax, theme)
    if any(any(label) for label in lines):
        handles, labels = ax.get_legend_handles_labels()
        ax.legend(
            handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8,
            labelcolor=theme.ink,
        )  # fmt: skip
    return ax
