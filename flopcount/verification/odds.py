"""How likely the readings that were tried would meet some other number of the same digits.

A number that is printed with few digits, or read in many ways, is met by accident: odds say how often.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from ..facts import Printed

__all__ = ["IN_FULL", "WINDOW", "WORTHLESS", "by_accident", "odds_text"]

WINDOW = 0.1
"""Accidents are looked for among all numbers within 10 % of the printed one."""

WORTHLESS = 1 / 4
"""A fit that so many other numbers would have as well explains nothing."""

IN_FULL = Fraction(1, 10**6)
"""A number whose last digit is worth less than this share of it is printed in full, and met by no accident."""


def by_accident(values: Iterable[Fraction | int], printed: Printed) -> float:
    """The share of all numbers within 10 % of the printed one that some reading would meet, printed in as many digits.

    A value meets every number within half a step of it, so that the odds are the share of the window which these
    intervals cover together: about the readings in the window times the step, divided by the width of the window.
    Values that lie close together cover what they share once. Odds never fall when the step grows.

    Arguments:
        values: what the readings that were tried give.
        printed: the number, with its digits.
    """
    center, half = float(printed.value), float(printed.step) / 2
    if not center:
        return 0.0
    low, high = center * (1 - WINDOW), center * (1 + WINDOW)
    covered, reached = 0.0, low
    for value in sorted({float(value) for value in values}):
        start, end = max(value - half, reached), min(value + half, high)
        if end > start:
            covered += end - start
            reached = end
    return covered / (high - low)


def odds_text(odds: float) -> str:
    """Odds as people say them: "1 in 45"; "1 in 2" and more as a percentage."""
    if not odds:
        return "none"
    if odds > 0.5:
        return f"{100 * odds:.0f} %"
    return f"1 in {_two_digits(1 / odds)}"


def _two_digits(value: float) -> str:
    whole = round(value)
    scale = 10 ** max(len(str(whole)) - 2, 0)
    return f"{round(whole / scale) * scale:,}"
