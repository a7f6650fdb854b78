"""Cost reports as pages: whole, additive, linked to files that exist; and the command that writes them all or none."""

import csv
import io
import json
import re
import sys
from types import ModuleType

import pytest
from typer.testing import CliRunner

import flopcount.publishing.interactive
from flopcount import Clip, Views, count_model
from flopcount.analysis.cost_tables import by_module
from flopcount.cli import app
from flopcount.core.model_spec import ModelSpec
from flopcount.core.protocol import Protocol
from flopcount.core.wording import sentence
from flopcount.facts import Printed, published
from flopcount.publishing.cost_report import cost_report
from flopcount.publishing.pages import report_texts
from flopcount.publishing.pages.closed_form import larger_clips
from flopcount.publishing.pages.published import published_table

NETS = """
import torch
from torch import nn

class Spiky(nn.Module):
    def forward(self, x):
        return torch.linalg.svd(x.flatten(2))[1] @ torch.ones(x.shape[1], 2, device=x.device)

def build(width=5):
    net = nn.Sequential(nn.Conv3d(3, width, 1, bias=False), nn.ReLU())
    net.add_module("__head__", nn.Conv3d(width, 7, (1, 2, 2)))
    return net

def odd():
    return nn.Sequential(nn.Conv3d(3, 4, 1), Spiky())
"""
SECTIONS = [
    *("What was asked", "Cost", "Layers", "Kinds of operators", "Closed form", "Larger clips", "Cross-check"),
    "Published values",
]
LINK = re.compile(r'(?:\]\(|src=|srcset=)"?([^")\s]+)')


