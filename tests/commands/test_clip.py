"""`flopcount clip`, and what the commands say and refuse where nobody gives a batch."""

import json
import shlex

import pytest
from typer.testing import CliRunner

from flopcount import Clip
from flopcount.cli import app
from flopcount.core.footage import Footage
from flopcount.output.terminal import terminal

NETS = """
from torch import nn

class Patches(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter = nn.Linear(48, 32)

    def forward(self, pixel_values, grid):
        return self.enter(pixel_values)

class Placed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 8, 1)

    def forward(self, x, positions):
        return self.conv(x) * positions.mean()
"""
PATCHES = "nets.py:Patches --input pixel_values:64x48 --input grid:1x3:int64"
PLACED = "--input x:1x3x4x8x8 --input positions:5x6"


@pytest.fixture
def run(tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    return lambda line: CliRunner().invoke(app, shlex.split(line), catch_exceptions=False)


def test_a_clip_of_the_lecture(run):
    table = Footage(Clip(16, 112, 112), fps=5, video_fps=30).table()
    assert run("clip 16x112x112 --fps 5 --of 30").stdout == terminal(table) + "\n"
    assert "16 / 5 = 3.2\n" in run("clip 16x112x112 --fps 5").stdout
    assert "every 6th frame" in run("clip 16x112x112 --fps 5 --of 30").stdout


def test_its_formats(run):
    line = "clip 8x4x4 --fps 4 --stride 2 --raw 20x10 --raw 2x1"
    data = json.loads(run(f"{line} --format json").stdout)
    assert (data["bytes"], data["seconds"], data["video"]) == ({"uint8": 384, "float32": 1536}, 4, None)
    assert [row["bytes"] for row in data["raw_minute"]] == [3 * 20 * 10 * 30 * 60, 3 * 2 * 30 * 60]
    rows = run(f"{line} --format csv").stdout.splitlines()
    assert rows[0] == "what,amount,arithmetic"
    assert rows[1].startswith("bytes as uint8,384,")
    assert rows[3].startswith("seconds at 4 fps,4,8·2 / 4 = 4")


@pytest.mark.parametrize(
    ("line", "error"),
    {
        "clip 16x112": "error: clip '16x112' is not frames x height x width\n",
        "clip 16x112x112 --raw 640": "error: size '640' is not width x height\n",
        "clip 16x112x112 --of 30": "error: of a video of 30 fps nobody knows how many frames the clip skips\n",
        "clip 16x112x112 --fps 0": "error: fps is 0.0\n",
        "clip 16x112x112 --stride 0": "error: stride is 0\n",
        "clip 16x112x112 --format html": "error: no format named 'html'\n",
    }.items(),
)
def test_what_makes_no_sense(run, line, error):
    result = run(line)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(error)


def test_a_batch_that_the_inputs_do_not_share(run):
    data = json.loads(run(f"model {PATCHES} --format json").stdout)
    assert (data["input"]["batch"], data["per_sample"]) == (None, None)
    data = json.loads(run(f"model {PATCHES} --format json --batch 1").stdout)
    assert (data["input"]["batch"], data["per_sample"]["macs"]) == (1, 64 * 48 * 32)
    assert "holds" in run(f"budget {PATCHES} --max-gmacs-per-video 1").stdout


@pytest.mark.parametrize(
    ("line", "error"),
    {
        f"model {PATCHES} --train --epochs 2 --samples 9": "error: a run over samples needs the batch",
        f"fit nets.py:Placed {PLACED} --budget 1GMACs": "error: the inputs share no batch, so the cost of one clip",
        f"compare x3d_xs --point Ours=nets.py:Placed@50 {PLACED}": "error: the batch of nets.py:Placed is unknown",
    }.items(),
)
def test_what_needs_the_batch_asks_for_it(run, line, error):
    result = run(line)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(error)
    assert "--batch" in result.stderr
    assert run(f"{line} --batch 1").exit_code == 0


def test_a_page_of_what_has_no_batch(run, tmp_path):
    assert run(f"report {PATCHES} --no-check --out out").exit_code == 0
    page = (tmp_path / "out" / "nets.py_Patches.md").read_text()
    assert "| the input | 98.3 k |" in page
    for word in ("view", "batch", "clip |", "fps"):
        assert word not in page, word
    assert run(f"report {PATCHES} --no-check --out out --format html").exit_code == 0
    assert ">the input</th>" in (tmp_path / "out" / "index.html").read_text()
