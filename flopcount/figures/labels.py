"""Labels that do not collide: rectangles placed near their points, clear of each other, of the points and of the edge.

Pure geometry in pixels: nothing here draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi, sin

__all__ = ["Box", "place"]

_RINGS = (2, 6, 12, 20, 30, 42, 56, 72, 90, 110)  # pixels between a point's rim and its label, the nearest tried first
_DIRECTIONS = 16


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
    points: Sequence[tuple[float, float]],
    radii: Sequence[float],
    sizes: Sequence[tuple[float, float]],
    bounds: Box,
) -> list[Box | None]:
    """A box for each label, the first points first; None where no place is left near its point.

    Arguments:
        points: centres, in pixels.
        radii: of the points' bubbles.
        sizes: width and height of each label.
        bounds: where labels may be.
    """
    bubbles = [Box(x - r, y - r, x + r, y + r) for (x, y), r in zip(points, radii, strict=True)]
    placed: list[Box | None] = []
    for point, radius, size in zip(points, radii, sizes, strict=True):
        blocked = [*bubbles, *(box for box in placed if box)]
        tries = (box for ring in _RINGS for box in _around(point, radius + ring, size))
        placed.append(next((box for box in tries if box.within(bounds) and not any(map(box.overlaps, blocked))), None))
    return placed


def _around(point: tuple[float, float], distance: float, size: tuple[float, float]) -> list[Box]:
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
