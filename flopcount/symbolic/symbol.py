"""Integers that know which polynomial of the clip they are, so that a cost rule run on them gives a formula.

The rule is the one that counts; there is no second copy. A rule that compares sizes decides by their values at the base
clip. If another clip decides otherwise, the form is wrong there; `solved` and `closed_form` compare it with counts of
other clips to detect this.
"""

from __future__ import annotations

from typing import Any

from .polynomial import Polynomial

__all__ = ["Symbol", "polynomial_of"]


class Symbol(int):
    """A size or count with its polynomial; None if the result of the arithmetic is no polynomial."""

    polynomial: Polynomial | None

    def __new__(cls, value: int, polynomial: Polynomial | None) -> Symbol:
        """`value` is the polynomial's value at the base clip."""
        symbol = super().__new__(cls, value)
        symbol.polynomial = polynomial
        return symbol

    def __add__(self, other: int) -> Symbol:
        return _made(int(self) + int(other), self, other, lambda a, b: a + b)

    def __sub__(self, other: int) -> Symbol:
        return _made(int(self) - int(other), self, other, lambda a, b: a - b)

    def __rsub__(self, other: int) -> Symbol:
        return _made(int(other) - int(self), other, self, lambda a, b: a - b)

    def __mul__(self, other: int) -> Symbol:
        return _made(int(self) * int(other), self, other, lambda a, b: a * b)

    def __floordiv__(self, other: int) -> Symbol:
        return _made(int(self) // int(other), self, other, _quotient)

    def __rfloordiv__(self, other: int) -> Symbol:
        return _made(int(other) // int(self), other, self, _quotient)

    def __mod__(self, other: int) -> Symbol:
        """0 if it is 0 at every clip, else 1, so that a rule takes the branch that is right for all clips."""
        a, b = polynomial_of(self), polynomial_of(other)
        if a is not None and b is not None and a.divided(b) is not None:
            return Symbol(0, Polynomial.constant(0))
        return Symbol(1, None)

    def __neg__(self) -> Symbol:
        return self * -1

    __radd__, __rmul__ = __add__, __mul__
    __hash__ = int.__hash__


def polynomial_of(value: int) -> Polynomial | None:
    """The polynomial of a symbol, or of any other integer its constant."""
    return value.polynomial if isinstance(value, Symbol) else Polynomial.constant(value)


def _made(value: int, left: int, right: int, combine: Any) -> Symbol:
    a, b = polynomial_of(left), polynomial_of(right)
    return Symbol(value, combine(a, b) if a is not None and b is not None else None)


def _quotient(a: Polynomial, b: Polynomial) -> Polynomial | None:
    even = a.divided(b)
    if even is not None or set(b.terms) != {()}:
        return even
    # ⌊(⌊(n + shift) / step⌋ + plus) / divisor⌋ is one floor
    divisor, plus = b.terms[()], a.terms.get((), 0)
    rest = {monomial: coefficient for monomial, coefficient in a.terms.items() if monomial}
    if divisor > 0 and len(rest) == 1:
        ((monomial, coefficient),) = rest.items()
        if len(monomial) == 1 and coefficient == 1:
            (stair,) = monomial
            shift = stair.shift + plus * stair.step
            return Polynomial.of(type(stair)(stair.axis, shift, stair.step * divisor))
    return None
