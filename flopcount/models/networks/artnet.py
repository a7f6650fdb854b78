"""ARTNet (Wang et al. 2018, "Appearance-and-Relation Networks for Video Classification"), made of a ResNet-18.

Paper: https://arxiv.org/abs/1711.09125. Code followed: its authors' https://github.com/wanglimin/ARTNet,
models/112_artnet_resnet_18_deploy.prototxt.

A SMART block has two branches: appearance, a convolution of one frame, and relation, a convolution over several frames
whose squares are summed in pairs of channels, with fixed weights. A third convolution mixes both. It takes the place of
the first convolution and of each block's second in the first three stages. Sums are passed on without their norm and
ReLU, which the next convolutions see; shortcuts that change the shape are 3×3×3; stem and first stage have no biases.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...core.protocol import Clip
from .sized_network import SizedNetwork

__all__ = ["ARTNet", "Smart", "artnet_r18"]

STAGE_CHANNELS = (64, 128, 256, 512)
SMART_STAGES = 3


class Smart(nn.Module):
    """(B, C, T, H, W) -> (B, channels, T/s, H/s, W/s): appearance and relation, concatenated and mixed."""

    def __init__(self, channels_in: int, channels: int, size: int, stride: int, bias: bool) -> None:
        super().__init__()
        half, side = channels // 2, size // 2
        self.appearance = nn.Conv3d(
            channels_in, channels, (1, size, size), stride=stride, padding=(0, side, side), bias=bias
        )
        self.appearance_norm = nn.BatchNorm3d(channels)
        self.relation = nn.Conv3d(
            channels_in, channels, (3, size, size), stride=stride, padding=(1, side, side), bias=bias
        )
        self.relation_norm = nn.BatchNorm3d(channels)
        self.pool = nn.Conv3d(channels, half, 1, groups=half, bias=False)
        nn.init.constant_(self.pool.weight, 0.5)
        self.pool.requires_grad_(False)
        self.pool_norm = nn.BatchNorm3d(half)
        self.relu = nn.ReLU()
        self.reduction = nn.Conv3d(channels + half, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps, neither normalised nor rectified."""
        appearance = self.appearance_norm(self.appearance(x))
        energy = self.relation_norm(self.relation(x)) ** 2
        both = torch.cat([appearance, self.pool_norm(self.pool(energy))], 1)
        maps: Tensor = self.reduction(self.relu(both))
        return maps


class Block(nn.Module):
    """A sum of a shortcut and two convolutions, the second a SMART block or 3×3×3."""

    def __init__(self, channels_in: int, channels: int, stride: int, smart: bool, bias: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels_in, channels, 3, stride=stride, padding=1, bias=bias)
        self.norm1 = nn.BatchNorm3d(channels)
        self.conv2 = (
            Smart(channels, channels, 3, 1, bias) if smart else nn.Conv3d(channels, channels, 3, padding=1, bias=bias)
        )
        self.down = nn.Conv3d(channels_in, channels, 3, stride=stride, padding=1, bias=bias) if stride > 1 else None
        self.norm = nn.BatchNorm3d(channels)
        self.relu = nn.ReLU()

    def forward(self, total: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
        """The sum so far and what norm and ReLU make of it -> both, with this block."""
        shortcut = total if self.down is None else self.down(active)
        total = self.conv2(self.relu(self.norm1(self.conv1(active)))) + shortcut
        return total, self.relu(self.norm(total))


class ARTNet(nn.Module):
    """Clip (B, 3, T, H, W) -> scores (B, num_classes); any clip."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv1 = Smart(3, 64, 7, 2, bias=False)
        self.norm = nn.BatchNorm3d(64)
        self.relu = nn.ReLU()
        self.blocks = nn.ModuleList()
        channels_in = 64
        for index, channels in enumerate(STAGE_CHANNELS):
            for place in range(2):
                stride = 2 if place == 0 and index > 0 else 1
                self.blocks.append(Block(channels_in, channels, stride, index < SMART_STAGES, bias=index > 0))
                channels_in = channels
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(channels_in, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        total = self.conv1(x)
        active = self.relu(self.norm(total))
        for block in self.blocks:
            total, active = block(total, active)
        scores: Tensor = self.fc(self.dropout(self.avgpool(active).flatten(1)))
        return scores


def artnet_r18(clip: Clip, num_classes: int) -> SizedNetwork:
    """ARTNet-ResNet18."""
    return SizedNetwork(ARTNet(num_classes))
