"""The README's commands and code are run, and what they print is compared; `--update-golden` rewrites it."""

import code
import contextlib
import io
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flopcount.cli import app
from flopcount.rules import registry

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"```(console|pycon|python|sh)\n(.*?)```", re.DOTALL)


def blocks(language):
    return [body for kind, body in BLOCK.findall(README.read_text()) if kind == language]


def run_console(body, monkeypatch):
    """Every `$ flopcount ...` line with what it prints."""
    monkeypatch.delenv("COLUMNS", raising=False)
    out = []
    for line in body.splitlines():
        if line.startswith("$ "):
            _, *words = shlex.split(line[2:])
            result = CliRunner().invoke(app, words, catch_exceptions=False)
            assert result.exit_code == 0, result.stderr
            out += [line, *result.stdout.splitlines()]
    return "\n".join(out) + "\n"


def run_session(body):
    """Every `>>>` line with what an interpreter would print."""
    interpreter, out = code.InteractiveInterpreter({}), []
    for line in body.splitlines():
        if line.startswith(">>> "):
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                assert not interpreter.runsource(line[4:])
            out += [line, *printed.getvalue().splitlines()]
    return "\n".join(out) + "\n"


def renewed(monkeypatch):
    runners = {"console": lambda body: run_console(body, monkeypatch), "pycon": run_session}

    def renew(found):
        kind, body = found.groups()
        return f"```{kind}\n{runners[kind](body) if kind in runners else body}```"

    return BLOCK.sub(renew, README.read_text())


@pytest.mark.slow
def test_printed_output_is_what_the_commands_print(monkeypatch, update_golden):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "displayhook", lambda value: value is not None and print(repr(value)))
    text = renewed(monkeypatch)
    if update_golden:
        README.write_text(text)
    assert README.read_text() == text, "the README differs; look at it, then pytest --update-golden"


@pytest.mark.parametrize("body", blocks("python"))
def test_code_runs(body):
    before = dict(registry._RULES)
    try:
        exec(compile(body, "README.md", "exec"), {"__name__": "readme"})
    finally:
        registry._RULES.clear()
        registry._RULES.update(before)


def test_two_commands_do_all_the_set_up():
    first, second = blocks("sh")
    assert first.strip().endswith("flopcount model c3d --clip 16x112x112")
    assert second.strip().endswith("-m pytest -q -n logical --dist worksteal")
    assert len(first.strip().splitlines()) == len(second.strip().splitlines()) == 1


def test_constraints_pin_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["test"], *extras["models"], *extras["html"]]
    names = {re.match(r"[A-Za-z0-9_.-]+", requirement).group().lower() for requirement in wanted}
    pins = dict(
        line.lower().split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    )
    assert names <= set(pins)
    assert not any("==" in requirement for requirement in project["dependencies"])  # users bring their own torch


def test_license_is_apache_2():
    assert "Apache License" in (ROOT / "LICENSE").read_text()
