"""Unexplained numbers that follow from a figure printed in another row: the same one, or a multiple of it.

Tables are made by hand: the figure of another network is copied, and that of a longer clip is a multiple of a shorter
one's, rounded. Such a number only fits, and only where the other figure is one that its network gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from ..core.reason import Reason
from ..facts import Published, ZooModel
from .odds import by_accident
from .verdict import Finding, RowVerdict, Verdict

__all__ = ["as_printed_elsewhere"]

_EQUAL = "equals the figure printed of {}, which that network gives"
_OTHER_DATA = "equals the figure printed for {}, which its classes give"
_MULTIPLE = "the {} printed of {}, at {}"
_FIRM = 1 / 20
"""A figure that only fits is one that its network gives where the odds of an accident are at most these."""


def as_printed_elsewhere(verdict: RowVerdict, others: Sequence[RowVerdict]) -> RowVerdict:
    """The verdict of a row, whose unexplained numbers are looked for among other rows.

    Arguments:
        verdict: the row.
        others: all rows that were judged, in the order of the facts; the first that fits is named.
    """
    found = replace(verdict, cost=_equal(verdict, others, "cost"), params=_equal(verdict, others, "params"))
    return replace(found, cost=_multiple(found, others) or found.cost)


def _equal(verdict: RowVerdict, others: Sequence[RowVerdict], number: str) -> Verdict | None:
    """The number may be that of another row of the family: the same page prints it there, and there it is right."""
    row = verdict.row
    mine: Verdict | None = getattr(verdict, number)
    if mine is None or mine.kind is not Finding.UNEXPLAINED:
        return mine
    for other in others:
        theirs = getattr(other, number)
        same = (other.row.url, getattr(other.row, number)) == (row.url, getattr(row, number))
        if not same or other.row.family != row.family or theirs is None or not _is_given(theirs):
            continue
        if other.row.model != row.model:
            return Verdict(Finding.FITS, (Reason(_EQUAL, (other.row.model,)),), 0, theirs.odds, mine.assumed)
        if other.row.dataset != row.dataset:
            return Verdict(Finding.FITS, (Reason(_OTHER_DATA, (other.row.dataset,)),), 0, theirs.odds, mine.assumed)
    return mine


def _multiple(verdict: RowVerdict, others: Sequence[RowVerdict]) -> Verdict | None:
    """The cost may be a multiple of what is printed for fewer frames or other views of the same network."""
    printed = verdict.row.cost
    if printed is None or verdict.cost is None or verdict.cost.kind is not Finding.UNEXPLAINED:
        return None
    found = list(_multiples(verdict, others))
    for value, times, other in found:
        if printed.matches(value):
            odds = by_accident((value for value, _, _ in found), printed)
            why = Reason(_MULTIPLE, (other.row.cost, other.row.model, times))
            odds += other.cost.odds or 0.0 if other.cost else 0.0
            return Verdict(Finding.FITS, (why,), odds=odds, assumed=verdict.cost.assumed)
    return None


def _multiples(verdict: RowVerdict, others: Sequence[RowVerdict]) -> Iterator[tuple[Fraction, str, RowVerdict]]:
    """What the figures of shorter clips come to at the frames and views of this row."""
    row, model = verdict.row, verdict.model
    for other in others:
        theirs = other.model
        if not isinstance(model, ZooModel) or not isinstance(theirs, ZooModel) or other.row.cost is None:
            continue
        if _network(model) != _network(theirs) or other.row.family != row.family:
            continue
        frames, views = Fraction(model.clip.frames, theirs.clip.frames), Fraction(_views(row), _views(other.row))
        if frames.denominator == 1 and frames * views != 1 and _is_given(other.cost):
            times = " and ".join(filter(None, (_times(frames, "frames"), _times(views, "views"))))
            yield other.row.cost.value * frames * views, times, other


def _times(ratio: Fraction, what: str) -> str:
    if ratio == 1:
        return ""
    return f"{ratio} times the {what}" if ratio.denominator == 1 else f"{ratio} of the {what}"


def _is_given(verdict: Verdict | None) -> bool:
    """Whether a network gives the figure that is printed of it."""
    if verdict is None or verdict.kind not in (Finding.MATCH, Finding.CAUSE, Finding.FITS):
        return False
    return verdict.kind is not Finding.FITS or (verdict.odds or 0.0) <= _FIRM


def _network(model: ZooModel) -> tuple[object, ...]:
    """What a network is besides the frames and classes."""
    return model.name, model.options, model.clip.sizes[1:]


def _views(row: Published) -> int:
    """Views that a cost is of."""
    return (row.views or 1) if row.scope == "video" else 1
