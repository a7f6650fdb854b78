"""What goes in: the clip (T×H×W), its sampling from the video, the batch, and the views of one video.

Nothing here needs torch, so the command can refuse a malformed clip before loading anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

from .errors import InputError
from .units import ordinal, seconds, times

__all__ = ["ONE_VIEW", "Clip", "Protocol", "Views", "clip_among", "describe_clip", "layout_of", "shared_batch"]


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
        sizes = _numbers(text) if isinstance(text, str) else tuple(text) if isinstance(text, (tuple, list)) else ()
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

    None leaves a value to the model or its input: the batch is then the axis that all inputs share (`shared_batch`), or
    one clip for a model by name. A frame rate that nobody gives stays unknown.
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

_RGB = 3
_COLOURS = (_RGB, 1, 2, 4)  # of grey pictures, optical flow, and latents or an alpha channel; three above all
_PICTURE_AXES = 4


def layout_of(shape: Sequence[int]) -> str:
    """The names of an input's axes: BCHW, and BTCHW or BCTHW by where the colours can be; else `?`s.

    Names say nothing of what the axes hold: latents and feature maps have them too (`clip_among` tells clips).
    """
    if len(shape) == 5:
        return "BTCHW" if _colour_axis(shape) == 2 else "BCTHW"
    return "BCHW" if len(shape) == 4 else "?" * len(shape)


def _colour_axis(shape: Sequence[int]) -> int | None:
    """Which axis of five holds colours: one of 3 where there is one, channels before frames; None if neither can be."""
    if len(shape) != 5:
        return None
    return next((axis for group in (_COLOURS[:1], _COLOURS) for axis in (1, 2) if shape[axis] in group), None)


def clip_among(shapes: Iterable[Sequence[int]]) -> Clip | None:
    """T×H×W of the input that is a clip of video, by its shape: five axes, of which one can be colours.

    Three colours are a clip beside other inputs too. One or two channels are one only if all inputs of four axes or
    more are its pathways, of as many channels and the same size: beside feature maps they are a cost volume. Of several
    pathways the one with the most frames is the clip, and the others sample it. The shapes are those of floating-point
    inputs; latents, of 4 or 16 channels, are no clip.
    """
    clips: list[tuple[int, Clip]] = []
    others = 0
    for shape in shapes:
        axis = _colour_axis(shape)
        if axis is not None and 0 not in shape and shape[axis] <= _RGB:
            sizes = dict(zip(layout_of(shape), shape, strict=True))
            clips.append((shape[axis], Clip(sizes["T"], sizes["H"], sizes["W"])))
        else:
            others += len(shape) >= _PICTURE_AXES
    coloured = [clip for colours, clip in clips if colours == _RGB]
    alike = len({(colours, clip.height, clip.width) for colours, clip in clips}) == 1 and not others
    pathways = coloured or ([clip for _, clip in clips] if alike else [])
    return max(pathways, key=lambda clip: clip.frames, default=None)


def shared_batch(shapes: Iterable[Sequence[int]]) -> int | None:
    """The batch that inputs of these shapes have: the size of the first axis, where it is the same for all of them.

    Scalars and empty tensors say nothing of it. None where the others differ, as 64 patches and the grid of one
    picture do: which of the two is the batch, if any, only the caller knows.
    """
    leading = {shape[0] for shape in shapes if len(shape) and 0 not in shape}
    return leading.pop() if len(leading) == 1 else None


def _numbers(text: str) -> tuple[int, ...]:
    parts = re.split(r"[x×*]", text.strip().lower())
    return tuple(int(part) for part in parts) if all(re.fullmatch(r"\s*\d{1,18}\s*", part) for part in parts) else ()


def describe_clip(clip: Clip, *, fps: float | None = None, stride: int = 1) -> str:
    """The clip, its stride, and the time that it spans: T frames at stride s span T·s frames of the video.

    The time is unknown, and left out, where no frame rate is given.
    """
    every = "" if stride == 1 else f", every {ordinal(stride)} frame"
    span = "" if fps is None else f"; {seconds(clip.frames * stride / fps)} at {fps:g} fps"
    return f"{clip}{every}{span}"
