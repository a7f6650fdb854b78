"""Labels that do not collide: rectangles placed near their points, clear of each other, of the points and of the edge.

A line that joins a point to its label crosses no other point and no label. Pure geometry in points of type, or in any
other unit that all sizes are in: nothing here draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, cos, hypot, pi, sin
from typing import Any, TypeAlias

import numpy

__all__ = ["Box", "Spot", "leader", "place", "trail"]

_RINGS = (2, 4, 7, 11, 15, 20, 26, 33, 41, 50, 60, 72, 86)
"""Between a point's rim and its label, the nearest tried first."""
_DIRECTIONS = 24
_FAR = 5  # between a rim and a label, from which on a line joins them
_STEP = 2
_ROUND = 1.1  # that a line keeps clear of what it passes: more than half of what `trail` takes
_TINY = 1e-9
_ORDERS = 5  # in which labels are placed, those first that had no room before; that with the most labels is taken
_PLACED = 200  # labels in all orders together: of very many points fewer orders are tried

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
    reach: float = _RINGS[-1],
    first: int = 0,
) -> list[Box | None]:
    """A box for each label, the first points first; None where no place is left near its point.

    Arguments:
        points: centres.
        radii: of the points' bubbles.
        sizes: width and height of each label.
        bounds: where labels may be.
        taken: what else they must not cover, such as a line (`trail`).
        reach: how far a label may be from its point.
        first: how many points, from the first, have their labels before all others.
    """
    order = list(range(len(points)))
    best: list[Box | None] = []
    for _ in range(min(_ORDERS, max(2, _PLACED // max(1, len(points))))):
        boxes = _placed(order, points, radii, sizes, bounds, taken, reach)
        if not best or _missing(boxes, first) < _missing(best, first):
            best = boxes
        if None not in boxes:
            break
        order.sort(key=partial(_urgency, boxes, first))
    return best


def _missing(boxes: Sequence[Box | None], first: int) -> tuple[int, int]:
    """How many labels have no place, of the first and of all."""
    return sum(box is None for box in boxes[:first]), sum(box is None for box in boxes)


def _urgency(boxes: Sequence[Box | None], first: int, index: int) -> tuple[bool, bool]:
    return index >= first, boxes[index] is not None


def _placed(
    order: Sequence[int],
    points: Sequence[Spot],
    radii: Sequence[float],
    sizes: Sequence[tuple[float, float]],
    bounds: Box,
    taken: Sequence[Box],
    reach: float,
) -> list[Box | None]:
    """A box for each label, placed in this order."""
    bubbles = [Box(x - r, y - r, x + r, y + r) for (x, y), r in zip(points, radii, strict=True)]
    obstacles = [*bubbles, *taken]
    rings = [ring for ring in _RINGS if ring <= reach]
    labels: list[Box] = []
    leaders: list[Box] = []
    boxes: list[Box | None] = [None] * len(points)
    for index in order:
        point, radius = points[index], radii[index]
        others = _sides([*(box for at, box in enumerate(bubbles) if points[at] != point), *labels])
        covered, lines = _sides(obstacles), _sides([*leaders, *taken])
        tangled: Box | None = None
        for ring in rings:
            near = _around(point, radius + ring, sizes[index], bounds)
            clear = _clear(point, radius, [box for box in near if box.within(bounds)], covered, others)
            crossed = _crossed([leader(point, radius, box) for box in clear], lines)
            choice = next((box for box, hit in zip(clear, crossed, strict=True) if not hit), None)
            if choice is not None:
                break
            tangled = tangled or next(iter(clear), None)
        else:  # its line crosses another line, since there is no better way
            choice = tangled
        boxes[index] = choice
        if choice is not None:
            line = leader(point, radius, choice)
            dots = trail(*line) if line else []
            labels.append(choice)
            leaders += dots
            obstacles += [choice, *dots]
    return boxes


def _clear(point: Spot, radius: float, boxes: Sequence[Box], covered: _Sides, others: _Sides) -> list[Box]:
    """The boxes that cover nothing, and to which a line from the point crosses no other point and no label."""
    free = [box for box, hit in zip(boxes, _hit(boxes, covered), strict=True) if not hit]
    crossed = _crossed([leader(point, radius, box) for box in free], others)
    return [box for box, hit in zip(free, crossed, strict=True) if not hit]


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


def _crossed(lines: Sequence[tuple[Spot, Spot] | None], boxes: _Sides) -> list[bool]:
    """Whether each line goes through one of the boxes; a label without a line is never crossed."""
    if not any(lines):
        return [False] * len(lines)
    left, bottom, right, top = boxes
    ends = numpy.array([line or ((0.0, 0.0), (0.0, 0.0)) for line in lines]).reshape(-1, 2, 2)
    start, step = ends[:, 0, :, None], ends[:, 1, :, None] - ends[:, 0, :, None] + _TINY
    # the parts of each line, from 0 at its start to 1 at its end, that are between the sides of each box
    x0, x1 = ((side - start[:, 0]) / step[:, 0] for side in (left - _ROUND, right + _ROUND))
    y0, y1 = ((side - start[:, 1]) / step[:, 1] for side in (bottom - _ROUND, top + _ROUND))
    enters = numpy.maximum(numpy.minimum(x0, x1), numpy.minimum(y0, y1))
    leaves = numpy.minimum(numpy.maximum(x0, x1), numpy.maximum(y0, y1))
    within = (enters < leaves) & (leaves > 0) & (enters < 1)
    hits: list[bool] = within.any(axis=1).tolist()
    return [line is not None and hit for line, hit in zip(lines, hits, strict=True)]


def leader(point: Spot, radius: float, box: Box) -> tuple[Spot, Spot] | None:
    """The line from a point's rim to its label, where the label is too far away to be clear without it; else None."""
    x, y = point
    end = (min(max(x, box.left), box.right), min(max(y, box.bottom), box.top))
    distance = hypot(end[0] - x, end[1] - y)
    if distance - radius <= _FAR:
        return None
    share = radius / distance
    return (x + (end[0] - x) * share, y + (end[1] - y) * share), end


def trail(start: Spot, end: Spot) -> list[Box]:
    """A line as small boxes, so that labels can keep clear of it."""
    steps = max(1, ceil(hypot(end[0] - start[0], end[1] - start[1]) / _STEP))
    dots = []
    for step in range(steps + 1):
        x = start[0] + (end[0] - start[0]) * step / steps
        y = start[1] + (end[1] - start[1]) * step / steps
        dots.append(Box(x - 1, y - 1, x + 1, y + 1))
    return dots


def _around(point: Spot, distance: float, size: tuple[float, float], bounds: Box) -> list[Box]:
    """Boxes that touch a circle around the point, above and to the right first; at an edge they are moved inside."""
    (x, y), (width, height) = point, size
    boxes = []
    for step in range(_DIRECTIONS):
        # 90°, then alternately to either side: a label above reads best, one below last
        angle = pi / 2 + (-1) ** step * ((step + 1) // 2) * 2 * pi / _DIRECTIONS
        across, up = cos(angle), sin(angle)
        left = x + across * (distance + width / 2) - width / 2
        bottom = y + up * (distance + height / 2) - height / 2
        left = min(max(left, bounds.left), bounds.right - width)
        boxes.append(Box(left, bottom, left + width, bottom + height))
    return boxes
