import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_rows import made_up
from typer.testing import CliRunner

from flopcount.cli import app
from flopcount.core.errors import InputError, UnknownNameError
from flopcount.core.protocol import Clip, Views
from flopcount.facts import published
from flopcount.publishing.comparison import Comparison, compare
from flopcount.publishing.comparison_rows import OURS, Point, pareto
from flopcount.report import count_model

OWN = "from torch import nn\ndef Net():\n    return nn.Conv3d(3, 5, 1, bias=False)\n"


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3)), max_size=12),
    st.sampled_from(["view", "video"]),
)
def test_pareto_front_is_what_nothing_beats(points, per):
    rows = [made_up(str(i), macs, float(top1), views) for i, (macs, top1, views) in enumerate(points)]

    def beaten(row):
        mine = (row.cost(per), -row.score)
        others = [(other.cost(per), -other.score) for other in rows]
        return any(cost <= mine[0] and loss <= mine[1] and (cost, loss) != mine for cost, loss in others)

    assert set(pareto(rows, per)) == {row for row in rows if not beaten(row)}
    assert [row.cost(per) for row in pareto(rows, per)] == sorted(row.cost(per) for row in pareto(rows, per))


def test_a_network_is_counted_at_the_clip_crop_and_views_of_its_own_accuracy():
    (row,) = compare(["x3d_s"]).rows
    (fact,) = (f for f in published() if (f.model, f.url, f.top1) == ("x3d_s_13x6", row.url, row.score))
    assert row.clip == Clip(fact.frames, fact.height, fact.width) != Clip(13, 160, 160)  # not the zoo's own clip
    report = count_model("x3d_s", clip=row.clip, views=Views(fact.clips, fact.crops))
    assert (row.macs, row.macs_per_video, row.params) == (report.macs, report.per_video.macs, report.params)
    assert row.flops == report.flops
    assert row.locator == fact.locator


def test_the_papers_row_is_the_default_and_source_picks_another():
    (paper,) = compare(["slowfast_r50_4x16"]).rows
    (other,) = compare(["slowfast_r50_4x16"], source="open-mmlab/mmaction2").rows
    assert (paper.source, str(paper.clip)) == ("arXiv 1812.03982", "32×256×256")
    assert (other.source, str(other.clip)) == ("open-mmlab/mmaction2", "32×256×256")  # its crop in tests
    assert paper.params - other.params == 2 * (16 + 64 + 128 + 256)  # mmaction2's lateral convolutions have no norm


def test_an_accuracy_at_more_frames_than_the_printed_cost_is_counted_at_its_own():
    (row,) = compare(["s3d"], source="pytorch/vision").rows
    assert row.clip.frames == 128
    assert "at 16 frames, its accuracy is at 128" in row.note


def test_rows_without_views_and_networks_without_accuracy_are_listed_not_plotted():
    comparison = compare(["i3d", "early_fusion", "x3d_xs"])
    assert [row.name for row in comparison.rows] == ["x3d_xs"]
    assert {row.name: row.why for row in comparison.unplotted} == {
        "i3d": "the source does not say how many views",
        "early_fusion": "no accuracy on kinetics400 is known",
    }
    notes = "\n".join(comparison.table().notes)
    assert "not plotted: I3D: the source does not say how many views (https://arxiv.org/abs/1812.03982)" in notes
    (missing,) = compare(["x3d_xs"], source="Video-Swin").unplotted
    assert missing.why.startswith("no accuracy from Video-Swin, only from facebookresearch/pytorchvideo")


def test_names_that_do_not_exist():
    with pytest.raises(UnknownNameError, match="x3d_m"):
        compare(["x3d_mm"])
    with pytest.raises(UnknownNameError, match="kinetics400"):
        compare(["x3d_m"], dataset="kinetics40")
    with pytest.raises(UnknownNameError, match=r"arXiv 1812\.03982"):
        compare(["x3d_m"], source="nobody")
    with pytest.raises(UnknownNameError, match="view or video"):
        made_up().cost("clip")


