"""The networks of the zoo, from their cards and recorded costs."""

from __future__ import annotations

from collections.abc import Iterable

from flopcount.core.units import si
from flopcount.models import CARDS
from flopcount.models.cards import Card, recorded_costs

from .markdown import table

__all__ = ["networks_page"]

_HEAD = """# Networks

The networks that `flopcount model NAME` and `flopcount.create_model(NAME)` know by name, each at its paper's own clip
and number of classes. Each is written in plain `torch.nn`; a report names where it departs from its paper.
[Your own code and libraries](../how_to/own_models.md) have names too.
"""


def networks_page() -> str:
    """One table per family, in the order of the zoo."""
    families: dict[str, list[Card]] = {}
    for card in CARDS.values():
        families.setdefault(card.family, []).append(card)
    return "\n".join([_HEAD, *(f"## {family}\n\n{_table(cards)}" for family, cards in families.items())])


def _table(cards: Iterable[Card]) -> str:
    costs = recorded_costs()
    rows = []
    for card in cards:
        params, macs = costs[card.name]
        sources = f"[paper]({card.paper}), [code]({card.code})"
        rows.append((f"`{card.name}`", card.title, card.year, card.clip, si(macs), si(params), sources))
    return table(("name", "network", "year", "clip", "MACs", "params", "sources"), rows)
