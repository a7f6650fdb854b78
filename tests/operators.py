"""Tests that need an operator, a module or a way of torch run where the installed torch has it."""

import importlib
import re
from pathlib import Path

import pytest
import torch

PINNED = re.search(r"^torch==(\S+)$", (Path(__file__).parent.parent / "constraints.txt").read_text(), re.M)[1]


def needs(*names, version=torch.__version__):
    """Skip a test whose operator of `aten` this torch lacks; the pinned torch has all, so no misspelt row hides."""
    for name in names:
        operator = name.removeprefix("aten.").partition(".")[0]
        if not hasattr(torch.ops.aten, operator):
            lacks(f"aten.{operator}", version)


def needs_module(name):
    """The module of torch, or skip the test where this torch lacks it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return lacks(name)


def lacks(what, version=torch.__version__):
    """Skip a test for what this torch lacks; the pinned torch lacks nothing, so that there the test fails."""
    say = pytest.fail if version.partition("+")[0] == PINNED else pytest.skip
    say(f"torch {version} has no {what}")
