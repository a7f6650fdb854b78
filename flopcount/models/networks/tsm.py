"""Temporal shift module in ResNets (Lin et al. 2019, "TSM: Temporal Shift Module for Efficient Video Understanding").

Paper: https://arxiv.org/abs/1811.08383 (section 3). Code followed:
https://github.com/mit-han-lab/temporal-shift-module, ops/temporal_shift.py ("blockres", 1/8 of the channels each way)
and ops/models.py: every block (of ResNet-101, every second one of a stage) shifts the input of its first convolution,
each segment is scored, scores are averaged. Non-local blocks, which see all segments, are placed and built as in
https://github.com/open-mmlab/mmaction2, mmaction/models/backbones/resnet_tsm.py: keys are pooled behind φ and g, and
the convolution before the last norm has no bias.
Online (section 4), channels come only from the previous frame, and a stream keeps C/8 of every block's last frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...core.errors import InputError
from ...core.protocol import Clip
from .nonlocal_block import NonLocal
from .resnet import Bottleneck, ResNet
from .sized_network import SizedNetwork
from .streamable import ALL, latest

__all__ = ["TSM", "OnlineShift", "OnlineTSM", "TemporalShift", "tsm_nl_r50", "tsm_r50", "tsm_r101"]

SHIFT_DIV = 8
NONLOCAL_PLACES = {"layer2": (0, 2), "layer3": (0, 2, 4)}


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

    def __init__(self, segments: int, num_classes: int, depth: int = 50) -> None:
        super().__init__()
        self.segments = segments
        self.base_model = ResNet(num_classes, depth)
        for stage in self.base_model.children():
            if isinstance(stage, nn.Sequential):
                for block in list(stage)[:: 1 if depth == 50 else 2]:
                    assert isinstance(block, Bottleneck)
                    block.conv1 = self.shift(block.conv1, segments)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        return self._of_frames(x).mean(1)

    def _of_frames(self, x: Tensor) -> Tensor:
        """Scores of every frame (B, T, num_classes)."""
        scores: Tensor = self.base_model(x.transpose(1, 2).flatten(0, 1))
        of_frames: Tensor = scores.unflatten(0, (x.shape[0], x.shape[2]))
        return of_frames


class NonLocalOfSegments(nn.Module):
    """Maps (B·T, C, H, W) -> those of `block`, then a non-local block over all T segments."""

    def __init__(self, block: nn.Module, channels: int, segments: int, pairwise: str) -> None:
        super().__init__()
        self.block = block
        self.non_local_block = NonLocal(channels, pairwise=pairwise, pool_after=True, out_bias=False)
        self.segments = segments

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B·T, C, H, W)."""
        maps = self.block(x).unflatten(0, (-1, self.segments)).transpose(1, 2)  # (B, C, T, H, W)
        summed: Tensor = self.non_local_block(maps).transpose(1, 2).flatten(0, 1)
        return summed


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


def tsm_r101(clip: Clip, num_classes: int) -> SizedNetwork:
    """TSM with ResNet-101, in which every second block shifts."""
    return SizedNetwork(TSM(clip.frames, num_classes, 101))


def tsm_nl_r50(clip: Clip, num_classes: int, *, pairwise: str = "dot_product") -> SizedNetwork:
    """TSM with five non-local blocks, in the second and third stage (mmaction2's tsm_imagenet-pretrained-r50-nl-*)."""
    if min(clip.height, clip.width) <= 16:
        fix = "give larger frames, or choose tsm_r50"
        raise InputError(
            f"clip {clip} leaves 1 row or column in layer3, where non-local blocks pool 2×2", [("fix", fix)]
        )
    model = TSM(clip.frames, num_classes)
    for name, blocks in NONLOCAL_PLACES.items():
        stage = model.base_model.get_submodule(name)
        assert isinstance(stage, nn.Sequential)
        for index in blocks:
            channels = 512 if name == "layer2" else 1024
            stage[index] = NonLocalOfSegments(stage[index], channels, clip.frames, pairwise)
    departures = () if pairwise == "dot_product" else (f"pairwise function {pairwise}, released with dot_product too",)
    return SizedNetwork(model, departures)
