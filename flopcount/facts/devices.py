"""Devices that networks run on: peaks, memory, bandwidth and power as data sheets print them, each with its source.

The data are in devices.csv. A value that was not read is None, never a guess. Peaks are dense (no sparsity), and a
multiply-add counts as two. `notes` hold what a row leaves open: conflicts between sources, derived values, variants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from ..core.errors import InputError, UnknownNameError
from ..core.one_line import OneLine
from ..core.spelling import letters_of, spelled
from ..core.units import si
from .rows import filled, number, read, whole

__all__ = ["DEVICE_KINDS", "PEAK_DTYPES", "Device", "device_row", "devices", "find_device"]

PEAK_DTYPES = ("fp32", "tf32", "fp16", "bf16", "fp8", "int8")
DEVICE_KINDS = ("gpu", "cpu", "edge", "tpu")

_TERA, _GIGA = 1e12, 1e9
_PEAK_COLUMNS = {dtype: f"{dtype}_{'top' if dtype == 'int8' else 'tflop'}_per_s" for dtype in PEAK_DTYPES}
_FLAGS = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class Device(OneLine):
    """One device. What its source does not say is None.

    Arguments:
        name: as in devices.csv, such as "a100-80gb-sxm".
        maker: who makes it, by its name.
        kind: "gpu", "cpu", "edge" (a module with CPU and GPU) or "tpu".
        year: when it came out.
        peaks: FLOP/s by dtype (int8: operations per second), for the dtypes that are known; 2 per multiply-add.
        memory: bytes, at 10^9 per GB of the sheet.
        bandwidth: bytes per second of its memory.
        tdp: watts that the board, package or module may draw.
        sustained: the share of the dense fp16 or bf16 peak that a large matrix product was measured to sustain.
        torch_devices: how many devices torch shows for it; its numbers are those of all of them together.
        source: where its numbers were read.
        notes: what to know about them.
        unusual: a ratio of its numbers that other devices do not have, and that is right.
        time_fp32: whether peak and bandwidth for float32 are known.
        time_fp16: whether they are for float16 or bfloat16.
        energy: whether its power limit is known.
    """

    name: str
    maker: str
    kind: str
    year: int
    peaks: Mapping[str, float] = field(hash=False)
    memory: float | None
    bandwidth: float | None
    tdp: float | None
    sustained: float | None
    torch_devices: int
    source: str
    notes: str
    unusual: str
    time_fp32: bool
    time_fp16: bool
    energy: bool

    def peak(self, dtype: str) -> float | None:
        """FLOP/s of one of PEAK_DTYPES, or None where it is not known.

        Raises:
            UnknownNameError: no such dtype, which is not the same as an unknown peak.
        """
        if dtype not in PEAK_DTYPES:
            raise UnknownNameError("peak for a dtype", dtype, PEAK_DTYPES, f"choose {', '.join(PEAK_DTYPES)}")
        return self.peaks.get(dtype)

    @property
    def time_dtypes(self) -> tuple[str, ...]:
        """The dtypes for which a time can be bounded: peak and bandwidth are known."""
        return () if self.bandwidth is None else tuple(dtype for dtype in PEAK_DTYPES if dtype in self.peaks)

    @property
    def one_torch_device(self) -> Device:
        """The part of it that torch shows as one device: an equal share of every number."""
        if self.torch_devices == 1:
            return self
        memory, bandwidth, tdp = (
            None if value is None else value / self.torch_devices for value in (self.memory, self.bandwidth, self.tdp)
        )
        peaks = {dtype: peak / self.torch_devices for dtype, peak in self.peaks.items()}
        return replace(self, peaks=peaks, memory=memory, bandwidth=bandwidth, tdp=tdp, torch_devices=1)

    @property
    def remarks(self) -> str:
        """The notes, and which ratio is unusual but right."""
        unusual = f"unusual but right: {self.unusual}" if self.unusual else ""
        return "; ".join(filter(None, (self.notes, unusual)))

    def _headline(self) -> str:
        peaks = [f"{si(peak, 'FLOP/s')} {dtype}" for dtype, peak in self.peaks.items()]
        memory = [] if self.bandwidth is None else [si(self.bandwidth, "B/s")]
        return f"{self.name}, {self.maker} {self.year}: {', '.join(memory + peaks)}"


@cache
def devices() -> tuple[Device, ...]:
    """Every device, in the order of the data file."""
    return tuple(device_row(place, row) for place, row in read("devices.csv"))


def device_row(place: str, row: dict[str, str]) -> Device:
    """One row of the data file, checked.

    Raises:
        InputError: a row has no source, or has a malformed cell; the message names the line.
    """
    needed = ("name", "maker", "kind", "year", "source")
    filled(place, row, needed, "say which device it is, and where its numbers were read")
    if row["kind"] not in DEVICE_KINDS:
        raise InputError(f"kind is {row['kind']!r}", [("in", place), ("fix", f"choose {', '.join(DEVICE_KINDS)}")])
    peaks = {dtype: _scaled(place, row, column, _TERA) for dtype, column in _PEAK_COLUMNS.items()}
    return Device(
        name=row["name"],
        maker=row["maker"],
        kind=row["kind"],
        year=whole(place, row, "year"),
        peaks={dtype: peak for dtype, peak in peaks.items() if peak is not None},
        memory=_scaled(place, row, "memory_gb", _GIGA),
        bandwidth=_scaled(place, row, "bandwidth_gb_per_s", _GIGA),
        tdp=number(place, row, "tdp_w"),
        sustained=_share(place, row, "sustained"),
        torch_devices=whole(place, row, "torch_devices"),
        source=row["source"],
        notes=row["notes"],
        unusual=row["unusual"],
        time_fp32=_flag(place, row, "time_fp32"),
        time_fp16=_flag(place, row, "time_fp16"),
        energy=_flag(place, row, "energy"),
    )


def find_device(name: str) -> Device:
    """The device of this name; capitals, dashes, underscores and blanks do not matter: "RTX 4090" is rtx-4090.

    Raises:
        InputError: the name fits variants that differ, such as "a100"; the message lists them.
        UnknownNameError: no such device, with near names.
    """
    by_name = {device.name: device for device in devices()}
    found = spelled(name, by_name)
    if found in by_name:
        return by_name[found]
    wanted = letters_of(name)
    variants = [device.name for device in devices() if wanted in _beginnings(device.name)]
    if variants:
        only = "the only one known" if len(variants) == 1 else "which differ"
        raise InputError(
            f"device {name!r} does not say which variant it is",
            [("known", f"{', '.join(variants)}, {only}"), ("fix", f"write the whole name, such as {variants[0]}")],
        )
    raise UnknownNameError("device", name, by_name, "see `flopcount devices`")


def _beginnings(name: str) -> set[str]:
    """The first words of a name, joined: a100 and a100-80gb begin a100-80gb-sxm, and a10 does not."""
    words = name.split("-")
    return {"".join(words[:count]) for count in range(1, len(words))}


def _scaled(place: str, row: dict[str, str], column: str, scale: float) -> float | None:
    value = number(place, row, column)
    return None if value is None else round(value * scale, 0)  # 204.8 GB is 204,800,000,000 B, without a rest


def _share(place: str, row: dict[str, str], column: str) -> float | None:
    value = number(place, row, column)
    if value is not None and value > 1:
        raise InputError(f"{column} is {row[column]!r}, more than the peak", [("in", place)])
    return value


def _flag(place: str, row: dict[str, str], column: str) -> bool:
    if row[column] not in _FLAGS:
        raise InputError(f"{column} is {row[column]!r}", [("in", place), ("fix", "choose yes or no")])
    return _FLAGS[row[column]]
