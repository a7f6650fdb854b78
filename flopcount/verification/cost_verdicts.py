"""The verdict on a printed cost, from the readings that give its digits.

A match needs no change. A reading by a counter that the source is cited to use is a cause. What else gives the digits
fits, and where several do the number is undecided. Two changes at once are allowed only where the digits are worth it.

A number that is printed for all views may be the figure of one view, rounded to its last digit and then multiplied.
Where it is a multiple of the views it is read in that way too, and its digits are worth no more than those of one view.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from ..core.reason import Reason
from ..facts import Printed, ZooModel
from .candidates import Candidate, Candidates
from .odds import IN_FULL, WORTHLESS, by_accident
from .verdict import Finding, Verdict, signed_gap

__all__ = ["allowed_changes", "cost_verdict", "find_readings"]

_TWO_CHANGES = Fraction(1, 500)
"""Two changes at once are tried where a step of the last digit is at most 0.2 % of the number."""

_CUT_OFF = Reason("digits cut off, not rounded")
_TWICE = Reason("rounded to one digit more, and then once more")
_ONE_VIEW_FIRST = Reason("the figure of one view was rounded before")
_UNKNOWN_VIEWS = Reason("printed for all views, and the source does not say how many")
_TOO_LIKELY = "too likely an accident to say anything: {}"
_NEAREST = 3


def allowed_changes(printed: Printed) -> int:
    """How many changes a reading of this number may make."""
    return 2 if printed.step <= _TWO_CHANGES * printed.value else 1


def find_readings(printed: Printed, candidates: Candidates) -> tuple[Finding, tuple[Candidate, ...]]:
    """What becomes of a number, and the readings that say so: those that fit, or the nearest where none does."""
    fitting = _fitting(printed, candidates.plain, candidates)
    if fitting and len(candidates.plain) == 1:
        return Finding.MATCH, tuple(fitting)
    allowed = allowed_changes(printed)
    tried = [one for one in candidates.all if one.changes <= allowed]
    fitting = _fitting(printed, tried, candidates)
    views = [one for one in fitting if candidates.is_views_only(one)]
    if views:
        return Finding.MATCH, tuple(views)
    cited = [one for one in fitting if one.cited and _stated(printed, one, candidates)]
    if cited:
        fewest = min(one.changes for one in cited)
        return Finding.CAUSE, tuple(one for one in cited if one.changes == fewest)
    known = [one.reading for one in fitting]
    fitting += [one for one in _rounded_otherwise(printed, candidates) if one.reading not in known]
    if fitting:
        return Finding.FITS if len(fitting) == 1 else Finding.UNDECIDED, tuple(fitting)
    return Finding.UNEXPLAINED, tuple(
        sorted(tried, key=lambda one: (abs(one.value - printed.value), one.text))[:_NEAREST]
    )


def _stated(printed: Printed, one: Candidate, candidates: Candidates) -> bool:
    """Whether a reading is at the size that the row has: another crop is a guess, unless all digits follow from it."""
    return one.reading.clip == candidates.model.clip or printed.step <= IN_FULL * printed.value


def _fitting(printed: Printed, tried: Sequence[Candidate], candidates: Candidates) -> list[Candidate]:
    """Those that give the digits; if there are none, those that do where one view was rounded before."""
    single = _one_view(printed, candidates)
    fitting = [one for one in tried if printed.matches(one.value)]
    if fitting or single is None:
        return fitting
    allowed = allowed_changes(single)
    fitting = [one for one in tried if one.changes <= allowed and single.matches(_of_one_view(one, candidates))]
    return [replace(one, reasons=(*one.reasons, _ONE_VIEW_FIRST)) for one in fitting]


def _one_view(printed: Printed, candidates: Candidates) -> Printed | None:
    """The figure of one view that may have been multiplied, where the source prints all views and it is a multiple."""
    return printed.divided_by(candidates.views) if candidates.views > 1 else None


def _of_one_view(one: Candidate, candidates: Candidates) -> Fraction:
    return Fraction(one.value, candidates.views)


def _rounded_otherwise(printed: Printed, candidates: Candidates) -> Iterator[Candidate]:
    """Our count with its digits cut off; and rounded twice, that or what a counter of the source gives."""
    for one in candidates.plain:
        if printed.cut_from(one.value) and not printed.matches(one.value):
            yield _changed(one, _CUT_OFF)
    for one in (*candidates.plain, *(one for one in candidates.all if one.cited and one.changes == 1)):
        if printed.rounded_twice_from(one.value) and not printed.matches(one.value):
            yield _changed(one, _TWICE)


def _changed(one: Candidate, why: Reason) -> Candidate:
    return Candidate(one.reading, one.changes + 1, (*one.reasons, why), cited=False)


def cost_verdict(printed: Printed, candidates: Candidates) -> Verdict:
    """The verdict with its reasons; those of several readings are listed in one."""
    row = candidates.row
    if row.scope == "video" and row.views is None:
        return Verdict(Finding.NOT_CHECKABLE, (_UNKNOWN_VIEWS,))
    kind, found = find_readings(printed, candidates)
    assumed = _assumed(candidates.model, row.assumed)
    if kind is Finding.MATCH:
        return Verdict(kind, found[0].reasons, assumed=assumed)
    if kind is Finding.UNEXPLAINED:
        gap = round(printed.value) - candidates.plain[0].value
        reasons = (*_nearest(printed, found), *_too_few_digits(printed, candidates))
        return Verdict(kind, reasons, gap, _odds(printed, candidates, found), assumed)
    shown, odds = found[0].reasons if len(found) == 1 else tuple(_either(found)), _odds(printed, candidates, found)
    if kind is Finding.FITS and (odds or 0.0) > WORTHLESS:
        gap = round(printed.value) - candidates.plain[0].value
        return Verdict(Finding.UNEXPLAINED, (Reason(_TOO_LIKELY, ("; ".join(map(str, shown)),)),), gap, odds, assumed)
    return Verdict(kind, shown, odds=odds, assumed=assumed)


def _odds(printed: Printed, candidates: Candidates, found: Sequence[Candidate]) -> float | None:
    """Of the readings that make as many changes as those found; every reading of the plain clip is among them."""
    if printed.step <= IN_FULL * printed.value:
        return None
    changes = max(one.changes for one in found)
    tried = [one for one in candidates.all if one.changes <= changes]
    single = _one_view(printed, candidates)
    if single is not None:
        return by_accident((_of_one_view(one, candidates) for one in tried), single)
    # digits that are cut off come from up to a whole step above, and rounding from half a step on either side
    cut = [one.value - printed.step / 2 for one in candidates.plain if any(_CUT_OFF in each.reasons for each in found)]
    return by_accident([*(one.value for one in tried), *cut], printed)


def _either(found: Sequence[Candidate]) -> Iterator[Reason]:
    """What all readings say, and then what each of them adds, in an order of its own: that of the words."""
    common = [reason for reason in found[0].reasons if all(reason in one.reasons for one in found)]
    yield from common
    rest = [[str(reason) for reason in one.reasons if reason not in common] for one in found]
    yield Reason("either {}", (", or else ".join(sorted("; ".join(one) or "as counted" for one in rest)),))


def _nearest(printed: Printed, found: Iterable[Candidate]) -> tuple[Reason, ...]:
    gaps = [f"{one.short}: {signed_gap(round(printed.value) - one.value)}" for one in found]
    return (Reason("nearest: {}", ("; ".join(gaps),)),)


def _too_few_digits(printed: Printed, candidates: Candidates) -> Iterator[Reason]:
    """What two changes would give, where the number has too few digits to tell that from an accident."""
    fitting = sorted(one.short for one in candidates.all if printed.matches(one.value))
    if fitting:
        yield Reason("two changes would give it ({}), which its digits are too few for", (" or ".join(fitting),))


def _assumed(model: ZooModel, columns: Sequence[str]) -> tuple[Reason, ...]:
    """What the mapping assumes in words, and the columns of the facts that the source does not print."""
    reasons = [Reason.in_words(model.note)] if model.note else []
    if columns:
        reasons.append(Reason("the source does not print {}", (" and ".join(columns),)))
    return tuple(reasons)
