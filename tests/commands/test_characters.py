"""A stream whose encoding lacks × and ─ gets ASCII, in aligned tables, and never a traceback."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from flopcount.commands.characters import ascii_where_needed


def run(encoding, *words):
    return subprocess.run(
        [sys.executable, "-m", "flopcount", *words],
        env=os.environ | {"PYTHONIOENCODING": encoding, "NO_COLOR": "1", "COLUMNS": "80"},
        capture_output=True,
        encoding=encoding,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_commands_print_to_every_encoding(encoding):
    plain, wide = run(encoding, "model", "toy_3d_cnn"), run("utf-8", "model", "toy_3d_cnn")
    assert (plain.returncode, plain.stderr) == (0, "")
    times = "x" if encoding == "ascii" else "×"
    assert plain.stdout.replace("×", "x") == wide.stdout.translate(str.maketrans("×─█▉▊▋▌▍▎▏", "x-#####   "))
    assert times in plain.stdout.splitlines()[0]


def test_errors_are_printed_too():
    refused = run("ascii", "clip", "0×112×112")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: ")
    assert "Traceback" not in refused.stderr


def test_every_character_of_a_form_has_its_ascii(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    ascii_where_needed()
    out.write("512·⌊(S + 32) / 32⌋² for S ≥ 2; Δ −3 → 4, 1 ÷ 2 … ⌈K⌉ ≤ √d QKᵀ ☃")
    out.flush()
    assert out.buffer.getvalue().decode() == (
        "512*floor((S + 32) / 32)^2 for S >= 2; d -3 > 4, 1 / 2 ~ ceil(K) <= sqrt d QK^T ?"
    )


def test_a_stream_that_shows_everything_stays_as_it_is(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", out)
    ascii_where_needed()
    assert out.errors == "strict"
