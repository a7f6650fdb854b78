"""Temporal relation network (Zhou et al. 2018, "Temporal Relational Reasoning in Videos"), multi-scale.

Paper: https://arxiv.org/abs/1711.08496 (equations 2 to 4). Code followed: https://github.com/open-mmlab/mmaction2,
mmaction/models/heads/trn_head.py with a ResNet-50: a frame becomes 256 features, and for each number of frames from T
down to 2, up to three ordered choices of as many frames are scored by a small network of that number.

The code draws the choices anew in every pass; here they are the first, the middle and the last in order, as many.
"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor, nn

from ...core.errors import InputError
from ...core.protocol import Clip
from .resnet import ResNet50
from .sized_network import SizedNetwork

__all__ = ["TRN", "trn_r50"]

HIDDEN = 256
RELATIONS = 3
"""Choices of frames that are scored per number of frames, at most."""


def relations(segments: int) -> dict[int, tuple[tuple[int, ...], ...]]:
    """The choices of frames for each number of frames, from all of them to two."""
    chosen = {}
    for frames in range(segments, 1, -1):
        choices = list(combinations(range(segments), frames))
        middle = (len(choices) - 1) // 2
        chosen[frames] = tuple(choices[index] for index in sorted({0, middle, len(choices) - 1}))
    return chosen


class TRN(nn.Module):
    """Frames of T segments (B, 3, T, H, W) -> class scores (B, num_classes); T is fixed, H and W are not."""

    def __init__(self, segments: int, num_classes: int) -> None:
        super().__init__()
        self.segments = segments
        self.backbone = ResNet50(num_classes)
        self.backbone.fc = nn.Identity()  # the head has its own
        self.dropout = nn.Dropout(0.8)
        self.fc_cls = nn.Linear(self.backbone.features, HIDDEN)
        self.relations = relations(segments)
        self.fc_fusion_scales = nn.ModuleList(
            nn.Sequential(nn.ReLU(), nn.Linear(frames * HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, num_classes))
            for frames in self.relations
        )

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        features = self.backbone(x.transpose(1, 2).flatten(0, 1))
        of_frames = self.fc_cls(self.dropout(features)).unflatten(0, (-1, self.segments))  # (B, T, 256)
        scored = [
            scorer(torch.stack([of_frames[:, frame] for frame in choice], 1).flatten(1))
            for scorer, choices in zip(self.fc_fusion_scales, self.relations.values(), strict=True)
            for choice in choices
        ]
        scores: Tensor = torch.stack(scored).sum(0)
        return scores


def trn_r50(clip: Clip, num_classes: int) -> SizedNetwork:
    """One frame of each of `clip.frames` segments.

    Raises:
        InputError: there is one frame, which has no relation.
    """
    if clip.frames < 2:
        fix = f"give two or more, such as --clip 8x{clip.height}x{clip.width}"
        raise InputError(f"clip {clip} has one frame, and relations are between frames", [("fix", fix)])
    return SizedNetwork(TRN(clip.frames, num_classes))
