"""Which network of the zoo a published row describes, with its options, classes and clip.

The first line of mapping.csv that fits a row decides: its `model` is the row's, and its `source` (if any) is a part of
the row's url or of its data set ("tsn/metafile.yml ssv1" is one of both). A line without a name says why there is
nothing to count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ..core.model_spec import ModelSpec
from ..core.one_line import OneLine
from ..core.parsing import parse_settings
from ..core.protocol import Clip
from .datasets import classes_of
from .published import Published
from .rows import read

__all__ = ["Unmapped", "ZooModel", "zoo_model"]


@dataclass(frozen=True, slots=True)
class ZooModel(OneLine):
    """What to build for a row. `note` states an assumption that fills a gap of the row."""

    name: str
    clip: Clip
    num_classes: int
    options: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def spec(self) -> ModelSpec:
        """The model without the note; rows with equal specs share a count."""
        return ModelSpec(self.name, self.clip, self.num_classes, self.options)


@dataclass(frozen=True, slots=True)
class Unmapped:
    """Why a row cannot be counted."""

    why: str


def zoo_model(row: Published) -> ZooModel | Unmapped:
    """The network that this row describes, or why there is none."""
    for line in _lines():
        if line["model"] == row.model and line["source"] in f"{row.url} {row.dataset}":
            break
    else:
        return Unmapped("no such architecture in the zoo")
    if not line["name"]:
        return Unmapped(line["why"])
    if line["clip"]:
        clip = Clip.parse(line["clip"])
    elif row.frames is None:
        return Unmapped("the source does not say how many frames")
    elif row.height is None or row.width is None:
        return Unmapped("the source does not say the size of a frame")
    else:
        clip = Clip(row.frames, row.height, row.width)
    options = parse_settings(line["options"].split())
    return ZooModel(line["name"], clip, classes_of(row.dataset), options, line["why"])


@cache
def _lines() -> tuple[dict[str, str], ...]:
    return tuple(row for _, row in read("mapping.csv"))
