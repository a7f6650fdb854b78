"""Every way a table is written, byte for byte, and the laws every rendering keeps."""

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flopcount import UnknownNameError, count_model
from flopcount.cli import app
from flopcount.commands.catalogue_tables import models_table
from flopcount.core.table import Column, Table
from flopcount.output import FORMATS, command_formats, formats, render
from flopcount.output.terminal import terminal


@pytest.fixture(scope="module")
def report():
    return count_model("c3d")


@pytest.mark.parametrize("form", FORMATS)
def test_golden_by_module(report, golden, form):
    golden(f"c3d_by_module.{form}", render(report.by_module(), form) + "\n")


@pytest.mark.parametrize("by", ["operator", "kind"])
def test_golden_by_operator_and_kind(report, golden, by):
    golden(f"c3d_by_{by}.table", terminal(getattr(report, f"by_{by}")()) + "\n")


@pytest.mark.parametrize("width", [24, 40, 60, 120])
def test_golden_widths(report, golden, width):
    golden(f"c3d_{width}_columns.table", terminal(report.by_module(), width) + "\n")


def test_golden_json(report, golden):
    data = json.loads(report.to_json())
    data["versions"] = dict.fromkeys(data["versions"], "...")
    golden("c3d.json", json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def test_golden_explanation(report, golden):
    golden("c3d_conv2.explanation", f"{report.explain('conv2')}\n")


def test_golden_catalogue(golden):
    golden("models.table", terminal(models_table()) + "\n")


@pytest.mark.parametrize("width", range(24, 140, 7))
def test_no_line_is_wider_than_the_terminal(report, width):
    text = terminal(report.by_module(), width)
    assert max(map(len, text.splitlines())) <= width
    assert "38.5 G" in text  # layer and MACs never leave
    assert "conv3a" in text


def test_columns_leave_in_their_order(report):
    texts = [terminal(report.by_module(), width) for width in range(100, 24, -1)]
    headings = [next(line for line in text.splitlines() if line.startswith("layer")).split() for text in texts]
    gone = list(dict.fromkeys(column for row in headings for column in headings[0] if column not in row))
    assert gone == ["read", "written", "type", "params", "other", "output", "FLOPs"]


def test_long_paths_are_shortened_in_the_middle():
    path = "encoder.blocks.stage_three.17.attention.projection"
    columns = (Column("layer", "text"), Column("MACs"))
    table = Table("long", columns, ((path, 7), ("short", 5)), ("total", 12))
    line = next(line for line in terminal(table, 30).splitlines() if "…" in line)
    shown = line.split()[0]
    start, end = shown.split("…")
    assert path.startswith(start)
    assert path.endswith(end)
    assert len(line) <= 30
    assert path in terminal(table, 80)


def test_csv_is_exact(report):
    rows = list(csv.DictReader(io.StringIO(report.to_csv())))
    assert sum(int(row["MACs"]) for row in rows) == report.macs
    assert sum(int(row["params"]) for row in rows) == report.params
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1)


def test_markup_is_escaped():
    table = Table("a|b <c> & 100%_", (Column("x", "text"), Column("n")), (("<i>|&%_x", 1),), ("total", 1))
    assert "&lt;i&gt;|&amp;%_x" in render(table, "html")
    assert "<i>" not in render(table, "html")
    assert r"| \<i>\|&%_x | 1 |" in render(table, "markdown")
    assert r"<i>|\&\%\_x & 1 \\" in render(table, "latex")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("conv_a of layer_1", "conv_a of layer_1"),
        ("aten._linalg_svd", "aten._linalg_svd"),
        ("__init__ of <class 'x'>", r"\_\_init__ of \<class 'x'>"),
        ("a < b, 2 * macs, 2*macs", "a < b, 2 * macs, 2*macs"),
        ("*args, **kwargs", r"\*args, **kwargs"),
    ],
)
def test_markdown_shows_what_would_be_markup(text, shown):
    from flopcount.output.formats.markdown import escaped

    assert escaped(text) == shown


def test_uncosted_comes_first_and_is_never_hidden():
    import torch

    from flopcount import count_flops

    class Odd(torch.nn.Module):
        def forward(self, x):
            return torch.linalg.svd(x)

    report = count_flops(torch.nn.Sequential(*[Odd() for _ in range(1)]), (1, 4, 4))
    for form in set(FORMATS) - {"csv"}:
        text = render(report.by_module(), form).replace("\\_", "_")
        assert "UNCOSTED aten._linalg_svd: 1 call in 0; 52 elements read and" in text
        line = "what is missing: operators with a rule write 0.0% of all elements; the others may cost up to"
        assert line in " ".join(text.split())
        assert "576 MACs (an estimate, no guarantee" in " ".join(text.split())


def test_unknown_format():
    with pytest.raises(UnknownNameError, match="no format named 'markdwn'\n  near    markdown"):
        render(models_table(), "markdwn")


def test_every_format_is_a_file_and_nothing_else_is_there():
    files = {path.stem for path in Path(formats.__file__).parent.iterdir()}
    assert files - {"__init__", "__pycache__"} == set(FORMATS) >= {"table", "markdown"}
    assert set(FORMATS) - set(command_formats()) == {"html"}


@pytest.mark.parametrize(("command", "more"), [(("rules",), ()), (("list",), ("json",)), (("model", "c3d"), ("json",))])
def test_commands_offer_the_formats_that_suit_them(command, more):
    names = sorted((*command_formats(), *more))
    shown = " ".join(run(*command, "--help").stdout.replace("│", " ").split())
    assert f"One of {', '.join(names)}." in shown
    for form in ("htm", "html", "jsn", ""):
        result = run(*command, "--format", form)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"error: no format named {form!r}\n")
        assert result.stderr.endswith(f"  fix     choose {', '.join(names)}\n")
    assert "  near    markdown\n" in run(*command, "--format", "markdwn").stderr


def run(*words):
    return CliRunner(env={"COLUMNS": "160"}).invoke(app, words, catch_exceptions=False)
