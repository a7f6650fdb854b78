"""Temporal pyramid network on Slow and on TSM (Yang et al. 2020, "Temporal Pyramid Network for Action Recognition").

Paper: https://arxiv.org/abs/2004.03548 (section 3). Code followed: https://github.com/decisionforce/TPN,
mmaction/models/tenons/necks/tpn.py and config_files/, which https://github.com/open-mmlab/mmaction2 keeps in
mmaction/models/necks/tpn.py: the maps of res4 and res5 become a pyramid of two tempos, which flows down, is fused,
flows up, is fused again, and both results are fused.

Left out is the auxiliary head, which scores the maps of res4 in the loss alone (20.0 M parameters for 400 classes).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...core.errors import InputError
from ...core.protocol import Clip
from .resnet3d import LAST_STAGES, ResNet3d
from .sized_network import SizedNetwork
from .tsm import TSM

__all__ = ["TemporalPyramid", "tpn_slow_r50_8x8", "tpn_slow_r101_8x8", "tpn_tsm_r50"]

RES4, RES5 = 1024, 2048
WIDTH = 1024  # channels of the pyramid
GROUPS = 32


def conv_norm(channels: int, out: int, kernel: tuple[int, int, int], **sizes: int | tuple[int, int, int]) -> nn.Module:
    """A convolution without bias that keeps sizes but for its stride, its norm and activation."""
    padding = tuple(size // 2 for size in kernel)
    conv = nn.Conv3d(channels, out, kernel, padding=padding, bias=False, **sizes)  # type: ignore[arg-type]
    return nn.Sequential(conv, nn.BatchNorm3d(out), nn.ReLU(inplace=True))


class TemporalModulation(nn.Module):
    """Maps (B, 2048, T, H, W) -> (B, 1024, ⌈T/pool⌉, H, W): a convolution over time, then a pool."""

    def __init__(self, pool: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(RES5, WIDTH, (3, 1, 1), padding=(1, 0, 0), groups=GROUPS, bias=False)
        self.pool = nn.MaxPool3d((pool, 1, 1), ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        """One level of the pyramid."""
        level: Tensor = self.pool(self.conv(x))
        return level


class LevelFusion(nn.Module):
    """Levels (B, 1024, T', H, W) -> (B, 2048, T'', H, W); `pool` brings the lower one to the frames of the upper."""

    def __init__(self, pool: int) -> None:
        super().__init__()
        pools = (pool, 1)
        self.downsamples = nn.ModuleList(
            nn.Sequential(nn.MaxPool3d((size, 1, 1), ceil_mode=True), conv_norm(WIDTH, WIDTH, (1, 1, 1), groups=GROUPS))
            for size in pools
        )
        self.fusion_conv = conv_norm(len(pools) * WIDTH, RES5, (1, 1, 1))

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Fused maps."""
        fitted = [downsample(level) for downsample, level in zip(self.downsamples, levels, strict=True)]
        fused: Tensor = self.fusion_conv(torch.cat(fitted, 1))
        return fused


class TemporalPyramid(nn.Module):
    """Maps of res4 (B, 1024, T, H, W) and res5 (B, 2048, T, H/2, W/2) -> (B, 2048, T', H/2, W/2).

    Arguments:
        pools: frames of which the largest is kept, in the lower and in the upper level.
    """

    def __init__(self, pools: tuple[int, int]) -> None:
        super().__init__()
        lower, upper = pools
        self.spatial_modulation = conv_norm(RES4, RES5, (1, 3, 3), stride=(1, 2, 2))
        self.temporal_modulation_ops = nn.ModuleList([TemporalModulation(lower), TemporalModulation(upper)])
        self.upsample = nn.Upsample(scale_factor=(1, 1, 1))
        self.downsample = nn.Sequential(
            nn.Conv3d(WIDTH, WIDTH, (3, 1, 1), padding=(1, 0, 0), bias=False),
            nn.MaxPool3d((upper // lower, 1, 1), ceil_mode=True),
        )
        self.level_fusion_1 = LevelFusion(upper // lower)
        self.level_fusion_2 = LevelFusion(upper // lower)
        self.pyramid_fusion = conv_norm(2 * RES5, RES5, (1, 1, 1))

    def forward(self, res4: Tensor, res5: Tensor) -> Tensor:
        """Fused maps."""
        aligned = self.spatial_modulation(res4), res5
        lower, upper = (op(maps) for op, maps in zip(self.temporal_modulation_ops, aligned, strict=True))
        lower = lower + self.upsample(upper)
        top_down = self.level_fusion_1([lower, upper])
        upper = upper + self.downsample(lower)
        bottom_up = self.level_fusion_2([lower, upper])
        fused: Tensor = self.pyramid_fusion(torch.cat([top_down, bottom_up], 1))
        return fused


class TPN(nn.Module):
    """Clip (B, 3, T, H, W) -> scores (B, num_classes)."""

    def __init__(self, pools: tuple[int, int], num_classes: int) -> None:
        super().__init__()
        self.neck = TemporalPyramid(pools)
        self.avg_pool3d = nn.AdaptiveAvgPool3d(1)
        self.dropout = nn.Dropout(0.5)
        self.fc_cls = nn.Linear(RES5, num_classes)

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Maps of res4 and res5."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        pooled = self.avg_pool3d(self.neck(*self.features(x))).flatten(1)
        scores: Tensor = self.fc_cls(self.dropout(pooled))
        return scores


class SlowTPN(TPN):
    """Slow with a pyramid in place of its head."""

    def __init__(self, pools: tuple[int, int], num_classes: int, depth: int) -> None:
        super().__init__(pools, num_classes)
        slow = ResNet3d(num_classes, (1, 1, 1), stem_kernel=1, temporal_kernels=LAST_STAGES, depth=depth)
        self.backbone = slow.blocks[:-1]

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Maps of res4 (B, 1024, T, H/16, W/16) and of res5."""
        for block in self.backbone[:-1]:
            x = block(x)
        return x, self.backbone[-1](x)


class ShiftTPN(TPN):
    """TSM with a pyramid in place of its head."""

    def __init__(self, segments: int, num_classes: int) -> None:
        super().__init__((segments, segments), num_classes)
        self.segments = segments
        self.backbone = TSM(segments, num_classes).base_model
        self.backbone.fc = nn.Identity()  # the head has its own

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Maps of layer3 (B, 1024, T, H/16, W/16) and of layer4."""
        net = self.backbone
        x = net.maxpool(net.relu(net.bn1(net.conv1(x.transpose(1, 2).flatten(0, 1)))))
        res4 = net.layer3(net.layer2(net.layer1(x)))
        res4, res5 = (maps.unflatten(0, (-1, self.segments)).transpose(1, 2) for maps in (res4, net.layer4(res4)))
        return res4, res5


def tpn_slow_r50_8x8(clip: Clip, num_classes: int) -> SizedNetwork:
    """Slow on ResNet-50: both levels keep one frame of all (config_files/kinetics400/tpn/r50f8s8.py)."""
    return SizedNetwork(SlowTPN((clip.frames, clip.frames), num_classes, 50))


def tpn_slow_r101_8x8(clip: Clip, num_classes: int) -> SizedNetwork:
    """Slow on ResNet-101: the lower level keeps two frames (config_files/kinetics400/tpn/r101f8s8.py ...)."""
    if clip.frames % 2:
        fix = f"give an even number, such as --clip {clip.frames + 1}x{clip.height}x{clip.width}"
        raise InputError(f"clip {clip} has {clip.frames} frames, which the pyramid halves", [("fix", fix)])
    return SizedNetwork(SlowTPN((clip.frames // 2, clip.frames), num_classes, 101))


def tpn_tsm_r50(clip: Clip, num_classes: int) -> SizedNetwork:
    """TSM on ResNet-50 (config_files/sthv2/tsm_tpn.py)."""
    return SizedNetwork(ShiftTPN(clip.frames, num_classes))
