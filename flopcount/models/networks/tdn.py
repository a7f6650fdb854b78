"""Temporal difference network (Wang et al. 2021, "TDN: Temporal Difference Networks for Efficient Action Recognition").

Paper: https://arxiv.org/abs/2012.10071 (section 3). Code followed: https://github.com/MCG-NJU/TDN, ops/tdn_net.py and
ops/base_module.py. Of each segment five frames in a row come in. The middle one goes through a ResNet whose
convolutions have biases; the four differences between neighbours, at half the size, go through a stem and a first stage
of their own, and are added to it before and behind its first stage. In later stages every block weighs its channels by
the differences to the next and the previous segment at three scales, then filters each channel over three segments.

Left out is a convolution that the code keeps and never runs (conv1_temp, 9,472 parameters).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ...core.errors import InputError
from ...core.protocol import Clip
from .resnet import BLOCKS, EXPANSION
from .sized_network import SizedNetwork

__all__ = ["TDN", "tdn_en_r101", "tdn_r50", "tdn_r101"]

FRAMES = 5  # of each segment
REDUCTION = 16  # channels of a block over those of its differences
PASSED, ADDED = {True: 0.5, False: 0.75}, {True: 0.5, False: 0.25}
"""Weights of the frame and of its differences, for 8 segments or other numbers (apha and belta in the code)."""


class SegmentDifferences(nn.Module):
    """Maps (B·T, C, H, W) -> the same, each channel weighed by the differences to its neighbours ("mSEModule").

    At both ends of the clip the difference is zero.
    """

    def __init__(self, channels: int, segments: int) -> None:
        super().__init__()
        narrow = channels // REDUCTION
        self.segments = segments
        self.conv1 = nn.Conv2d(channels, narrow, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(narrow)
        self.conv2 = nn.Conv2d(narrow, narrow, 3, padding=1, groups=narrow, bias=False)
        self.avg_pool = nn.AvgPool2d(2)
        self.conv3 = nn.Conv2d(narrow, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.conv3_smallscale2 = nn.Conv2d(narrow, narrow, 3, padding=1, bias=False)
        self.bn3_smallscale2 = nn.BatchNorm2d(narrow)
        self.conv3_smallscale4 = nn.Conv2d(narrow, narrow, 3, padding=1, bias=False)
        self.bn3_smallscale4 = nn.BatchNorm2d(narrow)

    def forward(self, x: Tensor) -> Tensor:
        """Weighed maps."""
        narrow = self.bn1(self.conv1(x))
        here, moved = (maps.unflatten(0, (-1, self.segments)) for maps in (narrow, self.conv2(narrow)))
        one_frame = (0, 0) * 3  # padding of W, H and C
        forward = F.pad(moved[:, 1:] - here[:, :-1], (*one_frame, 0, 1)).flatten(0, 1)
        backward = F.pad(moved[:, :-1] - here[:, 1:], (*one_frame, 1, 0)).flatten(0, 1)
        weights = 0.5 * self._weights(forward) + 0.5 * self._weights(backward)
        return x + x * weights

    def _weights(self, difference: Tensor) -> Tensor:
        """Between -0.5 and 0.5 for each channel and position (B·T, C, H, W)."""
        halved = self.bn3_smallscale2(self.conv3_smallscale2(self.avg_pool(difference)))
        whole = self.bn3_smallscale4(self.conv3_smallscale4(difference))
        scales = difference / 3 + F.interpolate(halved, difference.shape[2:]) / 3 + whole / 3
        weights: Tensor = self.bn3(self.conv3(scales))
        return weights.sigmoid() - 0.5


class SegmentFilter(nn.Module):
    """Maps (B·T, C, H, W) -> the same shape, each channel filtered over three segments ("ShiftModule")."""

    def __init__(self, channels: int, segments: int) -> None:
        super().__init__()
        self.segments = segments
        self.conv = nn.Conv1d(channels, channels, 3, padding=1, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Filtered maps."""
        height, width = x.shape[2:]
        clips = x.unflatten(0, (-1, self.segments)).permute(0, 3, 4, 2, 1)  # (B, H, W, C, T)
        filtered: Tensor = self.conv(clips.flatten(0, 2)).unflatten(0, (-1, height, width))
        return filtered.permute(0, 4, 3, 1, 2).flatten(0, 1)


