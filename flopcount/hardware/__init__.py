"""What a result takes on a named device: time, energy and money, predicted and measured.

A counted result and a device enter, a Cost leaves: `prediction` and `cost`. A run and a calibration of the machine at
hand are `measurement` and `calibration`. The names below need no torch: of seconds and a device they make joules and
money.
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
