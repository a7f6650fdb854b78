"""How large the frames of a video become before a crop of them is taken.

A resize keeps the shape of the frame and rounds the longer side down, as PySlowFast does (slowfast/datasets/
transform.py, random_short_side_scale_jitter).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...core.errors import InputError
from ...core.units import times

__all__ = ["Resize", "parse_resize"]


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
    """From "short=256", or height and width as "256x340" (× and * work too); "" is as large as a crop needs.

    Raises:
        InputError: it is neither.
    """
    plain = text.strip().lower()
    if not plain:
        return Resize()
    if match := re.fullmatch(r"short=(\d{1,9})", plain):
        return Resize(short=int(match[1]))
    if match := re.fullmatch(r"(\d{1,9})[x×*](\d{1,9})", plain):
        return Resize(height=int(match[1]), width=int(match[2]))
    fix = "write short=256 for the shorter side, or height x width, such as 256x340"
    raise InputError(f"resize {text!r} is no size", [("fix", fix)])
