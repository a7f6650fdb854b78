"""Integers that remember their arithmetic, so that a rule is its own explanation.

A `Term` is an int. Run a cost rule on shapes made of terms and the result reads
`64·16·112·112·3·3·3·3` and equals 1,040,449,536: the printed formula is the counted one, never a second copy.
"""

from __future__ import annotations

from typing import TypeVar

from ..core.ops import TensorSpec

__all__ = ["Term", "named"]

_SUM, _QUOTIENT, _PRODUCT, _ATOM = range(4)  # how strongly the operator of a term binds

T = TypeVar("T")


class Term(int):
    """An integer with the text of its arithmetic; a factor 1 and a summand 0 do not show."""

    text: str
    strength: int

    def __new__(cls, value: int, text: str | None = None, strength: int = _ATOM) -> Term:
        """`text` is the value itself unless an operation made it."""
        term = super().__new__(cls, value)
        term.text = str(int(value)) if text is None else text
        term.strength = strength
        return term

    @classmethod
    def of(cls, value: int) -> Term:
        """The value itself if it is a term already."""
        return value if isinstance(value, Term) else cls(value)

    def within(self, strength: int) -> str:
        """The text, in brackets if it binds less strongly than its surroundings."""
        return self.text if self.strength >= strength else f"({self.text})"

    def __mul__(self, other: int) -> Term:
        return _product(self, Term.of(other)) if isinstance(other, int) else NotImplemented

    def __rmul__(self, other: int) -> Term:
        return _product(Term.of(other), self) if isinstance(other, int) else NotImplemented

    def __add__(self, other: int) -> Term:
        return _sum(self, Term.of(other)) if isinstance(other, int) else NotImplemented

    def __radd__(self, other: int) -> Term:
        return _sum(Term.of(other), self) if isinstance(other, int) else NotImplemented

    def __sub__(self, other: int) -> Term:
        return _difference(self, Term.of(other)) if isinstance(other, int) else NotImplemented

    def __rsub__(self, other: int) -> Term:
        return _difference(Term.of(other), self) if isinstance(other, int) else NotImplemented

    def __floordiv__(self, other: int) -> Term:
        return _quotient(self, Term.of(other)) if isinstance(other, int) else NotImplemented

    def __rfloordiv__(self, other: int) -> Term:
        return _quotient(Term.of(other), self) if isinstance(other, int) else NotImplemented

    __hash__ = int.__hash__


def _product(left: Term, right: Term) -> Term:
    if int(left) == 1:
        return right
    if int(right) == 1:
        return left
    return Term(int(left) * int(right), f"{left.within(_PRODUCT)}·{right.within(_PRODUCT)}", _PRODUCT)


def _sum(left: Term, right: Term) -> Term:
    if int(left) == 0:
        return right
    if int(right) == 0:
        return left
    return Term(int(left) + int(right), f"{left.text} + {right.text}", _SUM)


def _difference(left: Term, right: Term) -> Term:
    if int(right) == 0:
        return left
    return Term(int(left) - int(right), f"{left.within(_SUM)} − {right.within(_QUOTIENT)}", _SUM)


def _quotient(left: Term, right: Term) -> Term:
    if int(right) == 1:
        return left
    return Term(int(left) // int(right), f"{left.within(_PRODUCT)} / {right.within(_ATOM)}", _QUOTIENT)


def named(value: T) -> T:
    """The same value with every tensor size turned into a term; other values pass through unchanged."""
    if isinstance(value, TensorSpec):
        return TensorSpec(tuple(Term(size) for size in value.shape), value.dtype)  # type: ignore[return-value]
    if isinstance(value, tuple):
        return tuple(named(item) for item in value)  # type: ignore[return-value]
    return value
