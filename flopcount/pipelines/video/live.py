"""A network on a live stream: passes per second, by steps where it has them, else by a window that moves on.

The job is the shortest stretch of the stream after which everything repeats, so that all passes are whole numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from ...core.errors import InputError
from ...core.one_line import OneLine
from ...core.table import Table
from ...core.units import money, ordinal, plural, si
from ..job_cost import JobCost
from ..pipeline import Pipeline
from ..pipeline_json import pipeline_data
from ..stage import Stage
from ..unit import Unit
from .online import count_steps
from .video_job import Counts, time_units

__all__ = ["Live", "live", "live_data", "live_table", "parse_rate"]


@dataclass(frozen=True)
class Live(OneLine):
    """A live stream: frames per second, seconds of it that the pipeline is for, and whether the network steps."""

    pipeline: Pipeline
    fps: Fraction
    seconds: Fraction
    steps: bool

    @property
    def per_second(self) -> Fraction:
        """MACs per second of the stream."""
        return self.pipeline.total.macs / self.seconds

    def _headline(self) -> str:
        return f"{self.pipeline.name}: {si(float(self.per_second), 'MACs')} per second"


def parse_rate(text: str) -> Fraction:
    """Frames per second of "30fps", "30" or "29.97 fps".

    Raises:
        InputError: the text is no rate above 0.
    """
    match = re.fullmatch(r"\s*(\d{1,6}(?:\.\d{1,6})?)\s*(?:fps)?\s*", text.lower())
    rate = Fraction(match[1]) if match else Fraction(0)
    if not rate:
        raise InputError(f"stream {text!r} is no rate", [("fix", "write frames per second, such as 30fps")])
    return rate


def live(counts: Counts, fps: Fraction, hop: int | None) -> Live:
    """What a network does for a stream at `fps` frames per second.

    A network with a step makes one for every stride-th frame. Another computes a window again after every `hop` frames,
    by default when all of its frames are new.

    Raises:
        InputError: the network takes flow, the hop is below 1, or the batch above it.
        FlopcountError: it cannot be counted.
    """
    needs, protocol = counts.needs, counts.protocol
    if needs.flows:
        fix = "count its job on a file, or choose another network"
        raise InputError(f"{counts.spec.name} takes optical flow, which is not counted for a stream", [("fix", fix)])
    if hop is not None and hop < 1:
        raise InputError(f"hop is {hop}", [("fix", "give a hop above 0, a whole number of frames")])
    if (protocol.batch or 1) > 1:
        why = f"a live stream has one clip at a time, and --batch {protocol.batch} takes several"
        raise InputError(why, [("fix", "leave out --batch")])
    stride = protocol.stride or (counts.network(1).input.stride if needs.frames > 1 else 1)
    steps = None if hop is not None or needs.frames == 1 else count_steps(counts.spec, dataflow=counts.dataflow)
    if steps is not None:
        period, stages = stride, [Stage("step", steps.step, 1)]
        every = "every frame" if stride == 1 else f"every {ordinal(stride)} frame"
        how = f"a step for {every}: it keeps what it knows of earlier ones"
    else:
        moved = hop or needs.frames * stride
        period, stages = moved, [Stage("network", counts.network(1), 1)]
        seen = f"a window of {needs.frames} frames, {stride} apart" if needs.frames > 1 else "one frame"
        how = f"{seen}, computed again after every {plural(moved, 'frame')}"
    seconds = Fraction(period) / fps
    whole = seconds.denominator
    stages = [Stage(stage.name, stage.report, whole) for stage in stages]
    length = seconds * whole
    pipeline = Pipeline(
        stages,
        name=f"{counts.spec.name} on a stream of {float(fps):g} fps",
        units=(*time_units(length, "stream"), Unit("pass", whole)),
        notes=(how, "frames arrive decoded, and as large as the network takes them"),
        facts={"fps": float(fps), "seconds": float(length), "frames_between_passes": period},
    )
    return Live(pipeline, fps, length, steps is not None)


def live_table(found: Live, cost: JobCost | None = None) -> Table:
    """The stages of the shortest stretch that repeats, with MACs per second; with a cost, how far it keeps up."""
    table = found.pipeline.by_stage() if cost is None else cost.table()
    lines = [f"stream: {si(round(found.per_second), 'MACs/s')}, {si(2 * round(found.per_second), 'FLOP/s')}"]
    if cost is not None:
        speed = float(found.seconds) / cost.estimate
        word = "keeps up" if speed >= 1 else "falls behind"
        times = "stream" if speed >= 1 else "stream, so frames have to be dropped"
        lines.append(f"real time: {speed:.3g}×, the network {word} with the {times}")
        if cost.money is not None:
            hour = money(cost.money.per_hour, cost.money.currency)
            lines.append(f"money: {hour} per hour of stream for a device of its own")
    return replace(table, notes=(*lines, *table.notes))


def live_data(found: Live, costs: Sequence[JobCost] = ()) -> dict[str, Any]:
    """For JSON."""
    return {
        "schema": "flopcount/stream/1",
        "model": found.pipeline.stages[0].model,
        "fps": float(found.fps),
        "steps": found.steps,
        "macs_per_second": float(found.per_second),
        "job": pipeline_data(found.pipeline, costs),
        "real_time": {cost.conditions.device.name: float(found.seconds) / cost.estimate for cost in costs},
    }
