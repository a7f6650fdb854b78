"""Seconds on a device and its price per hour -> money, which always says where the price comes from."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from numbers import Real

from ..core.errors import InputError
from ..core.one_line import OneLine
from ..core.units import money
from ..facts.prices import CALLER, Price

__all__ = ["Money", "money_of", "parse_price", "price_of_caller", "require_utilisation"]

_HOUR = 3600
_PRICE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-z]{3})?\s*")
_CURRENCY = "USD"


@dataclass(frozen=True, slots=True)
class Money(OneLine):
    """An amount, and the price that it is made of. Only a price of the caller may lack a region or a date.

    Arguments:
        amount: in units of the currency.
        currency: three letters, such as "USD".
        per_hour: the price of one device for an hour.
        region: where it holds.
        date: when it held.
        source: where it was read.
        note: what is uncertain about the price.
    """

    amount: float
    currency: str
    per_hour: float
    region: str | None
    date: str | None
    source: str
    note: str = ""

    def _headline(self) -> str:
        where = ", ".join(filter(None, (self.region, self.date, self.source)))
        return f"{money(self.amount, self.currency)} at {self.per_hour:g} {self.currency} per hour ({where})"


def money_of(seconds: float, price: Price, utilisation: float = 1.0) -> Money:
    """What so many seconds of use cost, if the device is in use for that share of the hours that are paid.

    Raises:
        InputError: the time is negative or no number, or the utilisation is not above 0 and at most 1.
    """
    if not 0 <= seconds < math.inf:
        raise InputError(f"no price of {seconds} s", [("fix", "give seconds from 0 upwards")])
    require_utilisation(utilisation)
    amount = seconds / _HOUR * price.amount_per_hour / utilisation
    share = "" if utilisation == 1 else f"in use {100 * utilisation:g}% of the paid hours"
    note = "; ".join(filter(None, (price.note, share)))
    return Money(amount, price.currency, price.amount_per_hour, price.region, price.date, price.source, note)


def require_utilisation(share: float) -> None:
    """Refuse what is no share of the paid hours.

    Raises:
        InputError: it is not above 0 and at most 1.
    """
    if not isinstance(share, Real) or not 0 < share <= 1:
        raise InputError(f"utilisation is {share!r}", [("fix", "give a share above 0 and at most 1")])


def price_of_caller(price: float | str | Price) -> Price:
    """A price as a caller gives it: a number of US dollars per hour, a text as of `parse_price`, or a Price.

    Raises:
        InputError: it is no price.
    """
    if isinstance(price, Price):
        return price
    if isinstance(price, Real) and not isinstance(price, bool):
        return Price(float(price), _CURRENCY, "", None, None, CALLER)  # str() writes small and large ones as 1e-05
    return parse_price(str(price))


def parse_price(text: str, *, region: str | None = None, date: str | None = None) -> Price:
    """A price per hour as typed: "2.79" are US dollars, "2.79EUR" and "2.79 eur" euros; its source is the caller.

    Raises:
        InputError: the text is no price, or `date` no day.
    """
    match = _PRICE.fullmatch(text)
    if match is None:
        raise InputError(
            f"{text!r} is not a price per hour", [("fix", "write a number and a currency, such as 2.79 or 2.79EUR")]
        )
    return Price(float(match[1]), (match[2] or _CURRENCY).upper(), "", region, date, CALLER)
