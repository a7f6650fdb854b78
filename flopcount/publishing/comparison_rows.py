"""The points of a comparison: what a network costs, and how accurate others found it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..core.errors import InputError, UnknownNameError
from ..core.model_spec import NAMELESS, ModelSpec
from ..core.protocol import ONE_VIEW, Clip, Protocol, Views
from ..models import require_known

__all__ = ["OURS", "PER", "ComparedNetworks", "Point", "Row", "Unplotted", "pareto"]

PER = ("view", "video")
OURS = "your own"  # the family of the points that the user adds


@dataclass(frozen=True, slots=True)
class Row:
    """One point: cost and parameters counted by us, accuracy in percent as `source` printed it.

    `views` is the protocol as printed ("10×3"), `view_count` its forward passes per video. `note` says what
    departs from the source, and `assumed` what the count had to assume.
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
    assumed: tuple[str, ...] = ()

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
            UnknownNameError: `per` is neither.
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


@dataclass(frozen=True, slots=True)
class Point:
    """One of the user's own models: what to count, and the accuracy that the user measured (in percent)."""

    label: str
    model: ModelSpec
    top1: float
    protocol: Protocol = ONE_VIEW

    @classmethod
    def parse(cls, text: str, options: ModelSpec = NAMELESS, batch: int | None = None) -> Point:
        """Read "LABEL=MODEL@TOP1", "...@TOP1@TxHxW" or "...@TOP1@TxHxW@CLIPSxCROPS"; `options` are the model's.

        Raises:
            InputError: the text is none of these, the accuracy is not a percentage, or the model does not exist.
        """
        label, _, rest = text.partition("=")
        model, *parts = rest.split("@")
        if not label or not model or len(parts) not in (1, 2, 3):
            raise InputError(
                f"point {text!r} is not LABEL=MODEL@TOP1",
                [("fix", "write 'Ours=my.py:Net@78.9', or 'Ours=my.py:Net@78.9@16x224x224@10x3' with clip and views")],
            )
        try:
            top1 = float(parts[0])
        except ValueError:
            top1 = -1.0
        if not 0 <= top1 <= 100:
            raise InputError(f"accuracy {parts[0]!r} of point {label} is not a percentage", [("fix", "write @78.9")])
        require_known(model)
        spec = replace(options, name=model, clip=Clip.parse(parts[1]) if len(parts) > 1 else options.clip)
        return cls(label, spec, top1, Protocol(Views.parse(parts[2] if len(parts) > 2 else None), batch=batch))


def pareto(rows: Iterable[Row], per: str = "view") -> tuple[Row, ...]:
    """The rows that no other beats: none costs as little or less and is as accurate or more, one of them strictly.

    Sorted by cost; rows of equal cost and accuracy all stay.
    """
    front: list[Row] = []
    for row in sorted(rows, key=lambda row: (row.cost(per), -row.top1)):
        if not front or row.top1 > front[-1].top1 or (row.cost(per), row.top1) == (front[-1].cost(per), front[-1].top1):
            front.append(row)
    return tuple(front)
