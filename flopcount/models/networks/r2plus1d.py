"""R3D, MC3 and R(2+1)D with 18 layers (Tran et al. 2018, "A Closer Look at Spatiotemporal Convolutions").

Paper: https://arxiv.org/abs/1711.11248 (table 1, sections 3.2 to 3.5). Code followed, names of submodules included, so
that its state dicts load: https://github.com/pytorch/vision, torchvision/models/video/resnet.py.

One ResNet-18, and three ways to build the convolutions of its blocks: 3×3×3; 1×3×3 after the first stage; 1×3×3 and
then 3×1×1, with as many channels between them as match the parameters of 3×3×3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from ...core.protocol import Clip
from .sized_network import SizedNetwork

__all__ = ["VideoResNet", "mc3_18", "r2plus1d_18", "r3d_18"]

Conv = Callable[[int, int, int, int], nn.Module]
"""Builds a block's convolution from its channels in, between and out, and its stride."""


def conv3d(channels_in: int, between: int, channels_out: int, stride: int) -> nn.Module:
    """3×3×3."""
    return nn.Conv3d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)


def conv_no_temporal(channels_in: int, between: int, channels_out: int, stride: int) -> nn.Module:
    """1×3×3: sees one frame, and keeps all."""
    return nn.Conv3d(channels_in, channels_out, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False)


def conv2plus1d(channels_in: int, between: int, channels_out: int, stride: int) -> nn.Module:
    """1×3×3, then 3×1×1."""
    return nn.Sequential(
        nn.Conv3d(channels_in, between, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False),
        nn.BatchNorm3d(between),
        nn.ReLU(),
        nn.Conv3d(between, channels_out, (3, 1, 1), stride=(stride, 1, 1), padding=(1, 0, 0), bias=False),
    )


def channels_between(channels_in: int, channels_out: int) -> int:
    """The number of channels at which 1×3×3 and 3×1×1 together have the parameters of one 3×3×3 (section 3.5)."""
    return (channels_in * channels_out * 27) // (channels_in * 9 + 3 * channels_out)


class BasicBlock(nn.Module):
    """Shortcut plus two convolutions.

    As released, both convolutions have the middle channels that the first one needs; the paper's second has its own.
    """

    def __init__(self, channels_in: int, channels: int, conv: Conv, stride: int, shortcut: nn.Module | None) -> None:
        super().__init__()
        between = channels_between(channels_in, channels)
        self.conv1 = nn.Sequential(conv(channels_in, between, channels, stride), nn.BatchNorm3d(channels), nn.ReLU())
        self.conv2 = nn.Sequential(conv(channels, between, channels, 1), nn.BatchNorm3d(channels))
        self.relu = nn.ReLU()
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps (B, channels, T, H, W)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        maps: Tensor = self.relu(self.conv2(self.conv1(x)) + shortcut)
        return maps


def _stage(channels_in: int, channels: int, conv: Conv, stride: int) -> nn.Sequential:
    shortcut = None
    if stride > 1:
        strides = (1 if conv is conv_no_temporal else stride, stride, stride)
        shortcut = nn.Sequential(
            nn.Conv3d(channels_in, channels, 1, stride=strides, bias=False), nn.BatchNorm3d(channels)
        )
    return nn.Sequential(
        BasicBlock(channels_in, channels, conv, stride, shortcut), BasicBlock(channels, channels, conv, 1, None)
    )


def stem3d() -> nn.Sequential:
    """3×7×7."""
    conv = nn.Conv3d(3, 64, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False)
    return nn.Sequential(conv, nn.BatchNorm3d(64), nn.ReLU())


def stem2plus1d() -> nn.Sequential:
    """1×7×7, then 3×1×1."""
    return nn.Sequential(
        nn.Conv3d(3, 45, (1, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3), bias=False),
        nn.BatchNorm3d(45),
        nn.ReLU(),
        nn.Conv3d(45, 64, (3, 1, 1), padding=(1, 0, 0), bias=False),
        nn.BatchNorm3d(64),
        nn.ReLU(),
    )


class VideoResNet(nn.Module):
    """Clip (B, 3, T, H, W) -> scores (B, num_classes); any clip.

    Arguments:
        num_classes: 400 (Kinetics) in the paper.
        stem: the first convolution.
        convs: what builds the convolutions of each stage.
    """

    def __init__(self, num_classes: int, stem: nn.Sequential, convs: Sequence[Conv]) -> None:
        super().__init__()
        self.stem = stem
        self.layer1 = _stage(64, 64, convs[0], 1)
        self.layer2 = _stage(64, 128, convs[1], 2)
        self.layer3 = _stage(128, 256, convs[2], 2)
        self.layer4 = _stage(256, 512, convs[3], 2)
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(512, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        scores: Tensor = self.fc(self.avgpool(x).flatten(1))
        return scores


def r3d_18(clip: Clip, num_classes: int) -> SizedNetwork:
    """All convolutions 3×3×3."""
    return SizedNetwork(VideoResNet(num_classes, stem3d(), [conv3d] * 4))


def mc3_18(clip: Clip, num_classes: int) -> SizedNetwork:
    """3×3×3 in the first stage, 1×3×3 after it."""
    convs = [conv3d, conv_no_temporal, conv_no_temporal, conv_no_temporal]
    return SizedNetwork(VideoResNet(num_classes, stem3d(), convs))


def r2plus1d_18(clip: Clip, num_classes: int) -> SizedNetwork:
    """All convolutions split into space and time."""
    return SizedNetwork(VideoResNet(num_classes, stem2plus1d(), [conv2plus1d] * 4))
