"""Forms in which encoders take an image: pixels, tiles of pixels, or patches laid out in several ways.

What a configuration and the layers do not tell, the encoder does: it fails on a form that it does not take.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

from .fields import field_of, picture_of

__all__ = ["PATCHES", "other_forms"]

PATCHES = 16  # rows and columns of an image that is given as a list of patches


def other_forms(config: Any, first: Any, batch: int) -> Iterator[tuple[int, ...]]:
    """Shapes of the images of a batch beside the first that was tried, which is theirs in pixels or in patches."""
    colours, height, width = picture_of(config)
    patch = field_of(config, ("patch_size",), "image") or PATCHES
    frames = field_of(config, ("temporal_patch_size",), "image")
    merged = (field_of(config, ("spatial_merge_size",), "image") or 1) * patch
    count = batch * PATCHES**2
    if not isinstance(first, tuple):
        return
    if first[0] == count:
        yield count, prod(first[1:])  # each patch as a vector
        yield count, merged, merged, colours  # all that become one token, colours last
    elif len(first) == 4:
        yield batch, 1, colours, height, width  # a tile of each image
        yield 1, colours, patch, count * patch  # the patches of all images in one row
    if isinstance(frames, int):
        yield count, frames, patch, patch, colours  # patches over time, colours last
