"""The cards of the zoo, one file per part of it; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .attention import CARDS as ATTENTION
from .card import Card
from .convolutional import CARDS as CONVOLUTIONAL
from .frames import CARDS as FRAMES
from .lecture import CARDS as LECTURE
from .recorded_costs import recorded_costs
from .vision_transformers import CARDS as VISION_TRANSFORMERS

__all__ = ["ARCHITECTURES", "CARDS", "Card", "recorded_costs"]

_ALL = (*LECTURE, *CONVOLUTIONAL, *VISION_TRANSFORMERS, *ATTENTION, *FRAMES)

CARDS: Mapping[str, Card] = MappingProxyType({card.name: card for card in _ALL})
"""Name -> card, in the order `flopcount list` shows."""

ARCHITECTURES: Mapping[str, Card] = MappingProxyType({card.name: card for card in _ALL if card.size_of is None})
"""The cards whose code differs by more than sizes."""
