"""What a budget may limit: every quantity of layers, of the input as given and of a whole video.

Nothing here needs torch: the command lists them in its help.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from ..core.pricing import unit_of
from ..core.quantity import Quantity, of_layers, priced
from ..core.table import Measured

if TYPE_CHECKING:
    from ..core.result import ModuleRow, Result, SavedReport

__all__ = ["Measure", "measures"]


@dataclass(frozen=True, slots=True)
class Measure:
    """What a limit limits: a quantity, of the input as given or of a video."""

    quantity: Quantity
    per_video: bool = False

    @property
    def what(self) -> str:
        """What it is called."""
        return f"{self.quantity.title} per video" if self.per_video else self.quantity.title

    def of(self, report: Result | SavedReport) -> int:
        """How much of it there is."""
        name = self.quantity.name
        if not self.per_video:
            return report.total[name]
        if self.quantity.pico:  # the samples of a batch share what its pass takes
            return round(report.total[name] * self.passes(report))
        return report.per_video[name]

    def passes(self, report: Result | SavedReport) -> Fraction:
        """How many passes of the input as given it is of; less than one where a batch holds several videos."""
        return Fraction(report.views.count, report.input.batch or 1) if self.per_video else Fraction(1)

    def measured(self, amount: int, report: Result | SavedReport) -> Measured:
        """An amount of it in its unit; counts have none."""
        return Measured(self.quantity.exact(amount), unit_of(self.quantity, report) if self.quantity.pico else "")

    def own(self, row: ModuleRow) -> int:
        """The part of one layer without its children, so that the layers sum to the whole."""
        return row.own[self.quantity.name]

    def complete(self, report: Result | SavedReport) -> bool:
        """Whether all of it is known."""
        return self.quantity.complete or not report.uncosted


def measures() -> dict[str, Measure]:
    """Key of a limit, in pyproject.toml and as an option -> what it limits: every quantity of layers, and per video.

    Flops are 2 * macs, as everywhere; what a device spends is limited as it is estimated.
    """
    quantities = (*of_layers(), *priced())
    limited = {f"max-{q.limit or q.name.replace('_', '-')}": Measure(q) for q in quantities}
    of_videos = {
        f"{key}-per-video": replace(measure, per_video=True)
        for key, measure in limited.items()
        if {"views", "batch"} <= {*measure.quantity.grows_with} or measure.quantity.pico
    }
    return limited | of_videos
