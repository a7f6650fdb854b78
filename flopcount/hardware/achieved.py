"""A time that was measured, here or elsewhere, beside the count and the prediction of the same pass."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..core.one_line import OneLine
from ..core.units import duration, si
from .cost import Cost

__all__ = ["Achieved"]


@dataclass(frozen=True, slots=True)
class Achieved(OneLine):
    """So many MACs in so many seconds, and what a device was predicted to take for them, if one is named.

    Arguments:
        macs: multiply-accumulates of what was timed.
        seconds: that it took.
        predicted: the cost of one pass, or None.
        passes: how many such passes the seconds are of; `macs` are of one.
    """

    macs: int
    seconds: float
    predicted: Cost | None = field(default=None, repr=False)
    passes: int = 1

    @property
    def per_pass(self) -> float:
        """Seconds of one pass."""
        return self.seconds / self.passes

    @property
    def flops_per_second(self) -> float:
        """FLOPs of contractions, 2 per MAC, per second."""
        return 2 * self.macs / self.per_pass if self.macs else 0.0  # what does nothing may take no time at all

    @property
    def utilisation(self) -> float | None:
        """FLOP/s over the same peak as that of the prediction (MFU); None where no device is named."""
        return None if self.predicted is None else self.flops_per_second / self.predicted.peak

    @property
    def ratio(self) -> float | None:
        """Measured over estimated seconds; None where no device is named, or where nothing is expected to run."""
        return self.per_pass / self.predicted.estimate if self.predicted and self.predicted.estimate else None

    @property
    def verdict(self) -> str:
        """Where the time lies, in words: within the range, beyond it, or below what the datasheet allows."""
        if self.predicted is None:
            return "unknown: no device is named"
        low, high, bound = self.predicted.low, self.predicted.high, self.predicted.bound
        if self.per_pass < bound:
            return "faster than the datasheet allows"
        if self.per_pass < low:
            return "faster than the range"
        return "within the range" if self.per_pass <= high else "slower than the range"

    def _headline(self) -> str:
        return f"{self.macs:,} MACs in {duration(self.per_pass)}: {si(self.flops_per_second, 'FLOP/s')}"
