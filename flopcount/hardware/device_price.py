"""Which price holds for a device: of a price list, or of the package's own; for one device as torch shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..core.errors import InputError
from ..facts.devices import Device, devices
from ..facts.prices import Price, cheapest_price, price_of, prices

__all__ = ["device_price"]


def device_price(device: Device, among: Sequence[Price] | None = None, region: str | None = None) -> Price | None:
    """The price of one torch device for an hour; None where the package's own list has none.

    Arguments:
        device: as its datasheet has it, with all torch devices that it consists of.
        among: a list of the caller, of which the lowest price is taken; by default the package's dated prices, of which
            the newest is.
        region: where it has to hold.

    Raises:
        InputError: the caller's list does not price the device, prices it in several currencies, or a region is asked
            for and nothing is known of the device anywhere.
        UnknownNameError: nothing is known of it in that region.
    """
    listed = any(device.name == other.name for other in devices())  # a calibrated machine is in no list
    price: Price | None = None
    if listed and among is None and region is None:
        price = price_of(device.name)
    elif listed:
        price = cheapest_price(prices() if among is None else among, device.name, region)
    if price is None and (among is not None or region is not None):
        where = "the price file" if among is not None else "the package's dated prices"
        raise InputError(
            f"no price of {device.name} in {where}", [("fix", "say what an hour of it costs, such as --price 2.79")]
        )
    return _of_one(price, device.torch_devices) if price is not None else None


def _of_one(price: Price, torch_devices: int) -> Price:
    if torch_devices == 1:
        return price
    note = f"1/{torch_devices} of the price of the whole, {price.amount_per_hour:g}, since torch shows so many devices"
    return replace(
        price,
        amount_per_hour=price.amount_per_hour / torch_devices,
        note="; ".join(filter(None, (price.note, note))),
    )
