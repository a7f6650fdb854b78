"""Measured throughput of image networks, by device and mode: what a time model is fitted on.

The data are in measured_throughput.csv.gz: rows of the benchmark tables of timm (huggingface/pytorch-image-models,
Apache-2.0), for 48 of its families of models and five devices. Other families and devices are left out on purpose: they
are what a model is tested on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from ..core.errors import InputError
from ..core.one_line import OneLine
from .rows import filled, number, read, whole

__all__ = ["MeasuredThroughput", "throughput_row", "throughput_rows"]

_COMPILED = {"eager": False, "dynamo": True}
_NEEDED = (
    *("device", "dtype", "mode", "compile", "layout", "torch", "model", "family"),
    *("img_size", "batch", "params_m", "samples_per_s", "source"),
)


@dataclass(frozen=True, slots=True)
class MeasuredThroughput(OneLine):
    """One measured row.

    Arguments:
        device: as in devices.csv.
        dtype: "fp32", "bf16", or autocast: "amp" (float16) and "amp_bf16".
        mode: "infer" or "train" (forward, backward and optimizer).
        compile: whether torch.compile made it; else it ran eagerly.
        layout: "nchw" or "nhwc" (channels last).
        torch: the version as the table's name has it, such as "pt291" for 2.9.1.
        model: the model's name in the table, which may mean another network by now: compare `params_m`.
        family: the file of timm that held the model.
        img_size: height and width of the images, in pixels.
        batch: images per pass.
        params_m: parameters in millions, as printed.
        samples_per_s: images per second.
        source: repository, commit and file.
    """

    device: str
    dtype: str
    mode: str
    compile: bool
    layout: str
    torch: str
    model: str
    family: str
    img_size: int
    batch: int
    params_m: float
    samples_per_s: float
    source: str


@cache
def throughput_rows() -> tuple[MeasuredThroughput, ...]:
    """Every row, in the order of the data file."""
    return tuple(throughput_row(place, row) for place, row in read("measured_throughput.csv.gz"))


def throughput_row(place: str, row: dict[str, str]) -> MeasuredThroughput:
    """One row of the data file, checked.

    Raises:
        InputError: a cell is empty or malformed; the message names the line.
    """
    filled(place, row, _NEEDED, "give the row's source, and every cell of its table")
    if row["compile"] not in _COMPILED:
        raise InputError(f"compile is {row['compile']!r}", [("in", place), ("fix", f"choose {', '.join(_COMPILED)}")])
    return MeasuredThroughput(
        device=row["device"],
        dtype=row["dtype"],
        mode=row["mode"],
        compile=_COMPILED[row["compile"]],
        layout=row["layout"],
        torch=row["torch"],
        model=row["model"],
        family=row["family"],
        img_size=whole(place, row, "img_size"),
        batch=whole(place, row, "batch"),
        params_m=_above_zero(place, row, "params_m"),
        samples_per_s=_above_zero(place, row, "samples_per_s"),
        source=row["source"],
    )


def _above_zero(place: str, row: dict[str, str], column: str) -> float:
    value = number(place, row, column)
    assert value is not None  # every cell is filled
    return value
