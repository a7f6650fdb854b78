"""Published numbers of models: cost, parameters and accuracy, each row with its source.

The data are in published.csv. `cost` and `params` are the printed text, every digit of it; parameters are in millions
unless they end in B or are written in full. `scope` says whether a cost is of one view or of all views of a video.
`height` and `width` are the size that the source gives, even if the source counted at another size. `assumed` names the
cells whose value the page at `url` does not print. `map` is a mean average precision in percent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from ..core.errors import InputError
from ..core.one_line import OneLine
from .printed import Printed
from .rows import read, sourced

__all__ = ["ASSUMABLE", "CONVENTIONS", "Published", "published", "published_row"]

CONVENTIONS = ("mac", "2mac", "unknown")
SCOPES = ("view", "video")
ASSUMABLE = ("frames", "stride", "height", "width", "clips", "crops", "views")


@dataclass(frozen=True, slots=True)
class Published(OneLine):
    """One row of a published table. A value that the source does not give is None (text: "").

    `unit` is the source's own word for the cost. `convention` is what the number really is: "mac" counts a multiply-add
    once, "2mac" twice. `secondary` means that the source quotes another text.

    `top1` and `top5` are accuracies in percent; `mean_ap` is a mean average precision in percent, which is no accuracy:
    detection on AVA and labels of Charades are measured by it. `assumed` names the fields of ASSUMABLE whose value the
    cited page does not print; it follows from another text, such as the configuration or the paper. Whoever shows a
    result that rests on such a field says so.
    """

    model: str
    family: str
    year: int
    dataset: str
    frames: int | None
    stride: int | None
    height: int | None
    width: int | None
    cost: Printed | None
    unit: str
    scope: str
    convention: str
    clips: int | None
    crops: int | None
    views: int | None
    params: Printed | None
    top1: float | None
    top5: float | None
    mean_ap: float | None
    pretrain: str
    url: str
    locator: str
    secondary: bool
    assumed: tuple[str, ...]
    notes: str

    @property
    def accuracy_frames(self) -> int | None:
        """Frames of the clip of the accuracy, where the source counted the cost at another clip (torchvision's)."""
        match = re.search(r"accuracy is for clip_len=(\d+)", self.notes)
        return int(match[1]) if match else self.frames

    @property
    def source(self) -> str:
        """The source in short: "facebookresearch/pytorchvideo", "arXiv 1812.03982", or the host."""
        host, _, path = self.url.partition("://")[2].partition("/")
        parts = path.strip("/").split("/")
        if host == "github.com":
            return "/".join(parts[:2])
        return f"arXiv {parts[-1]}" if host == "arxiv.org" else host


@cache
def published() -> tuple[Published, ...]:
    """Every row, in the order of the data file.

    Raises:
        InputError: a row has no source, or has a malformed cell.
    """
    return tuple(published_row(place, row) for place, row in read("published.csv"))


def published_row(place: str, row: dict[str, str]) -> Published:
    """One row of the data file, checked.

    Raises:
        InputError: a row has no url or locator, or has a malformed cell; the message names the line.
    """
    sourced(place, row, ("model", "family", "year", "dataset"))
    cost = Printed(row["cost"], row["scale"]) if row["cost"] else None
    if cost is not None:
        _one_of(place, "convention", row["convention"], CONVENTIONS)
        _one_of(place, "scope", row["scope"], SCOPES)
    return Published(
        model=row["model"],
        family=row["family"],
        year=int(row["year"]),
        dataset=row["dataset"],
        frames=_int(place, row, "frames"),
        stride=_int(place, row, "stride"),
        height=_int(place, row, "height"),
        width=_int(place, row, "width"),
        cost=cost,
        unit=row["unit"],
        scope=row["scope"],
        convention=row["convention"],
        clips=_int(place, row, "clips"),
        crops=_int(place, row, "crops"),
        views=_int(place, row, "views"),
        params=_params(row["params"]) if row["params"] else None,
        top1=float(row["top1"]) if row["top1"] else None,
        top5=float(row["top5"]) if row["top5"] else None,
        mean_ap=float(row["map"]) if row["map"] else None,
        pretrain=row["pretrain"],
        url=row["url"],
        locator=row["locator"],
        secondary=row["secondary"] == "yes",
        assumed=_assumed(place, row),
        notes=row["notes"],
    )


def _params(text: str) -> Printed:
    """Parameters as printed: "34.5" millions, "1B", or "34479288" in full."""
    return Printed(text[:-1], "G") if text.endswith("B") else Printed.parse(text, "M")


def _assumed(place: str, row: dict[str, str]) -> tuple[str, ...]:
    columns = tuple(row["assumed"].split())
    for column in columns:
        _one_of(place, "an assumed column", column, ASSUMABLE)
        if not row[column]:
            raise InputError(
                f"{column} is assumed but has no value", [("in", place), ("fix", "fill it, or leave it out")]
            )
    if len(set(columns)) < len(columns):
        raise InputError(f"a column is assumed twice in {row['assumed']!r}", [("in", place)])
    return columns


def _int(place: str, row: dict[str, str], column: str) -> int | None:
    text = row[column]
    if text and not text.isdigit():
        raise InputError(f"{column} is {text!r}, not a whole number", [("in", place)])
    return int(text) if text else None


def _one_of(place: str, column: str, value: str, choices: Iterable[str]) -> None:
    if value not in choices:
        raise InputError(f"{column} is {value!r}", [("in", place), ("fix", f"choose {', '.join(choices)}")])
