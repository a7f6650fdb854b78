import csv
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from flopcount import Budget, Clip, InputError, UnknownNameError, Views, check_budgets, count_model, read_budgets
from flopcount.cli import app
from flopcount.core.model_spec import ModelSpec
from flopcount.core.protocol import Protocol
from flopcount.publishing.budget import parse_limit
from flopcount.publishing.measures import measures

ROOT = Path(__file__).parent.parent.parent
MACS, PARAMS = 8 * 4 + 4 * 2, 8 * 4 + 4 + 4 * 2 + 2  # of build() below, by hand

NETS = """
import torch
from torch import nn

def build(width=4):
    print("noise of the model")
    return nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 2))

def conv():
    return nn.Conv3d(3, 4, 3, padding=1)

class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        return torch.linalg.svd(self.fc(x))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    return tmp_path


@pytest.fixture
def run(folder):
    def invoke(*words, budgets=None):
        if budgets is not None:
            (folder / "pyproject.toml").write_text(budgets)
        return CliRunner().invoke(app, words, catch_exceptions=False)

    return invoke


LINEAR = ("nets.py:build", "--input", "1x8")


# Limits


@pytest.mark.parametrize(
    ("key", "value", "limit"),
    [
        ("max-gmacs", 40, 40 * 10**9),
        ("max-gmacs", "40", 40 * 10**9),
        ("max-gmacs", 38.5, 38_500_000_000),
        ("max-gmacs", "1.5T", 1_500 * 10**9),
        ("max-gflops", "80 GFLOPs", 80 * 10**9),
        ("max-params", "80M", 80 * 10**6),
        ("max-params", 80, 80 * 10**6),
        ("max-params", 80_000_000, 80 * 10**6),
        ("max-params", "80,000,001", 80_000_001),
        ("max-params", 46e-6, 46),
        ("max-params", "0.0000025M", 2),  # 2.5 parameters: 2 fit
    ],
)
def test_limits_are_read_as_people_write_them(key, value, limit):
    assert parse_limit(key, value) == limit


@pytest.mark.parametrize("value", ["", "forty", -3, "40 apples", True, float("inf"), None, [1]])
def test_what_is_no_limit(value):
    with pytest.raises(InputError, match=r"max-gmacs is .*, not a number"):
        parse_limit("max-gmacs", value)


NEEDED = {
    "max-gmacs": MACS,
    "max-gflops": 2 * MACS,
    "max-other-flops": 4 + 4 + 2,  # bias, ReLU, bias
    "max-params": PARAMS,
    "max-bytes-read": 4 * (8 + 32 + 4 + 4 + 4 + 8 + 2),  # input, weight and bias of a layer; the ReLU's input; the same
    "max-bytes-written": 4 * (4 + 4 + 2),
    "max-gmacs-per-video": 6 * MACS,
    "max-gflops-per-video": 6 * 2 * MACS,
    "max-other-flops-per-video": 6 * 10,
}


@pytest.mark.parametrize("limit", NEEDED)
@pytest.mark.parametrize("spare", [-1, 0, 1])
def test_a_limit_holds_up_to_itself(folder, limit, spare):
    needed = NEEDED[limit]
    budget = Budget("net", _spec("build"), {limit: needed + spare}, Protocol(Views(2, 3)))
    result = check_budgets([budget])
    (verdict,) = result.verdicts
    assert verdict.counted == needed
    assert verdict.holds is result.holds is (spare >= 0)
    assert verdict.exceeded_by == max(-spare, 0)


def test_every_limit_on_what_is_counted_is_tried():
    assert set(NEEDED) == {key for key, measure in measures().items() if not measure.quantity.pico}


def _spec(name, shape="1x8"):
    return ModelSpec.of(f"nets.py:{name}", inputs=[shape])


@given(st.integers(0, 10**13))
def test_a_whole_limit_is_exact(limit):
    assert parse_limit("max-gmacs", f"{limit / 10**9:.9f}") == pytest.approx(limit, abs=1)
    if limit >= 10**6:
        assert parse_limit("max-params", limit) == limit


def test_a_budget_needs_a_limit():
    with pytest.raises(InputError, match="budget net has no limit"):
        Budget("net", ModelSpec("c3d"), {})


def test_an_operator_without_a_rule_is_no_zero(folder):
    def verdicts(limits):
        return check_budgets([Budget("odd", _spec("Odd"), limits)])

    enough = verdicts({"max-gmacs": 10**9})
    assert not enough.holds
    assert str(enough.verdicts[0]) == "unknown: uncosted operators"
    assert enough.table().notes[0].startswith("UNCOSTED aten._linalg_svd: 1 call in the model itself")
    assert str(verdicts({"max-gmacs": 8}).verdicts[0]) == "exceeded by 24"  # 8·4 at least
    assert verdicts({"max-params": 36}).holds  # parameters are all there


def test_the_layers_that_cost_most_are_named(folder):
    budget = Budget("net", _spec("build"), {"max-gmacs": 30, "max-params": 40})
    notes = check_budgets([budget]).table().notes
    assert notes == (
        "EXCEEDED net: 10 (33.3%) more MACs than allowed; most are in 0 80.0%, 2 20.0%",
        "EXCEEDED net: 6 (15.0%) more params than allowed; most are in 0 78.3%, 2 21.7%",
        "limits: 0 of 2 hold",
    )


def test_a_model_that_cannot_be_counted_names_its_budget(folder):
    with pytest.raises(InputError, match=r"Sequential raised RuntimeError.*\n  budget  wrong"):
        check_budgets([Budget("wrong", _spec("build", "1x9"), {"max-gmacs": 1})])


# pyproject.toml

TABLES = """
[project]
name = "x"

