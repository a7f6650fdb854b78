"""The user's own models on the chart of a comparison: counted here or saved before, and marked as their own."""

import json
import re
import sys

import pytest
from typer.testing import CliRunner

from flopcount import count_model
from flopcount.cli import app
from flopcount.core.errors import InputError, UncostedError
from flopcount.core.model_spec import ModelSpec
from flopcount.core.protocol import Protocol, Views
from flopcount.hardware.setting import Setting
from flopcount.publishing.comparison import compare
from flopcount.publishing.comparison_rows import OURS, Point
from flopcount.publishing.cost_report import cost_report
from flopcount.publishing.pages import report_texts

NETS = """
import torch
from torch import nn

def build(width=5):
    return nn.Conv3d(3, width, 1, bias=False)

class Odd(nn.Module):
    def forward(self, x):
        return torch.linalg.qr(x)[0]
"""
NOBODY = "sports1m"  # where no network of the zoo has a point, so that nothing else is counted


@pytest.fixture
def run(tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    for name in ("nets.py:build", "nets.py:Odd"):
        report = count_model(name, clip="4x6x7", views="10x3")
        (tmp_path / f"{name[8:]}.json").write_text(report.to_json())
    return lambda *words: CliRunner().invoke(app, words, catch_exceptions=False)


def own_row(point, **options):
    (row,) = compare(dataset=NOBODY, points=[point], **options).rows
    assert row.family == OURS
    return row


def test_a_saved_report_is_the_point_that_its_model_is(run):
    counted = own_row(Point.parse("Ours=nets.py:build@78.9@4x6x7@10x3"))
    saved = own_row(Point.parse("Ours=build.json@78.9"))
    assert (saved.macs, saved.params, saved.clip, saved.views, saved.view_count) == (
        counted.macs, counted.params, counted.clip, counted.views, counted.view_count
    )  # fmt: skip
    assert counted.macs == 3 * 5 * 4 * 6 * 7
    assert (counted.source, counted.locator) == ("own measurement", "nets.py:build")
    assert (saved.source, saved.locator) == ("own measurement", "build.json")
    assert own_row(Point.parse("Ours=build.json@78.9@4x6x7@5x1")).view_count == 5


def test_views_of_a_point_are_its_own_or_those_of_all(run):
    protocol = Protocol(Views(5, 2), batch=3)
    spec = ModelSpec("", "4x6x7")
    assert own_row(Point.parse("Ours=nets.py:build@70", spec, protocol)).view_count == 10
    assert own_row(Point.parse("Ours=nets.py:build@70@4x6x7@4x1", spec, protocol)).view_count == 4
    assert own_row(Point.parse("Ours=nets.py:build@70", spec)).view_count == 1


def test_a_saved_time_is_of_the_same_conditions_or_is_none(run, tmp_path):
    setting = Setting.named("t4")
    priced = count_model("nets.py:build", clip="4x6x7").cost("t4")
    result = run("cost", "nets.py:build", "--clip", "4x6x7", "--on", "t4", "--format", "json")
    (tmp_path / "timed.json").write_text(result.stdout)
    row = own_row(Point.parse("Ours=timed.json@70"), on=setting)
    assert row.times.estimate == pytest.approx(priced.estimate)
    other = own_row(Point.parse("Ours=timed.json@70"), on="rtx-4090")
    assert other.times is None
    assert other.untimed.startswith("its report was saved with the time on t4")
    assert own_row(Point.parse("Ours=build.json@70"), on=setting).untimed == "its report was saved without a time"


def test_points_that_cannot_be(run):
    with pytest.raises(InputError, match=r"build\.json is not of the clip 8×6×7\n  seen    4×6×7"):
        Point.parse("Ours=build.json@70@8x6x7")
    with pytest.raises(InputError, match=r"none\.json"):
        Point.parse("Ours=none.json@70")
    with pytest.raises(UncostedError, match=r"Odd\.json lacks the cost of aten\.linalg_qr"):
        Point.parse("Ours=Odd.json@70")


def test_a_comparison_says_which_are_the_users_own(run):
    notes = compare(dataset=NOBODY, points=[Point.parse("Ours=build.json@70")]).table().notes
    assert "your own, with the accuracy that you measured: Ours" in notes


def test_the_chart_of_the_html_page_has_the_point(run, tmp_path):
    words = ["nets.py:build", "--clip", "2x4x6", "--views", "2x1", "--dataset", NOBODY]
    points = ["--point", "Our net=nets.py:build@70.5", "--point", "Ours=build.json@71"]
    result = run("report", *words, *points, "--no-check", "--format", "html", "--out", "site")
    assert result.exit_code == 0, result.stderr
    page = (tmp_path / "site/index.html").read_text()
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1])
    found = {point["name"]: point for point in data["comparison"]["points"]}
    assert list(found) == ["Our net", "Ours"]
    for point in found.values():
        assert (point["own"], point["reported"], point["family"]) == (True, True, OURS)
        assert point["source"].startswith("own measurement, ")
    assert found["Our net"]["macs"] == {"view": str(3 * 5 * 2 * 4 * 6), "video": str(2 * 3 * 5 * 2 * 4 * 6)}
    assert "own measurement, nets.py:build" in page
    made = re.search(r'<p class="made"><code>(.*?)</code>', page)[1].replace("&#39;", "'")
    assert f"--dataset {NOBODY} --point 'Our net=nets.py:build@70.5' --point Ours=build.json@71" in made


