"""The numbers of the lecture's slide: C3D layer by layer, and those beside it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from ..core.one_line import OneLine
from .printed import Printed
from .rows import read, sourced

__all__ = ["LectureFact", "lecture"]


@dataclass(frozen=True, slots=True)
class LectureFact(OneLine):
    """One number of the slide; `layer` is the layer of c3d, or the network, that it describes."""

    item: str
    layer: str
    printed: Printed
    url: str
    locator: str


@cache
def lecture() -> tuple[LectureFact, ...]:
    """Every number, in the slide's order."""
    return tuple(_fact(place, row) for place, row in read("lecture.csv"))


def _fact(place: str, row: dict[str, str]) -> LectureFact:
    sourced(place, row, ("item", "printed"))
    printed = Printed(row["printed"], row["scale"])
    return LectureFact(row["item"], row["layer"], printed, row["url"], row["locator"])