def test_a_point_of_the_users_own_is_counted_here(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    point = Point.parse(f"Ours={tmp_path}/own.py:Net@78.9@4x6x7@10x3")
    row = next(row for row in compare(["x3d_xs"], points=[point]).rows if row.family == OURS)
    assert (row.name, row.score, row.views) == ("Ours", 78.9, "10×3")
    assert row.macs == 3 * 5 * 4 * 6 * 7
    assert (row.macs_per_video, row.params) == (30 * row.macs, 15)


@pytest.mark.parametrize("text", ["Ours", "Ours=my.py:Net", "=my.py:Net@7", "A=b@1@1x1x1@1@1"])
def test_a_point_that_does_not_read(text):
    with pytest.raises(InputError, match="is not LABEL=MODEL@TOP1"):
        Point.parse(text)


@pytest.mark.parametrize("top1", ["much", "101", "-1", "nan"])
def test_an_accuracy_that_is_none(top1):
    with pytest.raises(InputError, match=f"'{top1}' of point Ours is not a percentage"):
        Point.parse(f"Ours=my.py:Net@{top1}")


def test_csv_and_pandas_have_what_the_table_has():
    comparison = compare(["x3d_xs", "r3d_18"])
    table = comparison.table()
    read = list(csv.reader(io.StringIO(table.to_csv())))
    assert read[0] == [column.name for column in table.columns]
    assert read[1:] == [[str(cell) for cell in row] for row in table.rows]
    frame = comparison.to_pandas()
    assert list(frame["macs_per_view"]) == [row.macs for row in comparison.rows]
    assert {str(frame[name].dtype) for name in ("views", "flops_per_view", "macs_per_video", "params")} == {"int64"}
    assert {str(frame[name].dtype) for name in ("top1_percent", "top5_percent")} == {"float64"}
    text = ("network", "family", "clip", "pretrain", "source", "url", "locator")
    assert {str(frame[name].dtype) for name in text} == {"string"}


@pytest.mark.slow
def test_compare_command_prints_and_writes(tmp_path):
    run = CliRunner().invoke(app, ["compare", "x3d_xs", "i3d", "--format", "csv"])
    assert run.exit_code == 0
    assert run.stdout == compare(["x3d_xs", "i3d"]).table().to_csv() + "\n"
    run = CliRunner().invoke(app, ["compare", "x3d_xs", "--per", "video", "--out", str(tmp_path / "new")])
    assert run.exit_code == 0, run.output
    written = sorted(str(path.relative_to(tmp_path / "new")) for path in (tmp_path / "new").rglob("*.*"))
    pictures = [f"kinetics400/per_video_{t}.{f}" for t in ("dark", "light") for f in ("pdf", "png", "svg")]
    assert written == sorted(["kinetics400.md", "kinetics400/kinetics400.tex", "kinetics400/per_video.csv", *pictures])
    page = (tmp_path / "new/kinetics400.md").read_text()
    assert "`flopcount compare x3d_xs --dataset kinetics400 --per video --out DIR`" in page
    for target in re.findall(r'(?:\]\(|src=|srcset=)"?([^")]+)', page):
        assert target.startswith("https://") or (tmp_path / "new" / target).is_file(), target


def test_nothing_half_written_stays_where_a_file_is_in_the_way(tmp_path):
    (tmp_path / "kinetics400").write_text("in the way of the folder")
    run = CliRunner().invoke(app, ["compare", "x3d_xs", "--per", "view", "--out", str(tmp_path)])
    assert run.exit_code == 2
    assert "cannot write" in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["kinetics400"]


def test_a_comparison_without_a_point_has_a_table_and_no_chart():
    comparison = compare(["i3d"])
    assert comparison.table().rows == ()
    with pytest.raises(InputError, match="nothing to plot on kinetics400"):
        comparison.plot()
    assert isinstance(comparison, Comparison)
