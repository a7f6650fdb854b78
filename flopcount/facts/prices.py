"""What an hour of a device costs: a few dated prices with their sources, and price files of the user.

The package's own are in prices.csv: on demand, without storage, traffic and tax. A user's file has the columns of the
SkyPilot catalogue (skypilot-org/skypilot-catalog, catalogs/v8/*/vms.csv): a price per machine, which is divided by its
accelerators. accelerators.csv says which devices a name of that catalogue may be, after its catalogs/v7/common/
metadata.csv @5e30248; where a name fits several, the price stands for each, and its note says so. Accelerators that the
package has no device for, TPUs (counted in cores there) and shares of a GPU are left out, as are spot prices.
"""

from __future__ import annotations

import csv
import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..core.errors import InputError, UnknownNameError
from ..core.one_line import OneLine
from .devices import find_device
from .rows import filled, number, read

__all__ = ["CALLER", "Price", "cheapest_price", "price_of", "price_row", "prices", "read_prices"]

CALLER = "given by the caller"
_CATALOGUE = ("InstanceType", "AcceleratorName", "AcceleratorCount", "Price", "Region")
_COLUMNS = ("device", "price_per_hour", "currency", "region", "provider", "instance", "date", "source")
_FIX = "leave the row out, or give all of it: a price without date, region and source says nothing"


@dataclass(frozen=True, slots=True)
class Price(OneLine):
    """The price of one device for an hour. Only a price that the caller gave may lack a region or a date.

    Arguments:
        amount_per_hour: of one device, in units of the currency.
        currency: three letters, such as "USD".
        device: as in devices.csv; "" for a price of the caller, which holds for whatever it is applied to.
        region: the provider's name of the place.
        date: the day on which it held, as 2026-08-23.
        source: where it was read.
        provider: who asks it.
        instance: the machine that it is of.
        note: what is uncertain about it.

    Raises:
        InputError: the amount is below zero, or something is missing.
    """

    amount_per_hour: float
    currency: str
    device: str
    region: str | None
    date: str | None
    source: str
    provider: str = ""
    instance: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.amount_per_hour < float("inf"):
            raise InputError(f"a price of {self.amount_per_hour} per hour", [("fix", "give a number from 0 upwards")])
        if not self.source or (self.source != CALLER and not (self.region and self.date)):
            raise InputError("a price without region, date or source", [("seen", str(self)), ("fix", _FIX)])
        if self.date:
            _day(self.date)

    def __str__(self) -> str:
        """What has to stand beside any amount of money: the price, the place, the day and the source."""
        place = ", ".join(filter(None, (self.provider, self.instance, self.region, self.date)))
        note = f" ({self.note})" if self.note else ""
        where = f" at {place}" if place else ""
        return f"{self.amount_per_hour:g} {self.currency} per hour{where}: {self.source}{note}"


@cache
def prices() -> tuple[Price, ...]:
    """Every price of the package, in the order of the data file."""
    return tuple(price_row(place, row) for place, row in read("prices.csv"))


def price_row(place: str, row: dict[str, str]) -> Price:
    """One row of prices.csv, checked.

    Raises:
        InputError: a cell is empty or malformed; the message names the line.
        UnknownNameError: no such device.
    """
    filled(place, row, _COLUMNS, _FIX)
    amount = number(place, row, "price_per_hour")
    assert amount is not None  # every cell is filled
    device = find_device(row["device"]).name
    rest = (row[column] for column in ("region", "date", "source", "provider", "instance"))
    return Price(amount, row["currency"], device, *rest)


def price_of(device: str) -> Price | None:
    """The package's newest price of a device (of the same day, the first in the file), or None.

    Raises:
        InputError, UnknownNameError: as `find_device`.
    """
    name = find_device(device).name
    known = [price for price in prices() if price.device == name]
    return max(known, key=lambda price: price.date or "", default=None)


