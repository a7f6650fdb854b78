"""What stands under any time, energy or money of a priced result: its conditions, range, basis and price."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.pricing import Pricing, Times
from ..core.wording import PRICE
from .cost_notes import price_text
from .money import Money

__all__ = ["pricing_of"]


def pricing_of(conditions: str, times: Times, basis_words: str, widened: Sequence[str], money: Money | None) -> Pricing:
    """The pricing of a result from its prediction, just made or read back from JSON."""
    notes = [f"basis: {basis_words}"]
    if widened:
        notes.append(f"less sure: few were measured of {' and '.join(widened)}, so the range is wider")
    if money is not None:
        notes.append(f"{PRICE}{price_text(money)}")
    return Pricing(conditions, "" if money is None else money.currency, tuple(notes), times)
