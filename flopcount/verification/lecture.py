"""The lecture's C3D slide against our counts: which of its numbers hold, and the arithmetic of those that do not.

Each number is compared with a count. Where it does not hold, a few plain slips are tried (twice per MAC, the kernel of
the convolutions, one factor per frame, one layer left out), and the one that gives the printed digits is shown, if any.
A slip that several numbers of the slide share is one that its author made; one that only a single number shows merely
fits, and is doubted with its odds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import prod

from ..analysis.explanation import explain
from ..core.made_by import made_by
from ..core.model_spec import ModelSpec
from ..core.one_line import OneLine
from ..core.protocol import Clip
from ..core.result import Result
from ..core.table import Column, Table
from ..core.units import decimals, exact
from ..count import count_named
from ..facts import SCALES, LectureFact, Printed, lecture
from ..models import CARDS
from .odds import by_accident, odds_text

__all__ = ["LectureRow", "lecture_page", "lecture_table", "verify_lecture"]

CLIP = Clip(16, 112, 112)
CLASSES = 487  # Sports-1M; the slide writes C
KERNEL = (3, 3, 3)  # of every convolution on the slide


@dataclass(frozen=True, slots=True)
class LectureRow(OneLine):
    """One number of the slide. `counted` is what we count, `arithmetic` how, and what gives the printed number.

    `holds` is None where there is nothing to compare with; `reading` names the slip that gives the number, if any.
    """

    fact: LectureFact
    counted: str
    holds: bool | None
    arithmetic: str
    reading: str = ""

    def _headline(self) -> str:
        holds = {None: "nothing to compare", True: "holds", False: "does not hold"}[self.holds]
        return f"{self.fact.item}: printed {self.fact.printed}, counted {self.counted}; {holds}"


def verify_lecture() -> tuple[LectureRow, ...]:
    """Every number of the slide, in its order."""
    report = count_named(ModelSpec("c3d", CLIP, CLASSES, {"pool5_padding": False}))
    images = {name: count_named(ModelSpec(name)) for name in ("alexnet", "vgg16") if name in CARDS}
    facts = {fact.item: fact for fact in lecture()}
    layers = [fact for fact in lecture() if fact.layer.startswith(("conv", "fc")) and fact.printed.scale == "G"]
    return (
        *(_layer(fact, report) for fact in layers),
        _total(facts["total"], layers, report),
        *(_image(fact, images.get(fact.layer)) for fact in lecture() if fact.layer in ("alexnet", "vgg16")),
        _ratio(facts["C3D / VGG-16"], facts, report, images.get("vgg16")),
        _heading(facts["heading MFLOPs"], report),
    )


def _layer(fact: LectureFact, report: Result) -> LectureRow:
    macs = report.module(fact.layer).cost.macs
    (op,) = (op for op in explain(report, fact.layer).ops if op.macs)
    if fact.printed.matches(macs):
        return LectureRow(fact, _giga(macs), True, op.macs)
    slips = (
        ("twice, as FLOPs", 2),
        (f"times {prod(KERNEL)} = 3·3·3, the kernel of the convolutions", prod(KERNEL)),
        (f"times {CLIP.frames}, once per frame", CLIP.frames),
    )
    for reading, factor in slips:
        if fact.printed.matches(factor * macs):
            working = f"{op.macs}; ·{factor} = {exact(factor * macs)}"
            return LectureRow(fact, _giga(macs), False, working, reading)
    return LectureRow(fact, _giga(macs), False, op.macs)


def _total(fact: LectureFact, layers: Iterable[LectureFact], report: Result) -> LectureRow:
    macs = report.macs
    if fact.printed.matches(macs):
        return LectureRow(fact, _giga(macs), True, f"{exact(macs)} MACs in all layers")
    column = [layer.printed for layer in layers]
    column_sum = sum((printed.value for printed in column), Fraction())
    linear_macs = sum(row.cost.macs for row in report.modules if row.type == "Linear")
    slip = macs + (prod(KERNEL) - 1) * linear_macs
    terms = " + ".join(printed.text for printed in column)
    working = f"{exact(macs)} MACs in all layers; the column sums to {terms} = {_decimal(column_sum / SCALES['G'])}"
    if fact.printed.matches(slip):
        working += f"; with {prod(KERNEL)} times the fully connected {exact(linear_macs)}: {exact(slip)}"
        reading = f"the sum of its column, which counts the fully connected layers times {prod(KERNEL)}"
        return LectureRow(fact, _giga(macs), False, working, reading)
    reading = "the sum of its column" if fact.printed.matches(column_sum) else ""
    return LectureRow(fact, _giga(macs), False, working, reading)


def _image(fact: LectureFact, report: Result | None) -> LectureRow:
    if report is None:
        return LectureRow(fact, "", None, f"not in the zoo: {fact.layer}")
    macs = report.macs
    working = f"{exact(macs)} MACs in all layers"
    if fact.printed.matches(macs):
        return LectureRow(fact, _giga(macs), True, working)
    if fact.printed.matches(2 * macs):
        return LectureRow(fact, _giga(macs), False, f"{working}; ·2 = {exact(2 * macs)}", "twice, as FLOPs")
    layers: dict[int, list[str]] = {}
    for row in report.modules:
        if row.own.macs:
            layers.setdefault(row.own.macs, []).append(row.path)
    missing = [cost for cost in layers if fact.printed.matches(macs - cost)]
    if not missing:
        return LectureRow(fact, _giga(macs), False, working)
    cost = missing[0]
    working += f" − {exact(cost)} = {exact(macs - cost)}"
    odds = by_accident((macs, 2 * macs, *(macs - other for other in layers)), fact.printed)
    reading = (
        f"fits without one convolution of {_giga(cost)}, which {len(layers[cost])} layers cost; the slide does not say "
        f"so, no second source prints it, and {odds_text(odds)} such numbers would fit by accident"
    )
    return LectureRow(fact, _giga(macs), False, working, reading)


def _ratio(fact: LectureFact, facts: dict[str, LectureFact], c3d: Result, vgg: Result | None) -> LectureRow:
    total, image = facts["total"].printed, facts["VGG-16"].printed
    division = f"{total.text} / {image.text} = {_decimal(total.value / image.value)}"
    reading = "the ratio of the two printed numbers" if fact.printed.matches(total.value / image.value) else ""
    if vgg is None:
        return LectureRow(fact, "", None, f"{division}; not in the zoo: vgg16", reading)
    ratio = Fraction(c3d.macs, vgg.macs)
    working = f"{_giga(c3d.macs)} / {_giga(vgg.macs)} = {_decimal(ratio)}"
    if fact.printed.matches(ratio):
        return LectureRow(fact, _decimal(ratio), True, working)
    return LectureRow(fact, _decimal(ratio), False, f"{working}; {division}", reading)


def _heading(fact: LectureFact, report: Result) -> LectureRow:
    """The column is headed MFLOPs: its first number as such, against the FLOPs of that layer."""
    cost = report.module(fact.layer).cost
    in_billions = Printed(fact.printed.text, "G")
    working = f"{fact.layer} takes {exact(cost.macs)} MACs = {exact(cost.flops)} FLOPs"
    reading = f"{in_billions} MACs: billions, and each multiply-add once" if in_billions.matches(cost.macs) else ""
    return LectureRow(fact, decimals(cost.flops, places=3), fact.printed.matches(cost.flops), working, reading)


def _giga(macs: int) -> str:
    return decimals(macs, places=3)


def _decimal(value: Fraction) -> str:
    return f"{float(value):.3f}".rstrip("0").rstrip(".")


def lecture_table(rows: Iterable[LectureRow]) -> Table:
    """One row per number; the notes say which do not hold."""
    rows = tuple(rows)
    columns = (
        Column("number", "text"),
        Column("printed", "text"),
        Column("counted", "text"),
        Column("holds", "text"),
        Column("arithmetic", "prose"),
    )
    cells = tuple(
        (row.fact.item, str(row.fact.printed), row.counted, _WORDS[row.holds], _arithmetic(row)) for row in rows
    )
    title = f"the lecture's C3D slide against our counts, on {CLIP}, pool5 without padding, {CLASSES} classes"
    return Table(title, columns, cells, None, tuple(_notes(rows)))


_WORDS = {True: "yes", False: "NO", None: ""}


def _arithmetic(row: LectureRow) -> str:
    """What we compute, and behind it what the printed number is instead."""
    if row.holds is not False:
        return row.arithmetic
    return f"{row.arithmetic}; printed: {row.reading or 'no reading found'}"


def _notes(rows: tuple[LectureRow, ...]) -> Iterator[str]:
    wrong = [row.fact.item for row in rows if row.holds is False]
    right = [row.fact.item for row in rows if row.holds]
    yield f"{len(wrong)} of {len(rows)} numbers do not hold: {', '.join(wrong)}"
    yield f"{len(right)} hold: {', '.join(right)}"
    yield "counted: MACs; the slide's numbers are MACs too, whatever its heading says"
    yield f"the slide: {rows[0].fact.url}, {rows[0].fact.locator}"


def lecture_page() -> str:
    """The slide's numbers as a page of markdown; reports/lecture.md has them beside the lecture's systems."""
    table = lecture_table(verify_lecture()).to_markdown()
    return f"# The lecture's slide\n\n{made_by('flopcount verify lecture --write FILE')}\n\n{table}\n"
