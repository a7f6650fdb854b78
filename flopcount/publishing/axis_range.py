"""How far a slider of a page moves an axis of the clip."""

from __future__ import annotations

__all__ = ["FARTHEST", "axis_range"]

FARTHEST = 4
"""A slider ends at this many times the size the form is made from."""


def axis_range(base: int, minimum: int, step: int) -> tuple[int, int]:
    """Least and largest size on a slider: from the domain's minimum in its steps, up to FARTHEST times the base."""
    return minimum, minimum + (FARTHEST * base - minimum) // step * step
