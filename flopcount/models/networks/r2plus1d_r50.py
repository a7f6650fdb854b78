"""R(2+1)D of bottlenecks as pytorchvideo builds it (Tran et al. 2018, 1711.11248, made of a ResNet-50).

Code followed, names of submodules included, so that its state dict loads:
https://github.com/facebookresearch/pytorchvideo, models/r2plus1d.py and models/hub/r2plus1d.py.

Other than in the paper and in VMZ, the first convolution sees one frame, all stages halve H and W, the first too, only
the last two halve T, and a split convolution is over time first, at the height and width of its input, with as many
channels between as outside. The code ends in a softmax over the classes of each position, which is left out here.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from ...core.protocol import Clip
from .resnet3d import POOLED, STAGE_DEPTHS, Head, ResStage, Sizes, head_pool
from .sized_network import SizedNetwork

__all__ = ["R2plus1dR50", "r2plus1d_r50"]

TEMPORAL_STRIDES = (1, 1, 2, 2)


class Stem(nn.Module):
    """Clip (B, 3, T, H, W) -> (B, 64, T, H/2, W/2): 7×7 on each frame, no pool."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 64, (1, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3), bias=False)
        self.norm = nn.BatchNorm3d(64)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps."""
        maps: Tensor = self.activation(self.norm(self.conv(x)))
        return maps


class Conv2plus1d(nn.Module):
    """3×1×1, then 1×3×3."""

    def __init__(self, channels: int, stride: int, temporal_stride: int) -> None:
        super().__init__()
        strides = (temporal_stride if stride > 1 else 1, 1, 1)
        self.conv_t = nn.Conv3d(channels, channels, (3, 1, 1), stride=strides, padding=(1, 0, 0), bias=False)
        self.norm = nn.BatchNorm3d(channels)
        self.activation = nn.ReLU()
        strides = (1, stride, stride)
        self.conv_xy = nn.Conv3d(channels, channels, (1, 3, 3), stride=strides, padding=(0, 1, 1), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps (B, C, T, H, W)."""
        maps: Tensor = self.conv_xy(self.activation(self.norm(self.conv_t(x))))
        return maps


class R2plus1dR50(nn.Module):
    """Clip (B, 3, T, H, W) -> scores (B, num_classes).

    Arguments:
        num_classes: 400 (Kinetics) as released.
        pool: what the head pools over.
    """

    def __init__(self, num_classes: int, pool: Sizes) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Stem()])
        dim_in = 64
        for index, (depth, temporal_stride) in enumerate(zip(STAGE_DEPTHS[50], TEMPORAL_STRIDES, strict=True)):
            inner = 64 * 2**index
            middle = partial(Conv2plus1d, temporal_stride=temporal_stride)
            strides_time = temporal_stride > 1
            stage = ResStage(depth, dim_in, inner, 4 * inner, stride=2, middle=middle, temporal_stride=strides_time)
            self.blocks.append(stage)
            dim_in = 4 * inner
        self.blocks.append(Head(dim_in, num_classes, pool))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        for block in self.blocks:
            x = block(x)
        return x


def r2plus1d_r50(clip: Clip, num_classes: int) -> SizedNetwork:
    """R(2+1)D-50, pytorchvideo's."""
    pool, departures = head_pool(-(-clip.frames // 4), clip, (4, POOLED, POOLED))
    return SizedNetwork(R2plus1dR50(num_classes, pool), departures)
