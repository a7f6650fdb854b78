"""What it costs to look at a video file with a network: what `flopcount video` calls for one file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...core.model_spec import ModelSpec
from ...core.protocol import Clip, Protocol, Views
from .lookout import Lookout
from .reading import read_video
from .resize import Resize, parse_resize
from .video_job import VideoJob
from .view_request import ViewRequest

__all__ = ["count_video"]


def count_video(
    path: str | Path,
    model: str,
    *,
    views: str | int | tuple[int, int] | Views | None = None,
    hop: int | None = None,
    sampling: str | None = None,
    resize: str | Resize = "",
    flow: str | None = None,
    online: bool = False,
    stride: int | None = None,
    fps: float | None = None,
    batch: int | None = None,
    clip: str | tuple[int, ...] | Clip | None = None,
    num_classes: int | None = None,
    options: Mapping[str, Any] | None = None,
    dtype: str | None = None,
    dataflow: bool = False,
    progress: Callable[[str], None] = lambda what: None,
) -> VideoJob:
    """The whole job for one video file: decode, resize, optical flow where the network takes it, and every view.

        >>> job = count_video("clip.mp4", "slowfast_r50_8x8", views="10x3", resize="short=256")
        >>> job.plan.decoding.frames, job.pipeline.macs

    Arguments:
        path: of the file; only its container is read, and one frame for its rotation.
        model: as for `count_model`.
        views: clips spread over the video, and crops of each; by default those of the network's published accuracy.
        hop: frames from the beginning of one clip to that of the next, instead of a number of clips.
        sampling: "dense" or "segments"; by default as the network is tested.
        resize: "short=256", or height and width as "256x340"; by default what the crop needs.
        flow: "tvl1", "raft", "raft_small" or "pwc_net".
        online: a streaming network sees each frame once, by steps.
        stride: frames of the video from one frame of a clip to the next.
        fps: the rate to which the video is resampled first; by default its own frames are taken.
        batch: views in one pass.
        clip: as for `count_model`.
        num_classes: as for `count_model`.
        options: as for `count_model`.
        dtype: of the weights.
        dataflow: follow the data of every stage, as a time on a device needs it.
        progress: called with what is being counted.

    Raises:
        InputError: the file cannot be read, the options exclude each other, or the network takes no frames.
        UnknownNameError: no such network, sampling or flow.
        FlopcountError: the network cannot be counted.
    """
    wanted = resize if isinstance(resize, Resize) else parse_resize(resize)
    request = ViewRequest(None if views is None else Views.parse(views), hop, sampling, wanted, flow, online)
    spec = ModelSpec.of(model, clip=clip, num_classes=num_classes, options=options, dtype=dtype)
    protocol = Protocol(stride=stride, fps=fps, batch=batch)
    video = read_video(path)
    return Lookout(spec, protocol, request, dataflow=dataflow, progress=progress).look_at(video)
