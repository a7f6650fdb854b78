"""Published rows against our counts: match, cause, unexplained or not checkable, for cost and for parameters.

A cause is a Reason with a formula over the trace (readings.py); a row that none explains to its printed digits stays
unexplained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product

from ..core.errors import FlopcountError, UnknownNameError
from ..core.protocol import Clip
from ..core.reason import Reason
from ..core.units import si
from ..facts import Printed, Published, Unmapped, ZooModel, dataset_classes, published, zoo_model
from ..models import CARDS
from .lecture import verify_lecture
from .readings import EVAL_NORM, LAYERS, MMCV_NORM, OTHER, PLAIN, TRAIN_NORM, XLA, Counted, Reading, count

__all__ = ["Finding", "RowVerdict", "Verdict", "judge", "verify_published"]


class Finding(StrEnum):
    """What became of a printed number."""

    MATCH = "match"
    CAUSE = "cause"
    UNEXPLAINED = "unexplained"
    NOT_CHECKABLE = "not checkable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verdict with its reasons; `gap` is printed less counted where nothing explains it."""

    kind: Finding
    reasons: tuple[Reason, ...] = ()
    gap: int = 0

    @property
    def why(self) -> str:
        """The reasons in words."""
        return "; ".join(map(str, self.reasons))

    def __str__(self) -> str:
        if self.kind is not Finding.UNEXPLAINED:
            return self.kind.value
        return f"{self.kind.value}, {_signed(self.gap)}"


@dataclass(frozen=True, slots=True)
class RowVerdict:
    """A published row, the network of the zoo it was compared with, what was counted, and both verdicts.

    A verdict is None where the source prints no such number.
    """

    row: Published
    model: ZooModel | Unmapped
    counted: Counted | None
    cost: Verdict | None
    params: Verdict | None


def _signed(gap: int) -> str:
    return f"{'+' if gap > 0 else '−'}{si(abs(gap))}"


Count = Callable[[ZooModel], Counted]

_CUT_OFF = Reason("digits cut off, not rounded")
_NO_LAST_LAYER = Reason("counted without the last layer")
_NO_NORMS = Reason("counted without the weights of normalisations")
_UNKNOWN_CONVENTION = Reason("the source's convention is unknown")
_UNKNOWN_VIEWS = Reason("printed for all views, and the source does not say how many")
_PER_MAC = {1: Reason("a multiply-add counts once"), 2: Reason("a multiply-add counts twice")}
_VIEWS = "multiplied by {} views"

_MAX_CHANGES = 2  # a reading further from the plain one explains too much to explain anything
_CROPS = {112: 128, 128: 112, 160: 182, 182: 160, 224: 256, 256: 224, 312: 356, 356: 312}
"""The crop that goes with a crop: papers train on one and test on the other."""


def _count_zoo(model: ZooModel) -> Counted:
    return count(model.spec)


def judge(row: Published, model: ZooModel | Unmapped, count: Count = _count_zoo) -> RowVerdict:
    """The verdicts on one row.

    Arguments:
        row: what was printed.
        model: the network it speaks of.
        count: counts that network; a test may give its own.
    """
    if isinstance(model, Unmapped):
        return _refused(row, model, Reason.in_words(model.why))
    if model.name not in CARDS:
        return _refused(row, model, Reason("not in the zoo: {}", (model.name,)))
    try:
        counted = count(model)
    except FlopcountError as error:  # a clip or an option that this network does not take
        return _refused(row, model, Reason.in_words(error.message))
    params, classes = _params_verdict(row.params, model, count) if row.params else (None, model.num_classes)
    cost = _cost_verdict(row, row.cost, model, classes, count) if row.cost else None
    return RowVerdict(row, model, counted, cost, params)


def _refused(row: Published, model: ZooModel | Unmapped, why: Reason) -> RowVerdict:
    verdict = Verdict(Finding.NOT_CHECKABLE, (why,))
    return RowVerdict(row, model, None, verdict if row.cost else None, verdict if row.params else None)


