"""S3D (Xie et al. 2018, "Rethinking Spatiotemporal Feature Learning"): Inception-v1 with separable 3D convolutions.

Paper: https://arxiv.org/abs/1712.04851 (figure 6). Code followed, names of submodules included, so that its state dict
loads: https://github.com/pytorch/vision, torchvision/models/video/s3d.py. It has no self-gating (that is S3D-G).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...core.protocol import Clip
from ...core.units import times
from .sized_network import SizedNetwork
from .sizing import sizes_after

__all__ = ["S3D", "s3d"]

RELEASED_POOL = (2, 7, 7)  # the last maps of 16×224×224; longer clips are classified at several positions in time
_Sizes = tuple[int, int, int]


def _conv(channels_in: int, channels_out: int, kernel: _Sizes = (1, 1, 1), stride: _Sizes = (1, 1, 1)) -> nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return nn.Sequential(
        nn.Conv3d(channels_in, channels_out, kernel, stride=stride, padding=padding, bias=False),
        nn.BatchNorm3d(channels_out, eps=0.001, momentum=0.001),
        nn.ReLU(),
    )


def _separable(channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Over space, then over time."""
    return nn.Sequential(
        _conv(channels_in, channels_out, (1, kernel, kernel), (1, stride, stride)),
        _conv(channels_out, channels_out, (kernel, 1, 1), (stride, 1, 1)),
    )


class SepInception(nn.Module):
    """(B, C, T, H, W) -> four concatenated branches: 1×1, two of separable 3×3×3 after 1×1, 1×1 after a pool."""

    def __init__(self, channels_in: int, b0: int, b1_mid: int, b1: int, b2_mid: int, b2: int, b3: int) -> None:
        super().__init__()
        self.branch0 = _conv(channels_in, b0)
        self.branch1 = nn.Sequential(_conv(channels_in, b1_mid), _separable(b1_mid, b1, 3))
        self.branch2 = nn.Sequential(_conv(channels_in, b2_mid), _separable(b2_mid, b2, 3))
        self.branch3 = nn.Sequential(nn.MaxPool3d(3, stride=1, padding=1), _conv(channels_in, b3))

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps of all branches."""
        return torch.cat([self.branch0(x), self.branch1(x), self.branch2(x), self.branch3(x)], 1)


class S3D(nn.Module):
    """Clip (B, 3, T, H, W) -> scores (B, num_classes).

    Arguments:
        num_classes: 400 (Kinetics) in the paper.
        pool: the window that is averaged before the classifier; the scores of all remaining positions are averaged.
    """

    def __init__(self, num_classes: int, pool: _Sizes = RELEASED_POOL) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _separable(3, 64, 7, 2),
            nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
            _conv(64, 64),
            _separable(64, 192, 3),
            nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
            SepInception(192, 64, 96, 128, 16, 32, 32),
            SepInception(256, 128, 128, 192, 32, 96, 64),
            nn.MaxPool3d(3, stride=2, padding=1),
            SepInception(480, 192, 96, 208, 16, 48, 64),
            SepInception(512, 160, 112, 224, 24, 64, 64),
            SepInception(512, 128, 128, 256, 24, 64, 64),
            SepInception(512, 112, 144, 288, 32, 64, 64),
            SepInception(528, 256, 160, 320, 32, 128, 128),
            nn.MaxPool3d(2),
            SepInception(832, 256, 160, 320, 32, 128, 128),
            SepInception(832, 384, 192, 384, 48, 128, 128),
        )
        self.avgpool = nn.AvgPool3d(pool, stride=1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Conv3d(1024, num_classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        scores: Tensor = self.classifier(self.avgpool(self.features(x)))
        return scores.mean((2, 3, 4))


def s3d(clip: Clip, num_classes: int) -> SizedNetwork:
    """S3D; the head pools 2×7×7, or less if a clip leaves less."""
    frames, height, width = _left(clip)
    pool = (min(frames, RELEASED_POOL[0]), min(height, RELEASED_POOL[1]), min(width, RELEASED_POOL[2]))
    departure = f"head pools {times(pool)} of {clip}, released with {times(RELEASED_POOL)}"
    return SizedNetwork(S3D(num_classes, pool), () if pool == RELEASED_POOL else (departure,))


def _left(clip: Clip) -> tuple[int, ...]:
    """(T, H, W) before the head: all strides round up, except the last pool's, which rounds down."""
    sizes = -(-clip.frames // 4), -(-clip.height // 16), -(-clip.width // 16)
    return sizes_after({"features.13": nn.MaxPool3d(2)}, sizes, clip)
