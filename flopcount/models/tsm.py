"""Temporal shift module in ResNet-50 (Lin et al. 2019, "TSM: Temporal Shift Module for Efficient Video Understanding").

Paper: https://arxiv.org/abs/1811.08383 (section 3). Code followed:
https://github.com/mit-han-lab/temporal-shift-module, ops/temporal_shift.py ("blockres", 1/8 of the channels each way)
and ops/models.py: every block shifts what its first convolution sees, each segment is scored, scores are averaged.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..clip import Clip
from .built import Built
from .resnet import Bottleneck, ResNet50

__all__ = ["TSM", "TemporalShift", "tsm_r50"]

SHIFT_DIV = 8


class TemporalShift(nn.Module):
    """Maps (B·T, C, H, W) -> `net` of the shifted maps: C/8 channels from the next frame, C/8 from the one before.

    A shift moves data and computes nothing; zeros come in at both ends.
    """

    def __init__(self, net: nn.Module, segments: int) -> None:
        super().__init__()
        self.net = net
        self.segments = segments

    def forward(self, x: Tensor) -> Tensor:
        """What `net` makes of the shifted maps."""
        x = x.unflatten(0, (-1, self.segments))  # (B, T, C, H, W)
        fold = x.shape[2] // SHIFT_DIV
        after, before, here = x.split((fold, fold, x.shape[2] - 2 * fold), dim=2)
        one_frame = (0, 0) * 3  # padding of W, H and C
        after = F.pad(after[:, 1:], (*one_frame, 0, 1))
        before = F.pad(before[:, :-1], (*one_frame, 1, 0))
        shifted: Tensor = self.net(torch.cat((after, before, here), dim=2).flatten(0, 1))
        return shifted


class TSM(nn.Module):
    """Frames of T segments (B, 3, T, H, W) -> class scores (B, num_classes)."""

    def __init__(self, segments: int, num_classes: int) -> None:
        super().__init__()
        self.base_model = ResNet50(num_classes)
        for block in self.base_model.modules():
            if isinstance(block, Bottleneck):
                block.conv1 = TemporalShift(block.conv1, segments)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        scores = self.base_model(x.transpose(1, 2).flatten(0, 1))
        averaged: Tensor = scores.unflatten(0, (x.shape[0], x.shape[2])).mean(1)
        return averaged


def tsm_r50(clip: Clip, num_classes: int) -> Built:
    """One frame of each of `clip.frames` segments, shifted between them."""
    return Built(TSM(clip.frames, num_classes))
