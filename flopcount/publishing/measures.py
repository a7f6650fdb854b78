"""What a budget may limit: every quantity of layers, of the input as given and of a whole video.

Nothing here needs torch: the command lists them in its help.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..core.quantity import Quantity, of_layers

if TYPE_CHECKING:
    from ..core.result import ModuleRow, Result

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

    def of(self, report: Result) -> int:
        """How much of it there is."""
        return (report.per_video if self.per_video else report.total)[self.quantity.name]

    def own(self, row: ModuleRow) -> int:
        """The part of one layer without its children, so that the layers sum to the whole."""
        return row.own[self.quantity.name]

    def complete(self, report: Result) -> bool:
        """Whether all of it is known."""
        return self.quantity.complete or not report.uncosted


def measures() -> dict[str, Measure]:
    """Key of a limit, in pyproject.toml and as an option -> what it limits: every quantity of layers, and per video.

    Flops are 2 * macs, as everywhere.
    """
    limited = {f"max-{q.limit or q.name.replace('_', '-')}": Measure(q) for q in of_layers()}
    of_videos = {
        f"{key}-per-video": replace(measure, per_video=True)
        for key, measure in limited.items()
        if {"views", "batch"} <= {*measure.quantity.grows_with}
    }
    return limited | of_videos
