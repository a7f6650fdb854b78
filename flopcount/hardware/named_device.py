"""A device by name: one of the data sheets, or the user's own machine from a calibration file."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import InputError
from ..facts.devices import Device, find_device
from .calibration_file import HERE, Calibration, read_calibration
from .constants import Table, constants_table

__all__ = ["calibration_named", "device_named"]


def device_named(name: str) -> tuple[Device, Table]:
    """The device and the constants to estimate its times by.

    "here" is the machine that here.json in the current folder was measured on, and any path that ends in .json is
    that file's.

    Raises:
        InputError, UnknownNameError: as `find_device` and `read_calibration`.
    """
    calibration = calibration_named(name)
    if calibration is None:
        return find_device(name), constants_table()
    return calibration.device, calibration.table


def calibration_named(name: str) -> Calibration | None:
    """The calibration that a name means; None of a device of the data sheets.

    Raises:
        InputError: as `read_calibration`; or the name is no text.
    """
    if not isinstance(name, str):
        raise InputError(f"the device is {name!r}", [("fix", "give one name, such as 'rtx-4090'")])
    if name.strip().lower() == HERE:
        return read_calibration(Path(f"{HERE}.json"))
    return read_calibration(Path(name)) if name.endswith(".json") else None
