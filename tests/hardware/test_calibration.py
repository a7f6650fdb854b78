"""A calibration of the machine that the tests run on: its file, its errors, and what uses it.

One quick calibration serves all of them; what is asserted are structure, and ratios within it.
"""

import copy
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import flopcount
from flopcount import InputError
from flopcount.cli import app
from flopcount.core.model_spec import ModelSpec
from flopcount.count import count_named
from flopcount.facts.devices import find_device
from flopcount.hardware.calibration import calibrate, fit_calibration, leave_one_family_out, steps_of
from flopcount.hardware.calibration_file import Calibration, read_calibration
from flopcount.hardware.calibration_networks import NETWORKS
from flopcount.hardware.calibration_schema import CALIBRATION_SCHEMA
from flopcount.hardware.constants import Basis
from flopcount.hardware.execution import kernels_of
from flopcount.hardware.execution_setup import Execution
from flopcount.hardware.fitting import PRIOR, Sample, predicted
from flopcount.hardware.named_device import device_named
from flopcount.hardware.precision import PRECISIONS
from flopcount.hardware.setting import Setting
from flopcount.hardware.time_model import CONSTANTS, Constants, Kernels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the here.json of `flopcount calibrate --quick`, and what the command printed."""
    folder = tmp_path_factory.mktemp("calibrated")
    before = Path.cwd()
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    os.chdir(folder)
    try:
        result = CliRunner().invoke(app, ["calibrate", "--quick", "--threads", "1"], catch_exceptions=False)
    finally:
        os.chdir(before)
    assert result.exit_code == 0
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    (folder / "printed.txt").write_text(result.stdout)
    return folder


@pytest.fixture(scope="module")
def data(folder):
    return json.loads((folder / "here.json").read_text())


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.delenv("COLUMNS", raising=False)
    return folder


def run(*words):
    return CliRunner().invoke(app, words, catch_exceptions=False)


def test_the_file_fits_its_schema(data):
    jsonschema.Draft202012Validator(CALIBRATION_SCHEMA).validate(data)
    assert not {path.suffix for path in Path().glob("*.unfinished")}


def test_the_schema_refuses_what_lacks_something(data):
    for change in (lambda d: d.pop("errors"), lambda d: d["constants"].pop("launch"), lambda d: d["device"].pop("day")):
        broken = copy.deepcopy(data)
        change(broken)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, CALIBRATION_SCHEMA)


def test_the_file_is_read_as_it_was_written(folder, data):
    calibration = read_calibration(folder / "here.json")
    assert calibration.data() == data
    assert Calibration.of(json.loads(calibration.to_json())) == calibration


def test_it_says_what_was_measured(data):
    assert data["device"]["torch"] == torch.__version__
    assert data["device"]["threads"] == 1
    assert data["conditions"] == {"dtype": "fp32", "compiled": False, "layout": "nchw"}
    assert data["errors"]["count"] == len(data["networks"]) == sum(network.quick for network in NETWORKS)
    assert data["errors"]["families"] == len({row["family"] for row in data["networks"]}) >= 8


def test_a_whole_calibration_has_the_networks_that_it_claims():
    assert len(NETWORKS) >= 16
    assert len({network.family for network in NETWORKS}) >= 8
    assert len({network.name for network in NETWORKS}) == len(NETWORKS)


def test_nothing_is_faster_than_the_machine(data):
    """The peak is the fastest contraction, and the bandwidth the fastest copy, of all that ran; medians are below."""
    peak, bandwidth = data["device"]["peaks"]["fp32"], data["device"]["bandwidth"]
    assert 1e9 < peak < 1e14
    assert 1e8 < bandwidth < 1e13
    for row in data["benchmarks"]:
        assert row["flops"] / row["seconds"] <= peak * 1.0001, row
    for row in data["networks"]:
        assert 2 * row["macs"] / row["measured_s"] < 1.1 * peak, row
        assert 0 < row["low_s"] <= row["measured_s"] <= row["high_s"]


def test_networks_whose_family_was_left_out_are_predicted(data):
    """Half of them within a factor of 2.5, and larger ones take longer: MACs alone would not say how long."""
    ratios = sorted(row["predicted_s"] / row["measured_s"] for row in data["networks"])
    assert 1 / 2.5 < ratios[len(ratios) // 2] < 2.5
    assert sum(1 / 2.5 < ratio < 2.5 for ratio in ratios) > len(ratios) / 2
    assert data["errors"]["rank"] > 0.5


def test_errors_are_those_of_the_rows(data):
    rows = data["networks"]
    relative = [abs(row["predicted_s"] / row["measured_s"] - 1) for row in rows]
    logs = [np.log(row["measured_s"] / row["predicted_s"]) for row in rows]
    assert data["errors"]["median"] == pytest.approx(np.median(relative))
    assert data["errors"]["mean"] == pytest.approx(np.mean(relative))
    assert data["errors"]["low"] == pytest.approx(np.quantile(logs, 0.1))
    assert data["errors"]["high"] == pytest.approx(np.quantile(logs, 0.9))


def test_the_command_prints_its_error(folder, data):
    text = (folder / "printed.txt").read_text()
    assert max(map(len, text.splitlines())) <= 80
    words = " ".join(text.split())
    errors = data["errors"]
    assert f"median {100 * errors['median']:.1f}%, mean {100 * errors['mean']:.1f}%" in words
    assert "written to here.json; use it as --on here" in words
    for row in data["networks"]:
        assert row["family"] in text


# --- what uses it


def test_here_is_a_device(here):
    device, table = device_named("here")
    assert (device.name, device.kind, device.tdp) == ("here", "cpu", None)
    assert device_named("here.json")[0] == device_named(str(here / "here.json"))[0] == device
    assert [row.basis for row in table.sets] == [Basis.CALIBRATED]
    assert table.pooled == ()
    assert device_named("rtx-4090")[0] == find_device("rtx-4090")


def test_a_report_costs_here(here):
    report = flopcount.count_model("r3d_18", clip="8x56x56")
    cost = report.cost(on="here")
    assert cost.basis is Basis.CALIBRATED
    assert "calibrated on this device" in cost.basis_words
    assert cost.bound <= cost.low <= cost.estimate <= cost.high
    assert cost.energy is None
    assert cost.money is None
    assert "1 thread, torch" in cost.basis_words


def test_a_network_that_was_not_in_it_is_predicted(here):
    """Of another family than any in the quick calibration: within a factor of 2.5."""
    words = ("measure", "slow_r50_8x8", "--clip", "4x64x64", "--threads", "1", "--repeats", "5", "--format", "json")
    data = json.loads(run(*words).stdout)
    assert data["predicted"]["device"] == "here"
    assert data["predicted"]["basis"] == "calibrated"
    assert 1 / 2.5 < data["measured_s"] / data["predicted"]["estimate_s"] < 2.5
    assert 0 < data["utilisation"] < 1


def test_measure_names_what_the_calibration_differs_in(here):
    words = ("measure", "toy_3d_cnn", "--repeats", "2", "--threads")
    assert "the calibration is of 1 thread, and this ran with 2" in " ".join(run(*words, "2").stdout.split())
    assert "the calibration is of" not in run(*words, "1").stdout
    net = flopcount.create_model("toy_3d_cnn")
    measurement = flopcount.measure(net, (1, 3, 20, 64, 64), on="here", threads=2, repeats=1, warmup=0)
    assert any("the calibration is of 1 thread" in note for note in measurement.table().notes)  # in Python too


def test_measure_says_why_a_calibration_does_not_serve(here):
    text = " ".join(run("measure", "toy_3d_cnn", "--repeats", "1", "--dtype", "bf16").stdout.split())
    assert "unknown: no time of here, bf16, eager, nchw" in text
    assert "calibrated in fp32, eager, nchw" in text


@pytest.mark.parametrize("how", [{"dtype": "amp"}, {"compile": True}, {"dtype": "fp16"}, {"dtype": "int8"}])
def test_another_way_to_run_is_refused(here, how):
    with pytest.raises(InputError, match="its calibration is of another way to run") as caught:
        Setting.of("here", **how)
    assert "calibrated in fp32, eager, nchw" in str(caught.value)


def test_another_layout_widens_the_range(here):
    result = count_named(ModelSpec.of("toy_3d_cnn"), dataflow=True, saving=False)
    plain, other = (Setting.of("here", layout=layout).cost(result) for layout in ("nchw", "nhwc"))
    assert plain.high / plain.estimate < other.high / other.estimate
    assert "layout not measured there" in other.basis_words


def test_a_training_step_is_refused(here):
    report = flopcount.count_model("toy_3d_cnn", mode="train")
    with pytest.raises(InputError, match="another way to run") as caught:
        report.cost(on="here")
    assert "ask for a forward pass" in str(caught.value)
    assert "flopcount calibrate" not in str(caught.value)  # which has no training


def test_the_command_refuses_a_training_step_before_it_counts(here, monkeypatch):
    monkeypatch.setattr("flopcount.report.report_of_model", lambda *_, **__: pytest.fail("it was counted"))
    refused = run("cost", "toy_3d_cnn", "--on", "here", "--train")
    assert refused.exit_code == 2
    assert "no time of here, fp32, eager, nchw, training" in refused.stderr


# --- files that are none


def test_a_missing_file_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"there is no here\.json") as caught:
        device_named("here")
    assert "flopcount calibrate -o here.json" in str(caught.value)
    with pytest.raises(InputError, match=r"there is no gpu\.json"):
        device_named("gpu.json")


def changed(key, name, value):
    """A calibration with another value of one entry."""
    return lambda data: {**data, key: {**data[key], name: value}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        *(
            (changed("device", name, value), "has a wrong value")
            for name, value in [
                ("machine", 5),
                ("kind", "tpu"),
                ("torch", "nightly"),
                ("torch", None),
                ("threads", "two"),
                ("threads", 0),
                ("day", "2026-13-45"),
                ("day", None),
                ("bandwidth", True),
                ("bandwidth", "88e9"),
                ("bandwidth", 1e300),
            ]
        ),
        *(
            (changed("conditions", name, value), "has a wrong value")
            for name, value in [
                ("dtype", "float99"),
                ("compiled", "false"),
                ("compiled", 0),
                ("layout", None),
                ("layout", "nchv"),
            ]
        ),
        *(
            (changed("errors", name, value), "has a wrong value")
            for name, value in [
                ("low", None),
                ("high", "0.1"),
                ("high", 1e308),
                ("median", True),
                ("count", 2.5),
                ("families", -1),
            ]
        ),
        (changed("errors", "high", float("nan")), "high is nan"),
        (lambda d: "[" * 100_000, "cannot read the calibration"),
        (lambda d: "not json", "cannot read the calibration"),
        (lambda d: "[]", "no schema"),
        (lambda d: {**d, "schema": "flopcount/1"}, "schema flopcount/1"),
        (lambda d: {k: v for k, v in d.items() if k != "errors"}, "lacks 'errors'"),
        (lambda d: {**d, "constants": {"launch": 1.0}}, "another version of flopcount"),
        (lambda d: {**d, "device": {**d["device"], "bandwidth": -1}}, "is not above 0"),
        (lambda d: {**d, "networks": [{"name": "x"}]}, "lacks 'shapes'"),
        (lambda d: {**d, "unseen": ["a family"]}, "has a wrong value"),
    ],
)
def test_what_is_no_calibration_is_refused(tmp_path, data, change, words):
    other = change(data)
    path = tmp_path / "other.json"
    path.write_text(other if isinstance(other, str) else json.dumps(other))
    with pytest.raises(InputError) as caught:
        device_named(str(path))
    assert words in str(caught.value)
    assert "flopcount calibrate" in str(caught.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-o", "missing/here.json"), "cannot write missing/here.json"),
        (("-o", "here.txt"), "no .json file"),
        (("-o", f"{__file__}/here.json"), "Not a directory"),
        (("--threads", "0"), "--threads is 0"),
        (("--device", "cuda:99"), "nothing can run on cuda:99"),
        (("--device", "gpu"), "no device to run on named 'gpu'"),
        (("--dtype", "int8"), "does not run any module in int8"),
        (("--dtype", "fp31"), "no dtype named"),
        (("--layout", "nchv"), "no layout named"),
    ],
)
def test_wrong_options_are_refused_at_once(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("flopcount.hardware.calibration._layers", None)  # nothing is timed
    result = run("calibrate", *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_writes_nothing(tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("flopcount.hardware.calibration._network", interrupted)
    monkeypatch.setattr("flopcount.hardware.calibration.BENCHMARKS", ())
    threads = torch.get_num_threads()
    result = CliRunner().invoke(app, ["calibrate", "--quick", "--threads", "1"])
    assert result.exit_code != 0
    assert list(tmp_path.iterdir()) == []
    assert torch.get_num_threads() == threads


def test_here_is_understood_without_torch(folder):
    code = (
        "import sys\nfrom flopcount.hardware.setting import Setting\n"
        "assert Setting.of('here').device.name == 'here'\nassert 'torch' not in sys.modules\n"
        "assert 'scipy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder)


# --- the fit, on times that follow the formula exactly

TRUE = Constants(
    tuple(
        {"compute": 2.0, "bytes": 1.5, "launch": 8e-6}[name.partition(":")[0]] * (1 + 0.1 * (at % 3))
        for at, name in enumerate(CONSTANTS)
    )
)
ZOO = (
    *(("toy_3d_cnn", "20x64x64"), ("r3d_18", "8x56x56"), ("r2plus1d_18", "8x56x56"), ("i3d", "16x64x64")),
    *(("x3d_xs", "4x112x112"), ("slowfast_r50_4x16", "32x64x64"), ("cnn_lstm", "4x113x113")),
    *(("mvit_b_16x4", "16x112x112"), ("swin3d_t", "8x64x64"), ("tsn_r50", "2x96x96")),
)


@pytest.fixture(scope="module")
def exact():
    """Networks whose seconds the formula gives with the constants TRUE."""
    device = find_device("core-i9-10940x")
    samples = []
    for name, clip in ZOO:
        result = count_named(ModelSpec.of(name, clip=clip), dataflow=True, saving=False)
        kernels = kernels_of(result.ops, result.dataflow, PRECISIONS["fp32"], cpu=True)
        bare = Sample(name, name, Kernels.of(kernels, device, PRECISIONS["fp32"]), 1.0, 1)
        samples.append(dataclasses.replace(bare, seconds=float(predicted([bare], TRUE)[0])))
    return samples


def test_a_machine_that_follows_the_formula_is_predicted(exact):
    unseen = leave_one_family_out(exact, PRIOR)
    errors = [abs(seconds / sample.seconds - 1) for seconds, sample in zip(unseen, exact, strict=True)]
    assert np.median(errors) < 0.1
    fitted = predicted(exact, fit_calibration(exact, PRIOR))
    assert max(abs(fitted / [sample.seconds for sample in exact] - 1)) < 0.1


def test_a_slower_machine_is_slower_as_a_whole(exact):
    """Three times the seconds of every network: three times the prediction of a prior that was right before."""
    slower = [dataclasses.replace(sample, seconds=3 * sample.seconds) for sample in exact]
    fitted = predicted(slower, fit_calibration(slower, TRUE))
    assert fitted / [sample.seconds for sample in slower] == pytest.approx(1, rel=0.02)


def test_a_family_that_is_left_out_does_not_count(exact):
    """What is predicted of a network does not depend on its own time."""
    before = leave_one_family_out(exact, PRIOR)
    changed = [dataclasses.replace(exact[0], seconds=100 * exact[0].seconds), *exact[1:]]
    after = leave_one_family_out(changed, PRIOR)
    assert after[0] == before[0]
    assert not np.allclose(after[1:], before[1:])


def test_every_step_is_said(monkeypatch):
    """`steps_of` is what the progress bar counts to."""
    monkeypatch.setattr("flopcount.hardware.calibration.NETWORKS", NETWORKS[:3])  # one of which is not for the quick
    said = []
    calibrate(Execution(torch.device("cpu")), threads=1, quick=True, say=said.append)
    assert len(said) == steps_of(quick=True) == len(set(said)) == 5
