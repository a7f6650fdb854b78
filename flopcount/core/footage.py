"""A clip as data: its bytes, the time it spans, the frames of a video it is taken from, and raw video beside it.

This is the lecture's arithmetic on why networks see short, small clips. A frame rate is only in it where one is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import inf
from typing import Any

from .errors import InputError
from .protocol import Clip
from .table import Column, Table
from .units import exact, ordinal, times

__all__ = ["RAW_FPS", "RAW_VIDEO", "Footage", "parse_frame_size"]

RAW_VIDEO = ((640, 480), (1920, 1080))
"""Width and height of the lecture's raw videos."""
RAW_FPS = 30
"""The lecture's frame rate of raw video."""
_COLOURS = 3
_ITEMSIZES = {"uint8": 1, "float32": 4}
_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Footage:
    """A clip of colour video, and how it is taken from a video.

    The clip has one of every `stride` frames at `fps` frames per second; `video_fps` is the video's own rate. What is
    None is unknown, and so is all that follows from it. `raw` has the widths and heights of raw videos to compare with.
    """

    clip: Clip
    fps: float | None = None
    stride: int = 1
    video_fps: float | None = None
    raw: tuple[tuple[int, int], ...] = RAW_VIDEO

    def __post_init__(self) -> None:
        for option, rate in (("fps", self.fps), ("of", self.video_fps)):
            if rate is not None and not 0 < rate < inf:
                raise InputError(f"{option} is {rate!r}", [("fix", f"give an {option} above 0")])
        if self.stride < 1:
            raise InputError(f"stride is {self.stride!r}", [("fix", "give a stride above 0, a whole number")])
        if self.video_fps is not None and self.fps is None:
            why = f"of a video of {self.video_fps:g} fps nobody knows how many frames the clip skips"
            raise InputError(why, [("fix", "give the rate of the clip's own frames too: --fps 5")])
        if self.step is not None and self.step < 1:
            why = f"a video of {self.video_fps:g} fps does not have {_number(1 / self._spacing)} frames a second"
            raise InputError(why, [("fix", "give an --fps up to that of the video")])

    @property
    def values(self) -> int:
        """Numbers in the clip: three colours a pixel."""
        frames, height, width = self.clip.sizes
        return _COLOURS * frames * height * width

    def nbytes(self, dtype: str) -> int:
        """Bytes of the clip as "uint8" or "float32"."""
        return self.values * _ITEMSIZES[dtype]

    @property
    def _spacing(self) -> Fraction:
        """Seconds from one frame of the clip to the next; only where `fps` is known."""
        assert self.fps is not None
        return self.stride / Fraction(str(self.fps))

    @property
    def span(self) -> Fraction | None:
        """Seconds of the video that the clip spans."""
        return None if self.fps is None else self.clip.frames * self._spacing

    @property
    def step(self) -> Fraction | None:
        """Frames of the video from one frame of the clip to the next."""
        return None if self.video_fps is None or self.fps is None else self._spacing * Fraction(str(self.video_fps))

    @property
    def video_frames(self) -> Fraction | None:
        """Frames of the video that the clip spans."""
        return None if self.step is None else self.clip.frames * self.step

    @property
    def raw_fps(self) -> float:
        """Frames per second of the raw videos: the video's own rate, or else the lecture's."""
        return RAW_FPS if self.video_fps is None else self.video_fps

    def raw_bytes(self, width: int, height: int) -> Fraction:
        """Bytes of a minute of raw video of that size, of one byte for each colour."""
        return _COLOURS * width * height * _MINUTE * Fraction(str(self.raw_fps))

    def table(self) -> Table:
        """One row per amount, with its arithmetic."""
        columns = (Column("what", "text"), Column("amount"), Column("arithmetic", "text", drop=1, tone="quiet"))
        title = f"{self.clip} clip of {_COLOURS} colours"
        if self.stride != 1:
            title += f", every {ordinal(self.stride)} frame"
        raw = f"raw video: {self.raw_fps:g} fps, {_COLOURS} colours of one byte a pixel, nothing compressed"
        return Table(title, columns, tuple(self._rows()), None, (raw,) if self.raw else ())

    def _rows(self) -> Iterator[tuple[str, int | float, str]]:
        sizes = "·".join(map(str, (_COLOURS, *self.clip.sizes)))
        for dtype, itemsize in _ITEMSIZES.items():
            nbytes = self.nbytes(dtype)
            factors = sizes if itemsize == 1 else f"{sizes}·{itemsize}"
            yield f"bytes as {dtype}", nbytes, f"{factors} = {exact(nbytes)}"
        if self.span is not None:
            frames = f"{self.clip.frames}" if self.stride == 1 else f"{self.clip.frames}·{self.stride}"
            yield f"seconds at {self.fps:g} fps", _plain(self.span), f"{frames} / {self.fps:g} = {_number(self.span)}"
        if self.video_frames is not None and self.step is not None:
            how = f"{self.clip.frames}·{_number(self.step)} = {_number(self.video_frames)}: {_every(self.step)}"
            yield f"frames of a {self.video_fps:g} fps video", _plain(self.video_frames), how
        for width, height in self.raw:
            raw = self.raw_bytes(width, height)
            how = f"{_COLOURS}·{width}·{height}·{self.raw_fps:g}·{_MINUTE} = {_number(raw)}"
            yield f"bytes of a raw minute, {times((width, height))}", _plain(raw), how

    def data(self) -> dict[str, Any]:
        """For JSON; what is unknown is null."""
        video = None
        if self.video_frames is not None and self.step is not None:
            video = {"fps": self.video_fps, "frames": _plain(self.video_frames), "every": _plain(self.step)}
        return {
            "schema": "flopcount/clip/1",
            "clip": self.clip.code,
            "colours": _COLOURS,
            "stride": self.stride,
            "fps": self.fps,
            "bytes": {dtype: self.nbytes(dtype) for dtype in _ITEMSIZES},
            "seconds": None if self.span is None else _plain(self.span),
            "video": video,
            "raw_minute": [
                {"width": width, "height": height, "fps": self.raw_fps, "bytes": _plain(self.raw_bytes(width, height))}
                for width, height in self.raw
            ],
        }


def parse_frame_size(text: str) -> tuple[int, int]:
    """Width and height of "640x480" (× and * work too).

    Raises:
        InputError: the text is not two whole numbers above 0.
    """
    match = re.fullmatch(r"\s*(\d{1,18})\s*[x×*]\s*(\d{1,18})\s*", text.lower())
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if not min(size):
        raise InputError(f"size {text!r} is not width x height", [("fix", "write two whole numbers, such as 640x480")])
    return size


def _every(step: Fraction) -> str:
    """Which frames of the video are in the clip."""
    if step.denominator == 1:
        return "all of them" if step == 1 else f"every {ordinal(int(step))} frame"
    return f"one in {_number(step)} frames"


def _number(value: Fraction) -> str:
    """A whole number, or up to six significant digits."""
    return exact(int(value)) if value.denominator == 1 else f"{float(value):.6g}"


def _plain(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)
