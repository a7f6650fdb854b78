"""Published rows against our counts: match, cause, unexplained or not checkable, for cost and for parameters.

A cause is a formula over the trace (readings.py); a row that none explains to its printed digits stays unexplained.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product

from ..core.errors import FlopcountError, UnknownNameError
from ..core.made_by import made_by
from ..core.protocol import Clip
from ..core.table import Column, Table
from ..core.units import exact, si
from ..facts import Printed, Published, Unmapped, ZooModel, dataset_classes, published, zoo_model
from ..models import CARDS
from .lecture import verify_lecture
from .readings import EVAL_NORM, LAYERS, MMCV_NORM, OTHER, PLAIN, TRAIN_NORM, XLA, Counted, Reading, count

__all__ = ["Finding", "RowVerdict", "Verdict", "judge", "published_report", "verdicts_table", "verify_published"]


class Finding(StrEnum):
    """What became of a printed number."""

    MATCH = "match"
    CAUSE = "cause"
    UNEXPLAINED = "unexplained"
    NOT_CHECKABLE = "not checkable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verdict with its reason; `gap` is printed less counted where nothing explains it."""

    kind: Finding
    why: str = ""
    gap: int = 0

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
        return _refused(row, model, model.why)
    if model.name not in CARDS:
        return _refused(row, model, f"not in the zoo: {model.name}")
    try:
        counted = count(model)
    except FlopcountError as error:  # a clip or an option that this network does not take
        return _refused(row, model, error.message)
    params, classes = _params_verdict(row.params, model, count) if row.params else (None, model.num_classes)
    cost = _cost_verdict(row, row.cost, model, classes, count) if row.cost else None
    return RowVerdict(row, model, counted, cost, params)


def _refused(row: Published, model: ZooModel | Unmapped, why: str) -> RowVerdict:
    verdict = Verdict(Finding.NOT_CHECKABLE, why)
    return RowVerdict(row, model, None, verdict if row.cost else None, verdict if row.params else None)


def _params_verdict(printed: Printed, model: ZooModel, count: Count) -> tuple[Verdict, int]:
    """The verdict, and the classes of the network that was printed.

    Parameters are linear in the classes, so that two counts give them for every number of classes.
    """
    counted, classes = count(model), model.num_classes
    if printed.matches(counted.params):
        return Verdict(Finding.MATCH), classes
    per_class = count(replace(model, num_classes=classes + 1)).params - counted.params
    fitting: dict[int, list[str]] = {}  # few digits do not tell which, and then all are named
    for dataset, other in dataset_classes().items():
        if other != classes and printed.matches(counted.params + (other - classes) * per_class):
            fitting.setdefault(other, []).append(dataset)
    if fitting:
        theirs = " or ".join(f"the {other} classes of {' and '.join(names)}" for other, names in fitting.items())
        return Verdict(Finding.CAUSE, f"counted with {theirs}, not {classes}"), next(iter(fitting))
    causes = (
        ("counted without the last layer", printed.matches(counted.params - classes * per_class)),
        ("digits cut off, not rounded", printed.cut_from(counted.params)),
        ("counted without the weights of normalisations", printed.matches(counted.params - counted.norm_params)),
    )
    for why, holds in causes:
        if holds:
            return Verdict(Finding.CAUSE, why), classes
    return Verdict(Finding.UNEXPLAINED, "", round(printed.value) - counted.params), classes


def _cost_verdict(row: Published, printed: Printed, model: ZooModel, classes: int, count: Count) -> Verdict:
    if row.convention == "unknown":
        return Verdict(Finding.NOT_CHECKABLE, "the source's convention is unknown")
    if row.scope == "video" and row.views is None:
        return Verdict(Finding.NOT_CHECKABLE, "printed for all views, and the source does not say how many")
    counted_as = replace(model, num_classes=classes)
    plain = Reading(
        count(counted_as),
        model.clip,
        per_mac=2 if row.convention == "2mac" else 1,
        views=(row.views or 1) if row.scope == "video" else 1,
    )
    # what the source itself says of its number, and what its parameters say, is no change to the plain reading
    premises = [
        *(["a multiply-add counts twice"] * (plain.per_mac == 2)),
        *([f"{plain.views} views multiplied in"] * (plain.views > 1)),
    ]
    candidates = list(_readings(plain, counted_as, row.views or 1, count))
    for reading, changes in candidates:
        if printed.matches(reading.value):
            return _explained(premises, changes, model)
    for reading, changes in candidates:
        if len(changes) < _MAX_CHANGES and printed.cut_from(reading.value):
            return _explained(premises, [*changes, "digits cut off, not rounded"], model)
    nearest, changes = min(candidates, key=lambda entry: abs(entry[0].value - printed.value))
    why = [*premises, *_assumed(model)]
    if changes:
        rest = round(printed.value) - nearest.value
        why.append(f"nearest: {', '.join(changes)}, which leaves {_signed(rest)}")
    return Verdict(Finding.UNEXPLAINED, "; ".join(why), round(printed.value) - plain.value)


