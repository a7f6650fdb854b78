"""Budgets of time, energy and money on a device: the estimate decides, and the verdict says where the range differs."""

import csv
import io
from dataclasses import replace
from fractions import Fraction

import pytest
from typer.testing import CliRunner

import flopcount.count
from flopcount import Budget, InputError, check_budgets, count_model, read_budgets
from flopcount.cli import app
from flopcount.core.model_spec import ModelSpec
from flopcount.core.protocol import Protocol, Views
from flopcount.core.quantity import PICO
from flopcount.facts.devices import find_device
from flopcount.hardware.money import parse_price
from flopcount.hardware.setting import Setting
from flopcount.publishing.budget import parse_limit

TOY = ModelSpec("toy_3d_cnn")
ON = Setting.of("t4", price=parse_price("3.60"))
ODD = """
import torch
from torch import nn

class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        return torch.linalg.svd(self.fc(x))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    return tmp_path


@pytest.fixture(scope="module")
def cost():
    return count_model("toy_3d_cnn").cost("t4", price="3.60")


def verdict(limits, protocol=None, setting=ON, model=TOY):
    (only,) = check_budgets([Budget("net", model, limits, protocol or Protocol(), setting)]).verdicts
    return only


@pytest.mark.parametrize(
    ("key", "value", "limit"),
    [
        ("max-ms", 12, 12 * PICO // 1000),
        ("max-ms", "12", 12 * PICO // 1000),
        ("max-ms", 12.5, 12_500_000_000),
        ("max-ms", "0.5s", PICO // 2),
        ("max-ms", "800 us", 800_000_000),
        ("max-ms", "3µs", 3_000_000),
        ("max-ms-per-video", "1e-3s", PICO // 1000),
        ("max-joules", 2, 2 * PICO),
        ("max-joules", "500mJ", PICO // 2),
        ("max-joules", "1kJ", 1000 * PICO),
        ("max-money", 0.01, PICO // 100),
        ("max-money", 46e-6, 46_000_000),
    ],
)
def test_limits_are_read_as_people_write_them(key, value, limit):
    assert parse_limit(key, value) == limit


@pytest.mark.parametrize(
    "value", ["", "soon", "12J", "-3", "12 m", True, float("inf"), float("nan"), None, [1], "1..2"]
)
def test_what_is_no_time(value):
    with pytest.raises(InputError, match=r"max-ms is .*, no amount of time"):
        parse_limit("max-ms", value)


def test_the_estimate_decides(cost):
    estimate = cost.result.total.time
    assert estimate == round(cost.estimate * PICO)
    for spare, holds in ((0, True), (-1, False)):
        found = verdict({"max-ms": estimate + spare})
        assert found.counted == estimate
        assert found.holds is holds
        assert found.exceeded_by == -spare


def test_the_verdict_says_where_the_range_says_otherwise(cost):
    low, estimate, high = (round(seconds * PICO) for seconds in (cost.low, cost.estimate, cost.high))
    assert low < estimate < high
    assert str(verdict({"max-ms": high + 1})) == "holds"
    assert str(verdict({"max-ms": high - 1})).startswith("holds, but the range reaches ")
    assert str(verdict({"max-ms": high - 1})).endswith("µs")
    assert ", though the range begins at " in str(verdict({"max-ms": low + 1}))
    assert str(verdict({"max-ms": low - 1})).startswith("exceeded by ")
    assert "though" not in str(verdict({"max-ms": low - 1}))


def test_a_video_takes_its_views_and_a_batch_shares_its_pass(cost):
    views = Protocol(Views(10, 3))
    found = verdict({"max-ms-per-video": PICO}, views)
    assert found.counted == 30 * cost.result.total.time
    assert found.span == pytest.approx((30 * cost.low, 30 * cost.high))
    batch = Protocol(Views(10, 3), batch=4)
    whole = count_model("toy_3d_cnn", batch=4).cost("t4").result.total.time
    assert verdict({"max-ms": PICO}, batch).counted == whole
    assert verdict({"max-ms-per-video": PICO}, batch).counted == round(Fraction(whole * 30, 4))
    assert whole < 4 * cost.result.total.time


def test_energy_and_money(cost):
    energy, money = verdict({"max-joules": PICO}), verdict({"max-money": PICO})
    assert energy.counted == pytest.approx(cost.energy.mid * PICO, rel=1e-6)
    assert energy.span == (cost.energy.low, cost.energy.high)
    assert money.counted == pytest.approx(cost.estimate * 3.60 / 3600 * PICO, rel=1e-3)  # of operators, each rounded
    assert money.span == pytest.approx((cost.low / 1000, cost.high / 1000))
    notes = check_budgets([Budget("net", TOY, {"max-money": 1, "max-joules": 1}, setting=ON)]).table().notes
    assert any("3.6 USD per hour: given by the caller" in note for note in notes)
    assert any("GPU board only" in note for note in notes)
    assert any(note.startswith("EXCEEDED net: ") and "USD" in note for note in notes)


def test_a_budget_counts_once(monkeypatch):
    calls = []
    real = flopcount.count.count_named
    monkeypatch.setattr(flopcount.count, "count_named", lambda *a, **k: calls.append(a) or real(*a, **k))
    limits = {"max-ms": PICO, "max-joules": PICO, "max-money": PICO, "max-gmacs": 10**12, "max-ms-per-video": PICO}
    assert check_budgets([Budget("net", TOY, limits, setting=ON)]).holds
    assert len(calls) == 1


def test_an_operator_without_a_rule_takes_no_zero_time(folder):
    (folder / "odd_net.py").write_text(ODD)
    odd = ModelSpec.of("odd_net.py:Odd", inputs=["1x8"])
    found = verdict({"max-ms": PICO}, model=odd)
    assert not found.holds
    assert str(found) == "unknown: uncosted operators"


@pytest.mark.parametrize(
    ("limits", "setting", "message"),
    [
        ({"max-ms": 1}, None, "max-ms of budget net needs a device"),
        ({"max-gmacs": 1, "max-joules-per-video": 1}, None, "max-joules-per-video of budget net needs a device"),
        ({"max-gmacs": 1}, ON, "names a device, and none of its limits is of time"),
        ({"max-money": 1}, Setting.of("t4"), "needs the price of an hour of t4"),
        (
            {"max-joules": 1},
            replace(ON, device=replace(find_device("t4"), tdp=None)),
            "the power limit of t4 is not known",
        ),
    ],
)
def test_what_cannot_be_decided_is_refused_at_once(limits, setting, message):
    with pytest.raises(InputError, match=message):
        Budget("net", TOY, limits, setting=setting)


# The file and the command


def flopcount_(*words):
    return CliRunner().invoke(app, words, catch_exceptions=False)


FILE = """
[tool.flopcount.budgets.toy_3d_cnn]
max-ms = 12
max-joules-per-video = "2J"
max-money = 0.01
views = "10x3"
on = "T4"
dtype = "{dtype}"
compile = true
layout = "nhwc"
price = "2.79EUR"
"""


@pytest.mark.parametrize(("dtype", "counted", "runs"), [("amp", None, "amp"), ("float16", "float16", "fp16")])
def test_budgets_of_a_file(folder, dtype, counted, runs):
    (folder / "pyproject.toml").write_text(FILE.format(dtype=dtype))
    (budget,) = read_budgets("pyproject.toml")
    assert budget.limits == {"max-ms": 12 * PICO // 1000, "max-joules-per-video": 2 * PICO, "max-money": PICO // 100}
    assert budget.model.dtype == counted
    assert str(budget.setting.conditions()) == f"t4, {runs}, compiled, nhwc"
    assert budget.setting.price.currency == "EUR"
    result = flopcount_("budget", "--config", "pyproject.toml")
    assert result.exit_code == 0
    assert "limits: 3 of 3 hold" in result.stdout
    assert "2.79 EUR per hour: given by the caller" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("max-ms = 12", "max-ms of budget toy_3d_cnn needs a device"),
        ('max-gmacs = 1\nlayout = "nhwc"', "layout needs a device"),
        ('max-ms = 1\non = "t5"', "no device named 't5'"),
        ('max-ms = 1\non = "a100"', "a100"),
        ('max-ms = 1\non = "t4"\ndtype = "fp8"', "no time of fp8 on t4"),
        ('max-ms = 1\non = "t4"\ndtype = "float64"', "no time of float64"),
        ('max-ms = 1\non = "t4"\ncompile = 1', "compile is 1, not true or false"),
        ('max-ms = 1\non = "t4"\nprice = "free"', "'free' is not a price per hour"),
        ('max-ms = "1J"\non = "t4"', "max-ms is '1J', no amount of time"),
    ],
)
def test_what_a_file_may_not_say(folder, lines, message):
    (folder / "pyproject.toml").write_text(f"[tool.flopcount.budgets.toy_3d_cnn]\n{lines}\n")
    result = flopcount_("budget")
    assert result.exit_code == 2
    assert message in result.stderr


def test_the_command(cost):
    result = flopcount_("budget", "toy_3d_cnn", "--max-ms", f"{cost.estimate * 1100}", "--on", "t4", "--format", "csv")
    assert result.exit_code == 0
    (row,) = csv.DictReader(io.StringIO(result.stdout))
    assert float(row["amount"]) == pytest.approx(cost.estimate)
    assert float(row["limit"]) == pytest.approx(1.1 * cost.estimate)
    assert row["verdict"].startswith("holds, but the range reaches")
    assert flopcount_("budget", "toy_3d_cnn", "--max-ms", "1ns", "--on", "t4").exit_code == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--max-ms 12", "max-ms of budget toy_3d_cnn needs a device"),
        ("--max-gmacs 12 --on t4", "names a device, and none of its limits"),
        ("--max-ms 12 --on t4,l4", "--on names 2 devices: a budget is of one"),
        ("--on t4", "--on needs a limit"),
    ],
)
def test_what_the_command_refuses_before_it_counts(words, message, monkeypatch):
    monkeypatch.setattr(flopcount.count, "count_named", lambda *a, **k: pytest.fail("counted"))
    result = flopcount_("budget", "toy_3d_cnn", *words.split())
    assert result.exit_code == 2
    assert message in result.stderr
