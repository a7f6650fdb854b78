"""Temporal segment network with ResNet-50 (Wang et al. 2016, "Temporal Segment Networks").

Paper: https://arxiv.org/abs/1608.00859. Code followed: https://github.com/open-mmlab/mmaction2,
configs/recognition/tsn and mmaction/models/heads/tsn_head.py: the features of the segments' frames are averaged, then
classified. The paper averages their scores: without dropout the same function, with fc_cls run for every segment.
"""

from __future__ import annotations

from torch import Tensor, nn

from ..clip import Clip
from .built import Built
from .resnet import ResNet50

__all__ = ["TSN", "tsn_r50"]


class TSN(nn.Module):
    """Frames of T segments (B, 3, T, H, W) -> class scores (B, num_classes); any T and size."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.backbone = ResNet50(num_classes)
        self.backbone.fc = nn.Identity()  # the head has its own
        self.dropout = nn.Dropout(0.4)
        self.fc_cls = nn.Linear(self.backbone.features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        batch, segments = x.shape[0], x.shape[2]
        features = self.backbone(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (batch, segments))  # (B, T, 2048)
        scores: Tensor = self.fc_cls(self.dropout(features.mean(1)))
        return scores


def tsn_r50(clip: Clip, num_classes: int) -> Built:
    """One frame of each of `clip.frames` segments."""
    return Built(TSN(num_classes))
