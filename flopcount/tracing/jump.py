"""The exact distance between the windows of neighbouring elements, also where upsampling repeats a pattern."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import gcd

__all__ = ["NOWHERE", "Jump"]


@dataclass(frozen=True, slots=True)
class Jump:
    """After `elements` elements of a tensor the same windows repeat, `positions` input positions further on.

    The fraction is not reduced: a convolution moves 1 in 1, but a map of every second position, upsampled twofold,
    moves 2 in 2. A jump without positions (false) means that the input does not extend along the axis.
    """

    positions: int
    elements: int = 1

    def __bool__(self) -> bool:
        return self.positions != 0

    def __lt__(self, other: Jump) -> bool:
        return self._order() < other._order()

    def _order(self) -> tuple[Fraction, int]:
        return Fraction(self.positions, self.elements), self.elements

    def strided(self, stride: int) -> Jump:
        """The jump of every `stride`th element."""
        shared = gcd(stride, self.elements)
        return Jump(self.positions * (stride // shared), self.elements // shared)

    def upsampled(self, factor: int) -> Jump:
        """The jump after each element becomes `factor` elements."""
        return Jump(self.positions, self.elements * factor) if self else self

    def resized(self, old: int, new: int) -> Jump:
        """The jump after `old` elements become `new` ones, evenly."""
        shared = gcd(old, new)
        return self.strided(old // shared).upsampled(new // shared)


NOWHERE = Jump(0)
