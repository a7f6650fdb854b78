"""TAda2D (Huang et al. 2022, "TAda! Temporally-Adaptive Convolutions for Video Understanding"), on ResNet-50.

Paper: https://arxiv.org/abs/2110.06178 (section 3.3). Code followed, names of submodules included:
https://github.com/alibaba-mmai-research/TAdaConv, tadaconv/models/module_zoo/branches/tada_branch.py with
configs/pool/backbone/tada2d.yaml.

The 3×3 convolution of every bottleneck has its input channels scaled for each frame, by a small network that sees the
mean of the frame and of the clip; its result is added to its own mean over three frames. There is no pool behind the
first convolution: the first stage strides instead.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ...core.protocol import Clip
from .resnet3d import STAGE_DEPTHS
from .sized_network import SizedNetwork
from .temporally_adaptive import convolved_by_frame, mean_of_three_frames, require_three_frames

__all__ = ["TAda2D", "tada2d_r50"]


class Route(nn.Module):
    """Maps (B, C, T, H, W) -> scales of the channels (B, T, C): two convolutions over the means of three frames."""

    RATIO = 4

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // self.RATIO
        self.g = nn.Conv3d(channels, channels, 1)
        self.a = nn.Conv3d(channels, inner, (3, 1, 1), padding=(1, 0, 0))
        self.bn = nn.BatchNorm3d(inner)
        self.relu = nn.ReLU()
        self.b = nn.Conv3d(inner, channels, (3, 1, 1), padding=(1, 0, 0), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Scales, 1 where the last convolution says nothing."""
        of_clip = self.g(x.mean((2, 3, 4), keepdim=True))
        of_frames = self.relu(self.bn(self.a(x.mean((3, 4), keepdim=True) + of_clip)))
        scales: Tensor = self.b(of_frames).flatten(2).transpose(1, 2) + 1
        return scales


class TAdaConv(nn.Module):
    """Maps (B, C, T, H, W) -> (B, C, T, H/stride, W/stride): 3×3, its input channels scaled for each frame."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def forward(self, x: Tensor, scales: Tensor) -> Tensor:
        """Feature maps; `scales` are (B, T, C)."""
        return convolved_by_frame(x, scales[:, :, None, :, None, None] * self.weight, stride=self.stride)


class Branch(nn.Module):
    """1×1, TAdaConv with its mean over three frames, 1×1."""

    def __init__(self, dim_in: int, dim_out: int, stride: int) -> None:
        super().__init__()
        inner = dim_out // 4
        self.a = nn.Conv3d(dim_in, inner, 1, bias=False)
        self.a_bn = nn.BatchNorm3d(inner)
        self.a_relu = nn.ReLU()
        self.b = TAdaConv(inner, stride)
        self.b_rf = Route(inner)
        self.b_bn = nn.BatchNorm3d(inner)
        self.b_avgpool = mean_of_three_frames()
        self.b_avgpool_bn = nn.BatchNorm3d(inner)
        self.b_relu = nn.ReLU()
        self.c = nn.Conv3d(inner, dim_out, 1, bias=False)
        self.c_bn = nn.BatchNorm3d(dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """Residual (B, dim_out, T, H/stride, W/stride), before it is added."""
        x = self.a_relu(self.a_bn(self.a(x)))
        x = self.b(x, self.b_rf(x))
        x = self.b_relu(self.b_bn(x) + self.b_avgpool_bn(self.b_avgpool(x)))
        residual: Tensor = self.c_bn(self.c(x))
        return residual


class Block(nn.Module):
    """Shortcut plus branch; the shortcut is a 1×1 convolution where the first block of a stage strides."""

    def __init__(self, dim_in: int, dim_out: int, stride: int) -> None:
        super().__init__()
        self.short_cut: nn.Module = nn.Identity()
        self.short_cut_bn: nn.Module = nn.Identity()
        if stride > 1:
            self.short_cut = nn.Conv3d(dim_in, dim_out, 1, stride=(1, stride, stride), bias=False)
            self.short_cut_bn = nn.BatchNorm3d(dim_out)
        self.conv_branch = Branch(dim_in, dim_out, stride)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps."""
        maps: Tensor = self.relu(self.short_cut_bn(self.short_cut(x)) + self.conv_branch(x))
        return maps


class TAda2D(nn.Module):
    """Clip (B, 3, T, H, W) -> scores (B, num_classes); any clip of at least three frames."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(3, 64, (1, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3), bias=False),
            nn.BatchNorm3d(64),
            nn.ReLU(),
        )
        self.stages = nn.ModuleList()
        dim_in = 64
        for index, depth in enumerate(STAGE_DEPTHS[50]):
            dim_out = 256 * 2**index
            blocks = (Block(dim_out if block else dim_in, dim_out, 1 if block else 2) for block in range(depth))
            self.stages.append(nn.Sequential(*blocks))
            dim_in = dim_out
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.dropout = nn.Dropout(0.5)
        self.out = nn.Linear(dim_in, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        scores: Tensor = self.out(self.dropout(self.pool(x).flatten(1)))
        return scores


def tada2d_r50(clip: Clip, num_classes: int) -> SizedNetwork:
    """The same for every clip (tada2d_8x8.yaml)."""
    require_three_frames(clip.frames, clip)
    return SizedNetwork(TAda2D(num_classes))
