"""What happens to a decoded frame before a network sees it: resized, cropped, and normalised.

A resize keeps the shape of the frame and rounds the longer side down, as PySlowFast does (slowfast/datasets/
transform.py, random_short_side_scale_jitter). A crop is a view, and costs nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...core.errors import InputError
from ...core.units import times

__all__ = ["Preprocess", "Resize", "parse_resize"]

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet; any others cost the same
_WHITE = 255


@dataclass(frozen=True, slots=True)
class Resize:
    """How large frames become: their shorter side, or both sides; None leaves as much as a crop needs.

    Raises:
        InputError: a size below 1.
    """

    short: int | None = None
    height: int | None = None
    width: int | None = None

    def __post_init__(self) -> None:
        for size in (self.short, self.height, self.width):
            if size is not None and size < 1:
                raise InputError(f"a frame of {size} pixels", [("fix", "give sizes above 0, such as short=256")])

    def size(self, frame: tuple[int, int], crop: tuple[int, int], path: str) -> tuple[int, int]:
        """Height and width after the resize, of a frame (height, width) from which a crop is taken.

        Raises:
            InputError: the crop does not fit; the message names the file, `path`.
        """
        size = self._size(frame, crop)
        if size[0] < crop[0] or size[1] < crop[1]:
            seen = f"frames of {times(frame)} become {times(size)}, which the crop of {times(crop)} does not fit in"
            fix = f"give --resize short={max(crop)} or more, or --resize {crop[0]}x{crop[1]}"
            raise InputError(f"{path} is resized to too little", [("seen", seen), ("fix", fix)])
        return size

    def _size(self, frame: tuple[int, int], crop: tuple[int, int]) -> tuple[int, int]:
        height, width = frame
        if self.height is not None and self.width is not None:
            return self.height, self.width
        if self.short is None:  # the smallest that the crop fits in
            if crop[0] * width >= crop[1] * height:
                return crop[0], width * crop[0] // height
            return height * crop[1] // width, crop[1]
        if height <= width:
            return self.short, width * self.short // height
        return height * self.short // width, self.short

    def __str__(self) -> str:
        if self.height is not None:
            return f"{self.height}x{self.width}"
        return f"short={self.short}" if self.short is not None else "as large as the crop"


def parse_resize(text: str) -> Resize:
    """From "short=256", or height and width as "256x340" (× and * work too).

    Raises:
        InputError: it is neither.
    """
    plain = text.strip().lower()
    if match := re.fullmatch(r"short=(\d{1,9})", plain):
        return Resize(short=int(match[1]))
    if match := re.fullmatch(r"(\d{1,9})[x×*](\d{1,9})", plain):
        return Resize(height=int(match[1]), width=int(match[2]))
    fix = "write short=256 for the shorter side, or height x width, such as 256x340"
    raise InputError(f"resize {text!r} is no size", [("fix", fix)])


class Preprocess(nn.Module):
    """Frames (B, 3, H, W) of bytes -> what networks take: floats (B, 3, h, w), resized and normalised.

    Arguments:
        size: height and width that come out; None leaves them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, size: tuple[int, int] | None) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        """Bilinear, on values in 0..1."""
        x = frames.float() / _WHITE
        if self.size is not None:
            x = functional.interpolate(x, self.size, mode="bilinear", align_corners=False)
        return (x - self.mean) / self.std
