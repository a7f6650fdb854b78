"""Charts of where time goes, of the critical path and of memory: what is drawn is what is known, and stands beside."""

import csv
import io
import sys

import matplotlib
import matplotlib.pyplot as plt
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from flopcount.analysis.memory_profile import memory_profiles, profile_table
from flopcount.cli import app
from flopcount.commands.pictures import requested_picture
from flopcount.core.errors import InputError, UnknownNameError
from flopcount.core.quantity import PICO
from flopcount.publishing.figures import memory_curve, span_data, span_timeline, time_bars, time_data
from flopcount.publishing.figures.bars import Bar, gathered, prefix_of
from flopcount.publishing.sweep import sweep
from flopcount.report import count_flops, count_model

matplotlib.use("agg")
SMALL = ("--clip", "4x16x16")


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def report():
    return count_model("toy_3d_cnn", clip=(4, 16, 16)).with_dataflow()


def rows_of(table):
    return list(csv.DictReader(io.StringIO(table.to_csv())))


def test_time_stands_beside_macs(report):
    cost = report.cost("t4")
    ax = time_bars(cost)
    bars = {bar.get_gid(): bar.get_width() for bar in ax.patches}
    total = cost.result.total
    for row in cost.table().rows:
        assert bars[f"time {row[0]}"] == pytest.approx(row[-2] / total["time"])
        assert bars[f"macs {row[0]}"] == pytest.approx(row[2] / total["macs"])
    data = rows_of(time_data(cost))
    assert sum(float(row["time (s)"]) for row in data) == pytest.approx(total["time"] / PICO)
    assert sum(int(row["MACs"]) for row in data) == total["macs"]
    assert {row["limited by"] for row in data} <= {"compute", "bytes", "launch"}
    assert {row["on"] for row in data} == {"t4, fp32, eager, nchw"}
    own = plt.subplots()[1]
    assert time_bars(cost, "kind", own, dark=True, width="3.3in") is own
    with pytest.raises(UnknownNameError, match="choose module, kind, operator"):
        time_bars(cost, "layer")


def test_the_critical_path_is_drawn_from_end_to_end(report):
    span = report.span
    ax = span_timeline(span)
    boxes = [path.get_extents() for visit in ax.collections for path in visit.get_paths()]
    assert min(box.x0 for box in boxes) == 0
    assert max(box.x1 for box in boxes) == span.span
    assert sum(box.width for box in boxes) == span.span
    data = rows_of(span_data(span))
    assert [int(row["begins after (operations)"]) for row in data] == [
        sum(int(row["length (operations)"]) for row in data[:at]) for at in range(len(data))
    ]
    by_layer = {row[0]: row[2] for row in span.table().rows}
    for layer, length in by_layer.items():
        assert sum(int(row["length (operations)"]) for row in data if row["layer"] == layer) == length


def test_a_recurrence_is_told_in_the_title():
    ax = span_timeline(count_model("cnn_lstm", clip=(4, 227, 227)).span)
    assert "4 sequential steps" in ax.get_title().replace("\n", " ")
    assert ax.get_xlabel() == "operations, one after another"


def test_the_peaks_of_the_curve_are_those_of_the_table(report):
    forward, step = profiles = memory_profiles(report)
    assert forward.most == report.memory.inference
    assert step.most == report.memory.step("adamw")
    assert memory_profiles(report, kernels="none")[0].most < forward.most
    ax = memory_curve(profiles)
    first, second = ax.get_figure().axes
    assert [axes.get_title().partition(":")[0].rpartition(", ")[2] for axes in (first, second)] == [
        "forward pass",
        "training step",
    ]
    (peak,) = (line for line in first.lines if line.get_gid() == "peak")
    assert peak.get_xdata()[0] == forward.peak + 0.5
    data = rows_of(profile_table(profiles))
    assert max(int(row["in use (B)"]) for row in data if row["run"] == "forward pass") == forward.most
    assert data[forward.peak]["operator"] == report.memory.peak.op
    with pytest.raises(InputError, match="nothing runs"):
        memory_curve(())


class Eigenvalues(nn.Module):
    """A layer, and an operator without a rule."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return torch.linalg.eigvalsh(self.fc(x))


def test_what_has_no_rule_is_said_under_each_chart():
    report = count_flops(Eigenvalues(), (1, 4, 4)).with_dataflow()
    result = sweep(lambda size: (Eigenvalues(), (size, 4, 4)), {"size": [1, 2]})
    drawn = (report.plot(), time_bars(report.cost("t4")), span_timeline(report.span))
    for ax in drawn:
        assert "UNCOSTED aten._linalg_eigh" in ax.get_xlabel()
    assert "2 of 2 configurations missing or incomplete" in result.plot("size", width="3.3in").get_xlabel().replace(
        "\n", " "
    )


def test_the_largest_bars_stay_in_order():
    bars = [Bar(f"{i}", amount, beside=1) for i, amount in enumerate((5, 1, 9, 2))]
    assert gathered(bars, 2) == [bars[0], bars[2], Bar("2 others", 3, 2, gathers=True)]
    assert gathered(bars, 4) == bars
    assert [prefix_of(n) for n in (38 * 10**9, 999, 0)] == [(10**9, "G"), (1, ""), (1, "")]


@pytest.mark.parametrize(
    ("words", "heading"),
    [
        (("model", "toy_3d_cnn", *SMALL), "layer,MACs,FLOPs,share of MACs"),
        (("cost", "toy_3d_cnn", *SMALL, "--on", "t4"), "layer,time (s),share of time,MACs,share of MACs,limited by,on"),
        (("span", "toy_3d_cnn", *SMALL), "layer,begins after (operations),length (operations),ops,share of span"),
        (("memory", "toy_3d_cnn", *SMALL), "run,number,layer,operator,resident (B),"),
        (("sweep", "toy_3d_cnn", "--frames", "4", "--size", "16,32"), "model,frames,size,MACs,FLOPs,"),
    ],
)
def test_a_picture_has_its_data_beside_it(words, heading, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [*words, "--plot", "a.svg", "--width", "3.3in"])
    assert (result.exit_code, result.stderr) == (0, "wrote a.svg and a.csv\n")
    assert 'width="237.6pt"' in (tmp_path / "a.svg").read_text()
    assert (tmp_path / "a.csv").read_text().startswith(heading)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("model c3d --width 3.3in", "--width 3.3in is of a picture"),
        ("model c3d --plot a.png --width 5in", "'5in' is not one of '3.3in'"),
        ("model c3d --plot folder.png", "cannot write folder.csv: Is a directory"),
        ("cost c3d --on t4,l4 --plot a.png", "--plot is of one device, and --on names several"),
        ("span c3d r3d_18 --plot a.png", "--plot draws the critical path of one network, and there are 2"),
        ("span c3d --frames 16,32 --plot a.png", "--plot draws the critical path of one network, and there are 2"),
        ("compare c3d --width slide", "--width slide is of the charts of --out"),
        ("report c3d --width slide --format html --out site", "--width is of the charts of markdown pages"),
    ],
)
def test_pictures_that_are_refused_at_once(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.csv").mkdir()
    result = CliRunner().invoke(app, words.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["folder.csv"]


def test_data_do_not_go_where_the_output_goes(tmp_path, monkeypatch):
    output = tmp_path / "a.csv"
    with output.open("w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        with pytest.raises(InputError, match="is where the output goes"):
            requested_picture(tmp_path / "a.png", None)
        assert requested_picture(tmp_path / "b.png", None).data_path == tmp_path / "b.csv"