class Bottleneck(nn.Module):
    """Maps (B·T, C, H, W) -> (B·T, 4·width, H/stride, W/stride); with `segments`, these see each other."""

    def __init__(self, channels: int, width: int, stride: int, segments: int | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.mse = SegmentDifferences(width, segments) if segments else nn.Identity()
        self.shift = SegmentFilter(width, segments) if segments else nn.Identity()
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, EXPANSION * width, 1)
        self.bn3 = nn.BatchNorm2d(EXPANSION * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != EXPANSION * width:
            shortcut = nn.Conv2d(channels, EXPANSION * width, 1, stride=stride)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(EXPANSION * width))

    def forward(self, x: Tensor) -> Tensor:
        """Maps."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.shift(self.mse(self.relu(self.bn1(self.conv1(x)))))
        x = self.relu(self.bn2(self.conv2(x)))
        maps: Tensor = self.relu(self.bn3(self.conv3(x)) + shortcut)
        return maps


class TDN(nn.Module):
    """Five frames of each of T segments (B, 3, 5·T, H, W) -> class scores (B, num_classes); H and W are free."""

    def __init__(self, segments: int, num_classes: int, depth: int) -> None:
        super().__init__()
        self.segments = segments
        self.passed, self.added = PASSED[segments == 8], ADDED[segments == 8]
        blocks = BLOCKS[depth]
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.avg_diff = nn.AvgPool2d(2)
        stem = nn.Conv2d(3 * (FRAMES - 1), 64, 7, stride=2, padding=3, bias=False)
        self.conv1_5 = nn.Sequential(stem, nn.BatchNorm2d(64), nn.ReLU(inplace=True))
        self.maxpool_diff = nn.MaxPool2d(3, stride=2, padding=1)
        self.resnext_layer1 = _stage(64, 64, blocks[0], 1, None)
        self.layer1_bak = _stage(64, 64, blocks[0], 1, None)
        self.layer2_bak = _stage(256, 128, blocks[1], 2, segments)
        self.layer3_bak = _stage(512, 256, blocks[2], 2, segments)
        self.layer4_bak = _stage(1024, 512, blocks[3], 2, segments)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.5)
        self.new_fc = nn.Linear(EXPANSION * 512, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        frames = x.unflatten(2, (self.segments, FRAMES)).permute(0, 2, 3, 1, 4, 5).flatten(0, 1)  # (B·T, 5, 3, H, W)
        changes = (frames[:, 1:] - frames[:, :-1]).flatten(1, 2)
        difference = self.maxpool_diff(self.conv1_5(self.avg_diff(changes)))
        maps = self.maxpool(self.relu(self.bn1(self.conv1(frames[:, FRAMES // 2]))))
        maps = self._with(maps, difference)
        maps = self._with(self.layer1_bak(maps), self.resnext_layer1(difference))
        maps = self.layer4_bak(self.layer3_bak(self.layer2_bak(maps)))
        scores = self.new_fc(self.dropout(self.avgpool(maps).flatten(1)))
        of_segments: Tensor = scores.unflatten(0, (-1, self.segments))
        return of_segments.mean(1)

    def _with(self, maps: Tensor, difference: Tensor) -> Tensor:
        return self.passed * maps + self.added * F.interpolate(difference, maps.shape[2:])


class Ensemble(nn.Module):
    """Five frames of each of 8 and of 16 segments (B, 3, 5·24, H, W) -> the average of two networks' scores."""

    def __init__(self, segments: tuple[int, ...], num_classes: int, depth: int) -> None:
        super().__init__()
        self.frames = tuple(FRAMES * number for number in segments)
        self.members = nn.ModuleList(TDN(number, num_classes, depth) for number in segments)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        few, many = (member(clip) for member, clip in zip(self.members, x.split(self.frames, 2), strict=True))
        scores: Tensor = (few + many) / 2
        return scores


def _stage(channels: int, width: int, blocks: int, stride: int, segments: int | None) -> nn.Sequential:
    rest = (Bottleneck(EXPANSION * width, width, 1, segments) for _ in range(blocks - 1))
    return nn.Sequential(Bottleneck(channels, width, stride, segments), *rest)


def _require_segments(clip: Clip, least: int) -> int:
    """The number of segments.

    Raises:
        InputError: frames are not five of each, segments are fewer than `least` or no multiple of it, or the frames are
            too small.
    """
    segments, rest = divmod(clip.frames, FRAMES)
    if rest or segments < 2 or segments % least:
        fitting, size = FRAMES * max(2, least, segments // least * least), f"{clip.height}x{clip.width}"
        raise InputError(
            f"clip {clip} has {clip.frames} frames, which are not five of each of two or more segments",
            [("fix", f"give a multiple of {FRAMES * least}, such as --clip {fitting}x{size}")],
        )
    if min(clip.height, clip.width) <= 32:
        raise InputError(
            f"clip {clip} leaves 1 row or column in layer4, where differences are halved once more",
            [("fix", "give frames of more than 32 rows and columns")],
        )
    return segments


def tdn_r50(clip: Clip, num_classes: int) -> SizedNetwork:
    """ResNet-50 on `clip.frames` / 5 segments, each of five frames in a row."""
    return SizedNetwork(TDN(_require_segments(clip, 1), num_classes, 50))


def tdn_r101(clip: Clip, num_classes: int) -> SizedNetwork:
    """The same on ResNet-101."""
    return SizedNetwork(TDN(_require_segments(clip, 1), num_classes, 101))


def tdn_en_r101(clip: Clip, num_classes: int) -> SizedNetwork:
    """Two networks: one sees a third of the segments and the other the rest, 8 and 16 in the paper (TDN-En)."""
    third = _require_segments(clip, 3) // 3
    departures = () if third == 8 else (f"networks of {third} and {2 * third} segments, the paper's are of 8 and 16",)
    return SizedNetwork(Ensemble((third, 2 * third), num_classes, 101), departures)
