"""Colours, markers and type of all charts: Okabe and Ito's palette, and a marker each for print.

Colour-blind readers can tell the palette apart.

Source: https://jfly.uni-koeln.de/color/
"""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axes._secondary_axes import SecondaryAxis
from matplotlib.layout_engine import ConstrainedLayoutEngine

from ..chart_size import PAGE, ChartSize

__all__ = ["DARK", "LIGHT", "PAD", "STYLES", "Theme", "bare_sides", "canvas", "dress", "theme_of"]

# family -> (colour in light, colour in dark, marker); blue and vermilion are lighter on a dark ground. The blues of 2D
# and of 3D CNNs are as far apart in grey as in colour, on either ground.
STYLES = {
    "2D CNN": ("#56B4E9", "#A5DBFF", "s"),
    "3D CNN": ("#0072B2", "#3F8FDC", "o"),
    "two streams": ("#CC79A7", "#E59CC5", "D"),
    "recurrent": ("#8C6D00", "#C9A83A", "P"),
    "non-local": ("#F0E442", "#F0E442", "X"),
    "two pathways": ("#009E73", "#2CC79B", "^"),
    "CNN and attention": ("#7F7F7F", "#A6A6A6", "h"),
    "transformer": ("#D55E00", "#F0813A", "v"),
    "image and language": ("#AA4499", "#CC7ABC", "8"),
    "state space": ("#117733", "#4DB36B", "H"),
    "optical flow": ("#999999", "#BBBBBB", "<"),
    "MLP": ("#882255", "#C9648F", ">"),
    "skeleton": ("#332288", "#8F83D6", "d"),
    "image": ("#E69F00", "#E69F00", "p"),
    "your own": ("#000000", "#FFFFFF", "*"),
}


@dataclass(frozen=True, slots=True)
class Theme:
    """Ground, ink for text, and faint ink for grid and front."""

    ground: str
    ink: str
    faint: str
    front: str
    dark: bool


LIGHT = Theme("#FFFFFF", "#1F2328", "#D8DCE0", "#6E7781", dark=False)
DARK = Theme("#0D1117", "#E6EDF3", "#2A313A", "#8B949E", dark=True)


def theme_of(dark: bool) -> Theme:
    """The theme of a dark ground, or of a light one."""
    return DARK if dark else LIGHT


def canvas(ax: Axes | None, theme: Theme, size: ChartSize, height: float) -> Axes:
    """The axes to draw on: those of the caller, or those of a new figure of this size; its ground is the theme's.

    `height` is in inches; a size that fills a frame keeps to its own.
    """
    if ax is None:
        pad = size.text * PAD / 72
        layout = ConstrainedLayoutEngine(w_pad=pad, h_pad=pad)
        ax = plt.subplots(figsize=(size.width, size.height or height), layout=layout)[1]
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.set_facecolor(theme.ground)
    return ax


def dress(ax: Axes | SecondaryAxis, theme: Theme, size: ChartSize = PAGE) -> None:
    """Ground, ink, spines and size of type of an axes."""
    ax.set_facecolor(theme.ground)
    ax.tick_params(which="both", colors=theme.ink, labelsize=size.small)
    ax.tick_params(which="major", length=size.small * _TICK, width=size.line * _THIN, pad=size.small * _TICK)
    ax.tick_params(which="minor", length=size.small * _TICK / 2, width=size.line * _THIN)
    for spine in ax.spines.values():
        spine.set_color(theme.front)
        spine.set_linewidth(size.line * _THIN)
    for text in (ax.xaxis.label, ax.yaxis.label, ax.title):
        text.set_color(theme.ink)
        text.set_fontsize(size.text)


PAD = 0.35  # of the size of type, around a chart
_TICK = 0.4  # of the size of type
_THIN = 0.6  # of a line


def bare_sides(ax: Axes) -> None:
    """Without the lines above and on the right."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