def _params_verdict(printed: Printed, model: ZooModel, count: Count) -> tuple[Verdict, int]:
    """The verdict, and the classes of the network that was printed.

    Parameters are linear in the classes, so that two counts give them for every number of classes.
    """
    counted, classes = count(model), model.num_classes
    if printed.matches(counted.params):
        return Verdict(Finding.MATCH), classes
    per_class = count(replace(model, num_classes=classes + 1)).params - counted.params
    fitting: dict[int, list[str]] = {}  # few digits may fit several data sets, and then all are named
    for dataset, other in dataset_classes().items():
        if other != classes and printed.matches(counted.params + (other - classes) * per_class):
            fitting.setdefault(other, []).append(dataset)
    if fitting:
        theirs = " or ".join(f"the {other} classes of {' and '.join(names)}" for other, names in fitting.items())
        return Verdict(Finding.CAUSE, (Reason("counted with {}, not {}", (theirs, classes)),)), next(iter(fitting))
    causes = (
        (_NO_LAST_LAYER, printed.matches(counted.params - classes * per_class)),
        (_CUT_OFF, printed.cut_from(counted.params)),
        (_NO_NORMS, printed.matches(counted.params - counted.norm_params)),
    )
    for why, holds in causes:
        if holds:
            return Verdict(Finding.CAUSE, (why,)), classes
    return Verdict(Finding.UNEXPLAINED, gap=round(printed.value) - counted.params), classes


def _cost_verdict(row: Published, printed: Printed, model: ZooModel, classes: int, count: Count) -> Verdict:
    if row.convention == "unknown":
        return Verdict(Finding.NOT_CHECKABLE, (_UNKNOWN_CONVENTION,))
    if row.scope == "video" and row.views is None:
        return Verdict(Finding.NOT_CHECKABLE, (_UNKNOWN_VIEWS,))
    counted_as = replace(model, num_classes=classes)
    plain = Reading(
        count(counted_as),
        model.clip,
        per_mac=2 if row.convention == "2mac" else 1,
        views=(row.views or 1) if row.scope == "video" else 1,
    )
    # what the source itself says of its number, and what its parameters say, is not a change to the plain reading
    premises = [
        *([_PER_MAC[2]] * (plain.per_mac == 2)),
        *([Reason(_VIEWS, (plain.views,))] * (plain.views > 1)),
    ]
    candidates = list(_readings(plain, counted_as, row.views or 1, count))
    for reading, changes in candidates:
        if printed.matches(reading.value):
            return _explained(premises, changes, model)
    for reading, changes in candidates:
        if len(changes) < _MAX_CHANGES and printed.cut_from(reading.value):
            return _explained(premises, [*changes, _CUT_OFF], model)
    nearest, changes = min(candidates, key=lambda entry: abs(entry[0].value - printed.value))
    reasons = [*premises, *_assumed(model)]
    if changes:
        rest = _signed(round(printed.value) - nearest.value)
        reasons.append(Reason("nearest: {}, which leaves {}", (", ".join(map(str, changes)), rest)))
    return Verdict(Finding.UNEXPLAINED, tuple(reasons), round(printed.value) - plain.value)


def _explained(premises: list[Reason], changes: list[Reason], model: ZooModel) -> Verdict:
    causes = (*premises, *changes)
    return Verdict(Finding.CAUSE if causes else Finding.MATCH, (*causes, *_assumed(model)))


def _assumed(model: ZooModel) -> tuple[Reason, ...]:
    return (Reason.in_words(model.note),) if model.note else ()


