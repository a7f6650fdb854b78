"""Every command that takes a model takes the same options, from one place, and each of them reaches the count."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from flopcount import InputError, TensorSpec, count_model
from flopcount.cli import app
from flopcount.commands.settings import PRECISION_NAMES
from flopcount.hardware.execution_setup import RUNNABLE

OPTIONS = ("--clip", "--batch", "--dtype", "--input", "--num-classes", "--set")
TAKE_NO_MODEL = {
    "clip",
    "survey",
    "list",
    "show",
    "datasets",
    "lecture",
    "rules",
    "devices",
    "calibrate",
    "pipeline",
    "generate",
    "tokens",
    "video",
}
ALL = {name: command.params for name, command in typer.main.get_command(app).commands.items()}
COMMANDS = sorted(set(ALL) - TAKE_NO_MODEL)
MOSTLY_SLOW = [pytest.param(name, marks=[] if name in ("model", "diff") else pytest.mark.slow) for name in COMMANDS]

NETS = """
import torch
from torch import nn

class Net(nn.Module):
    "Costs something else with each of the options, of one clip and of a batch."
    def __init__(self, width=2, num_classes=3):
        super().__init__()
        self.conv = nn.Conv3d(3, width, (1, 3, 3))
        self.again = nn.Conv3d(width, width, 1)
        self.head = nn.Linear(width, num_classes)

    def forward(self, clip):
        x = self.conv(clip)
        for applies in (clip.dtype == torch.bfloat16, len(clip) == 2):
            x = self.again(x) if applies else x
        return self.head(x.mean((2, 3, 4)))

class Whole(nn.Module):
    "A layer that has it all."
    def __init__(self, **options):
        super().__init__()
        self.net = Net(**options)

    def forward(self, clip):
        return self.net(clip)

class Turned(Net):
    def forward(self, clip):
        return super().forward(clip.transpose(1, 2))

class TwoStream(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.rgb = nn.Conv3d(3, width, 3, padding=1)
        self.flow = nn.Conv3d(2, width, 3, padding=1)

    def forward(self, rgb, flow):
        return self.rgb(rgb) + self.flow(flow)

class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 4)

    def forward(self, tokens, mask):
        return self.fc(tokens) * mask.sum()

class Steps(nn.Module):
    def forward(self, rgb, flow):
        return rgb.mean() + flow.mean()

    def step(self, frames, state):
        return frames, state

