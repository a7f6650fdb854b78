"""How long the decoding of a plan takes: measured on this machine, or by published rates of its codec."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import quantiles

from ...core.units import duration, exact, si
from ...facts.decode_rates import published_rates
from .plan import Plan

__all__ = ["DecodeTime", "measured_time", "published_time", "summed_times"]


@dataclass(frozen=True, slots=True)
class DecodeTime:
    """Seconds on a CPU, and where they come from; a measured time is its own low and high."""

    seconds: float
    low: float
    high: float
    words: str

    @property
    def text(self) -> str:
        """The time, with its range where it has one."""
        between = f" ({duration(self.low)} to {duration(self.high)})" if self.high > self.low else ""
        return f"{duration(self.seconds)}{between}"


def measured_time(plan: Plan) -> DecodeTime:
    """Decode what a plan takes of its video here and now, once.

    Raises:
        InputError: a frame cannot be decoded.
    """
    import av

    from ...hardware.this_machine import cpu_name
    from .decoded import seconds_to_decode

    seconds = seconds_to_decode(plan.video, plan.decoding)
    words = f"measured here, once, to RGB: {cpu_name()}, PyAV {av.__version__}"
    return DecodeTime(seconds, seconds, seconds, words)


def published_time(plan: Plan) -> DecodeTime | None:
    """By published rates of the codec on CPUs: the median rate, and the quarter points of all; None without any.

    A rate is taken in pixels per second, and so holds for frames of any size only about.
    """
    rates = [rate.pixels_per_s for rate in published_rates(plan.video.codec)]
    if not rates:
        return None
    pixels, several = plan.decoding.pixels, len(rates) > 1
    slow, middle, fast = quantiles(rates, n=4, method="inclusive") if several else rates * 3
    many = f"the median of {exact(len(rates))} published rates" if several else "the only published rate"
    words = f"{many} of {plan.video.codec} on CPUs, {si(middle)} pixels/s; --measure-decode measures it here"
    return DecodeTime(pixels / middle, pixels / fast, pixels / slow, words)


def summed_times(times: Iterable[DecodeTime | None]) -> DecodeTime | None:
    """Of several videos; None where one is unknown."""
    parts: list[DecodeTime] = []
    for time in times:
        if time is None:
            return None
        parts.append(time)
    if not parts:
        return None
    words = "; ".join(dict.fromkeys(time.words for time in parts))
    seconds, low, high = (sum(getattr(time, name) for time in parts) for name in ("seconds", "low", "high"))
    return DecodeTime(seconds, low, high, words)
