"""Money: by hand, proportional to time and price, and never without what the price is."""

from dataclasses import fields, replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flopcount.core.errors import InputError
from flopcount.facts import CALLER, price_of
from flopcount.hardware import Money, money_of, parse_price
from flopcount.hardware.money import price_of_caller

H100 = price_of("h100-sxm")


def test_by_hand():
    """Half an hour at 2.79 an hour, in use for 45 minutes of every hour that is paid: 2.79 / 2 / 0.75 = 1.86."""
    money = money_of(1800, parse_price("2.79"), 0.75)
    assert money.amount == pytest.approx(1.86, rel=1e-12)
    assert money_of(3600, parse_price("2.79")).amount == pytest.approx(2.79)
    assert money_of(0, parse_price("2.79")).amount == 0


def test_money_says_all_that_its_price_says():
    money = money_of(1, H100)
    assert money == Money(
        H100.amount_per_hour / 3600, H100.currency, H100.amount_per_hour, H100.region, H100.date, H100.source, H100.note
    )
    assert all((money.per_hour, money.currency, money.region, money.date, money.source))
    assert money_of(1, replace(H100, note="a guess")).note == "a guess"
    assert {field.name for field in fields(Money)} >= {"amount", "currency", "per_hour", "region", "date", "source"}


@given(st.floats(0, 1e9), st.floats(0, 1e4), st.floats(0.01, 1))
def test_twice_the_price_time_or_idleness_is_twice_the_money(seconds, per_hour, utilisation):
    price = replace(H100, amount_per_hour=per_hour)
    amount = money_of(seconds, price, utilisation).amount
    assert money_of(seconds, replace(price, amount_per_hour=2 * per_hour), utilisation).amount == pytest.approx(
        2 * amount
    )
    assert money_of(2 * seconds, price, utilisation).amount == pytest.approx(2 * amount)
    assert money_of(seconds, price, utilisation / 2).amount == pytest.approx(2 * amount)
    assert amount >= money_of(seconds, price).amount


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("2.79", 2.79, "USD"),
        ("2.79EUR", 2.79, "EUR"),
        (" 3 gbp ", 3.0, "GBP"),
        (".5", 0.5, "USD"),
        ("1.", 1.0, "USD"),
        ("0", 0, "USD"),
    ],
)
def test_prices_as_typed(text, amount, currency):
    price = parse_price(text)
    assert (price.amount_per_hour, price.currency, price.source) == (amount, currency, CALLER)
    assert (price.region, price.date, price.device) == (None, None, "")


def test_a_callers_price_may_say_where_and_when():
    price = parse_price("2.79", region="us-east-1", date="2026-08-23")
    assert (price.region, price.date) == ("us-east-1", "2026-08-23")
    with pytest.raises(InputError, match="is not a day"):
        parse_price("2.79", date="August")


@pytest.mark.parametrize("text", ["", "free", "-1", "2,79", "$2.79", "2.79 EURO", "1e3", "nan", "EUR 2", "2.79/h", "."])
def test_texts_that_are_no_price(text):
    with pytest.raises(InputError, match="is not a price per hour\n  fix     write a number and a currency"):
        parse_price(text)


@pytest.mark.parametrize("number", [1e-05, 1e16, 0, 2, np.float32(2.5), Fraction(1, 2)])
def test_a_number_is_dollars_however_python_writes_it(number):
    price = price_of_caller(number)
    assert (price.amount_per_hour, price.currency, price.source) == (float(number), "USD", CALLER)
    assert price_of_caller("3EUR") == parse_price("3EUR")
    assert price_of_caller(price) is price


@pytest.mark.parametrize("price", [-1, float("nan"), float("inf"), True, [1], "", "-1"])
def test_what_is_no_price_of_a_caller(price):
    with pytest.raises(InputError, match="price"):
        price_of_caller(price)


@pytest.mark.parametrize("share", [0, -1, 1.5, float("nan"), "half", None])
def test_no_share_of_the_paid_hours(share):
    with pytest.raises(InputError, match="utilisation is"):
        money_of(1, H100, share)


def test_a_small_share_is_not_called_0_percent():
    assert money_of(1, H100, 0.004).note.endswith("in use 0.4% of the paid hours")


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_times_that_are_none(seconds):
    with pytest.raises(InputError, match="no price of"):
        money_of(seconds, H100)


@pytest.mark.parametrize("utilisation", [0, -0.5, 1.01, float("nan")])
def test_utilisations_that_cannot_be(utilisation):
    with pytest.raises(InputError, match="utilisation is"):
        money_of(1, H100, utilisation)
