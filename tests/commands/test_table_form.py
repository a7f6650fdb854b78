"""--columns and --unit: on every command that prints a table, with the same numbers."""

import csv
import io
import json

import pytest
import typer
from typer.testing import CliRunner

from flopcount.cli import app
from flopcount.models import name_in_zoo

RUN = CliRunner()
TABLES = ("compare", "cost", "devices", "diff", "list", "memory", "model", "rules", "span", "sweep", "verify")


def run(*words: str):
    return RUN.invoke(app, words, env={"COLUMNS": "100"})


@pytest.mark.parametrize("command", TABLES)
def test_every_command_with_a_table_takes_both(command):
    parameters = {each.name for each in typer.main.get_command(app).commands[command].params}
    assert {"columns", "unit", "format"} <= parameters


def test_columns_of_a_table_and_of_its_data_are_the_same():
    text = run("model", "c3d", "--columns", "share,macs").stdout
    assert text.splitlines()[2].split() == ["layer", "share", "MACs"]
    data = run("model", "c3d", "--columns", "share,macs", "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(data)))
    assert list(rows[0]) == ["layer", "share", "MACs"]
    assert sum(int(row["MACs"]) for row in rows) == 38_548_959_232


def test_one_unit():
    text = run("model", "c3d", "--unit", "G,params=M").stdout
    assert "MACs (G)" in text
    assert next(line for line in text.splitlines() if line.startswith("total ")).split()[1:4] == [
        "79.99",
        "38.55",
        "77.10",
    ]


def test_what_was_counted_is_not_lost_for_a_column_that_is_none():
    result = run("list", "--columns", "mac")
    assert result.exit_code == 2
    assert "near    MACs" in result.stderr
    assert "c3d" in result.stdout
    assert not run("list", "--columns", "mac", "--format", "csv").stdout  # a file has what was asked or nothing


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--unit", "X"), "unit 'X' has no SI prefix"),
        (("--unit", "G", "--format", "csv"), "--unit is of text, and csv has exact numbers"),
        (("--columns", "MACs", "--json"), "--columns is of a table, and JSON is the whole result"),
        (("--columns", " , "), "names no column"),
    ],
)
def test_what_cannot_be_is_refused_before_a_count(words, message, monkeypatch):
    monkeypatch.setattr("flopcount.report.report_of_model", lambda *_, **__: pytest.fail("it counts"))
    result = run("model", "c3d", *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not result.stdout


def test_a_depth_below_all_is_refused(monkeypatch):
    monkeypatch.setattr("flopcount.report.report_of_model", lambda *_, **__: pytest.fail("it counts"))
    result = run("model", "c3d", "--depth", "-2")
    assert result.exit_code == 2
    assert "--depth is -2" in result.stderr


@pytest.mark.parametrize("typed", ["C3D", "c3d", "C3-D"])
def test_a_network_is_named_as_people_write_it(typed):
    data = json.loads(run("model", typed, "--clip", "16x32x32", "--json").stdout)
    assert data["model"] == "c3d"


def test_names_of_papers_are_names():
    assert name_in_zoo("X3D-M") == "x3d_m"
    assert name_in_zoo("SlowFast R50 8×8") == "slowfast_r50_8x8"
    assert name_in_zoo("nets.py:C3D") == "nets.py:C3D"
    assert name_in_zoo("c3dd") == "c3dd"
