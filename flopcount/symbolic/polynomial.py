"""Polynomials in staircases: costs and sizes as functions of the clip.

A convolution of stride s turns n into ⌊(n + shift) / s⌋ + 1, and so does every other operator that divides an axis;
nested floors collapse into one. So a size consists of staircases ⌊(n + shift) / step⌋, and a cost is a sum of products
of them with whole coefficients. Everything here is exact and frozen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

from ..core.one_line import OneLine
from ..core.units import plural

__all__ = ["Monomial", "Polynomial", "Staircase"]


@dataclass(frozen=True, slots=True, order=True)
class Staircase:
    """⌊(n + shift) / step⌋ of the size n of one axis; with shift 0 and step 1 the size itself."""

    axis: str
    shift: int = 0
    step: int = 1

    def at(self, n: Any) -> Any:
        """Its value; of an array, its values."""
        raised = n + self.shift if self.shift else n
        return raised // self.step if self.step > 1 else raised


Monomial: TypeAlias = tuple[Staircase, ...]
"""A product of staircases, sorted; () is 1."""


@dataclass(frozen=True, slots=True)
class Polynomial(OneLine):
    """A sum of products of staircases with whole coefficients, none of them 0."""

    terms: Mapping[Monomial, int]

    @staticmethod
    def constant(value: int) -> Polynomial:
        """A polynomial with the same value at every clip."""
        return Polynomial({(): int(value)} if value else {})

    @staticmethod
    def of(staircase: Staircase, factor: int = 1, plus: int = 0) -> Polynomial:
        """Factor · staircase + number; a multiple of the factor in the number moves into the staircase."""
        if factor and plus % factor == 0:
            shift = staircase.shift + staircase.step * (plus // factor)
            return Polynomial({(Staircase(staircase.axis, shift, staircase.step),): factor})
        return Polynomial({(staircase,): factor}) + Polynomial.constant(plus)

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes that it depends on, in order of appearance."""
        return tuple(dict.fromkeys(stair.axis for monomial in self.terms for stair in monomial))

    def at(self, sizes: Mapping[str, Any]) -> Any:
        """Its value at these sizes of the axes (integers or arrays, which broadcast)."""
        stairs = {stair: stair.at(sizes[stair.axis]) for monomial in self.terms for stair in monomial}
        total: Any = 0
        for monomial, coefficient in self.terms.items():
            total = total + reduce(lambda product, stair: product * stairs[stair], monomial, coefficient)
        return total

    def __add__(self, other: Polynomial) -> Polynomial:
        return total((self, other))

    def __sub__(self, other: Polynomial) -> Polynomial:
        return self + other * -1

    def __mul__(self, other: Polynomial | int) -> Polynomial:
        factors = other.terms if isinstance(other, Polynomial) else Polynomial.constant(other).terms
        terms: dict[Monomial, int] = {}
        for left, a in self.terms.items():
            for right, b in factors.items():
                monomial = tuple(sorted(left + right))
                terms[monomial] = terms.get(monomial, 0) + a * b
        return _without_zeros(terms)

    def divided(self, other: Polynomial) -> Polynomial | None:
        """The quotient if there is no remainder: by a number, by one product of staircases, or by itself."""
        if not self.terms or self.terms == other.terms:
            return Polynomial.constant(1) if self.terms else self
        if len(other.terms) != 1:
            return None
        ((divisor, number),) = other.terms.items()
        terms = {}
        for monomial, coefficient in self.terms.items():
            rest = list(monomial)
            for stair in divisor:
                if stair not in rest:
                    return None
                rest.remove(stair)
            if coefficient % number:
                return None
            terms[tuple(rest)] = coefficient // number
        return Polynomial(terms)

    def _headline(self) -> str:
        axes = dict.fromkeys(stair.axis for monomial in self.terms for stair in monomial)
        return f"{plural(len(self.terms), 'term')}" + f" in {', '.join(sorted(axes))}" * bool(axes)


def total(polynomials: Iterable[Polynomial]) -> Polynomial:
    """The sum of all."""
    terms: dict[Monomial, int] = {}
    for polynomial in polynomials:
        for monomial, coefficient in polynomial.terms.items():
            terms[monomial] = terms.get(monomial, 0) + coefficient
    return _without_zeros(terms)


def _without_zeros(terms: dict[Monomial, int]) -> Polynomial:
    return Polynomial({monomial: coefficient for monomial, coefficient in terms.items() if coefficient})
