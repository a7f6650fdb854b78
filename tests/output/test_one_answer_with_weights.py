"""A network whose weights decide what it computes: every command has one number, and names the weights."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from torch import nn
from typer.testing import CliRunner

from flopcount import count_flops, count_model, largest_batch, sweep
from flopcount.analysis.difference import diff
from flopcount.cli import app
from flopcount.publishing.comparison import compare
from flopcount.publishing.comparison_rows import Point

FILE = '''
import torch
from torch import nn


class Decides(nn.Module):
    """A second convolution runs if the weights of the head have a positive sum."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv3d(3, 8, 3, padding=1), nn.Conv3d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.first(x)
        if self.head.weight.sum() > 0:
            x = self.second(x)
        return self.head(x.mean((2, 3, 4)))


def build(sign=1):
    net = Decides()
    with torch.no_grad():
        net.head.weight.abs_().mul_(sign)
    return net
'''
ONCE = 4 * 8 * 8 * 8 * 27 * 3 + 8 * 5
TWICE = ONCE + 4 * 8 * 8 * 8 * 27 * 8
WEIGHTS = "the weights are those that the model's builder makes with a fixed seed"


@pytest.fixture
def nets(tmp_path, monkeypatch):
    (tmp_path / "decides.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    return f"{tmp_path}/decides.py:build"


def run(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


@pytest.mark.parametrize(("sign", "macs"), [(1, TWICE), (-1, ONCE)])
def test_every_command_counts_with_the_same_weights(nets, sign, macs):
    options = ("--set", f"sign={sign}")
    model = json.loads(run("model", nets, "--clip", "4x8x8", *options, "--format", "json"))
    assert model["total"]["macs"] == macs
    table = run("model", nets, "--clip", "4x8x8", *options)
    swept = run("sweep", nets, "--frames", 4, "--size", 8, *options)
    form = run("formula", nets, "--clip", "4x8x8", *options)
    anew = run("formula", nets, "--clip", "4x8x8", "--rebuild", *options)
    fits = run("fit", nets, "--clip", "4x8x8", "--budget", f"{macs}MACs", "--frames", 4, "--size", 8, *options)
    assert f"{(macs - 8 * 5) // 256}·T·H·W + 40" in form
    assert f"{(macs - 8 * 5) // 256}·T·H·W + 40" in anew
    assert "100.0%" in fits
    for text in (table, swept, form, anew, fits):
        assert text.count(f"assumed: {WEIGHTS}") == 1
    rows = CliRunner().invoke(app, ["sweep", nets, "--frames", "4", "--size", "8", *options, "--format", "csv"]).stdout
    (row,) = csv.DictReader(io.StringIO(rows))
    assert (int(row["MACs"]), row["assumed"].startswith(WEIGHTS)) == (macs, True)


def test_a_builder_that_counts_a_model_by_name_counts_what_the_name_does(nets):
    rows = sweep(lambda sign: count_model(nets, clip="4x8x8", options={"sign": sign}), {"sign": [1, -1]}).rows
    assert [row.cost.macs for row in rows] == [TWICE, ONCE]
    assert all(WEIGHTS in row.assumed[0] for row in rows)


def test_csv_has_what_it_assumes_in_a_column_of_its_own(nets):
    report = count_model(nets, clip="4x8x8")
    for by in ("module", "operator", "kind"):
        rows = list(csv.DictReader(io.StringIO(report.to_csv(by))))
        assert {row["assumed"] for row in rows} == {"; ".join(report.assumed)}
    assert "assumed" not in count_flops(nn.Conv3d(3, 8, 1), (1, 3, 4, 8, 8)).to_csv()


def test_what_both_sides_assume_is_named_once(nets):
    report = count_model(nets, clip="4x8x8")
    lines = [line for line in diff(report, report).table().notes if "assumed" in line]
    assert lines == [f"assumed: {text}" for text in report.assumed]
    plain = count_flops(nn.Conv3d(3, 8, 1), (1, 3, 4, 8, 8))
    assert [line for line in diff(plain, report).table().notes if "assumed" in line] == [f"{lines[0]} (new)"]


def test_a_largest_batch_says_that_it_assumes(nets):
    fit = largest_batch(lambda batch: count_model(nets, clip="4x8x8", batch=batch).with_dataflow(), "1MB")
    assert fit.batch > 1
    assert str(fit).endswith("), partly assumed")
    assert WEIGHTS in fit.assumed[0]
    conv = nn.Conv3d(3, 8, 1)
    plain = largest_batch(lambda batch: count_flops(conv, (batch, 3, 4, 8, 8)).with_dataflow(), "1MB")
    assert (plain.assumed, "assumed" in str(plain)) == ((), False)


def test_a_point_of_a_comparison_says_what_it_assumes(nets):
    comparison = compare(["x3d_m"], points=[Point.parse(f"Ours={nets}@70@4x8x8")])
    (row,) = [row for row in comparison.rows if row.name == "Ours"]
    assert (row.macs, row.note) == (TWICE, "")
    notes = [note for note in comparison.table().notes if note.startswith("assumed")]
    assert notes == [f"assumed: {row.assumed[0]} (Ours)"]
    frame = comparison.to_pandas()
    assert frame.set_index("network")["assumed"].to_dict() == {"Ours": row.assumed[0], "x3d_m": ""}


def test_a_page_does_not_call_an_assumption_an_operator_without_a_rule(nets):
    run("report", nets, "--clip", "4x8x8", "--out", "page", "--format", "html", "--no-check")
    page = Path("page/index.html").read_text(encoding="utf-8")
    assert "These operators have no cost rule" not in page
    assert "<b>Something is assumed.</b>" in page
