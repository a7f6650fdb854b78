"""The lecture's systems at one clip: cost, parameters, span, and how the frames come together while a network runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from ...core.protocol import Clip
from ...core.units import si
from ..lecture_systems import COMMON_CLIP, LectureSystem
from .themes import DARK, LIGHT, STYLES, Theme, dress

__all__ = ["lecture_chart"]

_ROW_INCHES = 0.235
_WIDTHS = (1.15, 1.0, 1.0, 2.1)
_BAR = 0.7
_VISIBLE = 0.985  # of the operations: what is seen only later has a mark at the end, as its bar would be too thin


class _Measure(NamedTuple):
    """What a panel shows of a system."""

    title: str
    of: Callable[[LectureSystem], int]


_MEASURES = (
    _Measure("MACs per clip", lambda system: system.result.macs),
    _Measure("parameters", lambda system: system.result.params),
    _Measure("span (operations)", lambda system: system.span.span),
)


def lecture_chart(systems: Sequence[LectureSystem], clip: Clip = COMMON_CLIP, *, dark: bool = False) -> Axes:
    """One row per system; the axes of the last panel are returned, whose bars darken as more frames are seen.

    A system that could not take the common clip has a star behind its name.
    """
    theme = DARK if dark else LIGHT
    size = (9.4, 1.35 + _ROW_INCHES * len(systems))
    figure, panels = plt.subplots(
        1, len(_WIDTHS), sharey=True, figsize=size, layout="constrained", width_ratios=_WIDTHS
    )
    figure.set_facecolor(theme.ground)
    for measure, panel in zip(_MEASURES, panels, strict=False):
        _dots(panel, systems, measure, theme)
    strips: Axes = panels[-1]
    most = max(2, *(system.merging.clip for system in systems))
    norm = LogNorm(1, most)
    _strips(strips, systems, norm, theme)
    panels[0].set_yticks(range(len(systems)), [_name(system) for system in systems], fontsize=7.5)
    panels[0].invert_yaxis()
    for panel in panels:
        panel.set_ylim(len(systems) - 0.4, -0.6)
        dress(panel, theme)
        panel.tick_params(axis="y", length=0)
    bar = figure.colorbar(plt.cm.ScalarMappable(norm, _shades(theme)), ax=strips, pad=0.02, aspect=40)
    frames = [count for count in (1, 2, 4, 8, 16, 32, 64) if count <= most]
    bar.set_ticks(frames, labels=[str(count) for count in frames])
    bar.minorticks_off()
    bar.ax.tick_params(colors=theme.ink, labelsize=7.5)
    bar.set_label("frames that a unit sees by then", fontsize=8, color=theme.ink)
    bar.outline.set_edgecolor(theme.front)
    starred = "; * at its own clip, since it cannot take this one" if any(s.refused for s in systems) else ""
    figure.suptitle(f"the lecture's systems on one clip of {clip}{starred}", fontsize=10, color=theme.ink)
    return strips


def _name(system: LectureSystem) -> str:
    return system.card.label + " *" * bool(system.refused)


def _dots(panel: Axes, systems: Sequence[LectureSystem], measure: _Measure, theme: Theme) -> None:
    panel.set_xscale("log")
    panel.grid(visible=True, axis="x", which="major", color=theme.faint, lw=0.7)
    panel.set_axisbelow(True)
    for place, system in enumerate(systems):
        value, style = measure.of(system), STYLES[system.card.family]
        panel.axhline(place, color=theme.faint, lw=0.5, zorder=0)
        if value:
            panel.plot(
                value, place, marker=style[2], color=style[theme.dark], mec=theme.ink, mew=0.5, ms=5.5, ls="", zorder=3
            )
        else:
            panel.text(
                0.5, place, "none", transform=panel.get_yaxis_transform(), fontsize=6.5, color=theme.front, va="center",
                ha="center",
            )  # fmt: skip
    panel.xaxis.set_major_locator(LogLocator(10, numticks=4))
    panel.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: si(round(value)).replace(".00", "").replace(".0", ""))
    )
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.margins(x=0.09)
    panel.set_xlabel(measure.title, fontsize=8)


def _shades(theme: Theme) -> ListedColormap:
    """Pale to deep blue, which stays apart from the ground at both ends."""
    blues = colormaps["Blues"](range(40, 256))
    return ListedColormap(blues[::-1] if theme.dark else blues)


def _strips(panel: Axes, systems: Sequence[LectureSystem], norm: Normalize, theme: Theme) -> None:
    shades = _shades(theme)
    panel.set_xlim(0, 1)
    for place, system in enumerate(systems):
        merging = system.merging
        if merging.timeless or merging.lost:
            text = "frames are channels of its inputs" if merging.timeless else f"unknown behind {merging.lost}"
            panel.text(0.01, place, text, fontsize=6.5, color=theme.ink, va="center")
            continue
        profile = merging.profile()
        ends = [*(start for start, _ in profile[1:]), 1.0]
        for (start, frames), end in zip(profile, ends, strict=True):
            panel.barh(place, end - start, left=start, height=_BAR, color=shades(norm(frames)), linewidth=0)
        if profile[-1][0] > _VISIBLE:
            panel.plot(1, place, marker="<", color=shades(norm(profile[-1][1])), ms=5, clip_on=False, zorder=4)
    panel.xaxis.set_major_formatter(PercentFormatter(1.0))
    panel.set_xlabel("share of the operations done", fontsize=8)
