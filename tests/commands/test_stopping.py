"""Ctrl-C: one line that says what was stopped, exit code 130, and nothing half-written."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from flopcount import InputError
from flopcount.commands import stopping
from flopcount.commands.output import progress, working
from flopcount.commands.stopping import Stopped
from flopcount.output.atomic_files import write_files

NETS = """
import sys, time
from torch import nn

class Net(nn.Module):
    def forward(self, clip):
        print("begun", flush=True)  # to stderr, as all that a model prints
        time.sleep(60)
        return clip
"""


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
@pytest.mark.parametrize(
    ("words", "doing"),
    [
        (
            ("compare", "--point", "Ours=nets.py:Net@70@4x8x8", "x3d_xs", "--out", "out"),
            "counting nets.py:Net (1 of 2)",
        ),
        pytest.param(("model", "nets.py:Net", "--clip", "4x8x8"), "counting nets.py:Net", marks=pytest.mark.slow),
        pytest.param(
            ("sweep", "nets.py:Net", "--frames", "4,8", "--size", "8", "--plot", "x.png"),
            "counting nets.py:Net at 4×8×8 (1 of 2)",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_count_that_is_stopped(tmp_path, words, doing):
    (tmp_path / "nets.py").write_text(NETS)
    command = [sys.executable, "-m", "flopcount", *words]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes) as process:
        assert process.stderr.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        printed, said = process.communicate(timeout=60)
    assert (process.returncode, printed) == (130, "")
    assert said == f"stopped: {doing}; nothing was written\n"
    assert {path.name for path in tmp_path.iterdir()} <= {"nets.py", "__pycache__"}


def stopped_at(waiting, *said, inner=None):
    """What is told of a Ctrl-C that comes after these steps."""
    try:
        with waiting as say:
            for text in said:
                say(text)
            if inner is not None:
                stopped_at(inner)
            raise KeyboardInterrupt
    except Stopped as stopped:
        if inner is None and not said:
            raise
        return stopped.doing


def test_what_was_being_done_is_in_the_exception():
    assert stopped_at(working("comparing"), "counting c3d (2 of 5)") == "counting c3d (2 of 5)"
    assert stopped_at(progress("counting", 3), "c3d", "x3d_m") == "counting x3d_m (2 of 3)"
    assert stopped_at(progress("counting", 3), "c3d", inner=working("drawing")) == "drawing"


def test_other_errors_pass():
    with pytest.raises(InputError), working("counting"):
        raise InputError("no")


def test_a_ctrl_c_that_something_swallowed_comes_again(monkeypatch):
    monkeypatch.setattr(stopping, "_pressed", threading.Event())
    before = signal.getsignal(signal.SIGINT)

    def swallowed():
        with working("loading") as say:
            with contextlib.suppress(KeyboardInterrupt):  # as the import of an extension may do
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(1)
            say("counting c3d")

    stopping.remember_ctrl_c()
    try:
        with pytest.raises(Stopped, match="loading"):
            swallowed()
    finally:
        signal.signal(signal.SIGINT, before)


def test_files_are_written_to_the_end_or_not_at_all(tmp_path, monkeypatch):
    """Ctrl-C between two files that take their places comes after the second; one before the first leaves nothing."""
    one, two = tmp_path / "one.md", tmp_path / "two.md"
    replace = type(one).replace

    def pressed(self, target):
        os.kill(os.getpid(), signal.SIGINT)
        return replace(self, target)

    def interrupted(self, content):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(one), "replace", pressed)
        with pytest.raises(KeyboardInterrupt):
            write_files({one: b"1", two: b"2"})
    assert (one.read_bytes(), two.read_bytes()) == (b"1", b"2")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with monkeypatch.context() as patch:
        patch.setattr(type(one), "write_bytes", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_files({one: b"3", two: b"4"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.md", "two.md"]
    assert one.read_bytes() == b"1"