@pytest.fixture
def run(tmp_path, monkeypatch):
    (tmp_path / "tiny_nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    return lambda words: CliRunner().invoke(app, ["report", *words.split()], catch_exceptions=False)


def rows_of(page, section):
    """The cells of the first table of a section, without escapes, by row."""
    body = page.split(f"## {section}\n")[1].split("\n## ")[0]
    lines = re.search(r"(?:^\|.*\n?)+", body, re.MULTILINE)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.fixture(scope="module")
def r3d():
    """A small clip of a network with published numbers."""
    return cost_report(ModelSpec("r3d_18", Clip(4, 32, 32)), Protocol(Views(10, 3)), with_check=False)


def test_a_page_has_every_section_and_the_exact_totals(r3d):
    page = report_texts([r3d], "flopcount report r3d_18 --out DIR")["r3d_18.md"]
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == SECTIONS
    report = count_model("r3d_18", clip=Clip(4, 32, 32), views=Views(10, 3))
    cost = {row[0]: row[-1] for row in rows_of(page, "Cost")}
    assert cost["one view"] == f"{report.macs:,}"
    assert cost["a video, 10×3 = 30 views"] == f"{30 * report.macs:,}"
    assert f"- parameters: {report.params:,}\n" in page
    assert page.splitlines()[2] == f"{sentence(report)}."
    assert "Made by `flopcount report r3d_18 --out DIR`, flopcount " in page
    assert "None: not requested." in page.split("## Cross-check")[1]


def test_the_layers_are_whole_and_their_data_sum_to_the_total(r3d):
    texts = report_texts([r3d], "flopcount report", depth=-1)
    shown = rows_of(texts["r3d_18.md"], "Layers")
    table = by_module(r3d.report, -1)
    names = [row[0].replace("&nbsp;", "").lstrip("…") for row in shown[2:-1]]  # each below what its parent says
    assert all(line.values[0].endswith(name) for name, line in zip(names, table.lines, strict=True))
    assert [row[0].count("&nbsp;") for row in shown[2:-1]] == [2 * line.level for line in table.lines]
    data = list(csv.DictReader(io.StringIO(texts["r3d_18/layers.csv"])))
    assert sum(int(row["MACs"]) for row in data) == r3d.report.macs
    assert sum(int(row["params"]) for row in data) == r3d.report.params
    assert json.loads(texts["r3d_18/report.json"])["total"]["macs"] == r3d.report.macs
    assert json.loads(texts["r3d_18/closed_form.json"])["forms"]["macs"]["text"] == r3d.form.text()


def test_the_closed_form_stands_there_whole(r3d):
    page = report_texts([r3d], "flopcount report")["r3d_18.md"]
    (block,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    assert max(map(len, block.splitlines())) <= 120
    joined = re.sub(r"\n +", " ", block)
    for quantity, title in (("macs", "MACs"), ("params", "params"), ("bytes_read", "bytes read")):
        assert f"{title} = {r3d.form.text(quantity)}\n" in joined


def test_larger_clips_are_what_a_count_of_them_gives(r3d):
    table = larger_clips(r3d.form)
    assert [row[0] for row in table.rows] == ["4×32×32", "8×32×32", "4×64×64", "8×64×64"]
    for clip, macs, flops, params, _ in table.rows:
        report = count_model("r3d_18", clip=clip.replace("×", "x"))
        assert (macs, flops, params) == (report.macs, report.flops, report.params)


def test_a_departure_and_a_refusal_are_told():
    """C3D's first fully connected layer has 512·4·4 inputs on the paper's clip, and 512·1·2·2 on 16×32×32."""
    cost = cost_report(ModelSpec("c3d", Clip(16, 32, 32)))
    page = report_texts([cost], "flopcount report")["c3d.md"]
    assert ["departs from the paper", "fc6 sized for 16×32×32: 2048 inputs, released with 8192"] in [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in page.splitlines()
    ]
    assert "The real model was run on a clip of 16×16×16, on cpu, under fvcore and torch." in page
    assert "the sum of its column, which counts the fully connected layers times 27" in page


def test_every_published_number_of_a_network_has_its_row(r3d):
    table = published_table(r3d.verdicts)
    printed = [str(value) for v in r3d.verdicts for value in (v.row.cost, v.row.params) if value]
    assert [row[1] for row in table.rows] == printed
    assert len(printed) > 2
    urls = {row.url for row in published()}
    for of, number, read_as, counted, verdict, because, source in table.rows:
        assert re.search(r"\]\((.*?)\)", source)[1] in urls
        if verdict == "match":
            assert Printed(*number.split()).matches(int(counted.replace(",", ""))), (of, read_as, because)


def test_a_number_of_all_views_is_set_beside_a_count_of_all_views():
    (cost,) = (v for v in cost_report(ModelSpec("c3d"), with_check=False).verdicts if v.row.url.endswith("models.md"))
    row = published_table((cost,)).rows[0]
    assert row[2].startswith("MACs of one view at 16×112×112, 400 classes")
    from dataclasses import replace

    video = replace(cost, row=replace(cost.row, scope="video", views=10, convention="2mac"))
    row = published_table((video,)).rows[0]
    assert row[2].startswith("FLOPs, 2 per MAC, of all 10 views at")
    assert int(row[3].replace(",", "")) == 2 * 10 * cost.counted.macs
    unknown = replace(cost, row=replace(cost.row, scope="video", views=None))
    assert published_table((unknown,)).rows[0][2:4] == (
        "MACs of all views, their number unknown, at 16×112×112, 400 classes", ""
    )  # fmt: skip


# The command


def test_one_model_of_ones_own(run, tmp_path):
    result = run("tiny_nets.py:build --clip 2x4x6 --views 10x3 --set width=6 --out new/folder")
    assert (result.exit_code, result.stdout) == (0, ""), result.stderr
    page = (tmp_path / "new/folder/tiny_nets.py_build.md").read_text()
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == SECTIONS
    # 3·6 MACs at 2·4·6 places, and 6·7·2·2 at 2·3·5; the bias is another 7·2·3·5
    macs = 18 * 48 + 168 * 30
    assert f"{macs:,} |" in page
    assert f"{30 * macs:,} |" in page
    assert "--clip 2x4x6 --views 10x3 --set width=6 --out DIR`" in page
    assert r"| \_\_head__ | Conv3d | 7×2×3×5 |" in page  # and not a bold head
    assert "agreement: all are equal" in page
    assert "flopcount knows no paper or model zoo that prints a number of tiny_nets.py:build." in page
    targets = {target for target in LINK.findall(page) if not target.startswith("http")}
    assert len(targets) >= 6
    for target in targets:
        assert (tmp_path / "new/folder" / target).is_file(), target
    assert not (tmp_path / "new/folder/index.md").exists()


@pytest.mark.slow
def test_what_no_rule_knows_stands_on_top(run, tmp_path):
    result = run("tiny_nets.py:odd --clip 2x3x3 --no-check --out .")
    assert result.exit_code == 0, result.stderr
    page = (tmp_path / "tiny_nets.py_odd.md").read_text()
    assert page.index("> [!WARNING]\n> UNCOSTED aten._linalg_svd: 1 call in 1;") < page.index("## What was asked")


@pytest.mark.slow
def test_several_models_have_an_index_and_their_comparison(run, tmp_path):
    result = run("r3d_18 tiny_nets.py:build r3d_18 --clip 4x32x32 --no-check --depth 1 --out all")
    assert result.exit_code == 0, result.stderr
    index = (tmp_path / "all/index.md").read_text()
    assert [row[0] for row in rows_of(f"## x\n{index}", "x")[2:]] == [
        "[r3d_18](r3d_18.md)", "[tiny_nets.py:build](tiny_nets.py_build.md)"
    ]  # fmt: skip
    assert "report r3d_18 tiny_nets.py:build --clip 4x32x32 --depth 1 --dataset kinetics400 --no-check" in index
    pages = sorted(path.name for path in (tmp_path / "all").glob("*.md"))
    assert pages == ["index.md", "kinetics400.md", "r3d_18.md", "tiny_nets.py_build.md"]
    for page in pages:
        for target in LINK.findall((tmp_path / "all" / page).read_text()):
            assert target.startswith("http") or (tmp_path / "all" / target).is_file(), target


def test_names_that_make_the_same_file_do_not_overwrite_each_other(r3d):
    from dataclasses import replace

    named = [replace(r3d, name=name) for name in ("../a:b", "a_b", "index", "a/b")]
    texts = report_texts(named, "flopcount report")
    assert {path for path in texts if path.endswith(".md")} == {
        "a_b.md", "a_b_2.md", "a_b_3.md", "index_2.md", "index.md"
    }  # fmt: skip


def test_html_is_one_page(run, tmp_path, monkeypatch):
    heard = []
    fake = ModuleType("flopcount.publishing.interactive")
    fake.__path__ = flopcount.publishing.interactive.__path__  # whose other files are the real ones
    fake.require_page = lambda: heard.append("asked first")
    fake.page = lambda *given, depth: heard.append((*given, depth)) or "<html>×</html>"
    monkeypatch.setitem(sys.modules, "flopcount.publishing.interactive", fake)
    result = run("tiny_nets.py:build --clip 2x4x6 --no-check --format html --depth 1 --out site")
    assert result.exit_code == 0, result.stderr
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["index.html"]
    assert (tmp_path / "site/index.html").read_bytes() == "<html>×</html>".encode()
    first, ((cost,), comparison, command, depth) = heard
    assert first == "asked first"
    assert (cost.name, comparison, depth) == ("tiny_nets.py:build", None, 1)
    assert cost.readings.training is not None  # which the pages in markdown do without
    assert command == "flopcount report tiny_nets.py:build --clip 2x4x6 --depth 1 --no-check --format html --out DIR"


@pytest.mark.slow
def test_a_difference_that_nothing_explains_is_written_and_fails(run, tmp_path, monkeypatch):
    from flopcount.crosscheck import Check

    monkeypatch.setattr(Check, "agrees", property(lambda self: False))
    result = run("tiny_nets.py:build --clip 2x4x6 --out site")
    assert result.exit_code == 1
    assert "not every difference from other counters is explained: tiny_nets.py:build" in result.stderr
    assert "**Not every difference is explained.**" in (tmp_path / "site/tiny_nets.py_build.md").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("c3 --out site", "no model named 'c3'\n  near    c3d"),
        ("c3d x3d_mm --out site", "no model named 'x3d_mm'\n  near    x3d_m"),
        ("c3d --clip 16x112 --out site", "clip '16x112' is not frames x height x width"),
        ("c3d --views 3x --out site", "views '3x' are not CLIPSxCROPS"),
        ("c3d --set pool6=1 --out site", "c3d: no option of c3d named 'pool6'"),
        ("c3d --clip 1x4x4 --out site", "c3d: clip 1×4×4 is too small for this network"),
        ("c3d x3d_xs --dataset kinetics40 --out site", "kinetics400"),
        ("c3d --out tiny_nets.py", "cannot write to tiny_nets.py: "),
        ("c3d --out tiny_nets.py/site", "cannot write to tiny_nets.py/site: "),
        ("c3d", "--out"),
        ("c3d --format pdf --out site", "'pdf' is not one of"),
    ],
)
def test_what_the_command_refuses(run, tmp_path, words, message):
    result = run(words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["tiny_nets.py"]


def test_nothing_half_written_stays_where_a_file_is_in_the_way(run, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site/tiny_nets.py_build").write_text("in the way of the folder")
    result = run("tiny_nets.py:build --clip 2x4x6 --no-check --out site")
    assert result.exit_code == 2
    assert "cannot write" in result.stderr
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["tiny_nets.py_build"]


# A picture of one model


def test_model_draws_itself(run, tmp_path):
    words = ["model", "tiny_nets.py:build", "--clip", "2x4x6", "--plot", "bars.svg", "--depth", "1"]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (0, "wrote bars.svg and bars.csv\n")
    assert b"<svg" in (tmp_path / "bars.svg").read_bytes()
    assert "total: " in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("c3d --plot bars.gif", "no picture format named 'gif'"),
        ("c3d --plot no/such/bars.png", "cannot write"),
        ("optical_flow_tvl1 --clip 2x8x8 --plot bars.png", "optical_flow_tvl1 has no contraction to draw"),
    ],
)
def test_pictures_that_cannot_be(run, tmp_path, words, message):
    result = CliRunner().invoke(app, ["model", *words.split()], catch_exceptions=False)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["tiny_nets.py"]
