"""A video and what a network takes of it: clips over time, key frames, what is decoded, and the frames themselves."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from ...pipelines.video.video_job import VideoJob

__all__ = ["draw_timeline"]

_ACROSS = 8  # pictures in a row of the sheet
_WIDTH = 7.0  # inches
_MOST_ROWS = 12  # clips that have a row of their own
_CLIP, _DECODED, _KEY = "#1f77b4", "#c9c9c9", "#d62728"


def draw_timeline(job: VideoJob, frames: Sequence[tuple[int, Any]]) -> Axes:
    """A new figure: the timeline above, and below it the sheet of `frames`, (number, pixels) each."""
    video = job.plan.video
    rows = ceil(len(frames) / _ACROSS)
    clips = min(len(job.plan.clips), _MOST_ROWS)
    high = 1.0 + 0.16 * (clips + 2)
    tall = _WIDTH / _ACROSS * video.height / video.width + 0.18
    figure = plt.figure(figsize=(_WIDTH, high + rows * tall + 0.2), layout="constrained")
    grid = figure.add_gridspec(2, 1, height_ratios=[high, max(rows * tall, 0.01)])
    axes = figure.add_subplot(grid[0])
    _timeline(axes, job, len(frames))
    sheet = grid[1].subgridspec(max(rows, 1), _ACROSS)
    for place, (number, pixels) in enumerate(frames):
        cell = figure.add_subplot(sheet[place // _ACROSS, place % _ACROSS])
        cell.imshow(pixels, interpolation="antialiased")
        cell.set_axis_off()
        cell.set_title(f"{float(video.times[number]):.3g} s", fontsize=6, pad=1.5)
    return axes


def _timeline(axes: Axes, job: VideoJob, shown_frames: int) -> None:
    plan, video = job.plan, job.plan.video
    seconds = [float(time) for time in video.times]
    shown = plan.clips[:_MOST_ROWS]
    names = [f"clip {number + 1}" for number in range(len(shown))]
    for row, clip in enumerate(shown):
        at = [seconds[frame] for frame in clip]
        axes.hlines(row, min(at), max(at), color=_CLIP, linewidth=0.8)
        axes.plot(at, [row] * len(at), "|", color=_CLIP, markersize=7)
    decoded, keys = len(shown), len(shown) + 1
    stored = {place: frame for frame, place in enumerate(video.places)}
    bars = []
    for stretch in plan.decoding.stretches:
        at = [seconds[stored[place]] for place in range(stretch.begin, stretch.end + 1) if place in stored]
        bars += [(min(at), max(max(at) - min(at), float(video.duration) / 400))] if at else []
    axes.broken_barh(bars, (decoded - 0.3, 0.6), color=_DECODED)
    axes.plot([seconds[key] for key in video.keys], [keys] * len(video.keys), "|", color=_KEY, markersize=9)
    axes.set_yticks(range(keys + 1), [*names, "decoded", "key frames"], fontsize=7)
    margin = float(video.duration) / 200
    axes.set_xlim(-margin, float(video.duration) + margin)
    axes.set_ylim(keys + 0.7, -0.7)
    axes.tick_params(axis="x", labelsize=7)
    axes.set_xlabel("seconds of video", fontsize=8)
    wanted = len(plan.decoding.wanted)
    pictures = f"; {shown_frames} of these below" if shown_frames < wanted else ""
    left = f", the first {len(shown)} of {len(plan.clips)} clips" if len(plan.clips) > len(shown) else ""
    frames = f"{plan.decoding.frames} of {video.frames} frames decoded for {wanted}"
    axes.set_title(f"{job.pipeline.name}: {frames}{left}{pictures}", fontsize=8, loc="left")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
