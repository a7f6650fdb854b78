"""Temporal segment networks with a ResNet (Wang et al. 2016, "Temporal Segment Networks").

Paper: https://arxiv.org/abs/1608.00859. Code followed: https://github.com/open-mmlab/mmaction2,
configs/recognition/tsn and mmaction/models/heads/tsn_head.py: the features of the segments' frames are averaged, then
classified. The paper averages their scores, which is the same function without dropout, but runs fc_cls per segment.
"""

from __future__ import annotations

from torch import Tensor, nn

from ...core.protocol import Clip
from .resnet import ResNet
from .sized_network import SizedNetwork
from .streamable import WINDOW, latest

__all__ = ["TSN", "tsn_r50", "tsn_r101"]


class TSN(nn.Module):
    """Frames of T segments (B, 3, T, H, W) -> class scores (B, num_classes); any T and size (a stream: `segments`)."""

    step_sees = WINDOW

    def __init__(self, segments: int, num_classes: int, depth: int = 50) -> None:
        super().__init__()
        self.segments = segments
        self.backbone = ResNet(num_classes, depth)
        self.backbone.fc = nn.Identity()  # the head has its own
        self.dropout = nn.Dropout(0.4)
        self.fc_cls = nn.Linear(self.backbone.features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        scores: Tensor = self.fc_cls(self.dropout(self._of_frames(x).mean(1)))
        return scores

    def step(self, frames: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Scores of the last T frames; keeps their features (B, T, 2048)."""
        window = latest(state, self._of_frames(frames), self.segments)
        return self.fc_cls(self.dropout(window.mean(1))), window

    def _of_frames(self, x: Tensor) -> Tensor:
        """Features of every frame (B, T, 2048)."""
        features: Tensor = self.backbone(x.transpose(1, 2).flatten(0, 1))
        of_frames: Tensor = features.unflatten(0, (x.shape[0], x.shape[2]))
        return of_frames


def tsn_r50(clip: Clip, num_classes: int) -> SizedNetwork:
    """One frame of each of `clip.frames` segments."""
    return SizedNetwork(TSN(clip.frames, num_classes))


def tsn_r101(clip: Clip, num_classes: int) -> SizedNetwork:
    """The same with ResNet-101 (mmaction2's tsn_imagenet-pretrained-r101_8xb32-1x1x8-100e_kinetics400-rgb)."""
    return SizedNetwork(TSN(clip.frames, num_classes, 101))
