"""Which frames of a video each clip takes: clips spread over it, one after every hop, or one frame of each segment.

The ways are those of test protocols:

- dense: T frames, every stride-th one; K clips begin evenly between the first and the last place where one fits, and
  one clip stands in the middle (PySlowFast, slowfast/datasets/decoder.py, get_start_end_idx with use_offset);
- segments: the video is cut into T equal parts, and of each the middle frame is taken, so that a clip spans the video;
  of K clips the k-th takes the frame at (2k + 1) / 2K of each part (TSN, https://arxiv.org/abs/1608.00859; TSM's
  ops/dataset.py, _get_test_indices); where a network takes neighbours too, they follow that frame (TDN's
  ops/dataset.py);
- hop: a clip begins after every so many frames, as long as one fits.

A video with too few frames repeats its last one, as PySlowFast does.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ...core.errors import InputError
from ...core.one_line import OneLine
from .video_file import VideoFile

__all__ = ["DENSE", "SEGMENTS", "Sampling"]

DENSE = "dense"
SEGMENTS = "segments"


@dataclass(frozen=True, slots=True)
class Sampling(OneLine):
    """How clips are taken from a video.

    Arguments:
        frames: of a clip.
        stride: frames of the video from one frame of a clip to the next; of a video at `fps`, if that is given.
        clips: spread over the video; None where `hop` says how many there are.
        hop: frames from the beginning of one clip to that of the next.
        way: "dense" or "segments".
        fps: frames per second to which the video is resampled first, by showing at each time the frame that is on; None
            takes its own frames as they are.
        neighbours: frames that are taken together of each segment, one after another.
        after: frames beside each frame of a clip, at the next places, between which flow is computed.

    Raises:
        InputError: numbers below 1, or ways that exclude each other.
    """

    frames: int
    stride: int = 1
    clips: int | None = 1
    hop: int | None = None
    way: str = DENSE
    fps: Fraction | None = None
    neighbours: int = 1
    after: int = 0

    def __post_init__(self) -> None:
        for name in ("frames", "stride", "clips", "hop"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}", [("fix", f"give a {name} above 0, a whole number")])
        if (self.clips is None) == (self.hop is None):
            fix = "give views, such as 10x3, or a hop, such as 8"
            raise InputError("clips are spread over the video, or one begins after every hop", [("fix", fix)])
        if self.hop is not None and self.way == SEGMENTS:
            why = "a clip of segments spans the whole video, so there is no hop between clips"
            raise InputError(why, [("fix", "give --views instead of --hop, or --sampling dense")])
        if self.fps is not None and not self.fps > 0:
            raise InputError(f"fps is {float(self.fps):g}", [("fix", "give an fps above 0")])

    @property
    def span(self) -> int:
        """Frames of the video, from the first of a dense clip to its last, without those beside it."""
        return (self.frames - 1) * self.stride + 1

    def length(self, video: VideoFile) -> int:
        """Frames of the video, after it was resampled."""
        return video.frames if self.fps is None else max(int(video.duration * self.fps), 1)

    def begins(self, video: VideoFile) -> tuple[int, ...]:
        """Where each dense clip begins, in frames of the resampled video."""
        room = max(self.length(video) - self.span - self.after, 0)
        if self.hop is not None:
            return tuple(range(0, room + 1, self.hop))
        assert self.clips is not None
        if self.clips == 1:
            return (room // 2,)
        return tuple(room * clip // (self.clips - 1) for clip in range(self.clips))

    def _places(self, video: VideoFile) -> list[list[int]]:
        """The places of each clip in the resampled video, which may lie beyond its end."""
        if self.way == SEGMENTS:
            return [self._of_segments(clip, self.length(video)) for clip in range(self.clips or 1)]
        return [[begin + self.stride * i for i in range(self.frames)] for begin in self.begins(video)]

    def clips_of(self, video: VideoFile) -> tuple[tuple[int, ...], ...]:
        """The frames of each clip, as the video shows them: 0 is its first."""
        return tuple(tuple(self.frame(video, place) for place in clip) for clip in self._places(video))

    def pairs_of(self, video: VideoFile) -> set[tuple[int, int]]:
        """The pairs of neighbouring frames beside those of all clips, between which flow is computed; none twice."""
        starts = {place for clip in self._places(video) for place in clip}
        beside = {(start + step, start + step + 1) for start in starts for step in range(self.after)}
        return {(self.frame(video, first), self.frame(video, second)) for first, second in beside}

    def frame(self, video: VideoFile, place: int) -> int:
        """The frame at a place of the resampled video; beyond its end, the last."""
        place = min(place, self.length(video) - 1)
        return place if self.fps is None else video.frame_at(place / self.fps)

    def _of_segments(self, clip: int, length: int) -> list[int]:
        assert self.clips is not None
        segments = max(self.frames // self.neighbours, 1)
        part = Fraction(max(length - self.neighbours + 1, 1), segments)
        within = part * Fraction(2 * clip + 1, 2 * self.clips)
        begins = [int(part * segment + within) for segment in range(segments)]
        return [begin + step for begin in begins for step in range(self.neighbours)]

    def repeats(self, video: VideoFile) -> bool:
        """Whether the video is shorter than a clip, so that frames are taken again."""
        return self.length(video) < (self.frames if self.way == SEGMENTS else self.span + self.after)

    def unused(self, video: VideoFile) -> int:
        """Frames at the end in which no clip of a hop reaches."""
        if self.hop is None or self.repeats(video):
            return 0
        return self.length(video) - self.begins(video)[-1] - self.span - self.after

    def seconds(self, video: VideoFile) -> Fraction:
        """Seconds of video that a dense clip spans: each of its frames stands for `stride` frames."""
        return self.frames * self.stride / (self.fps or video.fps)

    def data(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "way": self.way,
            "frames": self.frames,
            "stride": self.stride if self.way == DENSE else None,
            "clips": self.clips,
            "hop": self.hop,
            "fps": None if self.fps is None else float(self.fps),
        }
