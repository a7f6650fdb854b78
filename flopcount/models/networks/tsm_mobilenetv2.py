"""Temporal shift module in MobileNetV2 (Lin et al. 2019; Sandler et al. 2018).

Papers: https://arxiv.org/abs/1811.08383 (section 3) and https://arxiv.org/abs/1801.04381 (table 2). Code followed:
https://github.com/open-mmlab/mmaction2, mmaction/models/backbones/mobilenet_v2.py and mobilenet_v2_tsm.py: an inverted
residual with a shortcut shifts the input of its first 1×1 convolution.
"""

from __future__ import annotations

from torch import Tensor, nn

from ...core.protocol import Clip
from .sized_network import SizedNetwork
from .tsm import TemporalShift

__all__ = ["tsm_mobilenetv2"]

STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, blocks and stride of each stage."""

FEATURES = 1280


class ConvNorm(nn.Sequential):
    """A convolution without bias, its norm, and ReLU6 unless the result is linear."""

    def __init__(
        self, channels: int, out: int, kernel: int, *, stride: int = 1, groups: int = 1, linear: bool = False
    ) -> None:
        super().__init__()
        self.conv: nn.Module = nn.Conv2d(
            channels, out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(out)
        if not linear:
            self.activate = nn.ReLU6(inplace=True)


class InvertedResidual(nn.Module):
    """Maps (B·T, C, H, W) -> (B·T, C', H/stride, W/stride): 1×1 up, 3×3 on each channel, 1×1 down."""

    def __init__(self, channels: int, out: int, stride: int, expansion: int, segments: int) -> None:
        super().__init__()
        hidden = channels * expansion
        self.shortcut = stride == 1 and channels == out
        layers: list[nn.Module] = []
        if expansion != 1:
            first: nn.Module = ConvNorm(channels, hidden, 1)
            layers.append(TemporalShift(first, segments) if self.shortcut else first)
        layers.append(ConvNorm(hidden, hidden, 3, stride=stride, groups=hidden))
        layers.append(ConvNorm(hidden, out, 1, linear=True))
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Maps."""
        maps: Tensor = self.conv(x)
        return x + maps if self.shortcut else maps


class MobileNetTSM(nn.Module):
    """Frames of T segments (B, 3, T, H, W) -> class scores (B, num_classes); any size."""

    def __init__(self, segments: int, num_classes: int) -> None:
        super().__init__()
        self.segments = segments
        layers: list[nn.Module] = [ConvNorm(3, 32, 3, stride=2)]
        channels = 32
        for expansion, out, blocks, stride in STAGES:
            for index in range(blocks):
                layers.append(InvertedResidual(channels, out, stride if index == 0 else 1, expansion, segments))
                channels = out
        layers.append(ConvNorm(channels, FEATURES, 1))
        self.backbone = nn.Sequential(*layers)
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.5)
        self.fc_cls = nn.Linear(FEATURES, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        features = self.avg_pool(self.backbone(x.transpose(1, 2).flatten(0, 1))).flatten(1)
        of_frames: Tensor = self.fc_cls(self.dropout(features)).unflatten(0, (-1, self.segments))
        return of_frames.mean(1)


def tsm_mobilenetv2(clip: Clip, num_classes: int) -> SizedNetwork:
    """One frame of each of `clip.frames` segments, with shifts between them."""
    return SizedNetwork(MobileNetTSM(clip.frames, num_classes))
