"""Operators at several clips -> the polynomial of each module's amount.

Sizes become polynomials, and the rule that counts an operator runs once on them; if its result is no polynomial, the
amount is fitted as if it were a size. Either way the polynomial must equal the count at every traced clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .aligning import AlignedOp, numbers, with_numbers
from .fitting import Steps, fit_sizes
from .observing import Clip, amounts, quantities
from .polynomial import Polynomial, total
from .symbol import Symbol, polynomial_of

__all__ = ["Clips", "Resists", "solved"]


class Resists(Exception):
    """A quantity has no polynomial; the message names the operator that prevents it."""


@dataclass(frozen=True, slots=True)
class Clips:
    """Traced clips, the base first: named axes, and the staircases to try on each."""

    axes: tuple[str, ...]
    steps: tuple[Steps, ...]
    seen: tuple[Clip, ...]

    def fit(self, values: Sequence[int]) -> Polynomial | None:
        """The polynomial through one value for each clip."""
        if len(set(values)) == 1:
            return Polynomial.constant(values[0])
        by_clip = dict(zip(self.seen, values, strict=True))
        return fit_sizes(by_clip, self.seen[0], self.axes, self.steps)

    def holds(self, polynomial: Polynomial | None, values: Sequence[int]) -> bool:
        """Whether the polynomial has these values at the clips."""
        return polynomial is not None and all(
            polynomial.at(dict(zip(self.axes, clip, strict=True))) == value
            for clip, value in zip(self.seen, values, strict=True)
        )


def solved(columns: Sequence[AlignedOp], quantity: str, clips: Clips) -> dict[str, Polynomial]:
    """Module -> the polynomial of its own amount.

    Raises:
        Resists: an operator's amount is not a polynomial in staircases.
    """
    sizes: dict[tuple[int, ...], Polynomial | None] = {}
    amounts: dict[tuple[int, ...], Polynomial] = {}
    by_module: dict[str, list[Polynomial]] = {}
    for column in columns:
        key = tuple(map(id, column.signatures))
        if key not in amounts:
            amounts[key] = _amount(column, quantities().index(quantity), clips, sizes)
        times = clips.fit(column.times)
        if times is None:
            raise Resists(f"the calls of {column.name} in {column.module or 'the model itself'} follow no staircase")
        by_module.setdefault(column.module, []).append(amounts[key] * times)
    return {module: total(polynomials) for module, polynomials in by_module.items()}


def _amount(
    column: AlignedOp, quantity: int, clips: Clips, sizes: dict[tuple[int, ...], Polynomial | None]
) -> Polynomial:
    polynomial = _by_rule(column, quantity, clips, sizes)
    if not clips.holds(polynomial, column.amounts):
        polynomial = clips.fit(column.amounts)
    if polynomial is None or not clips.holds(polynomial, column.amounts):
        what = quantities()[quantity].replace("_", " ")
        raise Resists(f"the {what} of {column.name} in {column.module or 'the model itself'} follow no staircase")
    return polynomial


def _by_rule(
    column: AlignedOp, quantity: int, clips: Clips, sizes: dict[tuple[int, ...], Polynomial | None]
) -> Polynomial | None:
    """The operator's rule, run on sizes that know their polynomial."""
    at_clips = [numbers(signature) for signature in column.signatures]
    if len(set(map(len, at_clips))) > 1:
        return None
    symbols: list[int] = []
    for values in zip(*at_clips, strict=True):
        if len(set(values)) == 1:
            symbols.append(values[0])
            continue
        if values not in sizes:
            sizes[values] = clips.fit(values)
        symbols.append(Symbol(values[0], sizes[values]))
    try:
        return polynomial_of(amounts(with_numbers(column.signatures[0], symbols))[quantity])
    except (TypeError, ValueError, ArithmeticError):  # a rule that needs plain integers, as a user's may
        return None
