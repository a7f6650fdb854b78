"""Costs as people and programs read them: 80 columns, every format, several devices, and no money without its price."""

import csv
import io
import re
from html import unescape

import pytest

from flopcount import UnknownNameError, count_model
from flopcount.core.units import duration, joules, money
from flopcount.facts import price_of
from flopcount.hardware.device_comparison import device_comparison

DEVICES = ("rtx-4090", "a100-80gb-sxm", "l4", "h100-sxm", "rtx-pro-6000-blackwell-max-q")


@pytest.fixture(scope="module")
def report():
    return count_model("c3d", views="10x3", fps=25)


@pytest.fixture(scope="module")
def cost(report):
    return report.cost("l4", dtype="amp", compile=True)


@pytest.fixture(scope="module")
def costs(report):
    return [report.cost(name, dtype="fp16") for name in DEVICES]


@pytest.mark.parametrize("by", ["module", "kind", "operator"])
def test_a_table_fits_80_columns_with_time_beside_macs(cost, by):
    text = str(cost.table(by))
    assert max(map(len, text.splitlines())) <= 80
    head = text.splitlines()[2]
    assert re.search(r"MACs +of MACs .*limit +time +of time", head)
    assert cost.table("module").total[-1] == (cost.result.total["time"],) * 2


def test_what_is_out_of_proportion_is_said_first(cost):
    """fc6 has 4096 · 8192 of all MACs, and its weights alone take long to read."""
    rows = {row.path: row for row in cost.result.modules}
    share = 100 * rows["fc6"].own["time"] / cost.result.total["time"]
    first = cost.table("module").notes[0]
    assert first.startswith(f"most out of proportion: fc6 has 0.1% of the MACs and {share:.1f}% of the time; ")


def test_the_three_numbers_their_basis_and_their_units_are_always_there(cost):
    text = " ".join(str(cost).split())
    for name in ("bound", "estimate", "low", "high"):
        assert duration(getattr(cost, name)) in text
    for words in (
        "bound: ",
        "8 of 10 networks of families that the fit has not seen",
        f"basis: {cost.basis_words}",
        "(MFU)",
        "per video (10×3 = 30 views): ",
        "per hour of video (clips end to end, 5,625 of them): ",
        "per million videos: ",
        "GPU board only",
    ):
        assert words in text


def priced_texts(cost):
    yield str(cost)
    yield cost.to_markdown()
    yield unescape(re.sub(r"</?a\b[^>]*>", "", cost._repr_html_()))  # its address is a link
    yield cost.to_csv()


def test_money_never_stands_without_price_region_date_and_source(cost, costs):
    price = price_of("l4")
    needed = (f"{price.amount_per_hour:g} {price.currency} per hour", price.region, price.date, price.source)
    for text in priced_texts(cost):
        assert all(" ".join(words.split()) in " ".join(text.split()) for words in needed)
    frame = cost.to_pandas()
    assert "money" in frame
    assert any(needed[0] in note for note in frame.attrs["notes"])
    assert all(words in " ".join(str(device_comparison(costs)).split()) for words in needed)
    rows = list(csv.DictReader(io.StringIO(device_comparison(costs, exact=True).to_csv())))
    for row in rows:
        of_price = [row[name] for name in ("currency", "price per hour", "region", "date", "source")]
        assert all(of_price) if row["money"] else not any(of_price)
    assert [bool(row["money"]) for row in rows] == [price_of(name) is not None for name in DEVICES]


def test_a_kind_has_no_money_and_so_no_price(cost):
    assert "money" not in cost.to_csv("kind")
    assert "price" not in cost.to_csv("kind")


def test_several_devices_fit_80_columns_too(costs):
    lines = str(device_comparison(costs)).splitlines()
    assert max(map(len, lines)) <= 80
    assert re.search(r"device +bound +estimate +low +high", lines[2])
    for name, line, cost in zip(DEVICES, lines[4:], costs, strict=False):
        assert line.startswith(name)
        assert all(duration(value) in line for value in (cost.bound, cost.estimate, cost.low, cost.high))
    of_video = next(note for note in device_comparison(costs).notes if note.startswith("per video (10×3 = 30 views): "))
    assert all(f"{cost.conditions.device.name} {duration(30 * cost.estimate)}" in of_video for cost in costs)


def test_csv_has_every_number_of_every_device(costs):
    rows = list(csv.DictReader(io.StringIO(device_comparison(costs, exact=True).to_csv())))
    for row, cost in zip(rows, costs, strict=True):
        assert row["device"] == cost.conditions.device.name
        assert (row["dtype"], row["mode"], row["layout"], row["batch"]) == ("fp16", "eager", "nchw", "1")
        for name in ("bound", "estimate", "low", "high"):
            assert float(row[f"{name} (s)"]) == pytest.approx(getattr(cost, name), abs=1e-12)
        assert float(row["per video (s)"]) == pytest.approx(30 * cost.estimate, abs=1e-10)
        assert float(row["energy low (J)"]) == pytest.approx(cost.energy.low, abs=1e-12)
        assert row["basis in words"] == cost.basis_words


def test_a_frame_has_seconds(cost):
    frame = cost.to_pandas("module", -1)
    assert frame["time_s"].sum() == pytest.approx(cost.estimate, rel=1e-9)
    assert frame["time_share"].sum() == pytest.approx(1)
    assert frame["macs"].sum() == cost.result.macs


def test_an_unknown_table_is_refused(cost):
    with pytest.raises(UnknownNameError, match="no table named 'kinds'"):
        cost.table("kinds")


def test_a_cost_says_what_it_is(cost):
    assert repr(cost).startswith("<Cost of c3d on l4, amp, compiled, nchw: ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.00322, "3.22 ms"),
        (12.5, "12.5 s"),
        (119, "119 s"),
        (120, "2.00 min"),
        (7199, "120 min"),
        (7200, "2.00 h"),
        (86400, "24.0 h"),
        (10 * 86400, "10.0 days"),
        (0.0, "0.00 s"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_joules_and_money():
    assert [joules(value) for value in (0.5, 3599, 3600, 3.6e9)] == ["500 mJ", "3.60 kJ", "1.00 Wh", "1.00 MWh"]
    assert [money(value, "EUR") for value in (4.47e-7, 0.5, 12.34, 1234.5)] == [
        *("4.47e-07 EUR", "0.5 EUR", "12.3 EUR", "1,234 EUR"),
    ]
