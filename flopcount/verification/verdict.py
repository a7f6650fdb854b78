"""A verdict on a printed number, from what was said of it to how likely that is an accident."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..core.one_line import OneLine
from ..core.reason import Reason
from ..core.units import si
from ..facts import Published, Unmapped, ZooModel
from .readings import Counted

__all__ = ["Finding", "RowVerdict", "Verdict", "signed_gap"]


class Finding(StrEnum):
    """What became of a printed number, from what is known of it to what is not.

    A match is our count in the source's own units; a cause is a reading by a counter that the source is cited to use; a
    fit is the only reading that gives the digits, though nothing says that the source did so; undecided is a number
    that several readings give.
    """

    MATCH = "match"
    CAUSE = "cause"
    FITS = "fits"
    UNDECIDED = "undecided"
    UNEXPLAINED = "unexplained"
    NOT_CHECKABLE = "not checkable"


@dataclass(frozen=True, slots=True)
class Verdict(OneLine):
    """A verdict with its reasons; `gap` is printed less counted where nothing explains it.

    `assumed` is what the comparison rests on besides: columns that the source leaves out, and gaps that were filled.
    `odds` are the chance that some reading as simple would meet another number of these digits; None where that says
    nothing: a match, a number printed in full, one that was not checked.
    """

    kind: Finding
    reasons: tuple[Reason, ...] = ()
    gap: int = 0
    odds: float | None = None
    assumed: tuple[Reason, ...] = ()

    @property
    def why(self) -> str:
        """The reasons in words, and what is assumed."""
        return "; ".join(map(str, (*self.reasons, *self.assumed)))

    def __str__(self) -> str:
        if self.kind is not Finding.UNEXPLAINED:
            return self.kind.value
        return f"{self.kind.value}, {signed_gap(self.gap)}"


@dataclass(frozen=True, slots=True)
class RowVerdict(OneLine):
    """A published row, the network of the zoo it was compared with, what was counted, and both verdicts.

    A verdict is None where the source prints no such number.
    """

    row: Published
    model: ZooModel | Unmapped
    counted: Counted | None
    cost: Verdict | None
    params: Verdict | None

    def _headline(self) -> str:
        cost, params = (str(verdict or "not printed") for verdict in (self.cost, self.params))
        return f"{self.row.model} on {self.row.dataset}: cost {cost}, parameters {params}"


def signed_gap(gap: int) -> str:
    """A gap with its sign: "+1.00 G", "−299 M"."""
    return f"{'+' if gap > 0 else '−'}{si(abs(gap))}"
