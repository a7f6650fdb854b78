"""Amounts of time, energy and money as people write them: "33ms", "0.5s", "2J" -> whole numbers of 10^-12."""

from __future__ import annotations

import re
from decimal import Decimal

from .errors import InputError
from .quantity import PICO, Quantity, priced

__all__ = ["parse_spending", "quantity_of_unit"]

_NUMBER = r"\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+"
_AMOUNT = re.compile(rf"({_NUMBER})\s*([pnuµmkMG]?)([A-Za-z]*)")
_SCALES = {"p": -12, "n": -9, "u": -6, "µ": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9}


def parse_spending(value: object, quantity: Quantity, *, what: str) -> int:
    """An amount of what a device spends, in 10^-12 of its unit; a bare number is in the unit of a budget (ms, J).

    Arguments:
        value: as a person writes it, or a number.
        quantity: one of those that a device spends.
        what: what is given, for the message.

    Raises:
        InputError: the value is not such an amount.
    """
    match = _AMOUNT.fullmatch(str(value).strip())
    fits = match is not None and not isinstance(value, bool) and match[3] in ("", quantity.unit)
    if match is None or not fits or (match[2] and not match[3]):
        example = f"500m{quantity.unit} or 0.5{quantity.unit}" if quantity.unit else "0.01"
        fix = f"write {example}; a bare number is in {quantity.limit or quantity.name}"
        raise InputError(f"{what} is {value!r}, no amount of {quantity.name}", [("fix", fix)])
    number = Decimal(match[1])
    return int(number * (quantity.per_limit if not match[3] else PICO) * Decimal(10) ** _SCALES[match[2]])


def quantity_of_unit(text: str) -> Quantity | None:
    """The quantity that an amount with its unit is of; None where no device spends such a thing."""
    match = _AMOUNT.fullmatch(text.strip())
    units = {quantity.unit: quantity for quantity in priced() if quantity.unit}
    return units.get(match[3]) if match is not None else None
