"""A device by name: one of the data sheets, or the user's own machine from a calibration file."""

from __future__ import annotations

from ..facts.devices import Device, find_device
from .constants import Table, constants_table

__all__ = ["device_named"]


def device_named(name: str) -> tuple[Device, Table]:
    """The device and the constants to estimate its times by.

    Raises:
        InputError, UnknownNameError: as `find_device`.
    """
    return find_device(name), constants_table()
