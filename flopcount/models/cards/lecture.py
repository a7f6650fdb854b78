"""The systems of the lecture, in its order."""

from __future__ import annotations

from ...clip import Clip
from .card import Card

__all__ = ["CARDS"]

CARDS = (
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
