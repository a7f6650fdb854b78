"""Tables of devices: all of them with what each can be used for, and one with its sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..core.errors import UnknownNameError
from ..core.table import Column, Table
from ..core.units import si
from ..facts.devices import DEVICE_KINDS, PEAK_DTYPES, Device, devices
from ..facts.prices import price_of

__all__ = ["device_data", "device_table", "devices_of_kind", "devices_table"]

_UNKNOWN = "unknown"
_UNITS = {dtype: "op/s" if dtype == "int8" else "FLOP/s" for dtype in PEAK_DTYPES}


def devices_of_kind(kind: str | None = None) -> tuple[Device, ...]:
    """The devices of a kind, or all.

    Raises:
        UnknownNameError: no such kind, with near names.
    """
    if kind is not None and kind not in DEVICE_KINDS:
        raise UnknownNameError("kind of device", kind, DEVICE_KINDS, f"choose {', '.join(DEVICE_KINDS)}")
    return tuple(device for device in devices() if kind in (None, device.kind))


def devices_table(chosen: Sequence[Device], *, sources: bool = False) -> Table:
    """One row per device: its numbers, the dtypes that a time can be had in, whether energy can; source and notes."""
    columns = (
        Column("device", "text"),
        Column("kind", "text", drop=2, tone="quiet"),
        Column("year", "text", tone="quiet", minor=True),
        Column("memory", unit="B", drop=1),
        # all that a line of 80 has no room for, since names are there to be copied and must stay whole
        Column("bandwidth", unit="B/s", minor=True),
        *(Column(dtype, unit=_UNITS[dtype], minor=True) for dtype in PEAK_DTYPES),
        Column("TDP", unit="W", minor=True),
        Column("time in", "text", tone="strong"),
        Column("energy", "text"),
        *((Column("source", "prose"), Column("notes", "prose")) if sources else ()),
    )
    rows = tuple(
        (
            device.name,
            device.kind,
            str(device.year),
            _known(device.memory),
            _known(device.bandwidth),
            *(_known(device.peak(dtype)) for dtype in PEAK_DTYPES),
            _known(device.tdp),
            _usable(device),
            "yes" if device.energy else "no TDP",
            *((device.source, device.remarks) if sources else ()),
        )
        for device in chosen
    )
    return Table("devices", columns, rows, None, tuple(_notes(chosen)))


def device_table(device: Device) -> Table:
    """All that is known of one device, one line each."""
    rows = [
        ("kind", device.kind),
        ("year", str(device.year)),
        *((f"peak {dtype}", _amount(device.peak(dtype), _UNITS[dtype])) for dtype in PEAK_DTYPES),
        ("memory", _amount(device.memory, "B")),
        ("bandwidth", _amount(device.bandwidth, "B/s")),
        ("TDP", _amount(device.tdp, "W")),
        ("sustained", _sustained(device)),
        ("torch devices", _parts(device)),
        ("time in", _usable(device)),
        ("energy", "yes" if device.energy else "unknown TDP"),
        ("price", str(price_of(device.name) or f"{_UNKNOWN}; give your own")),
        ("source", device.source),
        ("notes", device.remarks or "none"),
    ]
    notes = ("peaks: dense, 2 FLOPs per multiply-add; int8 counts operations",)
    return Table(device.name, (Column("of the device", "text"), Column("value", "prose")), tuple(rows), None, notes)


def device_data(device: Device) -> dict[str, Any]:
    """For JSON; what is unknown is null."""
    price = price_of(device.name)
    return {
        "schema": "flopcount/device/1",
        "name": device.name,
        "kind": device.kind,
        "year": device.year,
        "peak_flop_per_s": {dtype: _plain(device.peak(dtype)) for dtype in PEAK_DTYPES},
        "memory_bytes": _plain(device.memory),
        "bandwidth_bytes_per_s": _plain(device.bandwidth),
        "tdp_w": _plain(device.tdp),
        "sustained": device.sustained,
        "torch_devices": device.torch_devices,
        "time_dtypes": list(device.time_dtypes),
        "energy": device.energy,
        "price": price
        and {
            "per_hour": price.amount_per_hour,
            "currency": price.currency,
            "region": price.region,
            "provider": price.provider,
            "instance": price.instance,
            "date": price.date,
            "source": price.source,
        },
        "source": device.source,
        "notes": device.remarks,
    }


def _plain(value: float | None) -> float | int | None:
    """A whole number as one."""
    return value if value is None or value != int(value) else int(value)


def _known(value: float | None) -> float | int | str:
    """For a table, with a word where it is not known."""
    plain = _plain(value)
    return _UNKNOWN if plain is None else plain


def _amount(value: float | None, unit: str) -> str:
    plain = _plain(value)
    return _UNKNOWN if plain is None else si(plain, unit)


def _parts(device: Device) -> str:
    """How many devices torch shows for it."""
    count = device.torch_devices
    return "1" if count == 1 else f"{count}; one of them is 1/{count} of every number here"


def _usable(device: Device) -> str:
    """The dtypes that a time can be had in, or what is missing."""
    if device.time_dtypes:
        return " ".join(device.time_dtypes)
    missing = [word for word, value in (("bandwidth", device.bandwidth), ("peaks", device.peaks)) if not value]
    return f"unknown {' and '.join(missing)}"


def _sustained(device: Device) -> str:
    if device.sustained is None:
        return _UNKNOWN
    return f"{100 * device.sustained:.1f}% of the fp16 or bf16 peak, by a large matrix product"


def _notes(chosen: Sequence[Device]) -> Iterator[str]:
    yield "time in: dtypes whose peak and the bandwidth are known; energy: where the TDP is"
    several = [device.name for device in chosen if device.torch_devices > 1]
    if several:
        parts = " and ".join(several)
        yield f"{parts}: the numbers are of both GCDs; one torch device is one GCD, half of every number"
    yield "also: `flopcount devices NAME` has the sources and notes of one"