def test_one_model_beside_a_point_has_an_index_and_the_comparison(run):
    cost = cost_report(ModelSpec("nets.py:build", "2x4x6"), with_check=False)
    comparison = compare(dataset=NOBODY, points=[Point.parse("Ours=build.json@70")])
    texts = report_texts([cost], "flopcount report", comparison)
    assert f"## Cost against accuracy on {NOBODY}" in texts["index.md"]
    assert "[nets.py:build](nets.py_build.md)" in texts["index.md"]
    assert "| Ours | Ours | your own |" in texts[f"{NOBODY}.md"]
    assert "own measurement, build.json" in texts[f"{NOBODY}.md"]
    assert "index.md" not in report_texts([cost], "flopcount report")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["report", "nets.py:build", "--out", "site", "--point", "Ours"], "point 'Ours' is not LABEL=MODEL@TOP1"),
        (["report", "nets.py:build", "--out", "site", "--point", "A=c3@7"], "no model named 'c3'"),
        (["report", "nets.py:build", "--out", "site", "--point", "A=build.json@7@9x9x9"], "not of the clip 9×9×9"),
        (
            ["compare", "x3d_xs", "--point", "Ours=build.json@70", "--clip", "4x6x7"],
            "--clip is for models of --point, and each is a saved report",
        ),
        (["compare", "x3d_xs", "--clip", "4x6x7"], "--clip is for models of --point, and there is none"),
    ],
)
def test_what_is_refused_before_anything_is_counted(run, monkeypatch, words, message):
    def counting(*_args, **_options):
        raise AssertionError("it was counted")

    monkeypatch.setattr("flopcount.count.count_named", counting)
    monkeypatch.setattr("flopcount.publishing.comparison.count_named", counting)
    result = run(*words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_page_without_its_library_is_refused_before_anything_is_counted(run, monkeypatch):
    def counting(*_args, **_options):
        raise AssertionError("it was counted")

    monkeypatch.setattr("flopcount.publishing.cost_report.cost_report", counting)
    for name in [name for name in sys.modules if name.partition(".")[0] == "plotly"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "plotly", None)
    result = run("report", "nets.py:build", "--format", "html", "--out", "site")
    assert result.exit_code == 2
    assert "a page needs plotly, which is not installed" in result.stderr
