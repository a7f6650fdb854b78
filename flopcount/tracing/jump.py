"""How far apart the windows of neighbouring elements lie, exactly, also where upsampling repeats a pattern."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import gcd

__all__ = ["NOWHERE", "Jump"]


@dataclass(frozen=True, slots=True)
class Jump:
    """After `elements` elements of a tensor the same windows come again, `positions` input positions further on.

    Not reduced: a convolution moves 1 in 1; of a map of every second position, upsampled twofold, 2 in 2. No positions
    (false) where the input is not laid out along the axis.
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
        """Where every `stride`th element is taken."""
        shared = gcd(stride, self.elements)
        return Jump(self.positions * (stride // shared), self.elements // shared)

    def upsampled(self, factor: int) -> Jump:
        """Where each element becomes `factor`."""
        return Jump(self.positions, self.elements * factor) if self else self

    def resized(self, old: int, new: int) -> Jump:
        """Where `old` elements become `new`, evenly."""
        shared = gcd(old, new)
        return self.strided(old // shared).upsampled(new // shared)


NOWHERE = Jump(0)
