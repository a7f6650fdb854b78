"""The sizes that frames are resized to where both are multiples of a number, under a limit of pixels."""

from __future__ import annotations

from math import ceil, floor, sqrt

from ...core.errors import InputError
from ...core.protocol import Clip

__all__ = ["resized_to_multiples"]

_NARROWEST = 200  # the aspect ratio from which on the rules themselves refuse


def resized_to_multiples(clip: Clip, factor: int, least: int, most: float, *, floor_first: bool = False) -> Clip:
    """The clip with frames of multiples of `factor`, with `least` to `most` pixels where the aspect ratio allows it.

    Each side is rounded to the nearest multiple, half to even. Beyond a limit both are scaled by one number first, and
    rounded down where they were too large, up where they were too small. With `floor_first` a frame that became too
    small by rounding down is rounded up again.

    Raises:
        InputError: the frame is 200 times as long as wide.
    """
    frames, height, width = clip.sizes
    if max(height, width) > _NARROWEST * min(height, width):
        fix = f"give a frame at most {_NARROWEST} times as long as wide"
        raise InputError(f"the model refuses frames of {height}×{width}", [("fix", fix)])
    h, w = (max(factor, round(side / factor) * factor) for side in (height, width))
    if h * w > most:
        scale = sqrt(height * width / most)
        h, w = (max(factor, floor(side / scale / factor) * factor) for side in (height, width))
        if not floor_first:
            return Clip(frames, h, w)
    if h * w < least:
        scale = sqrt(least / (height * width))
        h, w = (ceil(side * scale / factor) * factor for side in (height, width))
    return Clip(frames, h, w)
