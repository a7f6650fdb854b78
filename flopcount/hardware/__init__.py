"""What a result costs on a named device: energy and money of a time.

Seconds and a device enter, joules and an amount of money leave. Nothing here imports torch.
"""

from __future__ import annotations

from .energy import ENERGY_SCOPE, Energy, co2, energy_of, kwh, mid_energy
from .money import Money, money_of, parse_price

__all__ = [
    "ENERGY_SCOPE",
    "Energy",
    "Money",
    "co2",
    "energy_of",
    "kwh",
    "mid_energy",
    "money_of",
    "parse_price",
]
