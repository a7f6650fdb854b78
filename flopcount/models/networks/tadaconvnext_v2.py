"""TAdaConvNeXtV2 (Huang et al. 2023, "Temporally-Adaptive Models for Efficient Video Understanding").

Paper: https://arxiv.org/abs/2308.12642 (section 4). Code followed, names of submodules included:
https://github.com/alibaba-mmai-research/TAdaConv, tadaconv/models/module_zoo/branches/tadaconvnextv2.py and
tadaconv/models/base/backbone.py (ConvNeXt), with configs/pool/backbone/tadaconvnextv2_*.yaml.

A ConvNeXt over tubelets of two frames, whose 7×7 convolutions on each channel have weights of their own for each frame.
Stochastic depth is left out: it changes no cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from ...core.protocol import Clip
from .sized_network import SizedNetwork
from .sizing import sizes_after
from .temporally_adaptive import (
    AttentiveRoute,
    ChannelNorm,
    DepthwiseTAdaConv,
    QuickGELU,
    mean_of_three_frames,
    require_three_frames,
)

__all__ = ["TAdaConvNeXtV2", "tadaconvnextv2_b", "tadaconvnextv2_s", "tadaconvnextv2_t"]

EPS = 1e-6


@dataclass(frozen=True, slots=True)
class Size:
    """Channels and blocks of the four stages, and channels of a head of attention over frames."""

    dims: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    head: int


TINY = Size((96, 192, 384, 768), (3, 3, 9, 3), 48)
SMALL = Size((96, 192, 384, 768), (3, 3, 27, 3), 48)
BASE = Size((128, 256, 512, 1024), (3, 3, 27, 3), 64)


class Block(nn.Module):
    """Maps (B, C, T, H, W) -> the same: TAdaConv, its mean over three frames, an MLP of four times the channels."""

    def __init__(self, dim: int, head: int) -> None:
        super().__init__()
        self.dwconv = DepthwiseTAdaConv(dim, 7)
        self.dwconv_rf = AttentiveRoute(dim, head, offset=1)
        self.norm = nn.LayerNorm(dim, eps=EPS)
        self.avgpool = mean_of_three_frames()
        self.norm_avgpool = nn.LayerNorm(dim, eps=EPS)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.act = QuickGELU()
        self.pwconv2 = nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(torch.full((dim,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps of the same size."""
        maps = self.dwconv(x, self.dwconv_rf(x))
        pooled = self.norm_avgpool(self.avgpool(maps).permute(0, 2, 3, 4, 1))
        maps = self.norm(maps.permute(0, 2, 3, 4, 1)) + pooled
        maps = self.gamma * self.pwconv2(self.act(self.pwconv1(maps)))
        return x + maps.permute(0, 4, 1, 2, 3)  # type: ignore[no-any-return]


class TAdaConvNeXtV2(nn.Module):
    """Clip (B, 3, T, H, W) -> scores (B, num_classes); any clip of at least 5×32×32."""

    def __init__(self, num_classes: int, size: Size) -> None:
        super().__init__()
        stem = nn.Conv3d(3, size.dims[0], (3, 4, 4), stride=(2, 4, 4), padding=(1, 0, 0))
        self.downsample_layers = nn.ModuleList([nn.Sequential(stem, ChannelNorm(size.dims[0]))])
        for dim_in, dim_out in pairwise(size.dims):
            halved = nn.Conv3d(dim_in, dim_out, (1, 2, 2), stride=(1, 2, 2))
            self.downsample_layers.append(nn.Sequential(ChannelNorm(dim_in), halved))
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(dim, size.head) for _ in range(depth)))
            for dim, depth in zip(size.dims, size.depths, strict=True)
        )
        self.norm = nn.LayerNorm(size.dims[-1], eps=EPS)
        self.dropout = nn.Dropout(0.5)
        self.out = nn.Linear(size.dims[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        for downsample, stage in zip(self.downsample_layers, self.stages, strict=True):
            x = stage(downsample(x))
        scores: Tensor = self.out(self.dropout(self.norm(x.mean((2, 3, 4)))))
        return scores


def _sized(clip: Clip, num_classes: int, size: Size) -> SizedNetwork:
    model = TAdaConvNeXtV2(num_classes, size)
    convs = {
        f"downsample_layers.{name}": next(part for part in layer.children() if isinstance(part, nn.Conv3d))
        for name, layer in model.downsample_layers.named_children()
    }
    frames, *_ = sizes_after(convs, clip.sizes, clip)
    require_three_frames(frames, clip)
    return SizedNetwork(model)


def tadaconvnextv2_t(clip: Clip, num_classes: int) -> SizedNetwork:
    """Tiny (tadaconvnextv2_tiny.yaml)."""
    return _sized(clip, num_classes, TINY)


def tadaconvnextv2_s(clip: Clip, num_classes: int) -> SizedNetwork:
    """Small: three times the blocks in the third stage."""
    return _sized(clip, num_classes, SMALL)


def tadaconvnextv2_b(clip: Clip, num_classes: int) -> SizedNetwork:
    """Base: a third more channels."""
    return _sized(clip, num_classes, BASE)
