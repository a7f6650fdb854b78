"""Sizes that the builder of a network needs for its last layers."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from torch import nn

from ...core.errors import InputError
from ...core.protocol import Clip
from ...core.units import times

__all__ = ["one_frame", "positions_after", "sizes_after"]


def positions_after(pools: Mapping[str, nn.MaxPool3d], clip: Clip) -> int:
    """The remaining T·H·W of a clip after these layers, in order.

    Raises:
        InputError: the clip is too small; the message names the layer and the shape it would get.
    """
    return prod(sizes_after(pools, clip.sizes, clip))


def sizes_after(layers: Mapping[str, nn.Module], sizes: tuple[int, ...], clip: Clip) -> tuple[int, ...]:
    """The remaining sizes, (T, H, W) or (H, W), after these convolutions and pools, in order.

    Raises:
        InputError: the clip is too small; the message names the layer and the shape it would get.
    """
    for name, layer in layers.items():
        part: Any = layer  # convolutions and pools have the same names of sizes, but no common class
        kernel, stride, padding = (_each(n, len(sizes)) for n in (part.kernel_size, part.stride, part.padding))
        sign = -1 if getattr(part, "ceil_mode", False) else 1  # -(-a // b) rounds up
        out = tuple(
            sign * (sign * (n + 2 * p - k) // s) + 1 for n, k, s, p in zip(sizes, kernel, stride, padding, strict=True)
        )
        if min(out) < 1:
            axes = "frames × height × width" if len(sizes) == 3 else "height × width"
            raise InputError(
                f"clip {clip} is too small for this network",
                [
                    ("in", f"{name} ({type(part).__name__} of {times(kernel)})"),
                    ("seen", f"{times(sizes)} {axes} are left for it"),
                    ("fix", "give more frames or larger ones"),
                ],
            )
        sizes = out
    return sizes


def one_frame(clip: Clip) -> tuple[int, int, int]:
    """(3, H, W), the input of an image network.

    Raises:
        InputError: the clip has more than one frame.
    """
    if clip.frames != 1:
        fix = f"give --clip 1x{clip.height}x{clip.width}, or choose single_frame to run a CNN on every frame"
        raise InputError(f"this network takes one image, clip {clip} has {clip.frames} frames", [("fix", fix)])
    return 3, clip.height, clip.width


def _each(value: int | tuple[int, ...], rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)
