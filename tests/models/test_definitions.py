"""What a file defines, without running it."""

import sys

import pytest

from flopcount import InputError
from flopcount.core.model_spec import ModelSpec
from flopcount.models.definitions import definitions_in, require_inputs

NETS = """
import enum
from dataclasses import dataclass
from torch import nn
from elsewhere import Trunk

raise SystemExit("this file must not run")

class Mode(enum.Enum):
    A = 1

@dataclass
class Config:
    width: int = 3

class Base(nn.Module):
    "A base."
    def __init__(self, depth, width: int = 4, *more, norm=nn.BatchNorm3d, **rest):
        super().__init__()

    def forward(self, rgb, flow, mask=None):
        return rgb

class Net(Base):
    '''Two streams.

    More of it.'''

class Wrapped(Trunk):
    pass

class Plain(nn.Module):
    def forward(self, clip):
        return clip

class Failure(ValueError):
    pass

class _Hidden(nn.Module):
    pass

def build(width=4):
    "Builds one."
    return Net(3, width)

def _helper():
    pass

if True:
    def late(*, size):
        return Plain()

try:
    from fast import Fast
except ImportError:
    class Fast(nn.Module):
        pass

ready = nn.Conv3d(3, 4, 1)
mine = _Hidden()
number, text = 3, "three"

if __name__ == "__main__":
    def main():
        pass
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("raise SystemExit('neither may this')")
    (tmp_path / "package" / "parts.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    return {each.name: each for each in definitions_in("nets.py")}


def test_what_can_be_named_and_nothing_else(nets):
    kinds = {name: each.kind for name, each in nets.items()}
    classes = dict.fromkeys(("Base", "Net", "Wrapped", "Plain", "Fast"), "class")
    assert kinds == {**classes, **dict.fromkeys(("build", "late"), "function"), "ready": "instance", "mine": "instance"}


def test_signatures_are_as_they_are_written(nets):
    assert nets["Base"].signature == "(depth, width=4, *more, norm=nn.BatchNorm3d, **rest)"
    assert nets["Net"].parameters == nets["Base"].parameters
    assert [str(each) for each in nets["Net"].inputs] == ["rgb", "flow", "mask=None"]
    assert (nets["Wrapped"].parameters, nets["Wrapped"].signature) == (None, "as Trunk")
    assert nets["Plain"].signature == "()"
    assert [nets[name].needed for name in ("Net", "late", "build", "ready", "Wrapped")] == [
        ("depth",),
        ("size",),
        (),
        (),
        (),
    ]
    assert [nets[name].summary for name in ("Net", "build", "Plain")] == ["Two streams.", "Builds one.", ""]


def test_a_module_is_found_without_being_imported(nets):
    assert {each.name for each in definitions_in("package.parts")} == set(nets)
    assert "package" not in sys.modules


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nts.py", r"no file named 'nts.py'\n  near +nets.py"),
        ("package.prts", "no file or module named 'package.prts'"),
        ("broken.py", r"broken.py is no Python: .*\n  in +broken.py, line 2\n  seen +def f\(:"),
    ],
)
def test_what_cannot_be_read(nets, tmp_path, source, message):
    (tmp_path / "broken.py").write_text("x = 1\ndef f(:\n")
    with pytest.raises(InputError, match=message):
        definitions_in(source)


def refused(name, **given):
    with pytest.raises(InputError) as error:
        require_inputs(ModelSpec.of(name, **given))
    return error.value


def test_an_input_that_is_missing_is_refused_before_anything_runs(nets):
    for given in ({"clip": "4x8x8"}, {"inputs": ["1x3x4x8x8"]}, {"inputs": ["rgb:1x3x4x8x8", "mask:1x4"]}):
        error = refused("nets.py:Net", **given)
        assert error.message == "Net takes rgb and flow, and there is no flow"
        assert dict(error.details)["fix"] == "give each with its shape: --input rgb:SHAPE --input flow:SHAPE"
    for given in ({"inputs": ["rgb:1x3", "flow:1x3"]}, {"inputs": ["1x3", "1x3"]}, {}):
        require_inputs(ModelSpec.of("nets.py:Net", **given))
    for name in ("nets.py:Plain", "nets.py:build", "nets.py:ready", "nets.py:Elsewhere", "package.parts:Net", "c3d"):
        require_inputs(ModelSpec.of(name, clip="4x8x8"))
    assert refused("nts.py:Net", clip="4x8x8").message == "no file named 'nts.py'"
