"""What runs in each row of measured_times.csv, or why a row cannot be judged by a count.

The data are in measured_mapping.csv, one line for each row, with the same key. `note` states what the row leaves open
and was taken for granted, such as the variant of a device; nothing else is assumed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any

from ..core.errors import InputError, UnknownNameError
from ..core.one_line import OneLine
from ..core.parsing import parse_settings
from ..core.protocol import Clip
from .rows import filled, read, whole

__all__ = [
    "TIME_DTYPES",
    "MeasuredRun",
    "NotJudged",
    "OtherPart",
    "measured_run",
    "measured_run_row",
    "measured_runs",
]

TIME_DTYPES = ("fp32", "amp", "fp16", "bf16")
_FLAGS = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class OtherPart:
    """What a time includes besides its model: `times` forwards of a part of measured_parts.json on a batch."""

    part: str
    batch: int
    times: int


@dataclass(frozen=True, slots=True)
class MeasuredRun(OneLine):
    """What runs in a measured time: `times` forwards of a model on a batch.

    `model` is a name of the zoo, of a library ("torchvision:raft_large"), or a part of measured_parts.json
    ("wan2.1-t2v-14b/denoiser"). `clip` is in pixels, also of a part that takes latents; a language model takes `tokens`
    instead. `arguments` go to the forward beside it. `batch` is that of one forward: all views of a video, or both
    samples of guidance where they share a forward. `others` are text encoder and VAE of a time that is, by its source,
    of a whole pipeline; they are empty where the source does not say so.

    `device` is a name of the table of devices, and `dtype` one of TIME_DTYPES. `complete` means one device, with model,
    precision, size and steps all known, and nothing else that dominates the time.
    """

    key: str
    model: str
    clip: Clip | None
    tokens: int | None
    num_classes: int | None
    batch: int
    times: int
    others: tuple[OtherPart, ...]
    device: str
    dtype: str
    compile: bool
    complete: bool
    note: str
    arguments: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), hash=False)


@dataclass(frozen=True, slots=True)
class NotJudged(OneLine):
    """Why nothing is counted for a row, in words."""

    key: str
    why: str


@cache
def measured_runs() -> tuple[MeasuredRun | NotJudged, ...]:
    """Every line, in the order of the rows.

    Raises:
        InputError: a line is malformed.
    """
    return tuple(measured_run_row(place, row) for place, row in read("measured_mapping.csv"))


def measured_run(key: str) -> MeasuredRun | NotJudged:
    """What runs in the row of this key.

    Raises:
        UnknownNameError: there is no such row.
    """
    runs = {run.key: run for run in measured_runs()}
    if key not in runs:
        raise UnknownNameError("measured time", key, runs, "take a key of measured_times.csv")
    return runs[key]


def measured_run_row(place: str, row: dict[str, str]) -> MeasuredRun | NotJudged:
    """One line of the data file, checked.

    Raises:
        InputError: it has both a model and a reason against it or neither, or a malformed cell; the message names it.
    """
    if bool(row["model"]) == bool(row["why"]):
        fix = "give either the model that runs, or why it is not known"
        raise InputError(f"{row['key']} has {'both' if row['model'] else 'neither'}", [("in", place), ("fix", fix)])
    if row["why"]:
        return NotJudged(row["key"], row["why"])
    if bool(row["clip"]) == bool(row["tokens"]):
        raise InputError(f"{row['key']} needs a clip or a number of tokens, and not both", [("in", place)])
    filled(place, row, ("key", "device"), "say which row it is, and on which device it runs")
    for column, choices in (("dtype", TIME_DTYPES), ("compile", _FLAGS), ("complete", _FLAGS)):
        if row[column] not in choices:
            fix = f"choose {', '.join(choices)}"
            raise InputError(f"{column} is {row[column]!r}", [("in", place), ("fix", fix)])
    return MeasuredRun(
        key=row["key"],
        model=row["model"],
        clip=Clip.parse(row["clip"]) if row["clip"] else None,
        tokens=whole(place, row, "tokens") if row["tokens"] else None,
        num_classes=whole(place, row, "num_classes") if row["num_classes"] else None,
        batch=whole(place, row, "batch"),
        times=whole(place, row, "times"),
        others=tuple(_other_part(place, text) for text in row["others"].split()),
        device=row["device"],
        dtype=row["dtype"],
        compile=_FLAGS[row["compile"]],
        complete=_FLAGS[row["complete"]],
        note=row["note"],
        arguments=MappingProxyType(parse_settings(row["arguments"].split())),
    )


def _other_part(place: str, text: str) -> OtherPart:
    """Of "wan2.1/text_encoder=1x2": batch 1, twice."""
    match = re.fullmatch(r"(\S+/\S+)=([1-9]\d*)x([1-9]\d*)", text)
    if match is None:
        fix = "write part=BATCHxTIMES, such as wan2.1/text_encoder=1x2"
        raise InputError(f"others has {text!r}", [("in", place), ("fix", fix)])
    return OtherPart(match[1], int(match[2]), int(match[3]))
