"""The lecture's systems side by side: table, page and command."""

import pytest
from typer.testing import CliRunner

from flopcount import Clip
from flopcount.cli import app
from flopcount.models import CARDS
from flopcount.publishing import lecture_systems
from flopcount.publishing.figures.lecture_chart import lecture_chart
from flopcount.publishing.lecture_systems import count_systems, systems_table
from flopcount.publishing.pages.lecture import lecture_texts


@pytest.fixture
def few(monkeypatch):
    names = ("toy_late_fusion", "toy_3d_cnn", "c3d")
    monkeypatch.setattr(lecture_systems, "CARDS", {name: CARDS[name] for name in names})


def test_a_system_that_refuses_the_common_clip_is_counted_at_its_own(monkeypatch):
    monkeypatch.setattr(lecture_systems, "CARDS", {"c3d": CARDS["c3d"]})
    (taken,) = count_systems(Clip(16, 112, 112))
    (refused,) = count_systems(Clip(1, 16, 16))
    assert taken.refused == ""
    assert refused.refused
    assert refused.result.macs == taken.result.macs
    assert f"C3D at its own clip: {refused.refused}" in systems_table((refused,)).notes


def test_the_table_has_what_the_readers_say(few):
    systems = count_systems(Clip(16, 32, 32))
    table = systems_table(systems, Clip(16, 32, 32))
    names = [column.name for column in table.columns]
    for system, row in zip(systems, table.rows, strict=True):
        cells = dict(zip(names, row, strict=True))
        assert cells["MACs"] == system.result.macs
        assert cells["span"] == system.span.span
        assert cells["merges time"] == str(system.merging)
        assert cells["network"] == system.name


def test_an_algorithm_is_followed_on_small_frames(monkeypatch):
    monkeypatch.setattr(lecture_systems, "CARDS", {"optical_flow_tvl1": CARDS["optical_flow_tvl1"]})
    (flow,) = count_systems(Clip(3, 16, 16))
    assert flow.followed_on == Clip(3, 8, 8)
    assert str(flow.merging) == "from warp (2 frames) on, never all"
    assert "TV-L1: followed through time on 3×8×8, counted on 3×16×16" in systems_table((flow,)).notes


def test_the_page_has_systems_and_slide(few):
    clip = Clip(16, 32, 32)
    texts = lecture_texts(count_systems(clip), clip, "flopcount lecture --out DIR")
    assert set(texts) == {"lecture.md", "lecture/systems.csv", "lecture/systems.tex"}
    assert "## Systems" in texts["lecture.md"]
    assert "| Conv1 | 1.04 G |" in texts["lecture.md"]


def test_the_chart_has_a_row_for_each_system(few):
    import matplotlib.pyplot as plt

    systems = count_systems(Clip(16, 32, 32))
    strips = lecture_chart(systems, Clip(16, 32, 32))
    figure = strips.get_figure()
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["Toy late fusion", "Toy 3D CNN", "C3D"]
    bars = [sum(bar.get_width() for bar in strips.patches if round(bar.get_y() + bar.get_height() / 2) == row)
            for row in range(len(systems))]  # fmt: skip
    assert bars == pytest.approx([1, 1, 1])
    plt.close(figure)


def test_the_command(few, tmp_path):
    run = CliRunner().invoke(app, ["lecture", "--clip", "16x32x32", "--format", "csv"])
    assert run.exit_code == 0, run.stderr
    assert run.stdout.splitlines()[0].startswith("system,network,family,clip,params,MACs")
    run = CliRunner().invoke(app, ["lecture", "--clip", "16x32x32", "--out", str(tmp_path)])
    assert run.exit_code == 0, run.stderr
    assert (tmp_path / "lecture.md").read_text().count("lecture/systems_light.") == 4
    assert (tmp_path / "lecture" / "systems_dark.pdf").stat().st_size > 1000
    assert CliRunner().invoke(app, ["lecture", "--clip", "16x32"]).exit_code == 2
