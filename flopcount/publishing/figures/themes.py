"""Colours and markers: Okabe and Ito's palette, which colour-blind readers can tell apart, and a marker each for print.

Source: https://jfly.uni-koeln.de/color/
"""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.axes._secondary_axes import SecondaryAxis

__all__ = ["DARK", "LIGHT", "STYLES", "Theme", "dress"]

# family -> (colour in light, colour in dark, marker); blue and vermilion are lighter on a dark ground
STYLES = {
    "2D CNN": ("#56B4E9", "#56B4E9", "s"),
    "3D CNN": ("#0072B2", "#4A9FE0", "o"),
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


def dress(ax: Axes | SecondaryAxis, theme: Theme) -> None:
    """Ground, ink and spines of an axes."""
    ax.set_facecolor(theme.ground)
    ax.tick_params(which="both", colors=theme.ink, labelsize=8)
    ax.tick_params(which="minor", length=2)
    for spine in ax.spines.values():
        spine.set_color(theme.front)
        spine.set_linewidth(0.8)
    for text in (ax.xaxis.label, ax.yaxis.label, ax.title):
        text.set_color(theme.ink)
