"""--help by question, --json, and what the shell completes."""

import json
import os
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from flopcount.cli import app
from flopcount.commands import application
from flopcount.commands.completion import completing, completion_of, some
from flopcount.commands.panels import COMMAND_PANELS

COMMANDS = typer.main.get_command(app).commands


def test_every_command_stands_in_one_panel():
    shown = [name for names in COMMAND_PANELS.values() for name in names]
    assert sorted(shown) == sorted(COMMANDS)


def test_help_asks_the_questions_in_order(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(app, ["--help"]).stdout
    places = [shown.index(question) for question in COMMAND_PANELS]
    assert places == sorted(places)
    commands = [line.split()[1] for line in shown.splitlines() if line.startswith("│ ") and line[2].isalpha()]
    assert commands == [name for names in COMMAND_PANELS.values() for name in names]


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_options_stand_by_what_they_speak_of(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = CliRunner().invoke(app, ["cost", "--help"]).stdout
    panels = {part.partition(" ─")[0]: part for part in shown.split("╭─ ")[1:]}
    assert [*panels][:2] == ["Arguments", "Options"]
    where = {"The model": "--num-classes", "The test": "--views", "The device": "--price", "The output": "--json"}
    assert all(option in panels[panel] for panel, option in where.items())
    assert "--freeze" in panels["A training step"]
    assert max(map(len, shown.splitlines())) <= columns
    assert "NAME:SHAPE:DTYPE" in shown  # no metavar is broken, not in 60 columns either


def test_a_layout_of_an_input_is_no_option_of_a_device():
    panels = {each.name: each.rich_help_panel for each in COMMANDS["formula"].params}
    assert (panels["layout"], panels["clip"]) == (None, "The model")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_json_is_short_wherever_json_is_a_format(command):
    options = {option: param for param in COMMANDS[command].params for option in param.opts}
    with_json = "--format" in options and "json," in f"{options['--format'].help},"
    assert ("--json" in options) is with_json


def test_json_is_the_same_as_its_long_form():
    runs = [
        CliRunner().invoke(app, ["clip", "16x112x112", *words]).stdout for words in (["--json"], ["--format", "json"])
    ]
    assert runs[0] == runs[1]
    assert json.loads(runs[0])


def test_the_last_of_several_names_is_completed():
    complete = completing(some("rtx-3090", "rtx-4090", "t4"), several=True)
    assert complete("t4,rtx-4") == [("t4,rtx-4090", "")]
    assert completion_of("model", "clip") is None


def completed(*words, file=""):
    """What bash gets for these words, the last of them unfinished; torch is never loaded."""
    code = (
        "import sys\nfrom flopcount.cli import app\n"
        "try: app(prog_name='flopcount')\n"
        "finally: assert not {'torch', 'numpy', 'pandas'} & set(sys.modules)\n"
    )
    line = " ".join(["flopcount", *words])
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words)), "_FLOPCOUNT_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | asked, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_the_shell_completes_networks_and_formats():
    assert completed("model", "x3d_") == ["x3d_xs", "x3d_s", "x3d_m", "x3d_l", "x3d_xl"]


COMPLETIONS = {
    ("compare", "dataset"): ("k", "kinetics400"),
    ("cost", "on"): ("t4,rtx-4", "t4,rtx-4090"),
    ("cost", "dtype"): ("am", "amp_bf16"),
    ("check", "against"): ("fvcore,to", "fvcore,torch"),
    ("list", "family"): ("3", "3D CNN"),
    ("list", "task"): ("gen", "generation"),
    ("verify", "family"): ("", "x3d"),
    ("verify", "only"): ("un", "unexplained"),
    ("verify", "what"): ("pub", "published"),
    ("generate", "name"): ("wan", "wan2.1-t2v-1.3b"),
    ("devices", "name"): ("rtx", "rtx-4090"),
    ("devices", "kind"): ("e", "edge"),
    ("rules", "word"): ("po", "pool"),
    ("survey", "what"): ("ti", "timm"),
    ("video", "sampling"): ("se", "segments"),
    ("model", "optimizer"): ("adam", "adamw"),
    ("model", "name"): ("slowf", "slowfast_r50_8x8"),
    ("diff", "new"): ("c3", "c3d"),
    ("model", "format"): ("j", "json"),
}


@pytest.mark.parametrize(("command", "name"), COMPLETIONS)
def test_what_is_completed(command, name):
    part, expected = COMPLETIONS[command, name]
    (param,) = [each for each in COMMANDS[command].params if each.name == name]
    with typer.Context(COMMANDS[command]) as context:
        found = [item.value for item in param.shell_complete(context, part)]
    assert expected in found
    assert all(value.startswith(part) for value in found)


def test_what_a_file_defines_is_completed(tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text("def build():\n    'A net.'\n")
    monkeypatch.chdir(tmp_path)
    complete = completion_of("model", "name")
    assert complete is not None
    assert complete("nets.py:") == [("nets.py:build", "A net.")]
    assert complete("nts.py:") == []


def test_a_long_message_is_wrapped_beside_its_label():
    words = "error: there is none\n  fix     choose one, two, three, four\n  given   --set a=b"
    assert application._wrapped(words, 24) == (
        "error: there is none\n  fix     choose one,\n          two, three,\n          four\n  given   --set a=b"
    )
    assert application._wrapped(words, 80) == words
