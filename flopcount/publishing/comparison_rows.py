"""The points of a comparison: what a network costs, and how accurate others found it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..core.errors import UnknownNameError
from ..core.protocol import Clip

__all__ = ["OURS", "PER", "ComparedNetworks", "Row", "Unplotted", "pareto"]

PER = ("view", "video")
OURS = "your own"  # the family of the points that the user adds


@dataclass(frozen=True, slots=True)
class Row:
    """One point: cost and parameters counted by us, accuracy in percent as `source` printed it.

    `views` is the protocol as printed ("10×3"), `view_count` its forward passes per video. `note` says what was assumed
    or departs from the source.
    """

    name: str
    family: str
    clip: Clip
    views: str
    view_count: int
    macs: int
    params: int
    top1: float
    top5: float | None
    pretrain: str
    source: str
    url: str
    locator: str
    note: str = ""

    @property
    def flops(self) -> int:
        """FLOPs per view: 2 * macs."""
        return 2 * self.macs

    @property
    def macs_per_video(self) -> int:
        """MACs of all views of a video."""
        return self.macs * self.view_count

    def cost(self, per: str) -> int:
        """MACs per "view" or per "video".

        Raises:
            UnknownNameError: neither.
        """
        if per not in PER:
            raise UnknownNameError("unit of cost", per, PER, f"choose {' or '.join(PER)}")
        return self.macs if per == "view" else self.macs_per_video


@dataclass(frozen=True, slots=True)
class Unplotted:
    """A network that has no point, and why."""

    name: str
    why: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class ComparedNetworks:
    """Networks on one data set: `rows` are points, `unplotted` the others with their reasons."""

    dataset: str
    rows: tuple[Row, ...]
    unplotted: tuple[Unplotted, ...]


def pareto(rows: Iterable[Row], per: str = "view") -> tuple[Row, ...]:
    """The rows that no other beats: none costs as little or less and is as accurate or more, one of them strictly.

    Sorted by cost; rows of equal cost and accuracy all stay.
    """
    front: list[Row] = []
    for row in sorted(rows, key=lambda row: (row.cost(per), -row.top1)):
        if not front or row.top1 > front[-1].top1 or (row.cost(per), row.top1) == (front[-1].cost(per), front[-1].top1):
            front.append(row)
    return tuple(front)
