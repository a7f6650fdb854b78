import contextlib
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from flopcount import count_model, list_models
from flopcount.cli import app
from flopcount.output.terminal import terminal
from flopcount.rules import registry

NETS = """
import torch
from torch import nn

class Odd(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.fc = nn.Linear(8, width)

    def forward(self, video):
        return torch.linalg.svd(self.fc(video))

def build(width=4):
    return nn.Sequential(nn.Linear(8, width), nn.ReLU())

def broken():
    raise ValueError("no such backbone")

def words():
    return "a model"

ready = nn.Linear(8, 2)
number = 3
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "nets", raising=False)  # that of another test
    monkeypatch.delenv("COLUMNS", raising=False)
    runner = CliRunner()

    def invoke(*words):
        return runner.invoke(app, words, catch_exceptions=False)

    return invoke


def test_model_prints_what_the_library_counts(run):
    result = run("model", "c3d", "--clip", "16x112x112")
    assert result.exit_code == 0
    assert result.stdout == terminal(count_model("c3d").by_module()) + "\n"
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_json_is_the_whole_report(run):
    result = run("model", "c3d", "--views", "10x1", "--format", "json")
    data = json.loads(result.stdout)
    assert data["total"]["macs"] == 38_548_959_232
    assert data["per_video"]["macs"] == 385_489_592_320
    assert data["views"] == {"clips": 10, "crops": 1}
    assert data["input"]["clip"] == "16x112x112"


@pytest.mark.parametrize("form", ["markdown", "latex", "csv"])
def test_other_formats(run, form):
    report = count_model("c3d")
    result = run("model", "c3d", "--format", form)
    assert result.stdout == getattr(report.by_module(), f"to_{form}")() + "\n"


@pytest.mark.parametrize("by", ["module", "operator", "kind"])
def test_by(run, by):
    assert run("model", "c3d", "--by", by).stdout.splitlines()[2].split()[0] == {"module": "layer"}.get(by, by)


def test_every_argument_reaches_the_builder(run):
    words = ("--clip", "32x112x112", "--num-classes", "101", "--set", "pool5_padding=false", "--batch", "2")
    data = json.loads(run("model", "c3d", *words, "--dtype", "bf16", "--stride", "2", "--format", "json").stdout)
    assert data["departures"] == [
        "fc6 sized for 32×112×112: 9216 inputs, released with 8192",
        "pool5 not padded, as the lecture's slide draws it; released with H and W padded by 1",
        "101 classes, the paper's network has 487",
    ]
    assert data["input"] == {
        **{"clip": "32x112x112", "stride": 2, "shapes": [[2, 3, 32, 112, 112]], "batch": 2, "dtype": "bfloat16"}
    }


def test_columns_of_a_pipe(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    assert run("model", "c3d").stdout == terminal(count_model("c3d").by_module(), 120) + "\n"


@pytest.mark.parametrize("name", ["nets.py:build", "nets:build", "nets.py:ready"])
def test_models_of_the_users_own(run, name):
    result = run("model", name, "--input", "5x8")
    assert result.exit_code == 0, result.stderr
    assert "MACs" in result.stdout


def test_settings_and_clips_of_the_users_own(run):
    data = json.loads(run("model", "nets.py:build", "--set", "width=6", "--clip", "2x3x8", "--format", "json").stdout)
    assert data["total"]["macs"] == 3 * 2 * 3 * 6 * 8
    data = json.loads(run("model", "nets.py:Odd", "--input", "video:1x4x8:float32", "--format", "json").stdout)
    assert data["uncosted"] == [
        {"op": "aten._linalg_svd", "calls": 1, "modules": [""], "elements": 16 + 36, "upper_macs": 16 * 36}
    ]


ERRORS = {
    "model c3": "error: no model named 'c3'\n  near    c3d\n",
    "model c3d --clip 16x112": "error: clip '16x112' is not frames x height x width\n",
    "model c3d --clip 0x112x112": "error: clip 0×112×112 is empty\n",
    "model c3d --clip 4x16x16": "error: clip 4×16×16 is too small for this network\n  in      pool4 (MaxPool3d",
    "model c3d --views 10y3": "error: views '10y3' are not CLIPSxCROPS\n",
    "model c3d --batch 0": "error: batch is 0\n",
    "model c3d --fps 0": "error: fps is 0.0\n",
    "model c3d --set pool5_pad=1": "error: no option of c3d named 'pool5_pad'\n  near    pool5_padding\n",
    "model c3d --set pool5_padding": "error: setting 'pool5_padding' is not key=value\n",
    "model c3d --dtype bf61": "error: no dtype named 'bf61'\n",
    "model c3d --num-classes 0": "error: num_classes is 0\n",
    "model nets.py:bild --input 5x8": "error: no callable in nets.py named 'bild'\n  near    build\n",
    "model net.py:build --input 5x8": "error: no file named 'net.py'\n  near    nets.py\n",
    "model nothere.nets:build --input 5x8": "error: no module named 'nothere.nets'\n",
    "model nets.py:broken --input 5x8": "error: nets.py:broken raised ValueError: no such backbone\n",
    "model nets.py:words --input 5x8": "error: nets.py:words returned a str, not a torch.nn.Module\n",
    "model nets.py:number --input 5x8": "error: nets.py:number is of type int, not a model\n",
    "model nets.py:build": "error: the input of nets.py:build is unknown\n",
    "model nets.py:build --input 5x8:f33": "error: no dtype of input '5x8:f33' named 'f33'\n",
    "model nets.py:build --input a:5x8 --input 5x8": "error: inputs with and without a name do not mix\n",
    "model nets.py:Odd --input 5x9": "error: Odd raised RuntimeError: ",
    "explain c3d conv22": "error: no layer named 'conv22'\n  near    conv2",
}


@pytest.mark.parametrize("command", ERRORS)
def test_bad_input_is_one_message_and_exit_code_2(run, command):
    result = run(*command.split())
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(ERRORS[command])
    assert "Traceback" not in result.stderr


def test_a_module_that_raises_names_layer_and_shapes(run):
    error = run("model", "nets.py:Odd", "--input", "5x9").stderr
    assert "  in      fc (Linear)\n  given   f32[5,9]\n" in error


def test_strict_is_exit_code_3(run):
    result = run("model", "nets.py:Odd", "--input", "1x4x8", "--strict")
    assert result.exit_code == 3
    assert result.stdout == ""
    assert result.stderr.startswith("error: no cost rule for aten._linalg_svd (1 call)\n")


def test_explain(run):
    assert "2·64·16·112·112·3·3·3·3 = 2,080,899,072" in run("explain", "c3d", "conv1").stdout


def test_check_agrees_and_fails_with_exit_code_1(run, monkeypatch):
    words = ("check", "c3d", "--clip", "16x16x16", "--num-classes", "3")
    assert run(*words).exit_code == 0
    true = registry._RULES["aten.conv3d"]

    def doubled(signature):
        work = true.formula(signature)
        return replace(work, macs=2 * work.macs)

    monkeypatch.setitem(registry._RULES, "aten.conv3d", replace(true, formula=doubled))
    result = run(*words)
    assert result.exit_code == 1
    assert "unexplained" in result.stdout


def test_check_against_tools_by_name(run):
    words = ("check", "c3d", "--clip", "16x16x16", "--num-classes", "3", "--against")
    result = run(*words, "torch")
    assert result.exit_code == 0
    assert result.stdout.startswith("c3d: MACs by flopcount, torch, on cpu")
    unknown = run(*words, "torch,calfops")
    assert unknown.exit_code == 2
    assert "no tool named 'calfops'" in unknown.stderr
    assert "calflops" in unknown.stderr


@pytest.mark.slow
def test_list_and_rules(run):
    listed = run("list").stdout
    assert all(name in listed for name in list_models())
    assert "aten.convolution" in run("rules", "--format", "markdown").stdout
    assert run("--version").stdout.startswith("flopcount ")


@pytest.mark.parametrize("command", ["", "model", "explain", "diff", "budget", "check", "list", "rules"])
def test_help_has_examples(run, command):
    result = run(*command.split(), "--help")
    assert result.exit_code == 0
    if command:
        assert f"flopcount {command}" in result.stdout


def test_mistyped_command(run):
    result = run("modle", "c3d")
    assert result.exit_code == 2
    assert "Did you mean 'model'?" in result.stderr


def after(*commands, absent):
    """Run commands in one process of their own: no command has loaded any of these."""
    code = (
        "import sys\nfrom flopcount.cli import app\n"
        f"for words in {commands!r}:\n"
        "    try: app(words)\n"
        "    except SystemExit: pass\n"
        f"    assert not {absent!r} & set(sys.modules), words"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_answers_without_importing_torch_pandas_or_matplotlib():
    quick = ["--help"], ["list"], ["model", "c3"], ["model", "c3d", "--clip", "16x1"]
    after(*quick, absent={"torch", "pandas", "matplotlib", "numpy", "fvcore"})


def test_counting_imports_neither_pandas_nor_matplotlib_nor_dynamo():
    counts = ["model", "c3d"], ["model", "slowfast_r50_8x8"]
    after(*counts, absent={"pandas", "matplotlib", "fvcore", "sympy", "torch._dynamo"})


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("no_color", [False, True])
def test_colour_on_a_terminal_unless_no_color(no_color):
    import pty

    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **({"NO_COLOR": "1"} if no_color else {})}
    if not no_color:
        environment.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "flopcount", "model", "c3d", "--clip", "16x16x16"]
    with subprocess.Popen(command, stdout=follower, stderr=follower, env=environment) as process:
        os.close(follower)
        shown = b""
        with contextlib.suppress(OSError):  # the end of a pseudo-terminal is an error
            while part := os.read(leader, 65_536):
                shown += part
        process.wait(60)
    os.close(leader)
    shown = shown.decode()
    assert "conv3a" in shown
    assert ("\x1b[36m" in shown) is not no_color  # the bars are cyan


def ended(before, *arguments):
    """A process that does something before the command, and how it ended."""
    code = f"import atexit, sys, threading; import flopcount.cli as cli; {before}; cli.main()"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


def test_the_process_ends_at_once_and_loses_nothing():
    done = ended("atexit.register(print, 'registered')", "--version")
    assert (done.returncode, done.stdout.splitlines()[-1], done.stderr) == (0, "registered", "")
    assert ended("pass", "model", "c3dd").returncode == 2


def test_threads_of_a_users_code_are_waited_for():
    """This thread outlives the main one: a process that ends without waiting never lets it print."""
    late = "threading.Thread(target=lambda: (threading.main_thread().join(), print('late'))).start()"
    done = ended(late, "--version")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "late")
