"""A video job on a device: decoding on a CPU, then the stages, one after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ...core.quantity import PICO
from ...core.shown_as_tables import ShownAsTable
from ...core.table import Table
from ...core.units import duration, money
from ...hardware.device_comparison import device_comparison
from ...hardware.setting import Setting
from ..job_cost import JobCost
from ..pipeline import Pipeline
from .decode_time import DecodeTime, measured_time, published_time
from .plan import Plan

__all__ = ["VideoCost", "costs_of", "video_devices_table"]

_NO_SHARE = (0, 0)


@dataclass(frozen=True)
class VideoCost(ShownAsTable):
    """What one video takes: the time of its decoding, None where nobody measured it, and the cost of its stages."""

    plan: Plan
    stages: JobCost
    decode: DecodeTime | None

    @property
    def seconds(self) -> float:
        """Of everything, one stage after another; without the decoding where its time is unknown."""
        return self.stages.estimate + (self.decode.seconds if self.decode else 0)

    @property
    def decode_share(self) -> float | None:
        """The share of the time that is decoding."""
        return None if self.decode is None else self.decode.seconds / self.seconds

    @property
    def speed(self) -> float:
        """Seconds of video per second: above 1 is faster than real time."""
        return float(self.plan.video.duration) / self.seconds

    @property
    def paid(self) -> float | None:
        """Money for all of the time, in the currency of the stages: the device waits while frames are decoded."""
        price = self.stages.money
        return None if price is None else price.amount * self.seconds / self.stages.estimate

    def table(self) -> Table:
        """One row per stage, the decoding first; its share is of the whole time."""
        table = self.stages.table()
        names = [column.key or column.name for column in table.columns]
        time = next(column.key or column.name for column in table.columns if column.pico and column.unit == "s")
        decoding = self.plan.decoding
        spent = None if self.decode is None else round(self.decode.seconds * PICO)
        own: dict[str, object] = {"stage": "decode", "type": self.plan.video.codec, "limit": "CPU"}
        own |= {"times": f"{decoding.frames:,}", time: "" if spent is None else spent, "macs_share": _NO_SHARE}
        at, share = names.index(time), names.index("time_share")
        whole = (table.total[at] if table.total else 0) + (spent or 0)

        def shared(row: tuple[object, ...], time: int | None) -> tuple[object, ...]:
            return (*row[:share], (time, whole) if time is not None else _NO_SHARE, *row[share + 1 :])

        first = tuple(own.get(name, "") for name in names)
        rows = [shared(first, spent), *(shared(row, row[at]) for row in table.rows)]
        total = None
        if table.total is not None:
            total = shared((*table.total[:at], whole, *table.total[at + 1 :]), whole)
        return replace(table, rows=tuple(rows), total=total, notes=(*self.lines(), *self.of_stages(table.notes)))

    def lines(self) -> Iterator[str]:
        """Time with its decoding, real time, and money."""
        video = self.plan.video
        if self.decode is None:
            yield f"decode: nobody published how fast {video.codec} is decoded; --measure-decode measures it here"
            return
        share = 100 * (self.decode_share or 0)
        yield f"decode: {self.decode.text}, {share:.0f}% of the time; {self.decode.words}"
        yield (
            f"time: {duration(self.seconds)} for {duration(float(video.duration))} of video, one stage after another: "
            f"{self.speed:.3g}× real time"
        )
        price = self.stages.money
        if price is not None and self.paid is not None:
            hourly = money(self.paid * 3600 / float(video.duration), price.currency)
            whole = money(self.paid, price.currency)
            yield f"money: {whole} per video, {hourly} per hour of video, if the device waits while frames are decoded"

    def of_stages(self, notes: Iterable[str]) -> Iterator[str]:
        """Notes of the stages, those of time marked as theirs alone where the decoding has a time too."""
        for note in notes:
            label, colon, rest = note.partition(": ")
            timed = colon and (
                label in ("estimate", "range", "most out of proportion")
                or label.startswith(("per ", "bound, estimate"))
            )
            yield f"{label}, stages alone: {rest}" if timed and self.decode is not None else note

    def data(self) -> dict[str, object]:
        """For JSON: seconds and money of the whole, and the decoding."""
        decode = self.decode
        return {
            "device": self.stages.conditions.device.name,
            "decode": None
            if decode is None
            else {"seconds": decode.seconds, "low": decode.low, "high": decode.high, "source": decode.words},
            "stages_seconds": self.stages.estimate,
            "seconds": None if decode is None else self.seconds,
            "decode_share": self.decode_share,
            "real_time": None if decode is None else self.speed,
            "money": None if decode is None else self.paid,
            "currency": self.stages.money.currency if self.stages.money else None,
        }

    def _headline(self) -> str:
        spent = f"{duration(self.seconds)}, {self.speed:.3g}× real time"
        return f"of {self.plan.video.name} on {self.stages.conditions}: {spent}"


def costs_of(
    plan: Plan, pipeline: Pipeline, settings: Sequence[Setting], *, measure: bool = False
) -> tuple[VideoCost, ...]:
    """The cost of the job of a plan on each device; the decoding is measured here, or taken from published rates.

    Raises:
        InputError: a frame cannot be decoded, or the job was counted without its dataflow.
    """
    if not settings:
        return ()
    decode = measured_time(plan) if measure else published_time(plan)
    return tuple(VideoCost(plan, pipeline.cost_under(setting), decode) for setting in settings)


def video_devices_table(costs: Sequence[VideoCost], *, exact: bool = False) -> Table:
    """One row per device, of the stages; what decoding takes beside them is below."""
    table = device_comparison([cost.stages for cost in costs], exact=exact)
    lines = dict.fromkeys(f"{cost.stages.conditions.device.name}: {line}" for cost in costs for line in cost.lines())
    return replace(table, notes=(*lines, *(costs[0].of_stages(table.notes) if costs else table.notes)))