def _explained(premises: list[str], changes: list[str], model: ZooModel) -> Verdict:
    causes = [*premises, *changes]
    return Verdict(Finding.CAUSE if causes else Finding.MATCH, "; ".join([*causes, *_assumed(model)]))


def _assumed(model: ZooModel) -> list[str]:
    return [model.note] if model.note else []


def _readings(plain: Reading, model: ZooModel, views: int, count: Count) -> Iterator[tuple[Reading, list[str]]]:
    """Readings near the plain one and what each changes, those with the fewest changes first."""
    terms = (PLAIN, EVAL_NORM, TRAIN_NORM, MMCV_NORM, LAYERS, XLA, OTHER)
    conventions = (plain.per_mac, 3 - plain.per_mac)
    protocols = dict.fromkeys((plain.views, views))
    readings = []
    for clip, counted in _counted_clips(plain, model, count):
        for term, per_mac, times in product(terms, conventions, protocols):
            changes = []
            if clip != plain.clip:
                changes.append(f"counted at {clip.height}×{clip.width}, not {plain.clip.height}×{plain.clip.width}")
            if term is not PLAIN:
                changes.append(term.text)
            if per_mac != plain.per_mac:
                changes.append(f"a multiply-add counts {'twice' if per_mac == 2 else 'once'}")
            if times != plain.views:
                changes.append(f"{times} views multiplied in")
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


def _copied(verdict: RowVerdict, others: Sequence[RowVerdict]) -> RowVerdict:
    """An unexplained number that the same page prints of another network, which it fits, is a copy."""
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
                return Verdict(Finding.CAUSE, f"copied: the same page prints it of {other.row.model}, which it fits")
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
"""Published rows that stand on the lecture's slide, and which of its numbers they are."""


def _recomputed(verdict: RowVerdict) -> RowVerdict:
    """The slide's own arithmetic explains its total: layer by layer, as verify_lecture shows."""
    item = _SLIDE.get(verdict.row.model)
    if item is None or verdict.cost is None or verdict.cost.kind is not Finding.UNEXPLAINED:
        return verdict
    for line in verify_lecture():
        if line.fact.item == item and line.fact.url == verdict.row.url and line.reading:
            return replace(verdict, cost=Verdict(Finding.CAUSE, line.reading))
    return verdict


def verdicts_table(verdicts: Sequence[RowVerdict]) -> Table:
    """One row per published row; the notes sum up."""
    columns = (
        Column("model", "text"),
        Column("data", "text", drop=3),
        Column("clip", "text", drop=6),
        Column("zoo", "text", drop=7),
        Column("printed", "text"),
        Column("MACs", "text", drop=8),
        Column("cost", "text"),
        Column("because", "prose", drop=9),
        Column("printed params", "text", drop=4),
        Column("params", "text", drop=5),
        Column("params are", "text", drop=2),
        Column("because they", "prose", drop=1),
        Column("source", "text", drop=10),
    )
    return Table("published numbers against our counts", columns, tuple(map(_cells, verdicts)), None, _notes(verdicts))


def _cells(verdict: RowVerdict) -> tuple[str, ...]:
    row, model, counted = verdict.row, verdict.model, verdict.counted
    zoo, clip = (model.name, str(model.clip)) if isinstance(model, ZooModel) else ("", "")
    return (
        row.model,
        row.dataset,
        clip,
        zoo,
        str(row.cost) if row.cost else "",
        exact(counted.macs) if counted else "",
        str(verdict.cost) if verdict.cost else "",
        verdict.cost.why if verdict.cost else "",
        str(row.params) if row.params else "",
        exact(counted.params) if counted else "",
        str(verdict.params) if verdict.params else "",
        verdict.params.why if verdict.params else "",
        row.source,
    )


def _notes(verdicts: Sequence[RowVerdict]) -> tuple[str, ...]:
    costs = [verdict.cost for verdict in verdicts if verdict.cost]
    params = [verdict.params for verdict in verdicts if verdict.params]
    return (
        f"cost: {_summary(costs)}",
        *(f"cause of {times}: {why}" for why, times in _causes(costs)),
        f"parameters: {_summary(params)}",
        *(f"cause of {times}: {why}" for why, times in _causes(params)),
        "match: what we count rounds to the printed digits; cause: a formula over the trace closes the gap to them",
        "printed costs are MACs per view unless the cause says otherwise",
    )


def _summary(verdicts: Sequence[Verdict]) -> str:
    tally = Counter(verdict.kind for verdict in verdicts)
    return f"{len(verdicts)} rows: " + ", ".join(f"{tally[kind]} {kind.value}" for kind in Finding)


def _causes(verdicts: Iterable[Verdict]) -> list[tuple[str, int]]:
    """Causes, most frequent first; those of one kind with other numbers count apart."""
    return Counter(verdict.why for verdict in verdicts if verdict.kind is Finding.CAUSE).most_common()


def published_report(verdicts: Sequence[RowVerdict]) -> str:
    """The page reports/published.md: how it was made, the summary, and the table."""
    origin = made_by("flopcount verify published --write FILE")
    return f"# Published numbers against our counts\n\n{origin}\n\n{verdicts_table(verdicts).to_markdown()}\n"
