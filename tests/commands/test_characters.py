"""A stream whose encoding lacks × and ─ gets ASCII, in aligned tables, and never a traceback."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from time import sleep

import pytest

import flopcount
from flopcount.commands.characters import ascii_where_needed
from flopcount.commands.output import progress, working


def run(encoding, *words):
    return subprocess.run(
        [sys.executable, "-m", "flopcount", *words],
        env=os.environ | {"PYTHONIOENCODING": encoding, "NO_COLOR": "1", "COLUMNS": "80"},
        capture_output=True,
        encoding=encoding,
        check=False,
    )


def test_a_count_is_printed_to_ascii():
    plain, wide = run("ascii", "model", "toy_3d_cnn"), run("utf-8", "model", "toy_3d_cnn")
    assert (plain.returncode, plain.stderr) == (0, "")
    assert plain.stdout == wide.stdout.translate(str.maketrans("×─█▉▊▋▌▍▎▏", "x-#####   "))
    assert "x" in plain.stdout.splitlines()[0]


LINES = [
    *([name, "--help"] for name in ("cost", "compare", "budget")),
    ["--help"],
    ["list"],
    ["list", "--task", "generation"],
    ["rules"],
    ["rules", "conv3d", "--format", "latex"],
    ["devices", "mi250x"],
    ["datasets", "k400"],
    ["datasets", "--json"],
    ["clip", "16x112x112"],
    ["clip", "0×112×112"],
    ["show", "nets.py"],
    ["model", "nets.py"],
    ["model", "c3dé"],
    ["modle"],
]
ENCODINGS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "utf-8": {"LC_ALL": "C"},  # where Python has UTF-8 all the same
    "us-ascii": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_help_tables_and_errors_of_commands_in_every_encoding(encoding, tmp_path):
    (tmp_path / "nets.py").write_text("def build(a='×'):\n    'A net → scores.'\n", encoding="utf-8")
    code = (
        "import flopcount.cli as cli\ncli.ascii_where_needed()\n"
        f"for words in {LINES!r}:\n"
        "    try: cli.app(words, prog_name='flopcount')\n"
        "    except SystemExit as left: assert left.code in (0, 2), words\n"
    )
    (tmp_path / "lines.py").write_text(code, encoding="utf-8")
    unset = ("LC_ALL", "LANG", "PYTHONIOENCODING", "PYTHONUTF8")
    environment = {key: value for key, value in os.environ.items() if key not in unset}
    here = {"PYTHONPATH": os.pathsep.join(filter(None, (str(Path.cwd()), os.environ.get("PYTHONPATH"))))}
    done = subprocess.run(
        [sys.executable, "lines.py"],
        env=environment | here | ENCODINGS[encoding],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    out, err = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert (done.returncode, "Traceback" in err) == (0, False), err
    assert err.count("error: ") == 3
    assert "What does it cost?" in out
    if "ascii" in encoding:
        assert not [line for line in out.splitlines() if "?" in line and "---" not in line]  # beside titles of panels


def test_every_character_that_is_printed_has_its_ascii():
    package = Path(flopcount.__file__).parent
    files = [path for path in package.rglob("*") if path.suffix in (".py", ".csv", ".toml", ".json")]
    printed = {each for path in files for each in path.read_text(encoding="utf-8") if each > "\x7f"}
    assert len(printed) > 40
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors=registered())
    out.write("".join(sorted(printed)))
    out.flush()
    assert "?" not in out.buffer.getvalue().decode()


def registered():
    """The name that ascii_where_needed gives its handler."""
    ascii_where_needed()
    return "flopcount.ascii"


def test_what_a_program_says_on_stderr_while_it_works(monkeypatch):
    err = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    ascii_where_needed()
    with working("counting") as say:
        say("counting at 8×64×64")
    with progress("counting", 2) as step:
        step("X3D↑ at 16×112×112")
        sleep(0.15)  # the bar is drawn ten times a second
    err.flush()
    shown = err.buffer.getvalue().decode()
    assert "counting at 8x64x64 ..." in shown
    assert "counting X3D^ at 16x112x112" in shown
    assert "?" not in shown.replace("\x1b[?", "")  # which hides the cursor


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
