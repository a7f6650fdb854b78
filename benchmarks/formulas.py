"""Exact MACs of the benchmark's networks by hand: layer sizes written out, without tracing and without flopcount.

A convolution has prod(kernel)·Cin MACs for each of its Cout·prod(output) outputs, a linear layer inputs·outputs.
"""

from __future__ import annotations

from math import prod

__all__ = ["c3d", "r3d18", "slowfast", "video_transformer"]

Size = tuple[int, int, int]


def conv(width_in: int, width: int, kernel: Size, out: Size) -> int:
    return prod(kernel) * width_in * width * prod(out)


def c3d() -> int:
    """Eight 3×3×3 convolutions at 16×112×112 and its halvings (time from pool2 on), then 8192-4096-4096-487."""
    cube = (3, 3, 3)
    return (
        conv(3, 64, cube, (16, 112, 112))
        + conv(64, 128, cube, (16, 56, 56))
        + conv(128, 256, cube, (8, 28, 28))
        + conv(256, 256, cube, (8, 28, 28))
        + conv(256, 512, cube, (4, 14, 14))
        + conv(512, 512, cube, (4, 14, 14))
        + 2 * conv(512, 512, cube, (2, 7, 7))
        + 8192 * 4096
        + 4096 * 4096
        + 4096 * 487
    )


def r3d18() -> int:
    """A 3×7×7 stem, then four stages of four 3×3×3 convolutions; each later stage halves T, H and W."""
    cube, dot = (3, 3, 3), (1, 1, 1)
    total = conv(3, 64, (3, 7, 7), (16, 56, 56)) + 4 * conv(64, 64, cube, (16, 56, 56))
    for width, out in ((128, (8, 28, 28)), (256, (4, 14, 14)), (512, (2, 7, 7))):
        total += conv(width // 2, width, cube, out) + 3 * conv(width, width, cube, out)
        total += conv(width // 2, width, dot, out)  # the shortcut that changes width
    return total + 512 * 400


def slowfast() -> int:
    """8 slow and 32 fast frames of 256×256: stems, four laterals, four stages of bottlenecks in each pathway."""
    total = conv(3, 64, (1, 7, 7), (8, 128, 128)) + conv(3, 8, (5, 7, 7), (32, 128, 128))
    for fast_width, side in ((8, 64), (32, 64), (64, 32), (128, 16)):
        total += conv(fast_width, 2 * fast_width, (7, 1, 1), (8, side, side))
    for width_in, width, frames, depth, side in (
        (64 + 16, 64, 1, 3, 64),
        (256 + 64, 128, 1, 4, 32),
        (512 + 128, 256, 3, 6, 16),
        (1024 + 256, 512, 3, 3, 8),
    ):
        total += bottlenecks(width_in, width, frames, depth, 8, side)
    for width_in, width, depth, side in ((8, 8, 3, 64), (32, 16, 4, 32), (64, 32, 6, 16), (128, 64, 3, 8)):
        total += bottlenecks(width_in, width, 3, depth, 32, side)
    return total + 2 * 2 * (2048 + 256) * 400  # at 256×256 the head projects 2×2 positions, then averages


def bottlenecks(width_in: int, width: int, frames: int, depth: int, clip: int, side: int) -> int:
    """One stage; its first block still sees twice the side at its first convolution, but for res2 (width 64 or 8)."""
    out = (clip, side, side)
    before = out if width in (64, 8) and side == 64 else (clip, 2 * side, 2 * side)
    first = conv(width_in, width, (frames, 1, 1), before) + conv(width_in, 4 * width, (1, 1, 1), out)
    further = (depth - 1) * conv(4 * width, width, (frames, 1, 1), out)
    every = conv(width, width, (1, 3, 3), out) + conv(width, 4 * width, (1, 1, 1), out)
    return first + further + depth * every


def video_transformer() -> int:
    """16×14×14 tubelets and a class token; 12 layers of attention (QKᵀ and PV) and linear layers of width 768."""
    tubelets, width = 16 * 14 * 14, 768
    tokens = tubelets + 1
    embedding = tubelets * 3 * 2 * 16 * 16 * width
    linear = tokens * (3 * width * width + width * width + 2 * width * 4 * width)
    attention = 2 * tokens * tokens * width
    return embedding + 12 * (linear + attention) + width * 400
