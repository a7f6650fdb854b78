"""A video and what a network takes of it: clips over time, key frames, what is decoded, and the frames themselves."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from ...core.table import Column, Table
from ...pipelines.video.video_job import VideoJob
from ..chart_size import SPREAD, ChartSize, chart_size
from .themes import LIGHT, bare_sides, dress
from .words import wrapped

__all__ = ["draw_timeline", "timeline_data"]

_ACROSS = 8  # pictures in a row of the sheet; half as many where it is narrow
_MOST_ROWS = 12  # clips that have a row of their own
_CLIP, _DECODED, _KEY = "#1f77b4", "#c9c9c9", "#d62728"


def draw_timeline(job: VideoJob, frames: Sequence[tuple[int, Any]], *, width: str = SPREAD.name) -> Axes:
    """A new figure: the timeline above, and below it the sheet of `frames`, (number, pixels) each.

    Raises:
        UnknownNameError: no such width.
    """
    size, video = chart_size(width), job.plan.video
    across = _ACROSS // 2 if size.narrow else _ACROSS
    rows = ceil(len(frames) / across)
    clips = min(len(job.plan.clips), _MOST_ROWS)
    high = size.inches(6.5, size.text) + size.inches(clips + 2, size.small * 1.2)
    tall = size.width / across * video.height / video.width + size.inches(1.8, size.least)
    figure = plt.figure(figsize=(size.width, size.height or high + rows * tall + 0.2), layout="constrained")
    grid = figure.add_gridspec(2, 1, height_ratios=[high, max(rows * tall, 0.01)])
    axes = figure.add_subplot(grid[0])
    _timeline(axes, job, len(frames), size)
    sheet = grid[1].subgridspec(max(rows, 1), across)
    for place, (number, pixels) in enumerate(frames):
        cell = figure.add_subplot(sheet[place // across, place % across])
        cell.imshow(pixels, interpolation="antialiased")
        cell.set_axis_off()
        cell.set_title(f"{float(video.times[number]):.3g} s", fontsize=size.least, pad=1.5)
    return axes


def timeline_data(job: VideoJob) -> Table:
    """Every mark of the timeline: the frames of each clip, those that are decoded, and the key frames."""
    plan, video = job.plan, job.plan.video
    stored = {place: frame for frame, place in enumerate(video.places)}
    places = (place for s in plan.decoding.stretches for place in range(s.begin, s.end + 1))
    decoded = sorted(stored[place] for place in places if place in stored)
    marks = [(f"clip {number}", frame) for number, clip in enumerate(plan.clips, 1) for frame in clip]
    marks += [("decoded", frame) for frame in decoded] + [("key frames", frame) for frame in video.keys]
    columns = (Column("row", "text"), Column("frame"), Column("time (s)"))
    return Table("", columns, tuple((row, frame, float(video.times[frame])) for row, frame in marks), None)


def _timeline(axes: Axes, job: VideoJob, shown_frames: int, size: ChartSize) -> None:
    plan, video = job.plan, job.plan.video
    seconds = [float(time) for time in video.times]
    shown = plan.clips[:_MOST_ROWS]
    names = [f"clip {number + 1}" for number in range(len(shown))]
    for row, clip in enumerate(shown):
        at = [seconds[frame] for frame in clip]
        axes.hlines(row, min(at), max(at), color=_CLIP, linewidth=size.line * 0.5)
        axes.plot(at, [row] * len(at), "|", color=_CLIP, markersize=size.small)
    decoded, keys = len(shown), len(shown) + 1
    stored = {place: frame for frame, place in enumerate(video.places)}
    bars = []
    for stretch in plan.decoding.stretches:
        at = [seconds[stored[place]] for place in range(stretch.begin, stretch.end + 1) if place in stored]
        bars += [(min(at), max(max(at) - min(at), float(video.duration) / 400))] if at else []
    axes.broken_barh(bars, (decoded - 0.3, 0.6), color=_DECODED)
    at = [seconds[key] for key in video.keys]
    axes.plot(at, [keys] * len(at), "|", color=_KEY, markersize=size.small * 1.2)
    axes.set_yticks(range(keys + 1), [*names, "decoded", "key frames"])
    margin = float(video.duration) / 200
    axes.set_xlim(-margin, float(video.duration) + margin)
    axes.set_ylim(keys + 0.7, -0.7)
    axes.set_xlabel("seconds of video")
    wanted = len(plan.decoding.wanted)
    pictures = f"; {shown_frames} of these below" if shown_frames < wanted else ""
    left = f", the first {len(shown)} of {len(plan.clips)} clips" if len(plan.clips) > len(shown) else ""
    frames = f"{plan.decoding.frames} of {video.frames} frames decoded for {wanted}"
    title = f"{job.pipeline.name}: {frames}{left}{pictures}"
    bare_sides(axes)
    dress(axes, LIGHT, size)
    axes.set_title(wrapped(title, size.letters(size.width * 0.8, size.text)), loc="left", fontsize=size.text)
