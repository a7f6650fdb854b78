"""The walk-throughs of CONTRIBUTING.md, each done in a copy of the package: what they show is all that it takes."""

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


@pytest.fixture
def copy(tmp_path):
    """A copy of the package, a folder beside it with what the walk-throughs take for granted, and how to run it."""
    shutil.copytree(
        Path(flopcount.__file__).parent, tmp_path / "flopcount", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name, text in (("tinyvideo.py", TINYVIDEO), ("tally.py", TALLY), ("nets.py", NETS)):
        (tmp_path / name).write_text(text)

    def apply(path):
        """Do what a block shows: a new file, or a row at the end of a table."""
        (block,) = (block for at, block in BLOCKS if at == path)
        file = tmp_path / path
        if path.endswith("quantity.py"):
            text = file.read_text()
            assert text.count('    )\n}\n"""By name') == 1
            block = text.replace('    )\n}\n"""By name', f'        {block.strip()},\n    )\n}}\n"""By name')
        elif file.exists():
            block = f"{file.read_text()}\n{block}"
        file.write_text(block)

    def run(*words):
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "200"}
        command = [sys.executable, "-m", "flopcount", *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return apply, run


def test_each_kind_has_a_walk_through():
    assert [path.rpartition("/")[0] for path, _ in BLOCKS] == [
        *("flopcount/rules", "flopcount/models/networks", "flopcount/models", "flopcount/models/libraries"),
        *("flopcount/crosscheck/peers", "flopcount/output/formats", "flopcount/core"),
    ]


@pytest.mark.slow
def test_a_rule(copy):
    apply, run = copy
    words = ("model", "nets.py:Dist", "--input", "2x5", "--by", "operator", "--format", "csv")
    assert "aten.dist,uncosted,1,0,0,0" in run(*words)
    apply("flopcount/rules/distance.py")
    assert "aten.dist,reduce,1,0,0,30" in run(*words)  # 2 · 5 elements, 3 each


@pytest.mark.slow
def test_a_network(copy):
    apply, run = copy
    apply("flopcount/models/networks/mean_frame.py")
    apply("flopcount/models/zoo.toml")
    assert "fc,Linear,487,1948,1461" in run("model", "mean_frame", "--format", "csv")  # 3 · 487 weights, and biases


@pytest.mark.slow
def test_a_prefix(copy):
    apply, run = copy
    apply("flopcount/models/libraries/tinyvideo.py")
    table = run("model", "tinyvideo:pixel", "--set", "width=2", "--format", "csv")
    assert f",{2 * 3 * 8 * 32 * 32}," in table  # an output of two channels, three multiplications each
    assert "tinyvideo" in run("survey", "--help")


@pytest.mark.slow
def test_a_peer(copy):
    apply, run = copy
    apply("flopcount/crosscheck/peers/tally.py")
    text = run("check", "nets.py:two", "--input", "1x3x1", "--against", "tally")
    assert "tally knows linear layers alone: aten.convolution, −12 in 1 call" in text
    assert "every difference is explained" in text
    assert "tally" in run("check", "--help")


@pytest.mark.slow
def test_a_format(copy):
    apply, run = copy
    apply("flopcount/output/formats/tsv.py")
    assert "aten.linear\tlinear\t1\t8" in run(
        "model", "nets.py:two", "--input", "1x3x1", "--by", "operator", "--format", "tsv"
    )


@pytest.mark.slow
def test_a_quantity(copy):
    apply, run = copy
    apply("flopcount/core/quantity.py")
    words = ("nets.py:two", "--input", "1x3x1")
    assert '"elements": 6' in run("model", *words, "--format", "json")  # 4 of the convolution, 2 of the linear layer
    assert "elements written" in run("budget", *words, "--max-elements", "6")
