"""The walk-throughs of CONTRIBUTING.md, done in a copy of the package: what they show is all that it takes."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import flopcount

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"^`(flopcount/\S+)`\n\n```\w+\n(.*?)^```$", (ROOT / "CONTRIBUTING.md").read_text(), re.S | re.M)
TINYVIDEO = "from torch import nn\nMODELS = {'pixel': lambda width=4: nn.Conv3d(3, width, 1)}\n"
TALLY = """
def macs_of_linear_layers(module, x):
    return {name: part.weight.numel() for name, part in module.named_modules() if type(part).__name__ == "Linear"}
"""
NETS = """
import torch
from torch import nn

class Dist(nn.Module):
    def forward(self, x):
        return torch.dist(x, x + 1)

def two():
    return nn.Sequential(nn.Conv1d(3, 4, 1), nn.Flatten(), nn.Linear(4, 2))
"""


# Beside each walk-through's files, what is asked once they are there; of the first also before.
PROGRAM = """
import contextlib, io, json, sys
from flopcount.cli import app

def answer(words):
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            app(words)
    except SystemExit as left:
        assert not left.code, words
    return out.getvalue()

print(json.dumps([answer(words) for words in json.loads(sys.argv[1])]))
"""
DIST = ("model", "nets.py:Dist", "--input", "2x5", "--by", "operator", "--format", "csv")
TWO = ("nets.py:two", "--input", "1x3x1")
LINES = {
    "rule": DIST,
    "network": ("model", "mean_frame", "--format", "csv"),
    "prefix": ("model", "tinyvideo:pixel", "--set", "width=2", "--format", "csv"),
    "prefixes": ("survey", "--help"),
    "peer": ("check", *TWO, "--against", "tally"),
    "peers": ("check", "--help"),
    "format": ("model", *TWO, "--by", "operator", "--format", "tsv"),
    "quantity": ("model", *TWO, "--format", "json"),
    "limit": ("budget", *TWO, "--max-elements", "6"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of the package, and beside it what the walk-throughs take for granted."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(Path(flopcount.__file__).parent, folder / "flopcount", ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in (("tinyvideo.py", TINYVIDEO), ("tally.py", TALLY), ("nets.py", NETS)):
        (folder / name).write_text(text)
    return folder


def answers(folder, *lines):
    """What commands print there, one process for all, since most of their time is torch's import."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"}
    command = [sys.executable, "-c", PROGRAM, json.dumps(lines)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def before(folder):
    """What a rule's command prints without it."""
    return answers(folder, DIST)[0]


@pytest.fixture(scope="module")
def done(folder, before):
    """What each command prints once all is done that the walk-throughs show: a new file, or a row of a table."""
    for path, block in BLOCKS:
        file = folder / path
        if path.endswith("quantity.py"):
            text = file.read_text()
            assert text.count('    )\n}\n"""Quantities by name') == 1
            row = f'        {block.strip()},\n    )\n}}\n"""Quantities by name'
            block = text.replace('    )\n}\n"""Quantities by name', row)
        elif file.exists():
            block = f"{file.read_text()}\n{block}"
        file.write_text(block)
    return dict(zip(LINES, answers(folder, *LINES.values()), strict=True))


def test_each_kind_has_a_walk_through():
    assert [path.rpartition("/")[0] for path, _ in BLOCKS] == [
        *("flopcount/rules", "flopcount/models/networks", "flopcount/models/zoo_cards", "flopcount/models/libraries"),
        *("flopcount/crosscheck/peers", "flopcount/output/formats", "flopcount/core"),
    ]


@pytest.mark.slow
def test_a_rule(before, done):
    assert "aten.dist,uncosted,1,0,0,0" in before
    assert "aten.dist,reduce,1,0,0,30" in done["rule"]  # 2 · 5 elements, 3 each


@pytest.mark.slow
def test_a_network(done):
    assert "fc,Linear,487,1948,1461" in done["network"]  # 3 · 487 weights, and biases


@pytest.mark.slow
def test_a_prefix(done):
    assert f",{2 * 3 * 8 * 32 * 32}," in done["prefix"]  # an output of two channels, three multiplications each
    assert "tinyvideo" in done["prefixes"]


@pytest.mark.slow
def test_a_peer(done):
    assert "tally knows linear layers alone: aten.convolution, −12 in 1 call" in done["peer"]
    assert "every difference is explained" in done["peer"]
    assert "tally" in done["peers"]


@pytest.mark.slow
def test_a_format(done):
    assert "aten.linear\tlinear\t1\t8" in done["format"]


@pytest.mark.slow
def test_a_quantity(done):
    assert '"elements": 6' in done["quantity"]  # 4 of the convolution, 2 of the linear layer
    assert "elements written" in done["limit"]
