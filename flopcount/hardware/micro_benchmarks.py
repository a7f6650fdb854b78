"""Single layers that show what a machine reaches in each family of kernel: the prior of a calibration.

Some are large, so that arithmetic decides, and some move much for little arithmetic. They run hot: their data are in
the cache that they have just left them in, so networks take longer than they say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["BENCHMARKS", "CHAINED", "COPIES", "LAUNCH", "PRODUCTS", "Benchmark"]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One layer by name, what builds it, and the shapes that it takes; `quick`: part of a quick calibration."""

    name: str
    build: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...]
    quick: bool = True


class _Function(nn.Module):
    """A function of the inputs as a module."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        """What the function returns."""
        return self.function(*inputs)


class _LSTM(nn.Module):
    """(B, T, C) -> (B, T, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, channels, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """The outputs of all frames."""
        return self.lstm(x)[0]  # type: ignore[no-any-return]


def _attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return nn.functional.scaled_dot_product_attention(q, k, v)


def _of(function: Callable[..., Any]) -> Callable[[], nn.Module]:
    return lambda: _Function(function)


def _square(size: int, *, quick: bool = True) -> Benchmark:
    return Benchmark(f"matmul {size}", _of(torch.mm), ((size, size), (size, size)), quick)


def _copy(mib: int, *, quick: bool = True) -> Benchmark:
    return Benchmark(f"copy {mib} MiB", _of(torch.clone), ((mib * 2**20 // 4,),), quick)


PRODUCTS = (_square(256), _square(512), _square(1024), _square(2048, quick=False))
"""Matrix products, the fastest of which is the peak."""

COPIES = (_copy(1), _copy(4), _copy(16), _copy(64), _copy(256, quick=False))
"""Copies, the fastest of which is the bandwidth, whether its data fit into a cache or not."""

CHAINED = 20


def _chain() -> nn.Module:
    layers = [(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), nn.ReLU()) for _ in range(CHAINED)]
    return nn.Sequential(*(layer for three in layers for layer in three))


LAUNCH = Benchmark(f"chain of {3 * CHAINED} tiny layers", _chain, ((1, 8, 2, 2),))
"""What it takes per layer is nearly all launch."""

_MAPS, _VIDEO, _TOKENS = (4, 64, 56, 56), (1, 64, 8, 28, 28), (4, 196, 384)

BENCHMARKS = (
    Benchmark("linear", lambda: nn.Linear(384, 1536), (_TOKENS,)),
    Benchmark("linear of one row", lambda: nn.Linear(4096, 2048), ((1, 4096),)),
    Benchmark("convolution 1×1", lambda: nn.Conv2d(64, 256, 1), (_MAPS,)),
    Benchmark("convolution 1×1, deep", lambda: nn.Conv2d(1024, 256, 1), ((1, 1024, 14, 14),), quick=False),
    Benchmark("convolution 1×1×1", lambda: nn.Conv3d(64, 256, 1), (_VIDEO,)),
    Benchmark("convolution 3×3", lambda: nn.Conv2d(64, 64, 3, padding=1), (_MAPS,)),
    Benchmark("convolution 3×3, deep", lambda: nn.Conv2d(256, 256, 3, padding=1), ((1, 256, 14, 14),), quick=False),
    Benchmark("convolution 3×3×3", lambda: nn.Conv3d(64, 64, 3, padding=1), (_VIDEO,)),
    Benchmark("convolution 3×3, many weights", lambda: nn.Conv2d(512, 512, 3, padding=1), ((1, 512, 7, 7),)),
    Benchmark("convolution 3×3×3, many weights", lambda: nn.Conv3d(256, 512, 3, padding=1), ((1, 256, 2, 7, 7),)),
    Benchmark("convolution 3×3×3, large maps", lambda: nn.Conv3d(16, 64, 3, padding=1), ((1, 16, 8, 56, 56),)),
    Benchmark("convolution 1×3×3", lambda: nn.Conv3d(64, 64, (1, 3, 3), padding=(0, 1, 1)), (_VIDEO,), quick=False),
    Benchmark("convolution 3×1×1", lambda: nn.Conv3d(64, 64, (3, 1, 1), padding=(1, 0, 0)), (_VIDEO,)),
    Benchmark("grouped convolution 3×3", lambda: nn.Conv2d(128, 128, 3, padding=1, groups=32), ((2, 128, 56, 56),)),
    Benchmark("depthwise convolution 3×3", lambda: nn.Conv2d(96, 96, 3, padding=1, groups=96), ((4, 96, 56, 56),)),
    Benchmark("depthwise convolution 7×7", lambda: nn.Conv2d(96, 96, 7, padding=3, groups=96), ((1, 96, 56, 56),)),
    Benchmark("depthwise convolution 3×3×3", lambda: nn.Conv3d(54, 54, 3, padding=1, groups=54), ((1, 54, 4, 28, 28),)),
    Benchmark("matmul of heads", _of(torch.matmul), ((4, 6, 196, 64), (4, 6, 64, 196))),
    Benchmark("attention", _of(_attention), ((4, 6, 196, 64),) * 3),
    Benchmark("attention of windows", _of(_attention), ((64, 3, 49, 32),) * 3, quick=False),
    Benchmark("LSTM", lambda: _LSTM(256), ((1, 8, 256),)),
    Benchmark("batch norm", lambda: nn.BatchNorm2d(64), (_MAPS,)),
    Benchmark("batch norm, video", lambda: nn.BatchNorm3d(64), (_VIDEO,), quick=False),
    Benchmark("layer norm", lambda: nn.LayerNorm(384), (_TOKENS,)),
    Benchmark("softmax", lambda: nn.Softmax(-1), ((4, 6, 196, 196),)),
    Benchmark("max pool", lambda: nn.MaxPool2d(3, 2, 1), (_MAPS,)),
    Benchmark("average pool", lambda: nn.AdaptiveAvgPool2d(1), (_MAPS,), quick=False),
    Benchmark("max pool, video", lambda: nn.MaxPool3d(2), (_VIDEO,)),
    Benchmark("ReLU", lambda: nn.ReLU(), (_MAPS,)),
    Benchmark("GELU", lambda: nn.GELU(), (_TOKENS,)),
    Benchmark("sum of two", _of(torch.add), (_MAPS, _MAPS)),
    Benchmark("transposed copy", _of(lambda x: x.transpose(1, 2).contiguous()), ((4, 384, 196),)),
)
"""The other layers, each with the families of constants that decide its time."""
