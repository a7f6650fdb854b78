import pytest
from hypothesis import given
from hypothesis import strategies as st

from flopcount.core.units import decimals, exact, percent, seconds, si, times


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (1000, "1.00 k"),
        (9994, "9.99 k"),
        (9996, "10.0 k"),
        (99_949, "99.9 k"),
        (99_950, "100 k"),
        (999_499, "999 k"),
        (999_500, "1.00 M"),
        (1_040_449_536, "1.04 G"),
        (77_097_918_464, "77.1 G"),
        (38_548_959_232_000, "38.5 T"),
        (5 * 10**15, "5.00 P"),
        (2 * 10**18, "2000 P"),
    ],
)
def test_three_significant_digits(value, text):
    assert si(value) == text


def test_units_follow_the_prefix():
    assert si(77_097_918_464, "FLOPs") == "77.1 GFLOPs"
    assert si(12, "MACs") == "12 MACs"
    assert si(0, "B", blank=True) == ""
    assert decimals(385_489_592_320, "MACs") == "385.5 GMACs"
    assert decimals(79_991_015) == "80.0 M"
    assert decimals(999_960_000) == "1.0 G"
    assert decimals(5) == "5"


@given(st.integers(1, 10**17))
def test_what_is_printed_is_the_value_to_half_a_digit(value):
    for text, tolerance in ((si(value), 0.5 * 10**-2), (decimals(value), 0.05)):
        number, _, prefix = text.partition(" ")
        shown = float(number) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}[prefix]
        assert abs(shown - value) <= tolerance * value


def test_others():
    assert exact(77_097_918_464) == "77,097,918,464"
    assert percent(1, 8) == "12.5%"
    assert percent(0, 0) == ""
    assert seconds(16 / 5) == "3.2 s"
    assert times((3, 16, 112, 112)) == "3×16×112×112"