def cheapest_price(among: Sequence[Price], device: str, region: str | None = None) -> Price | None:
    """The lowest of these prices for a device, in a region or in any; None where the device has none.

    Raises:
        InputError: the prices are in several currencies.
        UnknownNameError: no price of the device is from that region, with near names; or no such device.
    """
    name = find_device(device).name
    of_device = [price for price in among if price.device == name]
    regions = sorted({price.region or "" for price in of_device})
    if of_device and region is not None and region not in regions:
        raise UnknownNameError(f"region with a price of {name}", region, regions, f"choose {', '.join(regions)}")
    candidates = [price for price in of_device if region in (None, price.region)]
    currencies = sorted({price.currency for price in candidates})
    if len(currencies) > 1:
        raise InputError(
            f"prices of {name} in {' and '.join(currencies)} cannot be compared",
            [("fix", "give those of one currency")],
        )
    return min(candidates, key=lambda price: price.amount_per_hour, default=None)


def read_prices(path: str | Path, *, date: str | None = None, currency: str = "USD") -> tuple[Price, ...]:
    """The prices on demand of a file with the columns of the SkyPilot catalogue, per accelerator.

    The catalogue has neither date nor currency. Without `date` the day of the file's last change stands in, and the
    note says so. Rows without an accelerator, without a price (or 0), or of accelerators that no device is known for
    are left out; equal prices of several zones of a region are one.

    Raises:
        InputError: the file or a column is missing, a cell is malformed (the message names the row), or no row prices
            a known device.
    """
    path, note = Path(path), ""
    lines = _lines(path)
    if date is None:
        date = datetime.date.fromtimestamp(path.stat().st_mtime).isoformat()
        note = "dated by the file's last change"
    _day(date)
    reader = csv.DictReader(lines)
    missing = [column for column in _CATALOGUE if column not in (reader.fieldnames or ())]
    if missing:
        seen = ", ".join(reader.fieldnames or ()) or "an empty file"
        raise InputError(
            f"price file {path.name} has no column {' and '.join(missing)}",
            [("seen", seen), ("fix", f"name the columns {', '.join(_CATALOGUE)}")],
        )
    found: dict[tuple[str, str, str | None, float], Price] = {}
    try:
        for row in reader:
            for price in _of_catalogue(f"{path.name}, line {reader.line_num}", row, date, currency, note):
                found.setdefault((price.device, price.instance, price.region, price.amount_per_hour), price)
    except csv.Error as error:
        raise InputError(f"price file {path.name} cannot be read", [("seen", str(error))]) from None
    if not found:
        raise InputError(
            f"price file {path.name} prices no known device",
            [("fix", f"name one of {', '.join(_devices_by_accelerator())} in AcceleratorName")],
        )
    return tuple(found.values())


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise InputError(f"no price file {str(path)!r}", [("fix", "name a CSV file, such as vms.csv")])
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"price file {path.name} cannot be read", [("seen", str(error))]) from None


def _of_catalogue(place: str, row: dict[str, str], date: str, currency: str, note: str) -> Iterator[Price]:
    """The prices of one row: one for each device that its accelerator may be."""
    names, ambiguous = _devices_by_accelerator().get(row["AcceleratorName"] or "", ((), ""))
    if not names or not (row["Price"] or "").strip("0."):
        return
    filled(place, row, ("AcceleratorCount", "Region"), "give the row's number of accelerators, and its region")
    count, amount = number(place, row, "AcceleratorCount"), number(place, row, "Price")
    assert count is not None
    assert amount is not None
    if count < 1:  # a share of a GPU is no GPU, and its price no share of a GPU's
        return
    alone = "" if row["InstanceType"] else "the accelerator alone, without a machine around it"
    several = f"{row['AcceleratorName']} may be {' or '.join(names)}" if len(names) > 1 else ""
    notes = ", ".join(filter(None, (several, ambiguous, alone, note)))
    for name in names:
        yield Price(amount / count, currency, name, row["Region"], date, place, "", row["InstanceType"] or "", notes)


@cache
def _devices_by_accelerator() -> dict[str, tuple[tuple[str, ...], str]]:
    """A name of the catalogue -> the devices that it may be, and why that is uncertain."""
    return {row["accelerator"]: (tuple(row["devices"].split()), row["note"]) for _, row in read("accelerators.csv")}


def _day(text: str) -> None:
    try:
        day = datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        day = ""
    if day != text:  # Python reads further forms, in which prices would not sort
        raise InputError(f"date {text!r} is not a day", [("fix", "write it as 2026-08-23")])
