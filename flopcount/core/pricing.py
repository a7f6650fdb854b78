"""What the times, energies and money of a result are those of: the device and how the network runs on it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Pricing"]


@dataclass(frozen=True, slots=True)
class Pricing:
    """The conditions in words, such as "rtx-4090, amp, eager, nchw", the currency, and notes for any number of it."""

    conditions: str
    currency: str = ""
    notes: tuple[str, ...] = ()
