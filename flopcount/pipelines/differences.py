"""A polynomial of the number of a pass, as forward differences at the first: its value, and its sum over passes.

With differences Δ⁰, Δ¹, Δ², pass k costs Δ⁰ + Δ¹·k + Δ²·k(k-1)/2, and the first n passes cost together
Δ⁰·n + Δ¹·n(n-1)/2 + Δ²·n(n-1)(n-2)/6: whole numbers throughout.
"""

from __future__ import annotations

from math import comb
from typing import TypeAlias

__all__ = ["Differences", "sum_of", "value_at"]

Differences: TypeAlias = tuple[int, int, int]
"""Forward differences of an amount at the first pass; (n, 0, 0) is the same n for each."""


def value_at(differences: Differences, k: int) -> int:
    """What pass k costs, from 0.

    >>> [value_at((5, 2, 1), k) for k in range(4)]
    [5, 7, 10, 14]
    """
    return sum(each * comb(k, order) for order, each in enumerate(differences))


def sum_of(differences: Differences, count: int) -> int:
    """What the first so many passes cost together.

    >>> sum_of((5, 2, 1), 4)
    36
    """
    return sum(each * comb(count, order + 1) for order, each in enumerate(differences))
