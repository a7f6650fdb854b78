"""Rows that name an operator run where the installed torch has it."""

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
            say = pytest.fail if version.partition("+")[0] == PINNED else pytest.skip
            say(f"torch {version} has no aten.{operator}")
