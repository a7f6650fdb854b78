"""Polynomials as a person reads them, in LaTeX, and for sympy; one walk over the terms for all three.

Terms are ordered by what they are worth at the clip the form is made from, and what all of them share stands in front.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from .polynomial import Monomial, Polynomial, Staircase

__all__ = ["latex", "sympified", "text"]


@dataclass(frozen=True, slots=True)
class Notation:
    """How staircases, powers, products and sums are written."""

    staircase: Callable[[Staircase], Any]
    power: Callable[[Any, int], Any]
    product: Callable[[list[Any]], Any]
    sum: Callable[[list[Any]], Any]
    number: Callable[[int], Any]


def text(polynomial: Polynomial, base: Mapping[str, int]) -> str:
    """Like "64·T·⌈H/2⌉·(9·⌈W/2⌉ + 1)"."""
    return str(_written(polynomial, base, _TEXT))


def latex(polynomial: Polynomial, base: Mapping[str, int]) -> str:
    r"""Like "64\,T\lceil H/2\rceil", for math mode."""
    return str(_written(polynomial, base, _LATEX))


def sympified(polynomial: Polynomial) -> Any:
    """A sympy expression in positive integer symbols named like the axes."""
    import sympy

    def staircase(stair: Staircase) -> Any:
        size = sympy.Symbol(stair.axis, integer=True, positive=True) + stair.shift
        return sympy.floor(size / stair.step) if stair.step > 1 else size

    notation = Notation(
        staircase,
        lambda base, power: base**power,
        lambda parts: sympy.Mul(*parts),
        lambda parts: sympy.Add(*parts),
        sympy.Integer,
    )
    return _written(polynomial, {}, notation)


def _written(polynomial: Polynomial, base: Mapping[str, int], notation: Notation) -> Any:
    if not polynomial.terms:
        return notation.number(0)
    shared = _shared(polynomial)
    terms = [(_without(monomial, shared), number) for monomial, number in polynomial.terms.items()]
    if base:
        terms.sort(key=lambda term: -abs(Polynomial({term[0]: term[1]}).at(base)))
    if len(terms) == 1:
        return _term(shared, terms[0][1], notation)
    inner = notation.sum([_term(monomial, number, notation) for monomial, number in terms])
    return notation.product([*_factors(shared, notation), ("(", inner)]) if shared else inner


def _shared(polynomial: Polynomial) -> Monomial:
    """What divides every term."""
    counts = [Counter(monomial) for monomial in polynomial.terms]
    common = counts[0]
    for count in counts[1:]:
        common &= count
    return tuple(sorted(common.elements()))


def _without(monomial: Monomial, shared: Monomial) -> Monomial:
    return tuple(sorted((Counter(monomial) - Counter(shared)).elements()))


_ORDER = "BTHW"


def _factors(monomial: Monomial, notation: Notation) -> list[Any]:
    ordered = sorted(monomial, key=lambda stair: (_ORDER.find(stair.axis) % 9, stair))
    groups = [(stair, len(list(same))) for stair, same in groupby(ordered)]
    return [notation.power(notation.staircase(stair), times) for stair, times in groups]


def _term(monomial: Monomial, number: int, notation: Notation) -> Any:
    factors = _factors(monomial, notation)
    if number != 1 or not factors:
        factors.insert(0, notation.number(number))
    return notation.product(factors)


def _joined(parts: list[str]) -> str:
    """A sum in which a negative term is subtracted."""
    return parts[0] + "".join(f" − {part[1:]}" if part.startswith("−") else f" + {part}" for part in parts[1:])


def _shifted(stair: Staircase) -> str:
    return f"{stair.axis}{stair.shift:+d}".replace("-", "−") if stair.shift else stair.axis


def _stair_text(stair: Staircase) -> str:
    size = _shifted(stair)
    if stair.step == 1:
        return f"({size})" if stair.shift else size
    if stair.shift == stair.step - 1:
        return f"⌈{stair.axis}/{stair.step}⌉"
    return f"⌊({size})/{stair.step}⌋" if stair.shift else f"⌊{size}/{stair.step}⌋"


_POWERS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")

_TEXT = Notation(
    staircase=_stair_text,
    power=lambda base, power: base if power == 1 else base + str(power).translate(_POWERS),
    product=lambda parts: "·".join(f"({part[1]})" if isinstance(part, tuple) else part for part in parts),
    sum=_joined,
    number=lambda number: str(number).replace("-", "−"),
)


def _stair_latex(stair: Staircase) -> str:
    size = _shifted(stair).replace("−", "-")
    if stair.step == 1:
        return f"({size})" if stair.shift else size
    if stair.shift == stair.step - 1:
        return rf"\lceil {stair.axis}/{stair.step}\rceil"
    return rf"\lfloor ({size})/{stair.step}\rfloor" if stair.shift else rf"\lfloor {size}/{stair.step}\rfloor"


_LATEX = Notation(
    staircase=_stair_latex,
    power=lambda base, power: base if power == 1 else f"{base}^{{{power}}}",
    product=lambda parts: r"\,".join(f"({part[1]})" if isinstance(part, tuple) else part for part in parts),
    sum=lambda parts: _joined([part.replace("−", "-") for part in parts]).replace(" + -", " - "),
    number=str,
)
