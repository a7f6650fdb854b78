"""Memory while a network runs: bytes in use during each operator, stacked, with the peak marked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedFormatter, FixedLocator

from ...analysis.memory_profile import MemoryProfile
from ...core.errors import InputError
from ...core.units import si
from ...output.short_names import shortened
from ..chart_size import SPREAD, ChartSize, chart_size
from .bars import prefix_of
from .themes import PAD, Theme, bare_sides, dress, theme_of
from .ticks import linear_ticks
from .words import paper_name, wrapped

__all__ = ["memory_curve"]

# what is stacked: its colours in light and dark, its strokes for print
_STACK = (("#CCD1D6", "#3A424C", ""), ("#0072B2", "#3F8FDC", ""), ("#E69F00", "#E69F00", "////"))
_LETTERS = 26  # of a line of the legend
_NAMES = 0.12  # of the height of the figure, for names below a run
_LEAST = 8  # letters of a name
_FEW = 3  # modules, below which those within them are named
_HIGH = {"3.3in": 2.5, "7in": 2.8, "page": 3.6}  # inches of a run


def memory_curve(profiles: Sequence[MemoryProfile], *, dark: bool = False, width: str = SPREAD.name) -> Axes:
    """A new figure with a chart for each run, above each other; the axes of the first are returned.

    Raises:
        InputError: nothing runs.
        UnknownNameError: no such width.
    """
    size, theme = chart_size(width), theme_of(dark)
    if not profiles or not all(profile.moments for profile in profiles):
        raise InputError("nothing runs, so that nothing is kept in memory")
    pad = size.text * PAD / 72
    legend = size.inches(5 / _columns(size) + 0.5, size.small * 1.3)
    figure, grid = plt.subplots(
        len(profiles),
        1,
        squeeze=False,
        figsize=(size.width, size.height or _HIGH[size.name] * len(profiles) + legend),
        layout=ConstrainedLayoutEngine(w_pad=pad, h_pad=pad),
    )
    figure.set_facecolor(theme.ground)
    for ax, profile in zip(grid[:, 0], profiles, strict=True):
        _run(ax, profile, theme, size)
    grid[-1, 0].set_xlabel("operators in their order, by module", fontsize=size.text, color=theme.ink)
    always = "parameters, buffers, input" + ("; in a step gradients, optimizer" if len(profiles) > 1 else "")
    words = (wrapped(always, _LETTERS), "activations", "workspace of the kernel")
    handles: list[Any] = [Patch(label=label, **_look(part, theme)) for part, label in enumerate(words)]
    handles.append(Line2D([], [], ls="", marker="v", color=theme.ink, ms=size.marker, label="peak"))
    columns = _columns(size)
    look: dict[str, Any] = {"frameon": False, "fontsize": size.small, "labelcolor": theme.ink}
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, **look)
    first: Axes = grid[0, 0]
    return first


def _columns(size: ChartSize) -> int:
    return 2 if size.narrow else 4


def _look(part: int, theme: Theme) -> dict[str, Any]:
    light, dark, hatch = _STACK[part]
    return {"facecolor": dark if theme.dark else light, "hatch": hatch, "edgecolor": theme.ground, "linewidth": 0}


def _run(ax: Axes, profile: MemoryProfile, theme: Theme, size: ChartSize) -> None:
    scale, prefix = prefix_of(profile.most)
    count = len(profile.moments)
    floor = [0.0] * (count + 1)
    parts = (
        [profile.resident] * count,
        [moment.activations for moment in profile.moments],
        [moment.workspace for moment in profile.moments],
    )
    for part, amounts in enumerate(parts):
        heights = [amount / scale for amount in (*amounts, amounts[-1])]
        top = [low + height for low, height in zip(floor, heights, strict=True)]
        ax.fill_between(range(count + 1), floor, top, step="post", **_look(part, theme))
        floor = top
    most = profile.most / scale
    ax.plot(profile.peak + 0.5, most * 1.03, "v", color=theme.ink, ms=size.marker, gid="peak")
    ax.set_xlim(0, count)
    ax.set_ylim(0, most * 1.1)
    linear_ticks(ax.yaxis, most=5)
    ax.set_ylabel(f"{prefix}B in use")
    at = profile.moments[profile.peak]
    clip = f" on {profile.clip}" if profile.clip else ""
    words = f"{paper_name(profile.model)}{clip}, {profile.run}: {si(profile.most, 'B')} at the peak"
    letters = size.letters(size.width * 0.82, size.text)
    (place,) = shortened([at.module or "the model itself"], [letters - 3])  # which no line of a title breaks
    ax.set_title(wrapped(f"{words}, in {place} ({at.op})", letters))
    bare_sides(ax)
    dress(ax, theme, size)
    _modules(ax, profile, size)


def _modules(ax: Axes, profile: MemoryProfile, size: ChartSize) -> None:
    """Ticks where the run goes from one module to another, and the names of those with room between two of them."""
    depth = 1 if len({_within(moment.module, 1) for moment in profile.moments}) > _FEW else 2
    starts, names, at = [], [], 0
    for name, moments in groupby(profile.moments, key=lambda moment: _within(moment.module, depth)):
        length = len(list(moments))
        starts.append((at, length))
        names.append(name)
        at += length
    inches = size.width * 0.82
    room = size.inches(1, size.small) / inches * len(profile.moments)
    shown: list[tuple[float, str]] = []
    for (begin, length), name in sorted(zip(starts, names, strict=True), key=lambda run: -run[0][1]):
        middle = begin + length / 2
        if name and all(abs(middle - other) >= room for other, _ in shown):
            shown.append((middle, name))
    ax.xaxis.set_minor_locator(FixedLocator([begin for begin, _ in starts]))
    ax.xaxis.set_major_locator(FixedLocator([middle for middle, _ in shown]))
    figure = ax.get_figure(root=True)
    letters = size.letters(_NAMES * figure.get_figheight(), size.small) if figure is not None else 0
    names = shortened([name for _, name in shown], [max(letters, _LEAST)] * len(shown))
    ax.xaxis.set_major_formatter(FixedFormatter(names))
    ax.tick_params(axis="x", which="major", length=0, rotation=90)


def _within(module: str, depth: int) -> str:
    return ".".join(module.split(".")[:depth])
