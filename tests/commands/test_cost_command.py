"""`flopcount cost`: the same numbers as in Python, in JSON that its schema describes and that is read back."""

import csv
import io
import json

import pytest
from typer.testing import CliRunner

from flopcount import count_flops, count_model, read_report
from flopcount.cli import app
from flopcount.core.quantity import PICO
from flopcount.facts import price_of
from flopcount.output.report_schema import report_schema

NET = "toy_3d_cnn"


def run(*words):
    result = CliRunner().invoke(app, ["cost", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.fixture
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def test_the_command_says_what_python_says():
    shown = run(NET, "--on", "rtx-4090", "--dtype", "amp", "--compile", "--layout", "nhwc", "--batch", "4")
    cost = count_model(NET, batch=4).cost("rtx-4090", dtype="amp", compile=True, layout="nhwc")
    assert shown == str(cost) + "\n"


@pytest.mark.parametrize("by", ["kind", "operator", "module"])
def test_rows_and_formats(by):
    cost = count_model(NET).cost("l4")
    assert run(NET, "--on", "l4", "--by", by, "--format", "csv") == cost.to_csv(by, 2) + "\n"
    assert run(NET, "--on", "l4", "--by", by, "--format", "markdown") == cost.to_markdown(by) + "\n"


def test_several_devices_have_a_row_each_and_layers_where_asked_for(wide):
    names = ("rtx-4090", "l4")
    compared = run(NET, "--on", ",".join(names), "--dtype", "fp16").splitlines()
    assert compared[0].endswith("forward pass on 2 devices, fp16, eager, nchw")
    assert [line.split()[0] for line in compared[4:6]] == list(names)
    both = run(NET, "--on", ",".join(names), "--dtype", "fp16", "--by", "kind")
    assert both.startswith("\n".join(compared))
    assert all(f"time on {name}, fp16, eager, nchw" in both for name in names)
    rows = list(csv.DictReader(io.StringIO(run(NET, "--on", ",".join(names), "--by", "module", "--format", "csv"))))
    assert [row["device"] for row in rows] == sorted((row["device"] for row in rows), key=names.index)
    for name in names:
        time = sum(float(row["time (s)"]) for row in rows if row["device"] == name)
        assert time == pytest.approx(count_model(NET).cost(name).estimate, abs=1e-11)


def saved(tmp_path, *words):
    path = tmp_path / "cost.json"
    path.write_text(run(NET, *words, "--format", "json"))
    data = json.loads(path.read_text())
    pytest.importorskip("jsonschema").validate(data, report_schema())
    return data, read_report(path)


def test_json_of_one_device_prices_every_layer_and_is_read_back(tmp_path):
    data, report = saved(tmp_path, "--on", "l4", "--dtype", "amp", "--views", "4x3")
    cost = count_model(NET, views="4x3").cost("l4", dtype="amp")
    (entry,) = data["cost"]
    assert {key: entry[key] for key in ("device", "dtype", "compile", "layout", "batch", "basis")} == {
        **{"device": "l4", "dtype": "amp", "compile": False, "layout": "nchw", "batch": 1},
        "basis": cost.basis.value,
    }
    for name in ("bound", "estimate", "low", "high"):
        assert entry[f"{name}_s"] == getattr(cost, name)
    assert entry["energy_j"] == {name: getattr(cost.energy, name) for name in ("low", "mid", "high")}
    price = price_of("l4")
    assert entry["money"] | {"amount": cost.money.amount} == {
        **{"amount": cost.money.amount, "currency": price.currency, "per_hour": price.amount_per_hour},
        **{"region": price.region, "date": price.date, "source": price.source, "note": ""},
    }
    assert sum(kind["estimate_s"] for kind in entry["by_kind"]) == pytest.approx(cost.estimate)
    assert sum(row["self_time_s"] for row in data["modules"]) == pytest.approx(data["total"]["time_s"])
    assert data["total"]["macs"] == cost.result.macs == sum(kind["macs"] for kind in entry["by_kind"])
    assert [row.own["time"] for row in report.modules] == [row.own["time"] for row in cost.result.modules]
    assert report.total["energy"] == cost.result.total["energy"]
    assert report.pricing == cost.result.pricing
    video = next(unit for unit in entry["units"] if unit["unit"] == "video")
    assert video["estimate_s"] == pytest.approx(12 * cost.estimate)


def test_json_of_several_devices_prices_no_layer(tmp_path):
    data, report = saved(tmp_path, "--on", "rtx-4090,l4")
    assert [entry["device"] for entry in data["cost"]] == ["rtx-4090", "l4"]
    assert data["cost"][0]["money"] is None
    assert "time_s" not in data["total"]
    assert not any("time_s" in row for row in data["modules"])
    assert report.pricing is None
    assert data["total"]["macs"] == count_model(NET).macs


def test_json_of_a_training_step(tmp_path):
    words = ("--on", "rtx-3090", "--dtype", "amp", "--batch", "8", "--train", "--optimizer", "sgd")
    data, report = saved(tmp_path, *words, "--epochs", "2", "--samples", "20")
    (entry,) = data["cost"]
    assert entry["per"] == "training step"
    assert report.pricing is None
    assert "time_s" not in data["total"]
    assert {unit["unit"]: unit["passes"] for unit in entry["units"]} == {"sample": 1 / 8, "epoch": 3, "run": 6}
    step = count_model(NET, batch=8, mode="train", optimizer="sgd").cost("rtx-3090", dtype="amp")
    assert entry["estimate_s"] == step.estimate


def test_whoever_asks_gets_the_same_time():
    """By name, as a module, and of a count whose data were followed already."""
    from flopcount import create_model

    module, shape = create_model(NET).eval(), (1, 3, 20, 64, 64)
    with pytest.warns(DeprecationWarning, match="dataflow= is deprecated"):
        followed = count_flops(module, shape, dataflow=True)
    reports = (count_model(NET), count_flops(module, shape), followed)
    assert len({report.cost("l4", dtype="amp").estimate for report in reports}) == 1
    total = json.loads(run(NET, "--on", "l4", "--dtype", "amp", "--format", "json"))["total"]
    assert total["time_s"] == reports[0].cost("l4", dtype="amp").result.total["time"] / PICO


def test_a_dtype_to_count_in_is_one_to_run_in():
    def estimate(dtype):
        return json.loads(run(NET, "--on", "a100-80gb-sxm", "--dtype", dtype, "--format", "json"))["cost"][0]

    counted, run_in = estimate("bfloat16"), estimate("bf16")
    assert counted["dtype"] == run_in["dtype"] == "bf16"
    assert counted["estimate_s"] == pytest.approx(run_in["estimate_s"], rel=1e-3)


def test_strict_fails_where_a_time_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "without_a_rule.py").write_text(
        "import torch\nclass Net(torch.nn.Module):\n    def forward(self, x):\n        return torch.linalg.inv(x)\n"
    )
    words = ["cost", "without_a_rule.py:Net", "--input", "1x3x8x8", "--on", "l4"]
    assert "UNCOSTED aten.linalg_inv" in CliRunner().invoke(app, words, catch_exceptions=False).stdout
    assert CliRunner().invoke(app, [*words, "--strict"], catch_exceptions=False).exit_code == 3
