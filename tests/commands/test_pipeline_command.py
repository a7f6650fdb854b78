"""`flopcount pipeline`: what it prints, what it writes, and what it refuses before counting."""

import csv
import json

import pytest
from typer.testing import CliRunner

from flopcount import read_pipeline
from flopcount.cli import app

JOB = """
name = "job"
[parameters]
n = 3
[units]
video = 1
[[stages]]
name = "a"
model = "toy_3d_cnn"
times = "2 * n"
[[stages]]
name = "b"
model = "toy_late_fusion"
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "job.toml"
    path.write_text(JOB)
    return str(path)


def run(*words):
    return CliRunner().invoke(app, ["pipeline", *words], catch_exceptions=False)


def test_the_table_has_a_row_for_each_stage(file):
    result = run(file)
    assert result.exit_code == 0
    assert "a      toy_3d_cnn" in result.stdout
    assert "times: a runs 2 * n = 6" in result.stdout
    assert all(len(line) <= 80 for line in result.stdout.splitlines())


def test_csv_sums_to_the_job(file):
    rows = list(csv.DictReader(run(file, "--format", "csv").stdout.splitlines()))
    job = read_pipeline(file)
    assert sum(int(row["MACs"]) for row in rows) == job.macs
    assert [row["times"] for row in rows] == ["6", "1"]


def test_json_is_the_whole_job_and_other_values_change_it(file):
    one, other = (json.loads(run(file, *words, "--format", "json").stdout) for words in ((), ("--set", "n=5")))
    assert [stage["times"] for stage in other["stages"]] == [10, 1]
    assert other["parameters"] == {"n": 5}
    assert one["total"]["macs"] == read_pipeline(file).macs


def test_a_saved_job_is_a_file_too(file, tmp_path):
    saved = tmp_path / "saved.json"
    saved.write_text(run(file, "--format", "json").stdout)
    again = run(str(saved), "--set", "n=1", "--format", "json")
    assert json.loads(again.stdout)["total"]["macs"] == read_pipeline(file, parameters={"n": 1}).macs


def test_formulas_layers_operators_and_devices(file):
    assert "·n" in run(file, "--formula").stdout
    assert "a.conv1" in run(file, "--by", "module", "--depth", "2").stdout
    assert "aten.convolution" in run(file, "--by", "operator").stdout
    on = run(file, "--on", "rtx-4090", "--dtype", "amp", "--price", "0.4")
    assert "per job" in on.stdout
    several = run(file, "--on", "rtx-4090,t4")
    assert "rtx-4090" in several.stdout
    assert "t4" in several.stdout
    assert "per video: rtx-4090 " in several.stdout
    priced = json.loads(run(file, "--on", "rtx-4090", "--format", "json").stdout)
    assert priced["cost"][0]["per"] == "job"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "m=1"], "no parameter of"),
        (["--set", "n"], "is not key=value"),
        (["--set", "n=1", "--set", "n=2"], "is given twice"),
        (["--set", "n=1/0"], "not a number"),
        (["--set", "n=-1"], "the times of stage a is -2"),
        (["--set", "n=1e999999999"], "not a number"),
        (["--set", "a.n=2"], "has no parameters"),
        (["--on", "rtx-4091"], "no device named"),
        (["--on", "t4", "--formula"], "--formula says nothing of a device"),
        (["--price", "1"], "--price needs a device"),
        (["--dtype", "bfloat16"], "--dtype bfloat16 is a way to run on a device, and none is named"),
        (["--format", "yaml"], "no format named"),
    ],
)
def test_what_is_wrong_is_said_with_exit_code_2(file, words, message):
    result = run(file, *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_a_budget_and_a_difference_of_jobs(file, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(JOB.replace("n = 3", "n = 30"))
    invoke = CliRunner().invoke
    change = invoke(app, ["diff", file, str(other), "--depth", "1"], catch_exceptions=False)
    assert change.exit_code == 0
    assert "(1 unchanged)" in change.stdout
    assert invoke(app, ["budget", file, "--max-gmacs", "1.2"], catch_exceptions=False).exit_code == 0
    over = invoke(app, ["budget", str(other), "--max-gmacs", "1.2"], catch_exceptions=False)
    assert over.exit_code == 1
    assert "EXCEEDED" in over.stdout
    config = tmp_path / "pyproject.toml"
    config.write_text('[tool.flopcount.budgets.x]\npipeline = "job.toml"\nparameters = {n = 1}\nmax-gmacs = 0.3\n')
    held = invoke(app, ["budget", "--config", str(config)], catch_exceptions=False)
    assert held.exit_code == 0, held.stdout
    config.write_text('[tool.flopcount.budgets.x]\npipeline = "job.toml"\nclip = "1x1x1"\nmax-gmacs = 0.3\n')
    refused = invoke(app, ["budget", "--config", str(config)], catch_exceptions=False)
    assert refused.exit_code == 2
    assert "clip is of a model" in refused.stderr


def test_a_saved_job_has_a_budget(file, tmp_path):
    saved, report = tmp_path / "saved.json", tmp_path / "report.json"
    saved.write_text(run(file, "--format", "json").stdout)
    invoke = CliRunner().invoke
    assert invoke(app, ["budget", str(saved), "--max-gmacs", "1.2"], catch_exceptions=False).exit_code == 0
    assert invoke(app, ["budget", str(saved), "--max-gmacs", "0.01"], catch_exceptions=False).exit_code == 1
    report.write_text(invoke(app, ["model", "toy_3d_cnn", "--format", "json"], catch_exceptions=False).stdout)
    refused = invoke(app, ["budget", str(report), "--max-gmacs", "1.2"], catch_exceptions=False)
    assert refused.exit_code == 2
    assert "it has no stages" in refused.stderr


def test_strict_refuses_an_operator_without_a_rule(file, tmp_path):
    (tmp_path / "lost_net.py").write_text(
        "import torch\nclass Odd(torch.nn.Module):\n    def forward(self, x):\n        return torch.linalg.qr(x)[0]\n"
    )
    odd = tmp_path / "odd.toml"
    odd.write_text('[[stages]]\nname = "a"\nmodel = "lost_net.py:Odd"\ninput = ["5x4"]\ntimes = 3\n')
    assert run(file, "--strict").exit_code == 0
    assert "UNCOSTED aten.linalg_qr: 3 calls" in run(str(odd)).stdout
    saved = tmp_path / "saved.json"
    saved.write_text(run(str(odd), "--format", "json").stdout)
    for path in (odd, saved):
        refused = run(str(path), "--strict")
        assert refused.exit_code == 3
        assert "no cost rule for aten.linalg_qr" in refused.stderr
        assert refused.stdout == ""
