"""The sizes of MoViNets A0 to A5, as a search found them: channels and kernels of every block.

Source: https://github.com/tensorflow/models, official/projects/movinet/modeling/movinet.py, BLOCK_SPECS;
https://arxiv.org/abs/2103.11511, appendix.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["A0", "A1", "A2", "A3", "A4", "A5", "Kernel", "Size", "Stage"]

Kernel = tuple[int, int, int]


STRIDES = (2, 2, 2, 1, 2)  # of the first block of each stage, in H and W


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks of one resolution: their channels, and for each its inner channels and kernel ("53" is 5×3×3)."""

    channels: int
    inner: str
    kernels: str

    @property
    def blocks(self) -> tuple[tuple[int, Kernel], ...]:
        """Inner channels and kernel of each block."""
        kernels = ((int(kernel[0]), int(kernel[1]), int(kernel[1])) for kernel in self.kernels.split())
        return tuple(zip(map(int, self.inner.split()), kernels, strict=True))


@dataclass(frozen=True, slots=True)
class Size:
    """Channels of the stem and of the last features, the stages between, and whether a stream encodes positions."""

    stem: int
    stages: tuple[Stage, ...]
    features: int
    positions: bool = False

    @property
    def blocks(self) -> tuple[tuple[int, int, int, Kernel, int], ...]:
        """Channels in and out, inner channels, kernel and stride of every block."""
        blocks, dim_in = [], self.stem
        for stage, first in zip(self.stages, STRIDES, strict=True):
            for index, (inner, kernel) in enumerate(stage.blocks):
                blocks.append((dim_in, stage.channels, inner, kernel, 1 if index else first))
                dim_in = stage.channels
        return tuple(blocks)


A0 = Size(
    8,
    (
        Stage(8, "24", "15"),
        Stage(32, "80 80 80", "33 33 33"),
        Stage(56, "184 112 184", "53 33 33"),
        Stage(56, "184 184 184 184", "53 33 33 33"),
        Stage(104, "384 280 280 344", "53 15 15 15"),
    ),
    480,
)
A1 = Size(
    16,
    (
        Stage(16, "40 40", "15 33"),
        Stage(40, "96 120 96 96", "33 33 33 33"),
        Stage(64, "216 128 216 168 216", "53 33 33 33 33"),
        Stage(64, "216 216 216 128 128 216", "53 33 33 33 15 33"),
        Stage(136, "456 360 360 360 456 456 544", "53 15 15 15 15 33 13"),
    ),
    600,
)
A2 = Size(
    16,
    (
        Stage(16, "40 40 64", "15 33 33"),
        Stage(40, "96 120 96 96 120", "33 33 33 33 33"),
        Stage(72, "240 160 240 192 240", "53 33 33 33 33"),
        Stage(72, "240 240 240 240 144 240", "53 33 33 33 15 33"),
        Stage(144, "480 384 384 480 480 480 576", "53 15 15 15 15 33 13"),
    ),
    640,
)
A3 = Size(
    16,
    (
        Stage(16, "40 40 64 40", "15 33 33 33"),
        Stage(48, "112 144 112 112 144 144", "33 33 33 15 33 33"),
        Stage(80, "240 152 240 192 240", "53 33 33 33 33"),
        Stage(88, "264 264 264 264 160 264 264 264", "53 33 33 33 15 33 33 33"),
        Stage(168, "560 448 448 560 560 560 448 448 560 672", "53 15 15 15 15 33 15 15 33 13"),
    ),
    744,
    positions=True,
)
A4 = Size(
    24,
    (
        Stage(24, "64 64 96 64 96 64", "15 33 33 33 33 33"),
        Stage(56, "168 168 136 136 168 168 168 136 136", "33 33 33 33 33 33 33 15 33"),
        Stage(96, "320 160 320 192 320 160 320 256 320", "53 33 33 33 33 33 33 33 33"),
        Stage(96, "320 320 320 320 192 320 320 192 320 320", "53 33 33 33 15 33 33 33 33 33"),
        Stage(
            192,
            "640 512 512 640 640 640 512 512 640 768 640 640 768",
            "53 15 15 15 15 33 15 15 15 15 15 33 33",
        ),
    ),
    856,
    positions=True,
)
A5 = Size(
    24,
    (
        Stage(24, "64 64 96 64 96 64", "15 15 33 33 33 33"),
        Stage(64, "192 152 152 152 192 192 192 152 152 192 192", "53 33 33 33 33 33 33 33 33 33 33"),
        Stage(
            112,
            "376 224 376 376 296 376 224 376 376 296 376 376 376",
            "53 33 33 33 33 33 33 33 33 33 33 33 33",
        ),
        Stage(120, "376 376 376 376 224 376 376 224 376 376 376", "53 33 33 33 15 33 33 33 33 33 33"),
        Stage(
            224,
            "744 744 600 600 744 744 744 896 600 600 896 744 744 896 600 600 744 744",
            "53 33 15 15 15 15 33 15 15 15 15 15 33 15 15 15 15 33",
        ),
    ),
    992,
    positions=True,
)
