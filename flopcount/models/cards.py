"""What is known of every network of the zoo without building it; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..clip import Clip

__all__ = ["CARDS", "Card"]


@dataclass(frozen=True, slots=True)
class Card:
    """A network as its paper has it.

    `builder` is "module:function" below flopcount.models; `clip`, `stride` and `num_classes` are the paper's own.
    """

    name: str
    title: str
    family: str
    year: int
    paper: str
    code: str
    builder: str
    clip: Clip
    stride: int
    num_classes: int


_CARDS = (
    Card(
        name="c3d",
        title="C3D: eight 3×3×3 convolutions, five pools, three fully connected layers",
        family="3D CNN",
        year=2014,
        paper="https://arxiv.org/abs/1412.0767",
        code="https://github.com/facebookarchive/C3D",
        builder="c3d:c3d",
        clip=Clip(16, 112, 112),
        stride=1,
        num_classes=487,
    ),
)

CARDS: Mapping[str, Card] = MappingProxyType({card.name: card for card in _CARDS})
"""Name -> card, in the order `flopcount list` shows."""
