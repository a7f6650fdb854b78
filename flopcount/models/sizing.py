"""Sizes that a network's last layers need to know before it is built."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from torch import nn

from ..clip import Clip
from ..errors import InputError
from ..units import times

__all__ = ["positions_after"]


def positions_after(pools: Mapping[str, nn.MaxPool3d], clip: Clip) -> int:
    """T·H·W that are left of a clip after these layers, in order.

    Raises:
        InputError: the clip is too small; the message names the layer and the shape it would get.
    """
    sizes = clip.sizes
    for layer, pool in pools.items():
        kernel, stride, padding = _triple(pool.kernel_size), _triple(pool.stride), _triple(pool.padding)
        out = [(n + 2 * p - k) // s + 1 for n, k, s, p in zip(sizes, kernel, stride, padding, strict=True)]
        if min(out) < 1:
            raise InputError(
                f"clip {clip} is too small for this network",
                [
                    ("in", f"{layer} ({type(pool).__name__} of {times(kernel)})"),
                    ("seen", f"{times(sizes)} frames × height × width are left for it"),
                    ("fix", "give more frames or larger ones"),
                ],
            )
        sizes = (out[0], out[1], out[2])
    return prod(sizes)


def _triple(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return (value,) * 3 if isinstance(value, int) else tuple(value)
