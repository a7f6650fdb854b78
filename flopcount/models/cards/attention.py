"""Video networks made of attention."""

from __future__ import annotations

from ...clip import Clip
from .card import Card

__all__ = ["CARDS"]

CARDS = (
    Card(
        name="timesformer_b",
        title="TimeSformer: a vision transformer with divided space-time attention",
        family="transformer",
        year=2021,
        paper="https://arxiv.org/abs/2102.05095",
        code="https://github.com/facebookresearch/TimeSformer",
        builder="vision_transformers:timesformer_b",
        clip=Clip(8, 224, 224),
        smallest=Clip(2, 32, 32),
        stride=32,
        num_classes=400,
        requires="transformers",
    ),
    Card(
        name="vivit_b_16x2",
        title="ViViT-B/16x2, model 1: joint attention over all tubelets of the clip",
        family="transformer",
        year=2021,
        paper="https://arxiv.org/abs/2103.15691",
        code="https://github.com/google-research/scenic/tree/main/scenic/projects/vivit",
        builder="vision_transformers:vivit_b_16x2",
        clip=Clip(32, 224, 224),
        smallest=Clip(2, 32, 32),
        stride=2,
        num_classes=400,
        requires="transformers",
    ),
    Card(
        name="videomae_b",
        title="VideoMAE: a ViT-B over tubelets, pre-trained by masking",
        family="transformer",
        year=2022,
        paper="https://arxiv.org/abs/2203.12602",
        code="https://github.com/MCG-NJU/VideoMAE",
        builder="vision_transformers:videomae_b",
        clip=Clip(16, 224, 224),
        smallest=Clip(2, 32, 32),
        stride=4,
        num_classes=400,
        requires="transformers",
    ),
)
