"""What can be refused is refused before anything is counted, and what was written is named at the end."""

import sys

import pytest
from typer.testing import CliRunner

from flopcount.cli import app
from flopcount.commands.output import say_written
from flopcount.publishing import comparison, cost_report

NETS = """
from torch import nn

def build():
    return nn.Conv3d(3, 4, 1)
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command in a folder with nets.py and a file, where counting anything is an error."""
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)

    def begun(*args, **more):
        raise AssertionError("the count began")

    monkeypatch.setattr(comparison, "count_named", begun)
    monkeypatch.setattr(cost_report, "count_named", begun)

    def invoke(*words):
        return CliRunner().invoke(app, words, catch_exceptions=False)

    return invoke


@pytest.mark.parametrize("library", ["jinja2", "plotly.offline"])
def test_a_page_that_cannot_be_made(run, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    result = run("report", "x3d_xs", "--format", "html", "--out", "out")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: a page needs {library.partition('.')[0]}, which is not installed\n")


LINES = {
    "report x3d_xs c3d --dataset K-40 --out out": "error: no data set named 'K-40'\n",
    "report x3d_xs nothere.py:Net --out out": "error: no file named 'nothere.py'\n",
    "report x3d_xs --out file": "error: cannot write to file: file is not a folder\n",
    "compare x3d_xs --out file": "error: cannot write to file: file is not a folder\n",
    "compare --dataset nothing": "error: no data set named 'nothing'\n",
    "compare x3d_xs --point Ours=nothere.py:Net@70": "error: no file named 'nothere.py'\n",
    "diff nets.py:missing nothere.json": "error: cannot read nothere.json: ",
    "diff nets.py:missing nothere.toml": "error: cannot read nothere.toml: ",
    "c3d": "error: c3d is a network, not a command\n  fix     write flopcount model c3d, or see",
    "nets.py": "error: nets.py is something to count, not a command\n  fix     write flopcount show nets.py, or see",
    "nets.py:build --clip 2x2x2": "error: nets.py:build is something to count, not a command\n"
    "  fix     write flopcount model nets.py:build, or see",
}


@pytest.mark.parametrize("line", LINES)
def test_what_is_refused_before_the_count(run, line):
    result = run(*line.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(LINES[line])


def test_a_point_without_a_clip_is_refused_before_the_zoo_is_counted(tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    counted = []
    monkeypatch.setattr(comparison, "_row", lambda candidate, timing: counted.append(candidate))
    result = CliRunner().invoke(app, ["compare", "--point", "Ours=nets.py:build@70"], catch_exceptions=False)
    assert (result.exit_code, counted) == (2, [])
    assert result.stderr.startswith("error: the input of nets.py:build is unknown\n")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["index.html"], "wrote 1 file below out; the page to open: out/index.html\n"),
        (["c3d.md", "c3d/x.svg", "README.md"], "wrote 3 files below out; the page to open: out/README.md\n"),
        (["kinetics400.md", "kinetics400/a.csv"], "wrote 2 files below out; the page to open: out/kinetics400.md\n"),
        (["a/b.csv"], "wrote 1 file below out\n"),
    ],
)
def test_the_page_to_open_is_named(tmp_path, capsys, files, said):
    say_written(tmp_path / "out", files)
    assert capsys.readouterr().err.replace(str(tmp_path / "out"), "out") == said
