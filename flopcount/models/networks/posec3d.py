"""PoseC3D (Duan et al. 2022, "Revisiting Skeleton-based Action Recognition"): a 3D CNN over heatmaps of joints.

Paper: https://arxiv.org/abs/2104.13586 (table 2: SlowOnly). Code followed: https://github.com/open-mmlab/mmaction2,
configs/skeleton/posec3d, whose ResNet3dSlowOnly has three stages of half the width, a first convolution that does not
stride, and stages that all do; the blocks are those of Slow (https://arxiv.org/abs/1812.03982).

A channel is the heatmap of one of 17 joints or limbs, so the clip is frames × height × width of heatmaps, not of
pixels. On FineGYM and NTU RGB+D stages have 4, 6 and 3 blocks; on Kinetics-400, UCF-101 and HMDB-51 3, 4 and 6.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ...core.errors import InputError
from ...core.protocol import Clip
from .resnet3d import Head, ResStage
from .sized_network import SizedNetwork

__all__ = ["PoseC3D", "posec3d_r50"]

HEATMAPS = 17  # joints of COCO, or as many limbs
CHANNELS = 32
DEPTHS = {"4-6-3": (4, 6, 3), "3-4-6": (3, 4, 6)}


class HeatmapStem(nn.Module):
    """Heatmaps (B, 17, T, H, W) -> (B, 32, T, H, W): 7×7 on each frame, then max pooling; neither strides."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(HEATMAPS, CHANNELS, (1, 7, 7), padding=(0, 3, 3), bias=False)
        self.norm = nn.BatchNorm3d(CHANNELS)
        self.activation = nn.ReLU()
        self.pool = nn.MaxPool3d((1, 3, 3), stride=1, padding=(0, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps."""
        maps: Tensor = self.pool(self.activation(self.norm(self.conv(x))))
        return maps


def strided_in_time(channels: int, stride: int) -> nn.Module:
    """3×3 on each frame, which takes every second frame too where it strides."""
    return nn.Conv3d(channels, channels, (1, 3, 3), stride=stride, padding=(0, 1, 1), bias=False)


class PoseC3D(nn.Module):
    """Heatmaps (B, 17, T, H, W) -> scores (B, num_classes); any clip.

    Arguments:
        num_classes: 60 (NTU RGB+D) in one of the source's configurations.
        depths: blocks of the three stages; conv_a sees three frames behind the first stage, and the last stage strides
            over time too.
    """

    def __init__(self, num_classes: int, depths: Sequence[int]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([HeatmapStem()])
        dim_in = CHANNELS
        for index, depth in enumerate(depths):
            inner = CHANNELS * 2**index
            kernels = (1,) if index == 0 else (3,)
            if index == len(depths) - 1:
                stage = ResStage(
                    depth,
                    dim_in,
                    inner,
                    4 * inner,
                    temporal_kernels=kernels,
                    stride=2,
                    middle=strided_in_time,
                    temporal_stride=True,
                )
            else:
                stage = ResStage(depth, dim_in, inner, 4 * inner, temporal_kernels=kernels, stride=2)
            self.blocks.append(stage)
            dim_in = 4 * inner
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.blocks.append(Head(dim_in, num_classes, None))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        for block in self.blocks[:-1]:
            x = block(x)
        scores: Tensor = self.blocks[-1](self.pool(x))
        return scores


def posec3d_r50(clip: Clip, num_classes: int, *, depths: str = "4-6-3") -> SizedNetwork:
    """SlowOnly-R50 on heatmaps; `depths` are the blocks of its stages, "4-6-3" or "3-4-6"."""
    if depths not in DEPTHS:
        raise InputError(f"depths is {depths!r}", [("fix", f"choose {' or '.join(DEPTHS)}, as in the configurations")])
    model = PoseC3D(num_classes, DEPTHS[depths])
    return SizedNetwork(model, inputs=((HEATMAPS, *clip.sizes),), in_pixels=False)
