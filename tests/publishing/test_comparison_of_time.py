"""Comparisons on a device: the time of all views, its range, the chart against accuracy, and what has no time."""

import csv
import io
import json
import re
from dataclasses import replace

import matplotlib
import matplotlib.pyplot as plt
import pytest
from made_up_rows import made_up
from typer.testing import CliRunner

from flopcount import Setting, UnknownNameError, compare, count_model
from flopcount.cli import app
from flopcount.core.errors import InputError
from flopcount.core.pricing import Times
from flopcount.core.quantity import PICO
from flopcount.publishing.comparison import Comparison
from flopcount.publishing.comparison_rows import pareto
from flopcount.publishing.figures.labels import Box
from flopcount.publishing.interactive.chart_data import chart_data
from flopcount.publishing.pages.comparison import comparison_files, comparison_texts

matplotlib.use("agg")

OWN = """from torch import nn

def Net():
    return nn.Conv3d(3, 5, 1, bias=False)
"""


def timed(name, macs, top1, ms, views=1):
    seconds = ms / 1000
    return replace(
        made_up(name, macs * 10**9, top1, views), times=Times(seconds / 4, seconds, 0.8 * seconds, 1.5 * seconds)
    )


ROWS = (
    timed("slow", 1, 70.0, 9.0, views=3),  # few MACs, long time
    timed("fast", 5, 72.0, 2.0, views=2),
    timed("good", 50, 80.0, 30.0),
    replace(made_up("unknown", 20 * 10**9, 75.0), untimed="its time is not known"),
)
COMPARISON = Comparison("kinetics400", ROWS, (), "t4, fp32, eager, nchw", ("basis: none",))


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def real():
    return compare(["x3d_xs", "i3d"], on=Setting.named("rtx-4090", "amp"))


def test_times_are_those_of_all_views_at_the_clip_of_the_accuracy(real):
    (row,) = real.rows
    cost = count_model("x3d_xs", clip=row.clip).cost("rtx-4090", dtype="amp")
    assert row.times == cost.times
    assert row.times_per("video").estimate == pytest.approx(30 * cost.estimate)
    assert real.conditions == "rtx-4090, amp, eager, nchw"
    assert real.basis == cost.result.pricing.notes
    assert compare(["x3d_xs"]).rows == (replace(row, times=None),)
    with pytest.raises(UnknownNameError, match="no device named 't5'"):
        compare(["x3d_xs"], on="t5")


def test_a_point_of_ones_own_shares_the_time_of_its_batch(tmp_path, monkeypatch):
    (tmp_path / "own_net.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    words = "compare x3d_xs --point Ours=own_net.py:Net@70@4x32x32@2x3 --batch 4 --on t4 --format json"
    result = CliRunner().invoke(app, words.split(), catch_exceptions=False)
    ours, _ = json.loads(result.stdout)["networks"]
    whole = count_model("own_net.py:Net", clip="4x32x32", batch=4).cost("t4")
    assert ours["network"] == "Ours"
    assert ours["time_estimate_s_per_video"] == pytest.approx(whole.estimate * 6 / 4)


def test_table_csv_json_and_frame(real):
    row = real.rows[0].times_per("video")
    table = real.table()
    first = dict(zip((column.name for column in table.columns), table.rows[0], strict=True))
    assert (first["time per video"], first["low"], first["high"]) == tuple(
        round(seconds * PICO) for seconds in (row.estimate, row.low, row.high)
    )
    text = str(table)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "time per video" in text
    assert "low" in text.splitlines()[3]
    (record,) = csv.DictReader(io.StringIO(table.to_csv()))
    assert float(record["time per video (s)"]) == pytest.approx(row.estimate)
    frame = real.to_pandas()
    assert frame["time_estimate_s_per_video"][0] == row.estimate
    data = json.loads(real.to_json())
    assert data["networks"][0]["time_low_s_per_video"] == row.low
    assert data["unplotted"] == [{"network": "i3d", "why": "the source does not say how many views"}]
    assert data["time"] == {"conditions": real.conditions, "notes": list(real.basis)}
    assert "time" not in json.loads(Comparison("kinetics400", ROWS, ()).to_json())


def test_the_front_of_time_is_another_and_has_no_unknown_times():
    assert [row.name for row in pareto(ROWS, "video")] == ["slow", "fast", "unknown", "good"]
    assert [row.name for row in pareto(ROWS, "video", "time")] == ["fast", "good"]


@pytest.mark.parametrize("dark", [False, True])
def test_the_chart_of_time_has_every_known_time_with_its_range(dark):
    ax = COMPARISON.plot("video", x="time", dark=dark)
    assert ax.get_xlabel() == "ms per video, estimated on t4, fp32, eager, nchw"
    assert ax.get_xscale() == "log"
    assert not ax.child_axes  # no FLOPs above
    drawn = {tuple(map(round, offset)) for points in ax.collections for offset in points.get_offsets()}
    assert drawn == {(27.0, 70.0), (4.0, 72.0), (30.0, 80.0)}  # ms × views
    bars = {tuple(line.get_xdata()) for line in ax.lines if line.get_marker() == "|"}
    assert {tuple(round(end, 9) for end in bar) for bar in bars} == {(21.6, 40.5), (3.2, 6.0), (24.0, 45.0)}
    assert ax.get_xlim()[0] > 0
    ax.get_figure().canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts if text.get_text()]
    assert len(boxes) == 3
    boxes = [Box(box.x0, box.y0, box.x1, box.y1) for box in boxes]
    assert not any(box.overlaps(other) for i, box in enumerate(boxes) for other in boxes[i + 1 :])


