"""A network that looks at videos -> a job for each; views, sampling and flow that nobody named are the usual."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from ...core.errors import InputError
from ...core.model_spec import ModelSpec
from ...core.protocol import Protocol
from ...core.units import ordinal, times
from ...facts.tested_views import tested_views
from ...models import CARDS
from ..stage import Stage
from .needs import Needs
from .plan import plan
from .sampling import DENSE, SEGMENTS, Sampling
from .video_file import VideoFile
from .video_job import Counts, VideoJob
from .view_request import ViewRequest

__all__ = ["Lookout"]

_FLOW = "tvl1"  # that of the papers whose networks take flow


class Lookout:
    """A network that looks at one video after another in the same way; it is counted once.

    Raises:
        InputError: it takes no frames, or not what is asked for; so before any video is read.
        FlopcountError: it cannot be counted.
    """

    def __init__(
        self,
        spec: ModelSpec,
        protocol: Protocol,
        request: ViewRequest,
        *,
        dataflow: bool = False,
        progress: Callable[[str], None] = lambda what: None,
    ) -> None:
        self.counts = Counts(spec, protocol, dataflow, progress)
        self.request, self.batch = request, protocol.batch or 1
        self.needs = self.counts.needs
        if request.online and self.batch > 1:
            why = f"a network that runs online sees one frame after another, and --batch {self.batch} is of clips"
            raise InputError(why, [("fix", "leave out --online or --batch")])
        if request.flow is not None and not self.needs.flows:
            takers = "two_stream, two_stream_i3d"
            fix = f"leave out --flow, or choose a network that takes flow: {takers}"
            raise InputError(f"{spec.name} takes no optical flow", [("fix", fix)])

    @property
    def _spec(self) -> ModelSpec:
        return self.counts.spec

    def look_at(self, video: VideoFile) -> VideoJob:
        """The whole job for one video.

        Raises:
            FlopcountError: frames become smaller than a crop, or a stage cannot be counted.
        """
        if self.request.online:
            return self._follow(video)
        sampling, crops, notes = self._sampling(video)
        planned = plan(video, self.needs, sampling, crops, self.request.resize)
        flow = (self.request.flow or _FLOW) if self.needs.flows else None
        if flow is not None and self.request.flow is None:
            notes.append(f"flow: {flow}, as nobody chose another with --flow")
        network = self.counts.network_stages(planned.views.count, self.batch)
        return self.counts.job(planned, flow, network, notes)

    def _follow(self, video: VideoFile) -> VideoJob:
        """A streaming network on every stride-th frame: its first clip at once, then a step for each new frame."""
        stride, rate = self._stride, self._rate
        resampled = Sampling(1, fps=rate).length(video)
        frames = -(-resampled // stride)
        steps = self.counts.steps(frames)
        frames = max(frames, steps.frames)
        sampling = Sampling(frames, stride, None, resampled, fps=rate)
        needs = replace(self.needs, frames=steps.frames)
        planned = plan(video, needs, sampling, 1, self.request.resize)
        network = [Stage("first clip", steps.first, 1, weights="network")]
        if frames > steps.frames:
            network.append(Stage("step", steps.step, frames - steps.frames, weights="network"))
        every = "each frame" if stride == 1 else f"every {ordinal(stride)} frame"
        note = f"online: {every} is seen once; a clip of {steps.frames} frames at first, then a step for each new one"
        return self.counts.job(planned, None, network, [note])

    @property
    def _stride(self) -> int:
        stride = self.counts.protocol.stride
        return stride or (self.counts.network(1).input.stride if self.needs.frames > 1 else 1)

    @property
    def _rate(self) -> Fraction | None:
        fps = self.counts.protocol.fps
        return None if fps is None else Fraction(str(fps))

    def _sampling(self, video: VideoFile) -> tuple[Sampling, int, list[str]]:
        """How clips are taken, crops of each, and what nobody asked for."""
        needs, request = self.needs, self.request
        clips, crops, hop, notes = self._views(video, needs)
        card = CARDS.get(self._spec.name)
        way = request.sampling or (card.sampling if card is not None and hop is None else DENSE)
        neighbours = card.segment_frames if card is not None and way == SEGMENTS else 1
        if needs.frames % neighbours:
            neighbours = 1
        stride = self._stride
        if way == SEGMENTS and self.counts.protocol.stride is not None:
            why = f"{self._spec.name} takes frames of segments of the video, and --stride is of dense clips"
            raise InputError(why, [("fix", "leave out --stride, or give --sampling dense")])
        if way == SEGMENTS:
            parts = needs.frames // neighbours
            notes.append(
                f"sampling: {neighbours} frame{'s' * (neighbours > 1)} of each of {parts} segments of the video"
            )
        elif needs.frames > 1:
            notes.append(f"sampling: {needs.frames} frames of each clip, {stride} apart")
        sampling = Sampling(
            needs.frames, stride, clips, hop, way=way, fps=self._rate, neighbours=neighbours, after=needs.beside
        )
        return sampling, crops, notes

    def _views(self, video: VideoFile, needs: Needs) -> tuple[int | None, int, int | None, list[str]]:
        """Clips or a hop between them, and crops."""
        request = self.request
        if request.hop is not None:
            return None, request.views.crops if request.views else 1, request.hop, []
        if request.views is not None:
            return request.views.clips, request.views.crops, None, []
        if needs.boxes:
            hop = max(round(self.counts.protocol.fps or video.fps), 1)
            boxes = f"{needs.boxes} box{'es' * (needs.boxes > 1)} in each"
            note = (
                f"views: a clip every second, as AVA is labelled; {boxes}, and the detector that finds them not counted"
            )
            return None, 1, hop, [note]
        tested = tested_views(self._spec.name)
        if tested is None:
            return 1, 1, None, ["views: one clip in the middle; give others with --views or --hop"]
        there = (tested.height, tested.width)
        crop = "" if there == (needs.height, needs.width) else f", there of crops of {times(there)}"
        return tested.clips, tested.crops, None, [f"views: {tested.words}{crop}; give others with --views or --hop"]