[tool.flopcount.budgets.lecture]
model = "c3d"
clip = "16x32x32"
num-classes = 10
views = "10x1"
set = { pool5_padding = false }
dtype = "bf16"
max-gmacs = 4
max-gmacs-per-video = "31.7G"

[tool.flopcount.budgets.own]
model = "nets.py:build"
input = ["1x8"]
max-params = 46e-6  # as many as it has

[tool.flopcount.budgets.x3d_m]
max-gmacs = 5
"""


def test_tables_are_read(folder):
    (folder / "pyproject.toml").write_text(TABLES)
    lecture, own, zoo = read_budgets("pyproject.toml")
    assert lecture == Budget(
        name="lecture",
        model=ModelSpec("c3d", Clip(16, 32, 32), 10, {"pool5_padding": False}, dtype="bfloat16"),
        limits={"max-gmacs": 4 * 10**9, "max-gmacs-per-video": 31_700_000_000},
        protocol=Protocol(Views(10, 1)),
    )
    assert own.model == _spec("build")
    assert (zoo.name, zoo.model) == ("x3d_m", ModelSpec("x3d_m"))


def test_every_table_is_checked_and_one_can_be_named(run):
    result = run("budget", budgets=TABLES)
    assert result.exit_code == 0, result.stderr
    assert "limits: 4 of 4 hold" in result.stdout
    assert "noise" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    only = run("budget", "own", "--format", "csv")
    assert [(row["budget"], row["counted"]) for row in csv.DictReader(only.stdout.splitlines())] == [
        ("own", str(PARAMS))
    ]
    report = count_model("c3d", clip=Clip(16, 32, 32), num_classes=10, options={"pool5_padding": False})
    rows = list(csv.DictReader(run("budget", "lecture", "--format", "csv").stdout.splitlines()))
    assert [row["counted"] for row in rows] == [str(report.macs), str(10 * report.macs)]


def test_an_exceeded_table_is_exit_code_1(run):
    result = run("budget", "lecture", budgets=TABLES.replace("max-gmacs = 4", "max-gmacs = 3"))
    assert result.exit_code == 1
    assert "EXCEEDED lecture: " in result.stdout
    assert "conv2 28" in result.stdout
    rows = run("budget", "lecture", "--format", "csv")
    assert "conv2 28" in rows.stderr
    assert "conv2" not in rows.stdout


def test_the_nearest_file_above_is_used_and_models_stand_beside_it(run, folder, monkeypatch):
    inner = folder / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    result = run("budget", "own", budgets=TABLES)
    assert result.exit_code == 0, result.stderr
    assert "limits: 1 of 1 hold" in result.stdout


HEAD = "[tool.flopcount.budgets.net]\n"
WRONG = {
    "": "error: pyproject.toml has no [tool.flopcount.budgets]\n",
    "[tool]\nflopcount = 3": "error: pyproject.toml has no [tool.flopcount.budgets]\n",
    "[tool": "error: pyproject.toml is not TOML: ",
    "tool.flopcount.budgets.net = 3": "error: [tool.flopcount.budgets.net] of pyproject.toml is 3, not a table\n",
    HEAD
    + "model = 'c3d'": "error: budget net has no limit\n  in      [tool.flopcount.budgets.net] of pyproject.toml\n",
    HEAD + "max-gmac = 3": "error: no key in [tool.flopcount.budgets.net] of pyproject.toml named 'max-gmac'\n"
    "  near    max-gmacs",
    HEAD + "max_params = 3": "error: no key in [tool.flopcount.budgets.net] of pyproject.toml named 'max_params'\n"
    "  near    max-params",
    HEAD + "model = 'c3'\nmax-gmacs = 3": "error: no model named 'c3'\n"
    "  in      [tool.flopcount.budgets.net] of pyproject.toml\n  near    c3d",
    HEAD + "model = 'c3d'\nmax-gmacs = 'many'": "error: max-gmacs is 'many', not a number\n",
    HEAD + "model = 'c3d'\nclip = 16\nmax-gmacs = 3": "error: clip is 16, not a string\n",
    HEAD + "model = 'c3d'\nclip = '16x3'\nmax-gmacs = 3": "error: clip '16x3' is not frames x height x width\n",
    HEAD + "model = 'c3d'\nnum-classes = true\nmax-gmacs = 3": "error: num-classes is True, not a whole number\n",
    HEAD + "model = 'c3d'\nbatch = '2'\nmax-gmacs = 3": "error: batch is '2', not a whole number\n",
    HEAD + "model = 'c3d'\nbatch = 0\nmax-gmacs = 3": "error: batch is 0\n",
    HEAD + "model = 'c3d'\nbatch = 2\ninput = ['1x3']\nmax-gmacs = 3": "error: batch 2 is given beside inputs",
    HEAD + "model = 'c3d'\ninput = ['1x3', 'a:1x3']\nmax-gmacs = 3": "error: inputs with and without a name do not mix",
    HEAD + "model = 'c3d'\nset = 'a=3'\nmax-gmacs = 3": "error: set is 'a=3', not a table\n",
    HEAD + "model = 'c3d'\ndtype = 'bf61'\nmax-gmacs = 3": "error: no dtype named 'bf61'\n",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_file_is_one_message_and_exit_code_2(run, text):
    result = run("budget", "--config", "pyproject.toml", budgets=text)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(WRONG[text])


# The command


def test_a_file_says_the_batch_as_the_command_does(run):
    table = HEAD + "model = 'nets.py:conv'\nclip = '2x3x4'\nbatch = 5\nmax-gmacs = 3"
    (of_file,) = csv.DictReader(run("budget", "--format", "csv", budgets=table).stdout.splitlines())
    words = ("nets.py:conv", "--clip", "2x3x4", "--batch", "5", "--max-gmacs", "3", "--format", "csv")
    (of_command,) = csv.DictReader(run("budget", *words).stdout.splitlines())
    assert of_file["counted"] == of_command["counted"] == str(5 * 2 * 3 * 4 * 3 * 4 * 27)


def test_a_network_by_name(run):
    result = run("budget", "c3d", "--clip", "16x112x112", "--max-gmacs", "40", "--max-params", "80M")
    assert result.exit_code == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines() if line.startswith("c3d")]
    assert [row[-1] for row in rows] == ["holds", "holds"]
    tight = run("budget", "c3d", "--max-gmacs", "30")
    assert tight.exit_code == 1
    assert "exceeded by 8.55 G" in tight.stdout
    assert "conv2 28.8%" in tight.stdout


def test_views_and_settings_reach_the_count(run):
    words = ("--views", "2x3", "--max-gmacs-per-video", "1", "--set", "width=6", "--format", "csv")
    (row,) = csv.DictReader(run("budget", *LINEAR, *words).stdout.splitlines())
    assert int(row["counted"]) == 6 * (8 * 6 + 6 * 2)


ERRORS = {
    "budget c3 --max-gmacs 3": "error: no model named 'c3'\n  near    c3d\n",
    "budget c3d --max-gmacs many": "error: max-gmacs is 'many', not a number\n",
    "budget --max-gmacs 3": "error: --max-gmacs needs the name of a network\n",
    "budget c3d --clip 16x112x112": "error: --clip needs a limit, such as --max-gmacs 40\n",
    "budget c3d --config x.toml --max-gmacs 3": "error: --config does not go with limits of the command line\n",
    "budget --config x.toml": "error: cannot read x.toml: No such file or directory\n",
    "budget lectur": "error: no budget in pyproject.toml named 'lectur'\n  near    lecture\n",
}


@pytest.mark.parametrize("command", ERRORS)
def test_bad_input_is_one_message_and_exit_code_2(run, command):
    words = command.split()
    if words[1:] == ["lectur"]:
        words += ["--config", "pyproject.toml"]
    result = run(*words, budgets=TABLES)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(ERRORS[command])


def test_no_pyproject(run):
    found = [parent for parent in Path.cwd().parents if (parent / "pyproject.toml").is_file()]
    result = run("budget")
    assert found or "error: no pyproject.toml here or above\n" in result.stderr
    assert result.exit_code == 2


def test_a_mistyped_table_answers_without_importing_torch(folder):
    (folder / "pyproject.toml").write_text(HEAD + "max-gmac = 3")
    code = (
        "import sys\nfrom flopcount.cli import app\n"
        "try: app(['budget'])\nexcept SystemExit as left: assert left.code == 2\n"
        "assert not {'torch', 'pandas', 'numpy', 'fvcore'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# The example for GitHub Actions


@pytest.fixture
def project(tmp_path):
    """A repository with the example's budget and a model, at the commit before the pull request."""
    example = (ROOT / "examples" / "flopcount-budget.yml").read_text()
    table = "\n".join(line[4:] for line in example.splitlines() if line.startswith("#   "))
    (tmp_path / "pyproject.toml").write_text(table)
    (tmp_path / "model.py").write_text(
        "from torch import nn\n\ndef build():\n    return nn.Conv3d(3, 8, 3, padding=1)\n"
    )
    command = tmp_path / "bin" / "flopcount"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m flopcount "$@"\n')
    command.chmod(0o755)
    for words in ("init -q .", "add .", "-c user.name=x -c user.email=x@x commit -q -m before"):
        subprocess.run(["git", *words.split()], cwd=tmp_path, check=True)
    return yaml.safe_load(example), tmp_path


