"""The README and the docs: their commands and code are run, and what they print is compared.

`--update-golden` writes the outputs anew.
"""

import re
import sys
import tomllib
from pathlib import Path

import pytest
import torch
import typer
from documents import BLOCK, Page, shortened, steps

from flopcount.analysis.largest_clip import MOST_FRAMES, SIZES
from flopcount.cli import app
from flopcount.commands.application import EXIT_CODES
from flopcount.rules import registry

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCS = ROOT / "docs"
MADE = {DOCS / "gallery" / f"{path.stem}.md" for path in (ROOT / "examples").glob("*.ipynb")}  # test_notebooks.py
MADE |= set((DOCS / "reference").glob("*.md"))  # test_site.py
PAGES = sorted(set(DOCS.rglob("*.md")) - MADE)
LANGUAGES = {"console", "pycon", "python", "toml", "yaml", "json", "text", "sh", "bash"}
SET_UP = (
    "python3 -m venv ",
    ". .venv/bin/activate",
    "pip install ",
    "mkdocs ",
    "git ",
    "python reports/",
    "python benchmarks/",
)
COUNT = re.compile(r"\d[\d.,]* ?(?:[kMGTP]?(?:MACs?|FLOPs?)|[kMGTP]B)\b")


def name(path):
    return str(path.relative_to(ROOT))


@pytest.fixture
def two_threads():
    """Torch with two threads, as the pages are written: memory that a kernel shares out grows with them."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def page(tmp_path, monkeypatch, two_threads):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(sys, "displayhook", lambda value: value is not None and print(repr(value)))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a file may be written twice within a second
    rules, modules = dict(registry._RULES), set(sys.modules)
    yield Page(tmp_path, {"__name__": "__page__"})
    registry._RULES.clear()
    registry._RULES.update(rules)
    for module in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[module], "__file__", "")):
            del sys.modules[module]


@pytest.mark.slow
@pytest.mark.parametrize("path", [README, *PAGES], ids=name)
def test_what_a_page_prints_is_what_its_commands_print(path, page, update_golden):
    text = path.read_text()
    renewed = page.renewed(text)
    if update_golden and renewed != text:
        path.write_text(renewed)
    assert path.read_text() == renewed, f"{name(path)} differs; look at it, then pytest --update-golden"


@pytest.mark.parametrize("path", [README, *PAGES], ids=name)
def test_nothing_on_a_page_stays_untested(path):
    text = path.read_text()
    fences = re.findall(r"^ *```(?=\S)", text, re.MULTILINE)
    assert len(fences) == len(BLOCK.findall(text)), "a block is indented, or has more than a title beside its language"
    for block in BLOCK.finditer(text):
        assert block["language"] in LANGUAGES
        if block["language"] in ("sh", "bash"):
            for line in block["body"].splitlines():
                assert line.startswith(SET_UP), line
    prose = re.sub(r"`[^`]*`", "", BLOCK.sub("", text))
    assert not COUNT.findall(prose), "a count is printed by a command, not typed into prose"


def test_lines_left_out_stay_left_out():
    printed = ["a", "b", "c", "d"]
    assert shortened(printed, ["a", "...", "d"]) == ["a", "...", "d"]
    assert shortened(printed, ["a", "...", "x"]) == ["a", "...", "d"]
    assert shortened(printed, ["x", "..."]) == ["a", "..."]
    assert shortened(printed, ["x"]) == shortened(printed, ["..."]) == printed
    assert shortened(printed, [*printed, "..."]) == printed


def test_what_is_typed_ends_where_it_is_complete():
    assert steps("$ a \\\n  b\nc\n", "$ ") == [(["$ a \\", "  b"], ["c"])]
    assert steps(">>> for i in x:\n...     i\n...\n1\n", ">>> ") == [([">>> for i in x:", "...     i", "..."], ["1"])]
    assert steps(">>> for i in x:\n...     i\n1\n", ">>> ") == [([">>> for i in x:", "...     i"], ["1"])]
    assert steps(">>> a\n1\n...\n", ">>> ") == [([">>> a"], ["1", "..."])]


OPTION = re.compile(r"-{1,2}[A-Za-z]")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def unknown(words, commands):
    """What a command line names that there is not."""
    name = words[0]
    if name in ("COMMAND", "X"):  # stands for any
        return []
    options = {"--help", "-h", "--version", "--install-completion", "--show-completion"}
    if name in commands:
        options |= {option for parameter in commands[name].params for option in parameter.opts}
    elif not name.startswith("-"):
        return [name]
    typed = [word.partition("=")[0] for word in words if OPTION.match(word)]
    return [option for option in typed if option not in options]


@pytest.mark.parametrize("path", [README, *PAGES], ids=name)
def test_commands_in_prose_exist(path):
    commands = typer.main.get_command(app).commands
    prose = BLOCK.sub("", path.read_text())
    for text in re.findall(r"`flopcount ([^`]+)`", prose):
        assert unknown(text.split(), commands) == [], text
    for text in re.findall(r"-e '\.\[([\w,]+)\]'", path.read_text()):
        assert set(text.split(",")) <= set(EXTRAS), text


@pytest.mark.parametrize("path", [README, *PAGES], ids=name)
def test_exit_codes_in_prose_exist(path):
    prose = BLOCK.sub("", path.read_text())
    for code in re.findall(r"exit code(?: is)?(?: then)? (\d+)|exits? with (\d+)", prose):
        assert int("".join(code)) in EXIT_CODES, code


def test_constants_in_prose_are_those_of_the_code():
    page = " ".join((DOCS / "how_to" / "fit.md").read_text().split())
    assert f"up to {MOST_FRAMES} frames and the multiples of {SIZES[1] - SIZES[0]}" in page


def test_a_command_that_is_mistyped_in_prose_is_found():
    commands = typer.main.get_command(app).commands
    assert unknown(["verfy", "c3d"], commands) == ["verfy"]
    assert unknown(["verify", "c3d", "--printd", "99"], commands) == ["--printd"]
    assert unknown(["verify", "c3d", "--printd=99"], commands) == ["--printd"]
    assert unknown(["--versoin"], commands) == ["--versoin"]
    assert unknown(["verify", "c3d", "--printed", "99"], commands) == unknown(["-h"], commands) == []
