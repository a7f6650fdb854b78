"""Energy: by hand, linear in its times, proportional to the power limit, and unknown where the limit is."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flopcount.core.errors import InputError
from flopcount.facts import DEVICE_KINDS, devices, find_device
from flopcount.hardware import ENERGY_SCOPE, co2, energy_of, kwh, mid_energy

RTX_4090 = find_device("rtx-4090")  # 450 W
SECONDS = st.floats(1e-6, 1e6)
SHARES = st.floats(0, 1)


def test_by_hand():
    """2 s of a 450 W card, 10 % of them launches: idle 0.15 * 450 = 67.5 W, busy 1.8 s.

    low:  2 * 67.5 + (0.60 * 450 - 67.5) * 1.8 = 135 + 202.5 * 1.8 = 499.5 J
    mid:  2 * 67.5 + (0.85 * 450 - 67.5) * 1.8 = 135 + 315.0 * 1.8 = 702.0 J
    high: 2 * 67.5 + (0.95 * 450 - 67.5) * 1.8 = 135 + 360.0 * 1.8 = 783.0 J
    """
    energy = energy_of(2, 0.2, RTX_4090)
    assert (energy.low, energy.mid, energy.high) == pytest.approx((499.5, 702.0, 783.0), rel=1e-12)
    assert mid_energy(2, 0.2, RTX_4090) == energy.mid


def test_ends_by_hand():
    """Nothing but launches idles at 67.5 W; none at all is the busy power of 382.5 W; no time is no energy."""
    idle, busy, nothing = energy_of(1, 1, RTX_4090), energy_of(1, 0, RTX_4090), energy_of(0, 0, RTX_4090)
    assert idle.low == idle.mid == idle.high == pytest.approx(67.5)
    assert (busy.low, busy.mid, busy.high) == pytest.approx((270, 382.5, 427.5))
    assert nothing.low == nothing.mid == nothing.high == 0


def test_an_unknown_power_limit_is_no_energy():
    for device in devices():
        assert (energy_of(1, 0, device) is None) == (mid_energy(1, 0, device) is None) == (device.tdp is None)
    assert energy_of(1, 0, find_device("a40")) is None


@given(st.lists(st.tuples(SECONDS, SHARES), min_size=1, max_size=30))
def test_parts_sum_to_the_whole(parts):
    """Against exact arithmetic on the same numbers, and part by part."""
    times = [(seconds, seconds * share) for seconds, share in parts]
    seconds, launches = (sum(column) for column in zip(*times, strict=True))
    whole = mid_energy(seconds, launches, RTX_4090)
    assert sum(mid_energy(*part, RTX_4090) for part in times) == pytest.approx(whole, rel=1e-9)
    exact = sum(
        Fraction(t) * Fraction(135, 2) + (Fraction(765, 2) - Fraction(135, 2)) * (Fraction(t) - Fraction(launch))
        for t, launch in times
    )
    assert whole == pytest.approx(float(exact), rel=1e-9)


@given(SECONDS, SHARES, st.floats(0.01, 100))
def test_energy_is_ordered_and_proportional(seconds, share, factor):
    energy = energy_of(seconds, seconds * share, RTX_4090)
    assert 0 < energy.low <= energy.mid <= energy.high <= seconds * 450
    longer = energy_of(seconds * factor, seconds * share * factor, RTX_4090)
    assert longer.mid == pytest.approx(energy.mid * factor, rel=1e-6)
    hotter = energy_of(seconds, seconds * share, replace(RTX_4090, tdp=900.0))
    assert (hotter.low, hotter.mid, hotter.high) == pytest.approx((2 * energy.low, 2 * energy.mid, 2 * energy.high))


@given(SECONDS, SHARES, SHARES)
def test_waiting_for_launches_draws_no_more_than_work(seconds, one, other):
    fewer, more = sorted((one, other))
    assert energy_of(seconds, seconds * more, RTX_4090).mid <= energy_of(seconds, seconds * fewer, RTX_4090).mid


def test_rounding_of_many_launches_is_no_error():
    launches = sum([0.1] * 3)  # 0.30000000000000004
    assert energy_of(0.3, launches, RTX_4090) == energy_of(0.3, 0.3, RTX_4090)


@pytest.mark.parametrize(
    "times", [(-1, 0), (1, -0.1), (1, 1.1), (float("nan"), 0), (1, float("nan")), (float("inf"), 0)]
)
def test_times_that_are_none(times):
    for function in (energy_of, mid_energy):
        with pytest.raises(InputError, match="no energy of"):
            function(*times, RTX_4090)


def test_every_kind_of_device_says_what_its_energy_is_of():
    assert set(ENERGY_SCOPE) == set(DEVICE_KINDS)
    assert ENERGY_SCOPE["gpu"].startswith("GPU board only")


def test_co2_by_hand():
    """3.6 MJ are 1 kWh; 250 kWh at 400 g and a PUE of 1.2 are 120 kg."""
    assert kwh(3.6e6) == 1
    assert co2(250, intensity_g_per_kwh=400, pue=1.2) == pytest.approx(120_000)
    assert co2(250, intensity_g_per_kwh=0, pue=1) == 0


def test_neither_intensity_nor_pue_has_a_default():
    for named in ({}, {"pue": 1.2}, {"intensity_g_per_kwh": 400}):
        with pytest.raises(TypeError):
            co2(1.0, **named)


@pytest.mark.parametrize(
    ("energy", "intensity", "pue"), [(-1, 400, 1.2), (1, -1, 1.2), (1, 400, 0.9), (1, 400, float("nan"))]
)
def test_co2_of_what_cannot_be(energy, intensity, pue):
    with pytest.raises(InputError, match="no CO2 of"):
        co2(energy, intensity_g_per_kwh=intensity, pue=pue)