def run_step(step, folder):
    environment = {
        **os.environ,
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        "BASE": "HEAD",
    }
    return subprocess.run(
        ["bash", "-e", "-c", step["run"]], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="the example is for bash")
def test_the_example_for_github_actions_runs(project):
    workflow, folder = project
    steps = {step.get("name"): step for step in workflow["jobs"]["budget"]["steps"]}
    check = run_step(steps["Hold the networks against their budgets"], folder)
    assert check.returncode == 0, check.stderr
    assert "limits: 2 of 2 hold" in check.stdout
    (folder / "model.py").write_text(
        "from torch import nn\n\ndef build():\n    return nn.Conv3d(3, 4096, 3, padding=1)\n"
    )
    check = run_step(steps["Hold the networks against their budgets"], folder)
    assert check.returncode == 1
    assert "exceeded by" in check.stdout
    changed = run_step(steps["Show what changed, layer by layer"], folder)
    assert changed.returncode == 0, changed.stderr
    summary = (folder / "summary.md").read_text()
    assert "8→4096" in summary
    assert "| **total** |" in summary


def test_every_command_of_the_example_exists():
    workflow = yaml.safe_load((ROOT / "examples" / "flopcount-budget.yml").read_text())
    lines = [line for step in workflow["jobs"]["budget"]["steps"] for line in step.get("run", "").splitlines()]
    used = {
        words[i + 1]
        for line in lines
        if (words := line.split())
        for i, word in enumerate(words[:-1])
        if word == "flopcount"
    }
    assert used == {"budget", "model", "diff"}
    for command in used:
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0


def test_unknown_keys_are_of_the_tree(folder):
    (folder / "pyproject.toml").write_text(HEAD + "max-gmac = 3")
    with pytest.raises(UnknownNameError):
        read_budgets("pyproject.toml")


def test_a_mistyped_limit_is_no_kept_one():
    with pytest.raises(UnknownNameError, match="no limit of budget a named 'max-gmac'"):
        Budget("a", ModelSpec("c3d"), {"max-gmac": 1})


def test_a_model_may_be_named():
    assert Budget("a", "c3d", {"max-gmacs": 1}).model == ModelSpec("c3d")