ready = nn.Conv3d(3, 4, 1)
"""

LINES = {
    "model": "model nets.py:Whole",
    "cost": "cost nets.py:Whole --on rtx-4090 --format csv",
    "explain": "explain nets.py:Whole net",
    "check": "check nets.py:Whole --against torch",
    "fit": "fit nets.py:Whole --budget 60kMACs --frames 2,4 --size 6,8,16 --format csv",
    "formula": "formula nets.py:Whole",
    "sweep": "sweep nets.py:Whole --frames 4 --size 8",
    "span": "span nets.py:Whole",
    "memory": "memory nets.py:Whole",
    "streaming": "streaming nets.py:Whole",
    "report": "report nets.py:Whole --no-check --format html --out out",
    "compare": "compare x3d_xs --point Ours=nets.py:Whole@50 --format csv",
    "diff": "diff before.json nets.py:Whole",
    "budget": "budget nets.py:Whole --max-gmacs 1 --max-params 1 --format csv",
    "verify": "verify nets.py:Whole --printed 3.5",
    "measure": "measure nets.py:Whole --measured 1ms --format csv",
}
VALUES = {
    "--clip": "4x16x16",
    "--batch": "2",
    "--dtype": "bf16",
    "--input": "clip:2x3x2x6x6",
    "--num-classes": "7",
    "--set": "width=4",
}
TOO_SMALL = "2x2x2"  # a form is the same at any clip that the net takes
REFUSED = {("sweep", "--clip"), ("verify", "--input"), ("verify", "--batch")}
STREAMS = ("--input", "rgb:1x3x8x16x16:float32", "--input", "flow:1x2x8x16x16:float32")


plain: dict[str, list[str]] = {}  # what each command prints without options; each option is put beside it


@pytest.fixture
def run(tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*words):
        return CliRunner().invoke(app, words, catch_exceptions=False)

    return invoke


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_are_the_same_and_in_the_help(run, command):
    text = run(command, "--help").stdout
    for option in OPTIONS:
        assert f"{option} " in text
    first = {param.opts[0]: param for param in ALL["model"]}
    runs_on_a_device = any(param.opts[0] == "--on" for param in ALL[command])
    for param in ALL[command]:
        if (command, param.opts[0]) == ("measure", "--dtype"):  # which also takes ways to run
            assert all(name in param.help for name in RUNNABLE)
        elif param.opts[0] == "--dtype" and runs_on_a_device:  # takes precisions too
            assert all(name in param.help for name in (*PRECISION_NAMES, "float32", "float16", "bfloat16"))
        elif param.opts[0] in OPTIONS:
            assert (param.help, param.metavar) == (first[param.opts[0]].help, first[param.opts[0]].metavar)


def printed(run, command, *options):
    """What a command says about the net, without the command line."""
    base = () if command == "sweep" or {"--clip", "--input"} & set(options) else ("--clip", "4x8x8")
    result = run(*LINES[command].split(), *base, *options)
    if TOO_SMALL in options:
        assert "does not run at T = 2, H = 2, W = 2" in result.stderr
        return []
    assert result.exit_code in (0, 1), result.stderr
    if command == "report":
        page = Path("out/index.html").read_text()
        return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])["models"][0]["counted"]
    return [line for line in result.stdout.splitlines() if not line.startswith("each with")]


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("command", MOSTLY_SLOW)
def test_each_option_reaches_the_count(run, command, option):
    if command == "diff":
        before = run("model", "nets.py:Whole", "--clip", "4x8x8", "--format", "json").stdout
        Path("before.json").write_text(before)
    if (command, option) in REFUSED:
        result = run(*LINES[command].split(), option, VALUES[option])
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith((f"error: {option} is ", f"error: {option} does not go with "))
        return
    value = TOO_SMALL if option == "--clip" and command in ("fit", "formula") else VALUES[option]
    if command not in plain:
        plain[command] = printed(run, command)
    assert printed(run, command, option, value) != plain[command]


MALFORMED = [
    ["--clip", "4x8"],
    ["--batch", "0"],
    ["--dtype", "bf61"],
    ["--input", "video:1xx3"],
    ["--input", "1x3", "--input", "video:1x3"],
    ["--input", "1x3", "--batch", "2"],
    ["--num-classes", "many"],
    ["--set", "width"],
    ["--set", "width=1", "--set", "width=2"],
    ["--set", "num_classes=5", "--num-classes", "6"],
    ["--bach", "2"],
]


def test_what_is_malformed_is_refused_before_torch_is_imported():
    lines = [[*LINES[command].split(), *words] for command in COMMANDS for words in MALFORMED]
    lines += [LINES[command].replace("nets.py:Whole", "c3").split() for command in COMMANDS]
    code = (
        "import sys\nfrom flopcount.cli import app\n"
        f"for words in {lines!r}:\n"
        "    try: app(words)\n"
        "    except SystemExit as left: assert left.code == 2, words\n"
        "    assert not {'torch', 'pandas', 'matplotlib', 'numpy', 'fvcore'} & set(sys.modules), words\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("error: ") >= len(COMMANDS) * (len(MALFORMED) - 2)


# What a model of several inputs gets


@pytest.mark.slow
@pytest.mark.parametrize("form", ["markdown", "html"])
def test_a_report_of_two_inputs_and_the_command_that_makes_it_again(run, tmp_path, form):
    result = run("report", "nets.py:TwoStream", *STREAMS, "--set", "width=4", "--format", form, "--out", "out")
    assert result.exit_code == 0, result.stderr
    pages = {path.name: path.read_text() for path in (tmp_path / "out").iterdir() if path.is_file()}
    (page,) = pages.values()
    command = re.search(r"flopcount report [^`<]*", page)[0]
    assert shlex.split(command)[3:9] == [*STREAMS, "--set", "width=4"]
    assert run(*shlex.split(command)[1:-1], "again").exit_code == 0
    assert {path.name: path.read_text() for path in (tmp_path / "again").iterdir() if path.is_file()} == pages
    form_of_macs = f"{4 * 27 * 5}·T·H·W"
    assert form_of_macs in page
    assert "agreement: all are equal" in page


def test_inputs_that_are_no_clip_get_no_form(run, tmp_path):
    inputs = ("--input", "tokens:1x12x8", "--input", "mask:1x12x50x50")
    assert run("report", "nets.py:Tokens", *inputs, "--no-check", "--out", "out").exit_code == 0
    assert (
        "None: its inputs are not clips or pictures of one size."
        in (tmp_path / "out" / "nets.py_Tokens.md").read_text()
    )
    result = run("sweep", "nets.py:Tokens", *inputs, "--frames", "8", "--size", "8")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: no frames, height and width in 1×12×8, 1×12×50×50\n")


def test_a_batch_is_named_wherever_its_cost_stands(run, tmp_path):
    words = ("report", "nets.py:Whole", "--clip", "4x8x8", "--batch", "2", "--views", "3x1", "--no-check", "--out")
    run(*words, "out")
    page = (tmp_path / "out" / "nets.py_Whole.md").read_text()
    assert "the model rebuilt for each clip; for a batch of 2." in page
    assert "| the batch of 2 |" in page
    run(*words, "out", "--format", "html")
    page = (tmp_path / "out" / "index.html").read_text()
    assert re.search(r"<th [^>]*>2 clips at once</th><th [^>]*>2 videos</th>", page)
    assert ">per view</th>" not in page


def test_a_sweep_moves_all_clips_together(run):
    words = ("sweep", "nets.py:TwoStream", *STREAMS, "--frames", "4,8", "--size", "8", "--format", "csv")
    rows = [line.split(",") for line in run(*words).stdout.splitlines()[1:]]
    assert [int(row[3]) for row in rows] == [8 * 27 * 5 * frames * 8 * 8 for frames in (4, 8)]


def test_a_form_of_two_inputs_and_what_fits(run):
    assert f"{8 * 27 * 5}·T·H·W" in run("formula", "nets.py:TwoStream", *STREAMS).stdout
    fits = run("fit", "nets.py:TwoStream", *STREAMS, "--budget", "1MMACs", "--frames", "2,4", "--size", "8,16").stdout
    assert "4×8×8" in fits
    assert "2×16×16" in fits
    assert "4×16×16" not in fits
    of_two = [word.replace("1x", "2x", 1) for word in STREAMS]
    words = ("--budget", "1MMACs", "--frames", "2,4", "--size", "8,16")
    assert run("fit", "nets.py:TwoStream", *of_two, *words).stdout == fits  # each of one video


def test_frames_before_colours_are_frames(run, tmp_path):
    """The form of a page and its clip agree on which axis is the time: (B, T, C, H, W) where only C can be colours."""
    run("report", "nets.py:Turned", "--input", "1x8x3x6x6", "--no-check", "--out", "out")
    form = json.loads((tmp_path / "out" / "nets.py_Turned" / "closed_form.json").read_text())
    assert form["input"] == "1×T×3×H×W"
    assert "per 8×6×6 clip" in (tmp_path / "out" / "nets.py_Turned.md").read_text()


# What cannot be together

ERRORS = {
    "model nets.py:ready --set width=3": "error: nets.py:ready is already built, and takes no width\n",
    "model nets.py:ready --num-classes 3 --clip 2x4x4": "error: nets.py:ready is already built",
    "model nets.py:Net --clip 2x4x4 --input 1x3x2x4x4": "error: nets.py:Net takes a clip or inputs, not clip 2×4×4",
    "model c3d --set num_classes=5": "error: no option of c3d named 'num_classes'\n",
    "model c3d --set clip=5": "error: no option of c3d named 'clip'\n",
    "model c3d --fps 0": "error: fps is 0.0\n",
    "model c3d --stride 0": "error: stride is 0\n",
    "memory nets.py:Net --input 1x3x2x4x4 --memory 1GB": "error: --memory searches for the batch, which --input",
    "span nets.py:Net --input 1x3x2x4x4 --frames 2,4": "error: --frames changes the clip, which --input fixes\n",
    "formula nets.py:Net --input 1x3x2x4x4 --rebuild": "error: only a model that takes clips can be rebuilt",
    "formula c3d --layout BCTHW --rebuild": "error: only a model that takes clips can be rebuilt",
    "compare x3d_xs --num-classes 3": "error: --num-classes is for models of --point, and there is none\n",
    "verify lecture --batch 2": "error: verify lecture takes no --batch\n",
    "diff a.json b.json --dtype bf16": "error: --dtype is for models, and both sides are saved reports\n",
    "budget nets.py:Net --batch 2": "error: --batch needs a limit, such as --max-gmacs 40\n",
    "streaming nets.py:Steps " + " ".join(STREAMS): "error: Steps steps through one clip, B×C×T×H×W, but its input is",
}


@pytest.mark.parametrize("line", ERRORS)
def test_what_makes_no_sense_is_refused(run, line):
    result = run(*line.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(ERRORS[line])


def test_the_library_refuses_what_the_command_refuses(run):
    assert count_model("nets.py:Net", clip="2x4x4", dtype="bf16").input.dtype == "bfloat16"
    with pytest.raises(InputError, match="no dtype named 'bf61'"):
        count_model("c3d", dtype="bf61")
    with pytest.raises(InputError, match="batch 2 is given beside inputs"):
        count_model("nets.py:Net", inputs=[("", TensorSpec((1, 3, 8, 6, 6)))], batch=2)
