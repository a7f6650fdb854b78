"""Temporal adaptive network (Liu et al. 2021, "TAM: Temporal Adaptive Module for Video Recognition").

Paper: https://arxiv.org/abs/2005.06803 (section 3). Code followed: https://github.com/liu-zhy/temporal-adaptive-module,
ops/temporal_module.py, which https://github.com/open-mmlab/mmaction2 keeps in mmaction/models/common/tam.py: behind the
first 1×1 convolution of every block of a ResNet, each channel of each clip gets a gate per frame and a kernel over
three frames, both made from its averages over the frames' positions.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ...core.protocol import Clip
from .resnet import Bottleneck, ResNet
from .sized_network import SizedNetwork

__all__ = ["TAM", "TANet", "tanet_r50", "tanet_r101", "tanet_r152"]

KERNEL = 3
ALPHA = 2  # the hidden layer of the global branch over T
BETA = 4  # C over the hidden channels of the local branch


class TAM(nn.Module):
    """Maps (B·T, C, H, W) -> the same shape: gated frame by frame, then filtered over time, channel by channel."""

    def __init__(self, channels: int, segments: int) -> None:
        super().__init__()
        self.segments = segments
        self.G = nn.Sequential(
            nn.Linear(segments, ALPHA * segments, bias=False),
            nn.BatchNorm1d(ALPHA * segments),
            nn.ReLU(inplace=True),
            nn.Linear(ALPHA * segments, KERNEL, bias=False),
            nn.Softmax(-1),
        )
        self.L = nn.Sequential(
            nn.Conv1d(channels, channels // BETA, KERNEL, padding=KERNEL // 2, bias=False),
            nn.BatchNorm1d(channels // BETA),
            nn.ReLU(inplace=True),
            nn.Conv1d(channels // BETA, channels, 1, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps."""
        clips = x.unflatten(0, (-1, self.segments)).transpose(1, 2)  # (B, C, T, H, W)
        batch, channels, frames, height, width = clips.shape
        averages = F.adaptive_avg_pool2d(clips.flatten(0, 1), 1).flatten(1)  # (B·C, T)
        kernels = self.G(averages).unflatten(1, (1, KERNEL, 1))  # (B·C, 1, 3, 1)
        gates = self.L(averages.unflatten(0, (batch, channels)))  # (B, C, T)
        gated = (clips * gates[..., None, None]).reshape(1, batch * channels, frames, height * width)
        filtered = F.conv2d(gated, kernels, padding=(KERNEL // 2, 0), groups=batch * channels)
        return filtered.view(batch, channels, frames, height, width).transpose(1, 2).flatten(0, 1)


class TemporalBottleneck(nn.Module):
    """A block of a ResNet with a temporal adaptive module behind its first convolution."""

    def __init__(self, net: Bottleneck, segments: int) -> None:
        super().__init__()
        self.net = net
        self.tam = TAM(net.bn1.num_features, segments)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B·T, C', H/stride, W/stride)."""
        net = self.net
        shortcut = x if net.downsample is None else net.downsample(x)
        x = self.tam(net.relu(net.bn1(net.conv1(x))))
        x = net.relu(net.bn2(net.conv2(x)))
        maps: Tensor = net.relu(net.bn3(net.conv3(x)) + shortcut)
        return maps


class TANet(nn.Module):
    """Frames of T segments (B, 3, T, H, W) -> class scores (B, num_classes); T is fixed, H and W are not."""

    def __init__(self, segments: int, num_classes: int, depth: int) -> None:
        super().__init__()
        self.segments = segments
        self.base_model = ResNet(num_classes, depth)
        for stage in self.base_model.children():
            if isinstance(stage, nn.Sequential):
                for index, block in enumerate(stage):
                    assert isinstance(block, Bottleneck)
                    stage[index] = TemporalBottleneck(block, segments)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        scores = self.base_model(x.transpose(1, 2).flatten(0, 1))
        of_segments: Tensor = scores.unflatten(0, (-1, self.segments))
        return of_segments.mean(1)


def tanet_r50(clip: Clip, num_classes: int) -> SizedNetwork:
    """ResNet-50 on one frame of each of `clip.frames` segments."""
    return SizedNetwork(TANet(clip.frames, num_classes, 50))


def tanet_r101(clip: Clip, num_classes: int) -> SizedNetwork:
    """The same on ResNet-101 (the paper's table 4)."""
    return SizedNetwork(TANet(clip.frames, num_classes, 101))


def tanet_r152(clip: Clip, num_classes: int) -> SizedNetwork:
    """The same on ResNet-152."""
    return SizedNetwork(TANet(clip.frames, num_classes, 152))
