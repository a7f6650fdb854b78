"""Diffs of results that are priced on a device: time, energy and money, layer by layer, and what they are those of."""

import csv
import io
import json

import jsonschema
import pytest
from torch import nn
from typer.testing import CliRunner

from flopcount import count_flops, diff, read_report
from flopcount.cli import app
from flopcount.core.quantity import PICO
from flopcount.hardware.money import parse_price
from flopcount.output.report_json import to_json
from flopcount.output.report_schema import report_schema

PRICE = "price: 3.6 USD per hour: given by the caller"


def cost(width, on="rtx-4090", dtype=None, price="3.60"):
    net = nn.Sequential(nn.Conv3d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv3d(8, width, 3, padding=1))
    return count_flops(net, (1, 3, 8, 32, 32)).cost(on, dtype=dtype, price=price and parse_price(price))


def priced(width, *how, **named):
    return cost(width, *how, **named).result


def saved(width, *how):
    one = cost(width, *how)
    return to_json(one.result, costs=[one])


def by_column(table):
    names = [column.name for column in table.columns]
    return {row[0]: dict(zip(names, row, strict=True)) for row in (*table.rows, table.total)}


def test_differences_of_time_by_hand():
    old, new = priced(8), priced(16)
    rows = by_column(diff(old, new).table())
    for title, name in (("Δ time", "time"), ("Δ energy", "energy"), ("Δ money", "money")):
        assert rows["2"][title] == new.module("2").own[name] - old.module("2").own[name]
        assert sum(row[title] for layer, row in rows.items() if layer != "total") == rows["total"][title]
        assert rows["total"][title] == new.total[name] - old.total[name] > 0
    assert rows["(2 unchanged)"]["Δ time"] == 0


def test_times_are_in_seconds_with_a_sign():
    text = str(diff(priced(16), priced(8)))
    assert "Δ time" in text
    assert "−" in next(line for line in text.splitlines() if line.startswith("time: "))
    assert "µs → " in text
    assert "time as estimated on rtx-4090, fp32, eager, nchw" in text
    assert "USD → " in text
    (row,) = [
        row for row in csv.DictReader(io.StringIO(diff(priced(16), priced(8)).table().to_csv())) if row["layer"] == "2"
    ]
    difference = priced(8).module("2").own.time - priced(16).module("2").own.time
    assert float(row["Δ time (s)"]) == difference / PICO < 0


def test_saved_reports_are_compared_with_what_they_are_those_of(tmp_path):
    for name, text in {"old": saved(8), "new": saved(8, "t4")}.items():
        (tmp_path / f"{name}.json").write_text(text)
    old, new = (read_report(tmp_path / f"{name}.json") for name in ("old", "new"))
    assert old.total == priced(8).total
    assert old.pricing == priced(8).pricing
    result = diff(old, new)
    assert result.different  # every layer takes another time
    notes = result.table().notes
    both = "rtx-4090, fp32, eager, nchw (old), t4, fp32, eager, nchw (new)"
    assert f"PRICED UNDER DIFFERENT CONDITIONS: {both}" in notes
    assert not any(note.startswith("time as estimated") for note in notes)


def test_a_saved_report_says_what_its_times_are_those_of(tmp_path):
    path = tmp_path / "saved.json"
    path.write_text(saved(8, "rtx-4090", "amp"))
    jsonschema.validate(json.loads(path.read_text()), report_schema())
    pricing = read_report(path).pricing
    assert pricing == priced(8, "rtx-4090", "amp").pricing
    assert pricing.times == cost(8, "rtx-4090", "amp").times
    assert PRICE in pricing.notes
    assert pricing.notes[0].startswith("basis: fitted on this device")
    path.write_text(count_flops(nn.Linear(4, 2), (1, 4)).to_json())
    assert read_report(path).pricing is None


def test_a_side_without_times_has_no_difference_of_them():
    plain = count_flops(nn.Sequential(nn.Conv3d(3, 8, 3, padding=1)), (1, 3, 8, 32, 32))
    table = diff(plain, priced(8)).table()
    assert not any("time" in column.name for column in table.columns)
    assert "only one side is priced, so no time is compared: rtx-4090, fp32, eager, nchw (new)" in table.notes


@pytest.mark.parametrize(("price", "compared"), [("7.20", True), ("7.20EUR", False)])
def test_money_is_compared_in_one_currency_alone(price, compared):
    table = diff(priced(8), priced(8, price=price)).table()
    assert any(column.name == "Δ money" for column in table.columns) == compared
    assert any(column.name == "Δ time" for column in table.columns)
    assert any("different currencies and not compared: USD, EUR" in note for note in table.notes) == (
        price == "7.20EUR"
    )
    if compared:
        assert abs(table.total[-1] - priced(8).total.money) <= len(
            priced(8).ops
        )  # twice the price, rounded by operator


# The command


def flopcount(*words):
    return CliRunner().invoke(app, words, catch_exceptions=False)


def test_the_command_prices_both_models():
    result = flopcount(
        *["diff", "toy_late_fusion", "toy_early_fusion", "--on", "rtx-4090", "--dtype", "amp", "--compile"]
    )
    assert result.exit_code == 0
    assert "Δ time" in result.stdout
    assert "time as estimated on rtx-4090, amp, compiled, nchw" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    plain = flopcount("diff", "toy_late_fusion", "toy_early_fusion")
    assert "time" not in plain.stdout


def test_a_saved_report_beside_a_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "before.json").write_text(saved(8, "t4"))
    words = "diff before.json toy_late_fusion --on a100-80gb-sxm"
    result = flopcount(*words.split())
    assert result.exit_code == 0
    assert "PRICED UNDER DIFFERENT CONDITIONS: t4, fp32, eager, nchw (old), a100-80gb-sxm" in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("before.json before.json --on t4", "--on is for models, and both sides are saved reports"),
        ("c3d c3d --on t4,l4", "--on names 2 devices: a difference is of one"),
        ("c3d c3d --on t5", "no device named 't5'"),
        ("c3d c3d --compile", "--compile needs a device"),
    ],
)
def test_what_the_command_refuses(words, message):
    result = flopcount("diff", *words.split())
    assert result.exit_code == 2
    assert message in result.stderr
