"""The cards of the zoo, one file per part of it; nothing here imports torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType

from .attention import CARDS as ATTENTION
from .card import Card
from .convolutional import CARDS as CONVOLUTIONAL
from .frames import CARDS as FRAMES
from .lecture import CARDS as LECTURE
from .vision_transformers import CARDS as VISION_TRANSFORMERS

__all__ = ["ARCHITECTURES", "CARDS", "Card", "recorded_costs"]

_ALL = (*LECTURE, *CONVOLUTIONAL, *VISION_TRANSFORMERS, *ATTENTION, *FRAMES)

CARDS: Mapping[str, Card] = MappingProxyType({card.name: card for card in _ALL})
"""Name -> card, in the order `flopcount list` shows."""

ARCHITECTURES: Mapping[str, Card] = MappingProxyType({card.name: card for card in _ALL if card.size_of is None})
"""The cards whose code differs by more than sizes."""


def recorded_costs() -> dict[str, tuple[int, int]]:
    """Name -> (params, MACs) at the network's own clip, written by `pytest --update-golden` and compared by tests."""
    text = resources.files(__package__).joinpath("costs.json").read_text()
    return {name: (cost["params"], cost["macs"]) for name, cost in json.loads(text).items()}
