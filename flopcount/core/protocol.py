"""What goes in: the clip (T×H×W), its sampling from the video, the batch, and the views of one video.

Nothing here needs torch, so the command can refuse a malformed clip before loading anything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from .errors import InputError
from .units import exact, seconds, si, times

__all__ = ["LECTURE_FPS", "ONE_VIEW", "Clip", "Protocol", "Views", "describe_clip", "layout_of"]

LECTURE_FPS = 5  # the lecture's own example: 16 frames at 5 fps are 3.2 s
_RAW_VIDEO = ((640, 480), (1920, 1080))  # the lecture's raw videos, 3 bytes a pixel
_RAW_FPS = 30
_COLOURS = 3


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames, height and width of one clip; `Clip.parse("16x112x112")`."""

    frames: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if min(self.sizes) < 1:
            raise InputError(f"clip {self} is empty", [("fix", "every size must be at least 1, such as 16x112x112")])

    @classmethod
    def parse(cls, text: str | tuple[int, ...] | Clip) -> Clip:
        """Read "TxHxW" (× and * work too) or a (T, H, W) tuple."""
        if isinstance(text, Clip):
            return text
        sizes = tuple(text) if not isinstance(text, str) else _numbers(text)
        if len(sizes) != 3 or not all(isinstance(size, int) for size in sizes):
            raise InputError(
                f"clip {text!r} is not frames x height x width",
                [("fix", "write three whole numbers, such as --clip 16x112x112")],
            )
        return cls(*sizes)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """(T, H, W)."""
        return self.frames, self.height, self.width

    def __str__(self) -> str:
        return times(self.sizes)

    @property
    def code(self) -> str:
        """The form the command reads: 16x112x112."""
        return "x".join(map(str, self.sizes))


@dataclass(frozen=True, slots=True)
class Views:
    """A testing protocol: clips per video times crops per clip."""

    clips: int = 1
    crops: int = 1

    def __post_init__(self) -> None:
        if min(self.clips, self.crops) < 1:
            raise InputError(f"views {self} are not at least 1x1", [("fix", "write CLIPSxCROPS, such as 10x3")])

    @classmethod
    def parse(cls, views: str | int | tuple[int, int] | Views | None) -> Views:
        """Read "10x3" (10 clips, 3 crops), (10, 3), 10 (clips of one crop) or None (a single view)."""
        if views is None:
            return cls()
        if isinstance(views, Views):
            return views
        several = _numbers(views) if isinstance(views, str) else views if isinstance(views, (tuple, list)) else ()
        numbers = (views,) if isinstance(views, int) else tuple(several)
        if len(numbers) not in (1, 2) or not all(isinstance(number, int) for number in numbers):
            raise InputError(f"views {views!r} are not CLIPSxCROPS", [("fix", "write two numbers, such as 10x3")])
        return cls(*numbers)

    @property
    def count(self) -> int:
        """Forward passes per video."""
        return self.clips * self.crops

    def __str__(self) -> str:
        return f"{self.clips}×{self.crops}"


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a model is fed and tested: views per video, sampling stride, frame rate, and samples in one pass.

    None leaves a value to the model or its input: the batch is then the input's, or one clip for a model by name.
    """

    views: Views = field(default_factory=Views)
    stride: int | None = None
    fps: float | None = None
    batch: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "views", Views.parse(self.views))
        for name, value in (("stride", self.stride), ("batch", self.batch)):
            if value is not None and (not isinstance(value, int) or value <= 0):
                raise InputError(f"{name} is {value!r}", [("fix", f"give a {name} above 0, a whole number")])
        if self.fps is not None and (not isinstance(self.fps, (int, float)) or not 0 < self.fps < inf):
            raise InputError(f"fps is {self.fps!r}", [("fix", "give an fps above 0")])


ONE_VIEW = Protocol()
"""The protocol where the caller says nothing."""

_COLOURS_OF = (1, 2, 3, 4)


def layout_of(shape: Sequence[int]) -> str:
    """The names of an input's axes: BCTHW or BCHW, and BTCHW where only the third axis can be colours; else `?`s."""
    if len(shape) == 5:
        return "BTCHW" if shape[1] not in _COLOURS_OF and shape[2] in _COLOURS_OF else "BCTHW"
    return "BCHW" if len(shape) == 4 else "?" * len(shape)


def _numbers(text: str) -> tuple[int, ...]:
    parts = re.split(r"[x×*]", text.strip().lower())
    return tuple(int(part) for part in parts) if all(re.fullmatch(r"\s*\d{1,18}\s*", part) for part in parts) else ()


def describe_clip(clip: Clip, *, fps: float | None = None, stride: int = 1) -> str:
    """The clip as data: its bytes, the time it spans, and the size of raw video beside it.

    The default frame rate is the lecture's 5 fps, and the text shows it. A clip of T frames at stride s spans T·s
    frames.
    """
    rate = LECTURE_FPS if fps is None else fps
    size = _COLOURS * clip.frames * clip.height * clip.width
    every = "" if stride == 1 else f", every {_ordinal(stride)} frame"
    span = seconds(clip.frames * stride / rate)
    raw = ", ".join(f"{si(_raw_bytes_per_minute(w, h), 'B')} at {w}×{h}" for w, h in _RAW_VIDEO)
    return (
        f"clip: {_COLOURS}×{clip} = {exact(size)} bytes as uint8; {span} at {rate:g} fps{every}\n"
        f"a minute of raw video at {_RAW_FPS} fps: {raw}"
    )


def _raw_bytes_per_minute(width: int, height: int) -> int:
    return _COLOURS * width * height * _RAW_FPS * 60


def _ordinal(number: int) -> str:
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
