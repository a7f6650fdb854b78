"""Labels that do not collide: rectangles placed near their points, clear of each other, of the points and of the edge.

Pure geometry in pixels: nothing here draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, cos, hypot, pi, sin
from typing import Any, TypeAlias

import numpy

__all__ = ["Box", "Spot", "leader", "place", "trail"]

_RINGS = (
    2,
    6,
    12,
    20,
    30,
    42,
    56,
    72,
    90,
    110,
    135,
    160,
    190,
    220,
)  # pixels between a point's rim and its label, the nearest tried first
_DIRECTIONS = 16
_FAR = 7  # pixels between a rim and a label from which on a line joins them
_STEP = 3

Spot = tuple[float, float]
_Sides: TypeAlias = "numpy.ndarray[Any, Any]"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: Box) -> bool:
        """Whether they share an area; touching is no overlap."""
        return (
            self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top
        )

    def within(self, other: Box) -> bool:
        """Whether it lies inside."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.bottom >= other.bottom
            and self.top <= other.top
        )


def place(
    points: Sequence[Spot],
    radii: Sequence[float],
    sizes: Sequence[tuple[float, float]],
    bounds: Box,
    taken: Sequence[Box] = (),
) -> list[Box | None]:
    """A box for each label, the first points first; None where no place is left near its point.

    Arguments:
        points: centres, in pixels.
        radii: of the points' bubbles.
        sizes: width and height of each label.
        bounds: where labels may be.
        taken: what else they must not cover, such as a line (`trail`).
    """
    bubbles = [Box(x - r, y - r, x + r, y + r) for (x, y), r in zip(points, radii, strict=True)]
    obstacles = [*bubbles, *taken]
    labels: list[Box] = []
    boxes: list[Box | None] = []
    for index, (point, radius, size) in enumerate(zip(points, radii, sizes, strict=True)):
        near = [box for ring in _RINGS for box in _around(point, radius + ring, size)]
        inside = [box for box in near if box.within(bounds)]
        free = [box for box, hit in zip(inside, _hit(inside, _sides(obstacles)), strict=True) if not hit]
        others = [*bubbles[:index], *bubbles[index + 1 :]]
        # a line to the label may pass behind another point where there is no better way, but never behind a label
        best, enough = _sides([*labels, *others, *taken]), _sides(labels)
        clear = (box for barriers in (best, enough) for box in free if not _passes(point, radius, box, barriers))
        choice = next(clear, None)
        boxes.append(choice)
        if choice is not None:
            line = leader(point, radius, choice)
            labels.append(choice)
            obstacles += [choice, *(trail(*line) if line else ())]
    return boxes


def _hit(boxes: Sequence[Box], others: _Sides) -> list[bool]:
    """Whether each box shares an area with one of the others; all pairs at once, since there are very many."""
    left, bottom, right, top = (side[:, None] for side in _sides(boxes))
    their_left, their_bottom, their_right, their_top = others
    shared = (left < their_right) & (their_left < right) & (bottom < their_top) & (their_bottom < top)
    hits: list[bool] = shared.any(axis=1).tolist()
    return hits


def _sides(boxes: Sequence[Box]) -> _Sides:
    """Left, bottom, right and top of all boxes."""
    return numpy.array([(box.left, box.bottom, box.right, box.top) for box in boxes]).reshape(-1, 4).T


def _passes(point: Spot, radius: float, box: Box, others: _Sides) -> bool:
    """Whether the line from the point to its label goes through one of the others."""
    line = leader(point, radius, box)
    return line is not None and any(_hit(trail(*line), others))


def leader(point: Spot, radius: float, box: Box) -> tuple[Spot, Spot] | None:
    """The line from a point to its label, where the label is too far away to be clear without it; else None."""
    x, y = point
    nearest = (min(max(x, box.left), box.right), min(max(y, box.bottom), box.top))
    return (point, nearest) if hypot(nearest[0] - x, nearest[1] - y) - radius > _FAR else None


def trail(start: Spot, end: Spot) -> list[Box]:
    """A line as small boxes, so that labels can keep clear of it."""
    steps = max(1, ceil(hypot(end[0] - start[0], end[1] - start[1]) / _STEP))
    dots = []
    for step in range(steps + 1):
        x = start[0] + (end[0] - start[0]) * step / steps
        y = start[1] + (end[1] - start[1]) * step / steps
        dots.append(Box(x - 1, y - 1, x + 1, y + 1))
    return dots


def _around(point: Spot, distance: float, size: tuple[float, float]) -> list[Box]:
    """Boxes that touch a circle around the point, above and to the right first."""
    (x, y), (width, height) = point, size
    boxes = []
    for step in range(_DIRECTIONS):
        # 90°, then alternately to either side: a label above reads best, one below last
        angle = pi / 2 + (-1) ** step * ((step + 1) // 2) * 2 * pi / _DIRECTIONS
        across, up = cos(angle), sin(angle)
        centre_x = x + across * (distance + width / 2)
        centre_y = y + up * (distance + height / 2)
        boxes.append(Box(centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2))
    return boxes
