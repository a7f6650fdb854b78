"""The placebo test: printed costs are moved by chance, and judged again as if they had been printed so.

A judge that knows something leaves moved numbers unexplained. Those that it does not are its accidents: they say how
much its other verdicts are worth, by the digits that were printed. The draws are the same in every run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from ..core.table import Column, Table
from ..facts import Printed, ZooModel, zoo_model
from .candidates import Candidates
from .cost_verdicts import find_readings
from .verdict import Finding, RowVerdict
from .verdicts import count_zoo

__all__ = ["DRAWS", "WIDTHS", "Placebo", "placebo", "placebo_table"]

DRAWS = 5
WIDTHS = (0.15, 0.05, 0.02)
_EXPLAINED = (Finding.MATCH, Finding.CAUSE, Finding.FITS, Finding.UNDECIDED)
_MANY_DIGITS = 5


@dataclass(frozen=True, slots=True)
class Placebo:
    """What became of the numbers of some digits: `moved` ones by chance within `width`, or those really printed (0).

    `digits` are significant ones, 5 standing for more too; None: all numbers.
    """

    width: float
    digits: int | None
    findings: Counter[Finding]

    @property
    def judged(self) -> int:
        """Numbers judged."""
        return self.findings.total()

    @property
    def explained(self) -> int:
        """Those not left unexplained."""
        return sum(self.findings[kind] for kind in _EXPLAINED)


def placebo(
    verdicts: Sequence[RowVerdict],
    *,
    draws: int = DRAWS,
    widths: Sequence[float] = WIDTHS,
    progress: Callable[[str], None] = lambda text: None,
) -> tuple[Placebo, ...]:
    """Judge every printed cost as it is, and moved by chance.

    Arguments:
        verdicts: published rows as they were judged; what was not checkable is left out.
        draws: how often each number is moved.
        widths: by which share at most, up or down.
        progress: called with what is being judged.
    """
    real: list[tuple[Printed, Finding]] = []
    moved: dict[float, list[tuple[Printed, Finding]]] = {width: [] for width in widths}
    checked = [v for v in verdicts if v.row.cost and v.cost and v.cost.kind is not Finding.NOT_CHECKABLE]
    for number, verdict in enumerate(checked, 1):
        progress(f"judging {verdict.row.model} ({number} of {len(checked)})")
        model, printed = zoo_model(verdict.row), verdict.row.cost
        assert isinstance(model, ZooModel)
        assert printed is not None
        assert verdict.cost is not None
        candidates = Candidates(verdict.row, model, count_zoo)
        seed = f"{verdict.row.url} {verdict.row.model} {verdict.row.dataset} {printed}"
        real.append((printed, verdict.cost.kind))
        for width in widths:
            for other in _moved(printed, width, draws, seed):
                moved[width].append((other, find_readings(other, candidates)[0]))
    return tuple(part for width, found in ((0.0, real), *moved.items()) for part in _by_digits(width, found))


def _moved(printed: Printed, width: float, draws: int, seed: str) -> Iterator[Printed]:
    """Numbers near a printed one, with its decimals; one that rounds to the same digits is drawn again, ten times."""
    random = Random(f"{seed} {width}")
    whole, _, decimals = printed.text.replace(",", "").partition(".")
    steps = int(whole + decimals)
    for _ in range(draws):
        for _ in range(10):
            near = round(steps * (1 + random.uniform(-width, width)))
            if near != steps and near:
                digits = str(near).rjust(len(decimals) + 1, "0")
                cut = len(digits) - len(decimals)
                yield Printed(digits[:cut] + ("." + digits[cut:] if decimals else ""), printed.scale)
                break


def _by_digits(width: float, found: Sequence[tuple[Printed, Finding]]) -> Iterator[Placebo]:
    yield Placebo(width, None, Counter(kind for _, kind in found))
    for digits in range(1, _MANY_DIGITS + 1):
        kinds = Counter(kind for printed, kind in found if _digits(printed) == digits)
        if kinds:
            yield Placebo(width, digits, kinds)


def _digits(printed: Printed) -> int:
    """Significant digits, at most five."""
    return min(len(printed.text.replace(",", "").replace(".", "").lstrip("0")), _MANY_DIGITS)


def placebo_table(parts: Sequence[Placebo]) -> Table:
    """One row per width and number of digits; the real numbers stand first."""
    columns = (
        Column("numbers", "text"),
        Column("digits", "text"),
        Column("judged", tally=True),
        *(Column(kind.value) for kind in (*_EXPLAINED, Finding.UNEXPLAINED)),
        Column("not left unexplained", "share", tone="strong"),
    )
    rows = tuple(
        (
            f"moved within ±{100 * part.width:g} %" if part.width else "as printed",
            "all" if part.digits is None else f"{part.digits}" + " or more" * (part.digits == _MANY_DIGITS),
            part.judged,
            *(part.findings[kind] for kind in (*_EXPLAINED, Finding.UNEXPLAINED)),
            (part.explained, part.judged),
        )
        for part in parts
    )
    notes = (
        "a number moved by chance has no meaning: what is not left unexplained there is an accident of the judge",
        "each printed cost was moved some times within each width, kept its decimals, and was judged as the real one",
    )
    return Table("printed costs, and the same moved by chance", columns, rows, None, notes)
