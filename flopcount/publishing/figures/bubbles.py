"""Bubbles: the ink of a marker is in proportion to parameters, whatever its shape, up to the largest bubble.

The legend of a chart is drawn by the same functions as its points, so that it is true.
"""

from __future__ import annotations

from functools import cache

import numpy
from matplotlib.markers import MarkerStyle

from ..chart_size import ChartSize

__all__ = ["MOST_PARAMS", "across", "ink", "legend_params"]

MOST_PARAMS = 300_000_000
"""A network of more parameters has no larger bubble."""
_LEGEND = (5_000_000, 30_000_000, 100_000_000, MOST_PARAMS)


def ink(params: int, size: ChartSize) -> float:
    """Points² that a bubble covers: from the least area, in proportion to parameters, to the most."""
    return size.least_area + (size.most_area - size.least_area) * min(params, MOST_PARAMS) / MOST_PARAMS


def across(params: int, marker: str, size: ChartSize) -> float:
    """Points across the marker of this shape that covers as much."""
    return float((ink(params, size) / _unit_ink(marker)) ** 0.5)


@cache
def _unit_ink(marker: str) -> float:
    """What a marker that is one point across covers."""
    style = MarkerStyle(marker)
    outlines = style.get_path().transformed(style.get_transform()).to_polygons()
    x, y = numpy.concatenate([numpy.asarray(outline, dtype=float) for outline in outlines]).T
    return float(abs(numpy.dot(x, numpy.roll(y, -1)) - numpy.dot(y, numpy.roll(x, -1))) / 2)


def legend_params(params: list[int]) -> list[tuple[int, str]]:
    """Parameters whose bubbles a legend shows, with their words: those about as many as the points have."""
    least, most = min(params), min(max(params), MOST_PARAMS)
    inside = [one for one in _LEGEND if least / 2 <= one <= most * 2]
    nearest = sorted(_LEGEND, key=lambda one: abs(one - most))[:2]
    shown = sorted(inside if len(inside) > 1 else nearest)
    over = max(params) > MOST_PARAMS
    return [(one, f"{one // 10**6} M parameters{' or more' if over and one == MOST_PARAMS else ''}") for one in shown]
