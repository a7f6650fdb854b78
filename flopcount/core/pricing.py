"""What the times, energies and money of a result are those of: the device and how the network runs on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Protocol

from .one_line import OneLine
from .quantity import Quantity
from .units import si

__all__ = ["LOW_TO_HIGH", "TIMES", "Pricing", "Times", "currency_of", "pricing_lines", "unit_of"]


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of a run: what the datasheet allows at least, what to expect, and what 8 of 10 networks lie between."""

    bound: float
    estimate: float
    low: float
    high: float

    def scaled(self, factor: float) -> Times:
        """Of so many such runs, or of a part of one."""
        return Times(self.bound * factor, self.estimate * factor, self.low * factor, self.high * factor)

    @property
    def span(self) -> str:
        """What it lies between: "2.06 ms to 5.16 ms"."""
        return f"{si(self.low, 's')} to {si(self.high, 's')}"

    def __str__(self) -> str:
        return f"estimate {si(self.estimate, 's')}, range {self.span}, bound {si(self.bound, 's')}"


TIMES = tuple(column.name for column in fields(Times))
"""The names of the numbers of a time, in their order."""

LOW_TO_HIGH = "low to high: what 8 of 10 networks lie between"
"""What stands under every table with a range."""


@dataclass(frozen=True, slots=True)
class Pricing(OneLine):
    """The conditions in words, such as "rtx-4090, amp, eager, nchw", the currency, and notes for any number of it.

    `times` are those of the whole input as counted.
    """

    conditions: str
    currency: str = ""
    notes: tuple[str, ...] = ()
    times: Times | None = None

    def _headline(self) -> str:
        return f"on {self.conditions}" + (f": {self.times}" if self.times else "")


class Priced(Protocol):
    """What may have a pricing: a result, or a saved report."""

    @property
    def pricing(self) -> Pricing | None: ...


def currency_of(report: Priced) -> str:
    """The currency of its money; empty where it has none."""
    return "" if report.pricing is None else report.pricing.currency


def unit_of(quantity: Quantity, report: Priced) -> str:
    """The unit of its amounts in a report: money is in the report's currency."""
    return currency_of(report) if quantity.in_currency else quantity.unit


def pricing_lines(reports: Mapping[str, Priced]) -> Iterator[str]:
    """What the times of several reports, by a word for each, are those of, and whether they can be compared."""
    pricings = {side: report.pricing for side, report in reports.items()}
    conditions = {side: pricing.conditions for side, pricing in pricings.items() if pricing is not None}
    if not conditions:
        return
    sides = ", ".join(f"{words} ({side})" for side, words in conditions.items())
    if len(conditions) < len(pricings):
        yield f"only one side is priced, so no time is compared: {sides}"
    elif len(set(conditions.values())) > 1:
        yield f"PRICED UNDER DIFFERENT CONDITIONS: {sides}"
    else:
        yield f"time as estimated on {next(iter(conditions.values()))}"
    for side, pricing in pricings.items():
        if pricing is not None and pricing.times is not None:
            yield f"time of the {side}: {pricing.times}"
    currencies = {side: pricing.currency for side, pricing in pricings.items() if pricing and pricing.currency}
    if len(set(currencies.values())) > 1:
        yield f"money is in different currencies and not compared: {', '.join(currencies.values())}"
    for note in dict.fromkeys(note for pricing in pricings.values() if pricing for note in pricing.notes):
        having = [side for side, pricing in pricings.items() if pricing and note in pricing.notes]
        yield note if len(having) == len(pricings) else f"{note} ({', '.join(having)})"
