"""The cards of the zoo, one file per part of it; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .card import Card
from .lecture import CARDS as LECTURE

__all__ = ["CARDS", "Card"]

CARDS: Mapping[str, Card] = MappingProxyType({card.name: card for card in (*LECTURE,)})
"""Name -> card, in the order `flopcount list` shows."""
