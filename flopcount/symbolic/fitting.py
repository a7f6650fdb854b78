"""Which polynomial a size is, from its values at some clips.

Along one axis a size is k + m·⌊(n + shift) / step⌋: all such staircases with a step up to a limit that go through what
was seen are kept, and where they disagree is where to look next. Over several axes a size is k plus a product of one
such factor for each axis, as a count of tokens is; what is neither has no polynomial here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .polynomial import Polynomial, Staircase

__all__ = ["Line", "disagreement", "fit_line", "fit_sizes"]

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Line:
    """Every k + m·⌊(n + shift) / step⌋ that goes through the points seen along one axis, the smallest step first."""

    step: Numbers
    shift: Numbers
    factor: Numbers
    plus: Numbers

    def __len__(self) -> int:
        return len(self.step)

    def at(self, sizes: Numbers) -> Numbers:
        """(candidates, sizes): what each says at each."""
        stairs = (sizes[None, :] + self.shift[:, None]) // self.step[:, None]
        return self.factor[:, None] * stairs + self.plus[:, None]

    def first(self, axis: str) -> tuple[Staircase, int, int]:
        """The simplest: its staircase, factor and what is added."""
        return Staircase(axis, int(self.shift[0]), int(self.step[0])), int(self.factor[0]), int(self.plus[0])


@lru_cache(maxsize=8)
def _staircases(limit: int) -> tuple[Numbers, Numbers]:
    """Every step up to the limit with every shift below it."""
    pairs = [(step, shift) for step in range(1, limit + 1) for shift in range(step)]
    step, shift = np.array(pairs, dtype=np.int64).T
    return step, shift


def fit_line(sizes: Sequence[int], values: Sequence[int], limit: int) -> Line:
    """All staircases with a step up to `limit` through (sizes, values), which are not all the same; maybe none."""
    n, v = np.array(sizes, dtype=np.int64), np.array(values, dtype=np.int64)
    low, high = int(n.argmin()), int(n.argmax())
    step, shift = _staircases(limit)
    rise = (n[high] + shift) // step - (n[low] + shift) // step
    keep = rise > 0
    step, shift, rise = step[keep], shift[keep], rise[keep]
    keep = (v[high] - v[low]) % rise == 0
    step, shift = step[keep], shift[keep]
    factor = (v[high] - v[low]) // rise[keep]
    plus = v[low] - factor * ((n[low] + shift) // step)
    line = Line(step, shift, factor, plus)
    through = (line.at(n) == v[None, :]).all(axis=1) & (factor != 0)
    return Line(step[through], shift[through], factor[through], plus[through])


def disagreement(lines: Sequence[Line], sizes: Sequence[int]) -> int | None:
    """The size at which most of the candidates part; None where each line's say the same at all of them."""
    n = np.array(sizes, dtype=np.int64)
    parted = np.zeros(len(n), dtype=np.int64)
    for line in lines:
        if len(line) > 1:
            chosen = np.linspace(0, len(line) - 1, min(len(line), 200)).astype(np.int64)
            some = Line(line.step[chosen], line.shift[chosen], line.factor[chosen], line.plus[chosen])
            said = np.sort(some.at(n), axis=0)
            parted += (np.diff(said, axis=0) != 0).sum(axis=0)
    return int(n[parted.argmax()]) if parted.any() else None


def fit_sizes(
    values: Mapping[tuple[int, ...], int], base: tuple[int, ...], axes: Sequence[str], limits: Sequence[int]
) -> Polynomial | None:
    """The polynomial through `values` (clip -> value), which hold lines through `base` and clips off them; or None."""
    lines: dict[int, tuple[Staircase, int, int]] = {}
    for index, axis in enumerate(axes):
        on_line = {
            p[index]: v for p, v in values.items() if p[:index] + p[index + 1 :] == base[:index] + base[index + 1 :]
        }
        if len(set(on_line.values())) > 1:
            found = fit_line(list(on_line), list(on_line.values()), limits[index])
            if not len(found):
                return None
            lines[index] = found.first(axis)
    at_base = values[base]
    for constant in _constants(values, base, list(lines)) if len(lines) > 1 else [None]:
        polynomial = _product(at_base, constant, list(lines.values()))
        if polynomial is not None and all(
            polynomial.at(dict(zip(axes, clip, strict=True))) == value for clip, value in values.items()
        ):
            return polynomial
    return None


def _constants(values: Mapping[tuple[int, ...], int], base: tuple[int, ...], moving: list[int]) -> list[int]:
    """What may stand beside the product: k of (v - k)(v₀ - k) = (v₁ - k)(v₂ - k) at clips that leave two lines."""
    found = [0]
    for clip, value in values.items():
        moved = [index for index in moving if clip[index] != base[index]]
        if len(moved) == 2 and all(clip[i] == base[i] for i in range(len(base)) if i not in moved):
            first, second = (values.get(_moved(base, index, clip[index])) for index in moved)
            if first is None or second is None:
                continue
            below = value + values[base] - first - second
            if below and (value * values[base] - first * second) % below == 0:
                found.append((value * values[base] - first * second) // below)
    return list(dict.fromkeys(found))


def _moved(base: tuple[int, ...], index: int, size: int) -> tuple[int, ...]:
    return (*base[:index], size, *base[index + 1 :])


def _product(at_base: int, constant: int | None, lines: list[tuple[Staircase, int, int]]) -> Polynomial | None:
    """constant + ∏ (factor·staircase + plus − constant) / (at_base − constant)^(axes − 1)."""
    if not lines:
        return Polynomial.constant(at_base)
    if constant is None:
        ((stair, factor, plus),) = lines
        return Polynomial.of(stair, factor, plus)
    product = Polynomial.constant(1)
    for stair, factor, plus in lines:
        product = product * Polynomial.of(stair, factor, plus - constant)
    scale: Any = (at_base - constant) ** (len(lines) - 1)
    even = product.divided(Polynomial.constant(scale)) if scale else None
    return None if even is None else even + Polynomial.constant(constant)