def _readings(plain: Reading, model: ZooModel, views: int, count: Count) -> Iterator[tuple[Reading, list[Reason]]]:
    """Readings near the plain one and what each changes, those with the fewest changes first."""
    terms = (PLAIN, EVAL_NORM, TRAIN_NORM, MMCV_NORM, LAYERS, XLA, OTHER)
    conventions = (plain.per_mac, 3 - plain.per_mac)
    protocols = dict.fromkeys((plain.views, views))
    readings = []
    for clip, counted in _counted_clips(plain, model, count):
        for term, per_mac, times in product(terms, conventions, protocols):
            changes = []
            if clip != plain.clip:
                changes.append(Reason("counted at {}×{}, not {}×{}", (*clip.sizes[1:], *plain.clip.sizes[1:])))
            if term is not PLAIN:
                changes.append(Reason(term.text))
            if per_mac != plain.per_mac:
                changes.append(_PER_MAC[per_mac])
            if times != plain.views:
                changes.append(Reason(_VIEWS, (times,)))
            adds = term is PLAIN or counted.added.get(term, 0) != 0
            if adds and len(changes) <= _MAX_CHANGES:
                readings.append((Reading(counted, clip, per_mac, term, times), changes))
    yield from sorted(readings, key=lambda entry: len(entry[1]))


def _counted_clips(plain: Reading, model: ZooModel, count: Count) -> Iterator[tuple[Clip, Counted]]:
    """The clip itself, and the crop that goes with its own if the network can take it."""
    clip = plain.clip
    yield clip, plain.counted
    side = _CROPS.get(clip.height) if clip.height == clip.width else None
    if side is not None:
        other = Clip(clip.frames, side, side)
        with suppress(FlopcountError):  # a crop that this network cannot take explains nothing
            yield other, count(replace(model, clip=other))


_COPIED = "copied: the same page prints it for {}, which it fits"


def _copied(verdict: RowVerdict, others: Sequence[RowVerdict]) -> RowVerdict:
    """An unexplained number is a copy where the same page prints it for another network, which it fits."""
    row = verdict.row

    def source_of(number: str) -> Verdict | None:
        mine, printed = getattr(verdict, number), getattr(row, number)
        if mine is None or mine.kind is not Finding.UNEXPLAINED:
            return mine  # type: ignore[no-any-return]
        for other in others:
            theirs = getattr(other, number)
            same = (other.row.url, getattr(other.row, number)) == (row.url, printed) and other.row.family == row.family
            fits = theirs is not None and theirs.kind in (Finding.MATCH, Finding.CAUSE)
            if same and fits and other.row.model != row.model:
                return Verdict(Finding.CAUSE, (Reason(_COPIED, (other.row.model,)),))
        return mine  # type: ignore[no-any-return]

    return replace(verdict, cost=source_of("cost"), params=source_of("params"))


def verify_published(
    family: str | None = None, *, network: str | None = None, progress: Callable[[str], None] = lambda text: None
) -> tuple[RowVerdict, ...]:
    """Verdicts on every published row that prints a cost or parameters.

    Arguments:
        family: only the rows of one family.
        network: only the rows that speak of this network of the zoo.
        progress: called with what is being counted.

    Raises:
        UnknownNameError: no row is of that family.
    """
    rows = [row for row in published() if row.cost or row.params]
    if family is not None:
        families = dict.fromkeys(row.family for row in rows)
        if family not in families:
            raise UnknownNameError("family", family, families, f"choose {', '.join(families)}")
        rows = [row for row in rows if row.family == family]
    if network is not None:
        rows = [row for row in rows if isinstance(model := zoo_model(row), ZooModel) and model.name == network]
    verdicts = []
    for number, row in enumerate(rows, 1):
        progress(f"{number} of {len(rows)}: {row.model}")
        verdicts.append(judge(row, zoo_model(row)))
    return tuple(_copied(_recomputed(verdict), verdicts) for verdict in verdicts)


_SLIDE = {"c3d_16x1": "total"}
"""Published rows from the lecture's slide, and which of its numbers they are."""


def _recomputed(verdict: RowVerdict) -> RowVerdict:
    """The slide's own arithmetic explains its total: layer by layer, as verify_lecture shows."""
    item = _SLIDE.get(verdict.row.model)
    if item is None or verdict.cost is None or verdict.cost.kind is not Finding.UNEXPLAINED:
        return verdict
    for line in verify_lecture():
        if line.fact.item == item and line.fact.url == verdict.row.url and line.reading:
            return replace(verdict, cost=Verdict(Finding.CAUSE, (Reason.in_words(line.reading),)))
    return verdict
