"""The systems of the lecture, in its order."""

from __future__ import annotations

from ...clip import Clip
from .card import Card

__all__ = ["CARDS"]

_KARPATHY_PAPER = "https://research.google/pubs/pub42455/"
_KARPATHY_PAGE = "https://cs.stanford.edu/people/karpathy/deepvideo/"  # no code was released
_KARPATHY_CLIP = Clip(10, 170, 170)

CARDS = (
    Card(
        name="single_frame",
        title="Single frame: a 2D CNN on every frame, scores averaged",
        family="2D CNN",
        year=2014,
        paper=_KARPATHY_PAPER,
        code=_KARPATHY_PAGE,
        builder="karpathy:single_frame",
        clip=_KARPATHY_CLIP,
        smallest=Clip(2, 23, 23),
        stride=1,
        num_classes=487,
    ),
    Card(
        name="late_fusion_fc",
        title="Late fusion: fully connected layers over the features of all frames",
        family="2D CNN",
        year=2014,
        paper=_KARPATHY_PAPER,
        code=_KARPATHY_PAGE,
        builder="karpathy:late_fusion_fc",
        clip=_KARPATHY_CLIP,
        smallest=Clip(2, 23, 23),
        stride=1,
        num_classes=487,
    ),
    Card(
        name="late_fusion_pool",
        title="Late fusion: a linear layer over features averaged over time and space",
        family="2D CNN",
        year=2014,
        paper=_KARPATHY_PAPER,
        code=_KARPATHY_PAGE,
        builder="karpathy:late_fusion_pool",
        clip=_KARPATHY_CLIP,
        smallest=Clip(2, 23, 23),
        stride=1,
        num_classes=487,
    ),
    Card(
        name="early_fusion",
        title="Early fusion: the first 2D convolution sees all frames as channels",
        family="2D CNN",
        year=2014,
        paper=_KARPATHY_PAPER,
        code=_KARPATHY_PAGE,
        builder="karpathy:early_fusion",
        clip=_KARPATHY_CLIP,
        smallest=Clip(2, 23, 23),
        stride=1,
        num_classes=487,
    ),
    Card(
        name="slow_fusion",
        title="Slow fusion: a 3D CNN that merges time in its first three convolutions",
        family="3D CNN",
        year=2014,
        paper=_KARPATHY_PAPER,
        code=_KARPATHY_PAGE,
        builder="karpathy:slow_fusion",
        clip=_KARPATHY_CLIP,
        smallest=Clip(10, 23, 23),
        stride=1,
        num_classes=487,
    ),
    Card(
        name="c3d",
        title="C3D: eight 3×3×3 convolutions, five pools, three fully connected layers",
        family="3D CNN",
        year=2014,
        paper="https://arxiv.org/abs/1412.0767",
        code="https://github.com/facebookarchive/C3D",
        builder="c3d:c3d",
        clip=Clip(16, 112, 112),
        smallest=Clip(16, 16, 16),
        stride=1,
        num_classes=487,
    ),
)
