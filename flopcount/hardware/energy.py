"""Seconds on a device -> joules that it draws: low, mid and high.

    E = t * P_idle + (s * TDP - P_idle) * (t - launch)

P_idle is 0.15 of the TDP, and s the share of the TDP that a busy device draws: 0.85, from 0.6 to 0.95. While it waits
for launches it idles. The numbers are judged from published power traces: ResNet-50 training draws 0.87-0.91 of the
limit on a V100, 0.77-0.83 on an A40 and 0.61-0.66 on a P100; a small network draws 0.16-0.78 of it. Energy per
operation is no basis: measured are 24-46 pJ per FLOP, where TDP over peak says 8-18. A device whose TDP is unknown has
no energy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..core.errors import InputError
from ..facts.devices import Device

__all__ = ["ENERGY_SCOPE", "IDLE_SHARE", "Energy", "co2", "energy_of", "kwh", "mid_energy"]

IDLE_SHARE = 0.15
_LOW, _MID, _HIGH = 0.6, 0.85, 0.95  # of the TDP, while busy
_JOULES_PER_KWH = 3.6e6
_ROUNDING = 1e-9  # sums of many launches may exceed the sum of their times by so much

ENERGY_SCOPE = {
    "gpu": "GPU board only: no CPU, no memory of the host, no PUE",
    "cpu": "CPU package only: no memory, no PUE",
    "edge": "the module by its power limit: no carrier board",
    "tpu": "the chip only: no host, no PUE",
}
"""What the energy is that of, by kind of device."""


@dataclass(frozen=True, slots=True)
class Energy:
    """Joules: what is expected, and what it lies between."""

    low: float
    mid: float
    high: float


def energy_of(seconds: float, launch_seconds: float, device: Device) -> Energy | None:
    """What the device draws in so many seconds, of which it waits `launch_seconds` for launches; None without a TDP.

    Raises:
        InputError: a time is negative or no number, or the launches take longer than the whole.
    """
    if not 0 <= launch_seconds <= seconds * (1 + _ROUNDING) < math.inf:
        raise InputError(
            f"no energy of {seconds} s, of which {launch_seconds} s are launches",
            [("fix", "give seconds from 0 upwards, and launches that are a part of them")],
        )
    if device.tdp is None:
        return None
    launch = min(launch_seconds, seconds)
    return Energy(*(_joules(seconds, launch, device.tdp, busy) for busy in (_LOW, _MID, _HIGH)))


def mid_energy(seconds: float, launch_seconds: float, device: Device) -> float | None:
    """The expected joules of a part, such as one operator; None without a TDP.

    It is linear in both times, so the parts of a time sum to the energy of the whole.

    Raises:
        InputError: as `energy_of`.
    """
    energy = energy_of(seconds, launch_seconds, device)
    return None if energy is None else energy.mid


def kwh(joules: float) -> float:
    """Joules as kilowatt-hours."""
    return joules / _JOULES_PER_KWH


def co2(kilowatt_hours: float, *, intensity_g_per_kwh: float, pue: float) -> float:
    """Grams of CO2: energy × grams per kilowatt-hour of the grid × power usage effectiveness of the building.

    Both depend on place and time, so the caller names them.

    Raises:
        InputError: energy or intensity is negative, or the building is said to take less than its machines.
    """
    if not (0 <= kilowatt_hours < math.inf and 0 <= intensity_g_per_kwh < math.inf and 1 <= pue < math.inf):
        raise InputError(
            f"no CO2 of {kilowatt_hours} kWh at {intensity_g_per_kwh} g/kWh and a PUE of {pue}",
            [("fix", "give energy and intensity from 0 upwards, and a PUE from 1 upwards")],
        )
    return kilowatt_hours * intensity_g_per_kwh * pue


def _joules(seconds: float, launch_seconds: float, tdp: float, busy: float) -> float:
    idle = IDLE_SHARE * tdp
    return seconds * idle + (busy * tdp - idle) * (seconds - launch_seconds)
