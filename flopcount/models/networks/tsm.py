"""Temporal shift module in ResNet-50 (Lin et al. 2019, "TSM: Temporal Shift Module for Efficient Video Understanding").

Paper: https://arxiv.org/abs/1811.08383 (section 3). Code followed:
https://github.com/mit-han-lab/temporal-shift-module, ops/temporal_shift.py ("blockres", 1/8 of the channels each way)
and ops/models.py: every block shifts the input of its first convolution, each segment is scored, scores are averaged.
Online (section 4), channels come only from the previous frame, and a stream keeps C/8 of every block's last frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...core.protocol import Clip
from .resnet import Bottleneck, ResNet50
from .sized_network import SizedNetwork
from .streamable import ALL, latest

__all__ = ["TSM", "OnlineShift", "OnlineTSM", "TemporalShift", "tsm_r50"]

SHIFT_DIV = 8


class TemporalShift(nn.Module):
    """Maps (B·T, C, H, W) -> `net` of the shifted maps: C/8 channels from the next frame, C/8 from the previous one.

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


class OnlineShift(nn.Module):
    """Maps (B·T, C, H, W) -> `net` of the shifted maps: C/8 channels from the previous frame, none from the next.

    In a step, `past` has the channels of the previous step's last frame (B, 1, C/8, H, W), zeros at the beginning, and
    `left` those of this step's last frame.
    """

    def __init__(self, net: nn.Module, segments: int) -> None:
        super().__init__()
        self.net = net
        self.segments = segments
        self.in_step = False
        self.past: Tensor | None = None
        self.left: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """What `net` makes of the shifted maps."""
        x = x.unflatten(0, (-1, self.segments))  # (B, T, C, H, W)
        fold = x.shape[2] // SHIFT_DIV
        moving, here = x.split((fold, x.shape[2] - fold), dim=2)
        past = moving.new_zeros(moving[:, :1].shape) if self.past is None else self.past
        if self.in_step:
            self.left = moving[:, -1:]
        before = torch.cat((past, moving[:, :-1]), dim=1)
        shifted: Tensor = self.net(torch.cat((before, here), dim=2).flatten(0, 1))
        return shifted


class TSM(nn.Module):
    """Frames of T segments (B, 3, T, H, W) -> class scores (B, num_classes)."""

    shift: type[TemporalShift] | type[OnlineShift] = TemporalShift

    def __init__(self, segments: int, num_classes: int) -> None:
        super().__init__()
        self.segments = segments
        self.base_model = ResNet50(num_classes)
        for block in self.base_model.modules():
            if isinstance(block, Bottleneck):
                block.conv1 = self.shift(block.conv1, segments)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        return self._of_frames(x).mean(1)

    def _of_frames(self, x: Tensor) -> Tensor:
        """Scores of every frame (B, T, num_classes)."""
        scores: Tensor = self.base_model(x.transpose(1, 2).flatten(0, 1))
        of_frames: Tensor = scores.unflatten(0, (x.shape[0], x.shape[2]))
        return of_frames


class OnlineTSM(TSM):
    """TSM without channels from later frames."""

    shift = OnlineShift
    step_sees = ALL

    def step(self, frames: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Scores averaged over the last T frames; keeps these, and channels of the last frame in every block."""
        shifts = [part for part in self.modules() if isinstance(part, OnlineShift)]
        scores, pasts = state if state is not None else (None, [None] * len(shifts))
        with _resumed(shifts, pasts, frames.shape[2]):
            window = latest(scores, self._of_frames(frames), self.segments)
            left = [shift.left for shift in shifts]
        return window.mean(1), (window, left)


@contextmanager
def _resumed(shifts: Sequence[OnlineShift], pasts: Sequence[Tensor | None], frames: int) -> Iterator[None]:
    """Put the blocks into the state of the last step, for this many frames, and restore them afterwards."""
    segments = [shift.segments for shift in shifts]
    for shift, past in zip(shifts, pasts, strict=True):
        shift.in_step, shift.segments, shift.past = True, frames, past
    try:
        yield
    finally:
        for shift, built_for in zip(shifts, segments, strict=True):
            shift.in_step, shift.segments, shift.past, shift.left = False, built_for, None, None


def tsm_r50(clip: Clip, num_classes: int, *, online: bool = False) -> SizedNetwork:
    """One frame of each of `clip.frames` segments, with shifts between them; `online`, only from the past."""
    if online:
        departure = "online: channels come only from the previous frame"
        return SizedNetwork(OnlineTSM(clip.frames, num_classes), (departure,))
    return SizedNetwork(TSM(clip.frames, num_classes))