def test_an_unknown_time_is_listed_and_nothing_is_drawn_at_zero():
    notes = COMPARISON.table().notes
    assert "time unknown: unknown: its time is not known" in notes
    assert COMPARISON.table().to_csv().splitlines()[4].split(",")[8] == "unknown"
    none = Comparison("kinetics400", ROWS[3:], (), "t4, fp32, eager, nchw")
    with pytest.raises(InputError, match="nothing to plot on kinetics400"):
        none.plot(x="time")
    assert not any("time_per" in name for name in comparison_texts(none, "flopcount compare"))
    with pytest.raises(InputError, match="nothing to plot"):
        Comparison("kinetics400", ROWS[3:], ()).plot(x="time")
    with pytest.raises(UnknownNameError, match="no axis named 'tim'"):
        COMPARISON.plot(x="tim")


def test_the_page_has_the_chart_and_its_files():
    files = comparison_files(COMPARISON, "flopcount compare --on t4", ["video"])
    page = files["kinetics400.md"].decode()
    for target in re.findall(r'(?:\]\(|src=|srcset=)"?([^")]+)', page):
        assert target.startswith("https://") or target in files, target
    assert "against estimated ms per video" in page
    assert "kinetics400/time_per_video_dark.svg" in files
    assert "time of all views of a video" in page
    assert not any("time" in name for name in comparison_texts(Comparison("kinetics400", ROWS[3:], ()), "c"))


def test_the_data_of_the_page_with_scripts():
    data = chart_data(COMPARISON, [])
    assert data["conditions"] == "t4, fp32, eager, nchw"
    seconds = [point["seconds"] for point in data["points"]]
    assert seconds[0] == pytest.approx([0.027, 0.0216, 0.0405])
    assert seconds[3] is None
    (front,) = data["fronts"]["time"]
    assert front["name"] == "from scratch"
    assert [data["points"][index]["name"] for index in front["points"]] == ["fast", "good"]
    assert "time" not in chart_data(Comparison("kinetics400", ROWS[3:], ()), [])["fronts"]


def test_the_command_writes_the_same_page_anywhere(tmp_path):
    words = ["compare", "x3d_xs", "--per", "video", "--on", "rtx-4090", "--dtype", "amp", "--compile"]
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0
    page = (tmp_path / "kinetics400.md").read_text()
    command = "flopcount compare x3d_xs --dataset kinetics400 --per video --dtype amp --on rtx-4090 --compile --out DIR"
    assert f"`{command}`" in page
    assert "rtx-4090, amp, compiled, nchw" in page
    assert (tmp_path / "kinetics400" / "time_per_video_light.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--on t4,l4", "--on names 2 devices: a comparison is on one"),
        ("--dtype float16", "--dtype is for models of --point, and there is none"),
        ("--on t4 --clip 4x32x32", "--clip is for models of --point, and there is none"),
        ("--on t4 --dtype fp8", "no time of fp8 on t4"),
    ],
)
def test_what_the_command_refuses(words, message):
    result = CliRunner().invoke(app, ["compare", "x3d_xs", *words.split()])
    assert result.exit_code == 2
    assert message in result.stderr
