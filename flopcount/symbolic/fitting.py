"""Which polynomial a size is, from its values at some clips.

Along one axis a size is k + m·⌊(n + shift) / step⌋, or has the square of the floor where height and width vary
together. All such staircases through the values, with a step up to a limit, are candidates; the size at which most of
them disagree is the next to look at. Over several axes a size is k plus a product of one such factor for each axis, as
a number of tokens is. Any other size has no polynomial.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .polynomial import Polynomial, Staircase

__all__ = ["Line", "Steps", "disagreement", "fit_line", "fit_sizes"]

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Line:
    """Every factor·⌊(n + shift) / step⌋^power + plus through the values along one axis, the smallest step first."""

    step: Numbers
    shift: Numbers
    factor: Numbers
    plus: Numbers
    power: int = 1

    def __len__(self) -> int:
        return len(self.step)

    def at(self, sizes: Numbers) -> Numbers:
        """The value of each candidate at each size: (candidates, sizes)."""
        stairs = (sizes[None, :] + self.shift[:, None]) // self.step[:, None]
        return self.factor[:, None] * stairs**self.power + self.plus[:, None]

    def chosen(self, which: NDArray[Any]) -> Line:
        """Some of the candidates."""
        return Line(self.step[which], self.shift[which], self.factor[which], self.plus[which], self.power)

    def less(self, constant: int, axis: str) -> Polynomial:
        """The simplest candidate without a constant."""
        stair = Staircase(axis, int(self.shift[0]), int(self.step[0]))
        factor, plus = int(self.factor[0]), int(self.plus[0]) - constant
        if self.power == 1:
            return Polynomial.of(stair, factor, plus)
        return Polynomial({(stair,) * self.power: factor}) + Polynomial.constant(plus)


@dataclass(frozen=True, slots=True)
class Steps:
    """The staircases to try: steps that are multiples of `each`, up to `limit`, and their powers.

    If sizes are multiples of eight, ⌊n/2⌋ is 4·⌊n/8⌋: only one of several equal staircases is tried.
    """

    limit: int
    each: int = 1
    powers: tuple[int, ...] = (1,)


_MOVES = (0, 1, -1, 2, -2)  # steps by which padding or a kernel may shift a square


@lru_cache(maxsize=8)
def _staircases(steps: Steps) -> tuple[Numbers, Numbers]:
    """Every step with every shift below it."""
    pairs = [(step, shift) for step in range(steps.each, steps.limit + 1, steps.each) for shift in range(step)]
    step, shift = np.array(pairs, dtype=np.int64).T
    return step, shift


def fit_line(sizes: Sequence[int], values: Sequence[int], steps: Steps) -> list[Line]:
    """All staircases through (sizes, values), a Line for each power, or none; the values must not all be equal."""
    lines = (_through(sizes, values, steps, power) for power in steps.powers)
    return [line for line in lines if len(line)]


def _through(sizes: Sequence[int], values: Sequence[int], steps: Steps, power: int) -> Line:
    n, v = np.array(sizes, dtype=np.int64), np.array(values, dtype=np.int64)
    low, high = int(n.argmin()), int(n.argmax())
    step, shift = _staircases(steps)
    if power > 1:  # q + 1 differs from q by a constant, but (q + 1)² from q² does not
        shift = np.concatenate([shift + move * step for move in _MOVES])
        step = np.tile(step, len(_MOVES))
    rise = ((n[high] + shift) // step) ** power - ((n[low] + shift) // step) ** power
    keep = rise > 0
    step, shift, rise = step[keep], shift[keep], rise[keep]
    keep = (v[high] - v[low]) % rise == 0
    step, shift = step[keep], shift[keep]
    factor = (v[high] - v[low]) // rise[keep]
    plus = v[low] - factor * ((n[low] + shift) // step) ** power
    line = Line(step, shift, factor, plus, power)
    return line.chosen((line.at(n) == v[None, :]).all(axis=1) & (factor != 0))


def disagreement(fits: Sequence[Sequence[Line]], sizes: Sequence[int]) -> int | None:
    """The size at which most of the candidates disagree; None if the candidates of each fit agree at all sizes."""
    n = np.array(sizes, dtype=np.int64)
    partings = np.zeros(len(n), dtype=np.int64)
    for lines in fits:
        if sum(map(len, lines)) > 1:
            values = np.sort(np.concatenate([_some(line).at(n) for line in lines]), axis=0)
            partings += (np.diff(values, axis=0) != 0).sum(axis=0)
    return int(n[partings.argmax()]) if partings.any() else None


def _some(line: Line) -> Line:
    """As many of the candidates as are worth comparing at once."""
    return line.chosen(np.linspace(0, len(line) - 1, min(len(line), _COMPARED)).astype(np.int64))


_COMPARED = 200


def fit_sizes(
    values: Mapping[tuple[int, ...], int], base: tuple[int, ...], axes: Sequence[str], steps: Sequence[Steps]
) -> Polynomial | None:
    """The polynomial through `values` (clip -> value), clips on and off the lines through `base`; None if none fits."""
    lines: dict[int, Line] = {}
    for index in range(len(axes)):
        on_line = {
            p[index]: v for p, v in values.items() if p[:index] + p[index + 1 :] == base[:index] + base[index + 1 :]
        }
        if len(set(on_line.values())) > 1:
            fits = fit_line(list(on_line), list(on_line.values()), steps[index])
            if not fits:
                return None
            lines[index] = fits[0]
    at_base = values[base]
    for constant in _constants(values, base, list(lines)) if len(lines) > 1 else [0]:
        polynomial = _product(at_base, constant, {axes[index]: line for index, line in lines.items()})
        if polynomial is not None and all(
            polynomial.at(dict(zip(axes, clip, strict=True))) == value for clip, value in values.items()
        ):
            return polynomial
    return None


def _constants(values: Mapping[tuple[int, ...], int], base: tuple[int, ...], moving: list[int]) -> list[int]:
    """Candidates of the constant: k of (v - k)(v₀ - k) = (v₁ - k)(v₂ - k) at clips that differ in two axes."""
    constants = [0]
    for clip, value in values.items():
        off_base = [index for index in moving if clip[index] != base[index]]
        if len(off_base) == 2 and all(clip[i] == base[i] for i in range(len(base)) if i not in off_base):
            first, second = (values.get(_moved(base, index, clip[index])) for index in off_base)
            if first is None or second is None:
                continue
            below = value + values[base] - first - second
            if below and (value * values[base] - first * second) % below == 0:
                constants.append((value * values[base] - first * second) // below)
    return list(dict.fromkeys(constants))


def _moved(base: tuple[int, ...], index: int, size: int) -> tuple[int, ...]:
    return (*base[:index], size, *base[index + 1 :])


def _product(at_base: int, constant: int, lines: Mapping[str, Line]) -> Polynomial | None:
    """A constant and ∏ (factor·staircase + plus − constant) / (at_base − constant)^(axes − 1)."""
    if not lines:
        return Polynomial.constant(at_base)
    product = Polynomial.constant(1)
    for axis, line in lines.items():
        product = product * line.less(constant, axis)
    scale: Any = (at_base - constant) ** (len(lines) - 1)
    even = product.divided(Polynomial.constant(scale)) if scale else None
    return None if even is None else even + Polynomial.constant(constant)
