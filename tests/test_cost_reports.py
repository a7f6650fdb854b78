"""Cost reports: every section, links to files that are there, and nothing half-written."""

import json
import re
from pathlib import Path

import pytest
from torch import nn
from typer.testing import CliRunner

from flopcount import Clip, Views, count_model
from flopcount.cli import app
from flopcount.cost_report import cost_report
from flopcount.figures import report_files, report_page
from flopcount.verification import verify_published

run = CliRunner().invoke


class Tiny(nn.Module):
    """A model of one's own, for "test_cost_reports:Tiny"."""

    def __init__(self, width=4):
        super().__init__()
        self.conv = nn.Conv3d(3, width, 3, padding=1)
        self.head = nn.Linear(width, 5)

    def forward(self, x):
        return self.head(self.conv(x).mean((2, 3, 4)))


def links_of(page):
    return [*re.findall(r"\]\(([^)]+)\)", page), *re.findall(r'(?:src|srcset)="([^"]+)"', page)]


@pytest.fixture(scope="module")
def c3d():
    return cost_report("c3d", clip=Clip(16, 32, 32))


def test_a_page_stands_on_its_own(c3d):
    files = report_files(c3d, "flopcount report c3d --clip 16x32x32 --out DIR")
    page = files["c3d.md"].decode()
    sections = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert sections == [
        "What was asked",
        "Layer by layer",
        "Kind by kind",
        "As a function of the clip",
        "Under other counters",
        "What is printed of it",
    ]
    local = [link for link in links_of(page) if not link.startswith("http")]
    assert len(local) > 5
    assert set(local) <= set(files)
    assert "Made by `flopcount report c3d --clip 16x32x32 --out DIR`" in page
    assert f"| MACs | {count_model('c3d', clip=Clip(16, 32, 32)).macs:,} |" in page
    assert "fc6 sized for 16×32×32" in page  # a departure
    assert f"{64 * 3 * 3 * 3 * 3}·T·H·W" in page  # conv1 in the closed form
    assert "agreement: all are equal" in page
    assert json.loads(files["c3d/report.json"])["total"]["macs"] == c3d.report.macs
    assert json.loads(files["c3d/form.json"])["model"] == "c3d"
    rows = files["c3d/layers.csv"].decode().splitlines()
    assert sum(int(row.split(",")[4] or 0) for row in rows[1:-1]) == c3d.report.macs


REPORTS = Path(__file__).parent.parent / "reports"


def test_the_page_of_c3d_is_fresh():
    """Text and data, versions aside; pictures are not compared."""
    cost = cost_report("c3d", clip=Clip(16, 112, 112), views=Views(10, 1))
    files = report_files(cost, "flopcount report c3d --clip 16x112x112 --views 10x1 --out DIR")
    for path, content in files.items():
        assert (REPORTS / path).is_file()
        if not path.endswith(".svg"):
            assert _without_versions((REPORTS / path).read_text()) == _without_versions(content.decode()), path


def _without_versions(text):
    text = re.sub(r"(flopcount|torch) \d[\w.+]*", r"\1", text)
    text = re.sub(r"^- versions: .*$", "", text, flags=re.MULTILINE)
    return re.sub(r'"(flopcount|torch)": "[^"]*"', "", text)


def test_what_papers_print_stands_with_its_verdict_and_source(c3d):
    page = report_page(c3d, "command")
    for number, verdict in enumerate(verify_published(network="c3d"), 1):
        assert f"- {number}: [{verdict.row.source}]({verdict.row.url})" in page
    assert "the sum of its column, which holds the fully connected layers times 27" in page


def test_a_model_of_ones_own_says_what_is_missing():
    cost = cost_report("test_cost_reports:Tiny", clip=Clip(2, 4, 4), options={"width": 6}, with_check=False)
    page = report_page(cost, "command")
    assert "Not run: not asked for." in page
    assert "What is printed of it" not in page
    assert cost.report.macs == 6 * 3 * 27 * 2 * 4 * 4 + 6 * 5
    assert f"{6 * 3 * 27}·T·H·W + 30" in page


def test_several_models_get_an_index_and_a_comparison(tmp_path):
    words = ["report", "x3d_xs", "test_cost_reports:Tiny", "--clip", "4x160x160", "--no-check", "--out", str(tmp_path)]
    result = run(app, words)
    assert result.exit_code == 0, result.stderr
    index = (tmp_path / "index.md").read_text()
    assert links_of(index) == ["x3d_xs.md", "test_cost_reports-Tiny.md", "kinetics400.md"]
    for page in tmp_path.glob("*.md"):
        for link in links_of(page.read_text()):
            assert link.startswith("http") or (page.parent / link).is_file(), link
    assert not list(tmp_path.rglob("*.unfinished"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("report c3 --out OUT", "no model named 'c3'"),
        ("report c3d --clip 1x1x1 --out OUT", "clip 1×1×1 is too small"),
        ("report c3d --views 3x --out OUT", "views"),
        ("report c3d x3d_xs --no-check --dataset kinetics40 --out OUT", "kinetics400"),
    ],
)
def test_what_the_command_refuses(words, message, tmp_path):
    result = run(app, words.replace("OUT", str(tmp_path / "new")).split())
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "new").exists()
