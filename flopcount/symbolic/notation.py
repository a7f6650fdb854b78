"""Polynomials as plain text, as LaTeX and for sympy; one walk over the terms serves all three.

Terms are in the order of their values at the base clip, and the factor that all of them share comes first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeAlias

from .polynomial import Monomial, Polynomial, Staircase

__all__ = ["latex", "sympified", "text"]


@dataclass(frozen=True, slots=True)
class Notation:
    """The notation of staircases, powers, products and sums."""

    staircase: Callable[[Staircase], Any]
    power: Callable[[Any, int], Any]
    product: Callable[[list[Any]], Any]
    sum: Callable[[list[Any]], Any]
    number: Callable[[int], Any]


Even: TypeAlias = Callable[[Staircase], bool]
"""Whether a staircase needs no floor."""


def text(polynomial: Polynomial, base: Mapping[str, int], even: Even) -> str:
    """Text like "64·T·⌈H/2⌉·(9·⌈W/2⌉ + 1)"; terms are in the order of their values at `base`."""
    return str(_written(polynomial, base, _strings(_TEXT, even)))


def latex(polynomial: Polynomial, base: Mapping[str, int], even: Even) -> str:
    r"""Like "64\,T\lceil H/2\rceil", for math mode."""
    return str(_written(polynomial, base, _strings(_LATEX, even)))


def sympified(polynomial: Polynomial) -> Any:
    """A sympy expression in positive integer symbols named like the axes."""
    import sympy

    def staircase(stair: Staircase) -> Any:
        size = sympy.Symbol(stair.axis, integer=True, positive=True) + stair.shift
        return sympy.floor(size / stair.step) if stair.step > 1 else size

    def product(parts: list[Any]) -> Any:
        return sympy.Mul(*(part[1] if isinstance(part, tuple) else part for part in parts))

    notation = Notation(
        staircase,
        lambda base, power: base**power,
        product,
        lambda parts: sympy.Add(*parts),
        sympy.Integer,
    )
    return _written(polynomial, {}, notation)


def _written(polynomial: Polynomial, base: Mapping[str, int], notation: Notation) -> Any:
    if not polynomial.terms:
        return notation.number(0)
    common = _shared(polynomial)
    terms = [(_without(monomial, common), number) for monomial, number in polynomial.terms.items()]
    if base:
        terms.sort(key=lambda term: -abs(Polynomial({term[0]: term[1]}).at(base)))
    if len(terms) == 1:
        return _term(common, terms[0][1], notation)
    inner = notation.sum([_term(monomial, number, notation) for monomial, number in terms])
    return notation.product([*_factors(common, notation), ("(", inner)]) if common else inner


def _shared(polynomial: Polynomial) -> Monomial:
    """The greatest factor of every term."""
    counts = [Counter(monomial) for monomial in polynomial.terms]
    common = counts[0]
    for count in counts[1:]:
        common &= count
    return tuple(sorted(common.elements()))


def _without(monomial: Monomial, common: Monomial) -> Monomial:
    return tuple(sorted((Counter(monomial) - Counter(common)).elements()))


_ORDER = "BTHWS"


def _factors(monomial: Monomial, notation: Notation) -> list[Any]:
    stairs = sorted(monomial, key=lambda stair: (_ORDER.find(stair.axis) % 9, stair))
    groups = [(stair, len(list(same))) for stair, same in groupby(stairs)]
    return [notation.power(notation.staircase(stair), times) for stair, times in groups]


def _term(monomial: Monomial, number: int, notation: Notation) -> Any:
    factors = _factors(monomial, notation)
    if number != 1 or not factors:
        factors.insert(0, notation.number(number))
    return notation.product(factors)


_POWERS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True)
class Signs:
    """The signs of a written formula."""

    times: str
    minus: str
    floor: tuple[str, str]
    ceiling: tuple[str, str]
    power: Callable[[int], str]


_TEXT = Signs("·", "−", ("⌊", "⌋"), ("⌈", "⌉"), lambda power: str(power).translate(_POWERS))
_LATEX = Signs(r"\,", "-", (r"\lfloor ", r"\rfloor "), (r"\lceil ", r"\rceil "), lambda power: f"^{{{power}}}")


def _strings(signs: Signs, even: Even) -> Notation:
    def signed(number: int) -> str:
        return str(number).replace("-", signs.minus)

    def staircase(stair: Staircase) -> str:
        shift = f"{stair.shift:+d}".replace("-", signs.minus) if stair.shift else ""
        size = f"({stair.axis}{shift})" if shift else stair.axis
        if stair.step == 1 or even(stair):
            return size if stair.step == 1 else f"({size}/{stair.step})"
        if stair.shift == stair.step - 1:
            return f"{stair.axis}/{stair.step}".join(signs.ceiling)
        return f"{size}/{stair.step}".join(signs.floor)

    def added(parts: list[str]) -> str:
        """A negative term is subtracted."""
        first, *others = parts
        return first + "".join(
            f" {signs.minus} {part.removeprefix(signs.minus)}" if part.startswith(signs.minus) else f" + {part}"
            for part in others
        )

    return Notation(
        staircase=staircase,
        power=lambda base, power: base if power == 1 else base + signs.power(power),
        product=lambda parts: signs.times.join(f"({part[1]})" if isinstance(part, tuple) else part for part in parts),
        sum=added,
        number=signed,
    )
