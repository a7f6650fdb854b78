"""Measured rates of attention kernels by sequence length: what fused attention sustains of a device's peak.

The data are in attention_rates.csv. Kernels with 8-bit arithmetic are in it too, and are no measure of half precision.
The source prints "H100" and "A100" without a variant; the rows name the one with the highest power limit, and devices
of the same chip are taken to sustain the same share.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from ..core.one_line import OneLine
from .devices import Device, find_device
from .rows import filled, number, read, whole

__all__ = ["AttentionRate", "attention_rates", "chip_of", "sustained_attention"]

_TERA = 1e12
_TORCHS = "FlashAttn2"
_SAME_CHIP = {"h100-sxm": ("h100-", "h200-", "gh200"), "a100-80gb-sxm": ("a100-",)}
"""Beginnings of the names of devices with the chip of a measured one."""


@dataclass(frozen=True, slots=True)
class AttentionRate(OneLine):
    """One measured rate.

    Arguments:
        device: as in devices.csv.
        printed_device: as the source calls it.
        head_dim: channels per head.
        causal: whether half of the scores are left out.
        sequence: tokens.
        kernel: the kernel's name in the source.
        rate: operations per second, 2 per multiply-add.
        source: repository.
        locator: where in it.
    """

    device: str
    printed_device: str
    head_dim: int
    causal: bool
    sequence: int
    kernel: str
    rate: float
    source: str
    locator: str


@cache
def attention_rates() -> tuple[AttentionRate, ...]:
    """Every rate, in the order of the data file."""
    rates = []
    for place, row in read("attention_rates.csv"):
        filled(place, row, tuple(row), "give the device, the kernel, the rate and where it was read")
        if row["tera_ops_per_s"] == "OOM":  # as the source prints it: a kernel that ran out of memory has no rate
            continue
        rate = number(place, row, "tera_ops_per_s")
        assert rate is not None  # every cell is filled
        rates.append(
            AttentionRate(
                find_device(row["device"]).name,
                row["printed_device"],
                whole(place, row, "head_dim"),
                row["causal"] == "true",
                whole(place, row, "sequence"),
                row["kernel"],
                rate * _TERA,
                row["source"],
                row["locator"],
            )
        )
    return tuple(rates)


def chip_of(device: Device) -> str:
    """The measured device with the same chip, or the device itself: chips alike sustain alike."""
    alike = (measured for measured, beginnings in _SAME_CHIP.items() if device.name.startswith(beginnings))
    return next(alike, device.name)


def sustained_attention(device: Device) -> float | None:
    """The share of the half-precision peak that torch's fused attention reaches on long sequences, where measured.

    Torch's kernel is FlashAttention-2; others are faster on some chips.
    """
    rates = [rate for rate in attention_rates() if rate.device == chip_of(device) and rate.kernel == _TORCHS]
    if not rates:
        return None
    longest = max(rates, key=lambda rate: rate.sequence)
    peak = find_device(longest.device).peak("fp16")
    return None if peak is None else longest.rate / peak
