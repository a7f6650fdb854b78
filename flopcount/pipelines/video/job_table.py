"""The job of one video -> Table: a row per stage, the decoding first, and what a clip is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ...core.table import Table
from ...core.units import duration, plural, si, times
from ..pipeline import Pipeline
from ..pipeline_tables import by_stage
from .plan import Plan

__all__ = ["job_table", "job_title"]


def job_table(plan: Plan, pipeline: Pipeline) -> Table:
    """One row per stage, the decoding first, which is no FLOP and has no cost here."""
    table = by_stage(pipeline)
    names = [column.key or column.name for column in table.columns]
    own: dict[str, Any] = {"stage": "decode", "model": plan.video.codec, "times": f"{plan.decoding.frames:,}"}
    own["share"] = (0, 0)  # of an amount that has no such part
    return replace(
        table,
        title=job_title(plan, pipeline),
        rows=(tuple(own.get(name, "") for name in names), *table.rows),
        notes=(*table.notes, *_bytes(plan)),
    )


def job_title(plan: Plan, pipeline: Pipeline) -> str:
    """The network, the video, and how it is looked at."""
    video = plan.video
    of = f"{times((video.width, video.height))}, {float(video.fps):.4g} fps, {duration(float(video.duration))}"
    frames = plural(plan.needs.frames, "frame")
    return f"{pipeline.name} ({of}), {plan.views} views of {frames}"


def _bytes(plan: Plan) -> Iterator[str]:
    # of one clip, also where a streaming network goes on after it
    clip = replace(plan.sampling, frames=plan.needs.frames)
    seconds = f"{duration(float(clip.seconds(plan.video)))} of video"
    sizes = f"{si(plan.clip_bytes, 'B')} as uint8 before the resize, {si(plan.input_bytes, 'B')} as float32 after it"
    if plan.needs.flows:
        sizes += f", and {si(plan.flow_bytes, 'B')} of flow as float32"
    yield f"clip: {plural(plan.needs.frames, 'frame')} from {seconds if plan.dense else 'all of the video'}; {sizes}"
