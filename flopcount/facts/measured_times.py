"""Times that others measured and published: generators, language models, recognition and optical flow.

The data are in measured_times.csv, each row with the repository or paper and the place in it. `measured_mapping.csv`
says what runs in each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from ..core.errors import InputError, UnknownNameError
from ..core.one_line import OneLine
from .rows import filled, number, read

__all__ = ["MeasuredTime", "measured_time", "measured_time_row", "measured_times"]

SECONDS = ("s_per_video", "s_per_iter", "latency_s")
"""Quantities whose value is in seconds."""

RATES = ("clips_per_s", "videos_per_s", "frames_per_s", "tokens_per_s")
NO_TIMES = ("peak_memory_GB",)
_NEEDED = ("key", "model", "device", "value", "source", "locator")
KINDS = ("generation", "recognition", "flow", "vlm")


@dataclass(frozen=True, slots=True)
class MeasuredTime(OneLine):
    """One published measurement, in the words of its source.

    `key` is the row's name in this project. `batch` is text, since some sources print an average or "not printed".
    `value` is in the unit that the `quantity` says.
    """

    key: str
    model: str
    kind: str
    task: str
    input: str
    precision: str
    batch: str
    device: str
    devices: str
    quantity: str
    value: float
    software: str
    source: str
    locator: str
    note: str

    @property
    def seconds(self) -> float | None:
        """Seconds for one video, iteration, clip, frame or token, whichever the quantity counts; None of a memory."""
        if self.quantity in NO_TIMES:
            return None
        return 1 / self.value if self.quantity in RATES else self.value


@cache
def measured_times() -> tuple[MeasuredTime, ...]:
    """Every row, in the order of the data file.

    Raises:
        InputError: a row has no source, a malformed cell, or the key of another row.
    """
    rows = tuple(measured_time_row(place, row) for place, row in read("measured_times.csv"))
    keys = [row.key for row in rows]
    if twice := [key for key in dict.fromkeys(keys) if keys.count(key) > 1]:
        raise InputError(f"{twice[0]} is the key of two rows", [("in", "measured_times.csv")])
    return rows


def measured_time(key: str) -> MeasuredTime:
    """The row of this key.

    Raises:
        UnknownNameError: there is none.
    """
    rows = {row.key: row for row in measured_times()}
    if key not in rows:
        raise UnknownNameError("measured time", key, rows, "take a key of measured_times.csv")
    return rows[key]


def measured_time_row(place: str, row: dict[str, str]) -> MeasuredTime:
    """One row of the data file, checked.

    Raises:
        InputError: the row has no key, source or locator, or has a malformed cell; the message names the line.
    """
    filled(place, row, _NEEDED, "say what was measured, and where it was read")
    for column, choices in (("kind", KINDS), ("quantity", (*SECONDS, *RATES, *NO_TIMES))):
        if row[column] not in choices:
            fix = f"choose {', '.join(choices)}"
            raise InputError(f"{column} is {row[column]!r}", [("in", place), ("fix", fix)])
    value = number(place, row, "value")
    assert value is not None  # the cell is filled
    return MeasuredTime(**{column: text for column, text in row.items() if column != "value"}, value=value)
