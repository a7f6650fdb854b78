"""What is taken from one video for a network: the clips, what must be decoded for them, and the sizes of frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...core.one_line import OneLine
from ...core.protocol import Views
from ...core.units import plural
from .decoding import Decoding, decoding
from .needs import Needs
from .resize import Resize
from .sampling import DENSE, Sampling
from .video_file import VideoFile

__all__ = ["Plan", "plan"]


@dataclass(frozen=True)
class Plan(OneLine):
    """One video and a network that looks at it.

    Arguments:
        video: the file.
        needs: what the network takes.
        sampling: how clips are taken.
        crops: of each clip.
        clips: the frames of each clip.
        pairs: pairs of neighbouring frames between which flow is computed, each once.
        decoding: what is decoded for all that.
        size: height and width of a frame after the resize.
    """

    video: VideoFile
    needs: Needs
    sampling: Sampling
    crops: int
    clips: tuple[tuple[int, ...], ...]
    pairs: int
    decoding: Decoding
    size: tuple[int, int]

    @property
    def views(self) -> Views:
        """Clips and crops of each."""
        return Views(len(self.clips), self.crops)

    @property
    def frame(self) -> tuple[int, int]:
        """Height and width of a frame of the video."""
        return self.video.height, self.video.width

    @property
    def clip_bytes(self) -> int:
        """Bytes of the frames of one clip as uint8, as large as they are in the video."""
        return 3 * self.needs.frames * self.video.height * self.video.width

    @property
    def input_bytes(self) -> int:
        """Bytes of the frames of one clip as float32, as the network gets them."""
        return 4 * self.needs.colours

    @property
    def flow_bytes(self) -> int:
        """Bytes of the fields of optical flow of one clip as float32, as the network gets them beside its frames."""
        return 4 * 2 * self.needs.flows * self.needs.height * self.needs.width

    @property
    def dense(self) -> bool:
        """Whether a clip is a stretch of the video, not a sample of all of it."""
        return self.sampling.way == DENSE

    def lines(self) -> Iterator[str]:
        """What a reader of a table has to know."""
        video, sampling, taken = self.video, self.sampling, self.decoding
        yield from (f"{video.path}: {note}" for note in video.notes)
        if video.alpha:
            yield f"{video.path}: its alpha channel is decoded and not used"
        at = "" if sampling.fps is None else f" at {float(sampling.fps):g} fps"
        if sampling.repeats(video):
            frames = f"{plural(length := sampling.length(video), 'frame')}{at} {_are(length)} fewer than a clip spans"
            again = "its last frame is repeated" if self.dense else "some are taken again"
            yield f"{video.path}: {frames}; {again}"
        if unused := sampling.unused(video):
            yield f"{video.path}: its last {plural(unused, 'frame')}{at} {_are(unused)} in no clip"
        stored = len(video.packets)
        of = f"{video.frames} frames" if stored == video.frames else f"{stored} stored frames"
        wanted = len(taken.wanted)
        before = f"{wanted} {_are(wanted)} needed, and what is before {'it' if wanted == 1 else 'them'}"
        yield f"decode: {taken.frames} of {of} {_are(taken.frames)} decoded, since {before} from a key frame on"

    def data(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "video": self.video.data(),
            "sampling": self.sampling.data(),
            "views": {"clips": len(self.clips), "crops": self.crops},
            "clips": [list(clip) for clip in self.clips],
            "seconds_per_clip": float(self.sampling.seconds(self.video)),
            "decode": {
                "wanted_frames": len(self.decoding.wanted),
                "wanted": list(self.decoding.wanted),
                "frames": self.decoding.frames,
                "stretches": [[s.begin, s.end] for s in self.decoding.stretches],
                "pixels": self.decoding.pixels,
                "packet_bytes": self.decoding.nbytes,
            },
            "flow_pairs": self.pairs,
            "resized": list(self.size),
            "clip_bytes": {
                "uint8": self.clip_bytes,
                "float32": self.input_bytes,
                **({"flow_float32": self.flow_bytes} if self.needs.flows else {}),
            },
        }

    def _headline(self) -> str:
        decoded = f"{self.decoding.frames} frames decoded"
        return f"{self.video.name}: {self.views} views of {self.needs.frames} frames, {decoded}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def plan(video: VideoFile, needs: Needs, sampling: Sampling, crops: int, resize: Resize) -> Plan:
    """What a network takes of a video.

    Raises:
        InputError: frames are resized to less than a crop.
    """
    clips = sampling.clips_of(video)
    wanted = {frame for clip in clips for frame in clip}
    pairs: set[tuple[int, int]] = set()
    if needs.flows:
        pairs = sampling.pairs_of(video)
        wanted |= {frame for pair in pairs for frame in pair}
    size = resize.size((video.height, video.width), (needs.height, needs.width), video.path)
    return Plan(video, needs, sampling, crops, clips, len(pairs), decoding(video, wanted), size)
