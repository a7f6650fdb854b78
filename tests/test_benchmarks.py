"""The benchmark's parts that need no peers and no minutes: its networks, its sums by hand, its tables and verdicts."""

import json
import math
import sys
from pathlib import Path

import pytest
import torch

from flopcount import count_flops

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))  # as `python benchmarks/speed.py` does

import networks  # noqa: E402
import page  # noqa: E402
import probe  # noqa: E402
import speed  # noqa: E402
import startup  # noqa: E402
import summary  # noqa: E402
from counters import TOOLS  # noqa: E402


def record(tool, *, first=2.0, again=1.0, peak=300, macs=100, network="net", round_=0, **changes):
    return {
        "network": network, "tool": tool, "round": round_, "status": "ok", "macs": macs, "first_s": first,
        "again_s": again, "imported_bytes": 200, "peak_bytes": peak, "weight_bytes": 400, "imported_by_call": [],
    } | changes  # fmt: skip


def bare(**changes):
    return record("bare", macs=None, **changes)


# Networks


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_networks_build_on_meta_and_count_as_by_hand(name):
    network = networks.NETWORKS[name]
    with torch.device("meta"):
        module = network.build().eval()
    report = count_flops(module, network.shape, strict=True)
    assert report.macs == network.macs
    assert report.modules[0].output_shapes == ((1, 487 if name == "c3d" else 400),)


@pytest.mark.parametrize(
    ("name", "params", "gmacs"),
    [
        ("c3d", 79_991_015, "38.55"),  # the released network
        ("r3d18", 33_371_472, "40.70"),  # torchvision's r3d_18: num_params and _ops of its weights
        ("slowfast", 34_566_488, "65.71"),  # pytorchvideo's zoo, slowfast_r50
    ],
)
def test_networks_are_the_published_ones(name, params, gmacs):
    with torch.device("meta"):
        module = networks.NETWORKS[name].build()
    assert sum(p.numel() for p in module.parameters()) == params
    assert f"{networks.NETWORKS[name].macs / 1e9:.2f}" == gmacs


def test_speed_names_every_network():
    assert tuple(networks.NETWORKS) == speed.NETWORK_NAMES  # written twice, so that the parent need not import torch


# One measurement


def test_probe_measures_flopcount_without_weights():
    found = probe.probe("c3d", "flopcount")
    assert found["status"] == "ok"
    assert found["macs"] == networks.NETWORKS["c3d"].macs
    assert found["first_s"] > 0
    assert found["weight_bytes"] == 4 * 79_991_015


def test_probe_names_a_missing_peer(monkeypatch):
    monkeypatch.setitem(sys.modules, "thop", None)
    assert probe.probe("c3d", "thop") == {"status": "not installed", "reason": "thop is not installed"}


def test_probe_tells_a_missing_part_from_a_missing_peer():
    error = ModuleNotFoundError("No module named 'transformers'", name="transformers")
    found = probe.absence("calflops", error)
    assert found == {"status": "failed", "reason": "ModuleNotFoundError: No module named 'transformers'"}


def test_probe_reports_what_a_peer_raises(monkeypatch):
    def measure(network, tool):
        raise ValueError("first line\nsecond line")

    monkeypatch.setattr(probe, "measure", measure)
    assert probe.probe("c3d", "fvcore") == {"status": "failed", "reason": "ValueError: first line"}


# Medians, ratios, problems


def test_ratios_are_ratios_of_medians():
    records = [bare(first=f, again=2.0, peak=200) for f in (1.0, 4.0, 9.0)]
    records += [record("tool", first=f, again=1.0, peak=p) for f, p in ((2.0, 300), (1.0, 500), (30.0, 260))]
    cell = summary.summarise(records, {"net": 80}, "bare")["net", "tool"]
    assert (cell.first, cell.again, cell.memory) == (0.5, 0.5, 1.5)
    assert (cell.first_s, cell.growth_bytes, cell.weight_share) == (2.0, 100, 0.25)
    assert (cell.off, cell.exact) == (25.0, False)


def test_geometric_mean():
    assert math.isclose(summary.geometric_mean([0.5, 2.0, 8.0]), 2.0)
    assert summary.geometric_mean([]) is None


@pytest.mark.parametrize(
    ("records", "problem"),
    [
        ([record("tool"), {"network": "net", "tool": "tool", "status": "failed", "reason": "E: x"}], "failed: E: x"),
        ([{"network": "net", "tool": "tool", "status": "not installed", "reason": ""}], "not installed"),
        ([record("tool", macs=1), record("tool", macs=2)], "failed: counts differ between rounds"),
    ],
)
def test_problems_are_cells(records, problem):
    assert summary.summarise([bare(), *records], {"net": 100}, "bare")["net", "tool"].problem == problem


def test_without_a_bare_forward_there_is_no_ratio():
    cell = summary.summarise([record("tool")], {"net": 100}, "bare")["net", "tool"]
    assert cell.problem == "failed: no bare forward to compare with"


# Tables


@pytest.fixture
def cells():
    records = [
        *(bare(network=n) for n in ("a", "b")),
        record("good", first=1.0, network="a"),
        record("good", first=4.0, macs=103, network="b"),
        record("half", network="a"),
        {"network": "b", "tool": "half", "status": "failed", "reason": "RuntimeError: " + "long " * 20},
        *({"network": n, "tool": "gone", "status": "not installed", "reason": "gone"} for n in ("a", "b")),
    ]
    return summary.summarise(records, {"a": 100, "b": 100}, "bare")


NETWORKS = {"a": "A", "b": "B"}
LABELS = {"good": "Good", "half": "Half", "gone": "Gone"}


def test_no_tool_loses_its_row(cells):
    first = summary.grids(cells, NETWORKS, LABELS)[0]
    assert first.header == ("tool", "A", "B", "geometric mean")
    good, half, gone = first.rows
    assert good == ("Good", "0.50", "2.00", "1.00")
    assert half[:2] == ("Half", "1.00")
    assert half[2].startswith("failed: RuntimeError: long")
    assert half[2].endswith("…")
    assert half[3] == "1.00 of 1"  # a mean over fewer networks says so
    assert gone == ("Gone", "not installed", "not installed", "–")


def test_exactness_is_shown_in_percent(cells):
    exactness = summary.grids(cells, NETWORKS, LABELS)[-1]
    assert exactness.rows[0] == ("Good", "exact", "+3.000 %")


def test_problems_stand_in_full_below(cells):
    half, gone = summary.failures(cells, NETWORKS, LABELS)
    assert half.startswith("Half, B: failed: RuntimeError: long long")
    assert not half.endswith("…")
    assert gone == "Gone, A; B: not installed"


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (0.0123, "0.012"), (0.5, "0.50"), (12.34, "12.3")])
def test_ratios_keep_their_digits(value, text):
    assert summary.times(value) == text


# Targets


def verdicts(*records, ours="ours"):
    cells = summary.summarise([bare(peak=300), *records], {"net": 100}, "bare")
    return [target.holds for target in summary.targets(cells, ["net"], ours)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"first": 2.6, "peak": 360}, [True, True, True, True]),  # at the limits: 1.3 and 1.2
        ({"first": 2.7}, [False, True, True, True]),
        ({"peak": 361}, [True, False, True, True]),
        ({"peak": 600}, [True, False, False, True]),
        ({"macs": 101}, [True, True, True, False]),
        ({"status": "failed", "reason": "E"}, [False, False, False, False]),
    ],
)
def test_targets(changes, expected):
    assert verdicts(record("ours", **changes)) == expected


def test_targets_not_measured_are_neither_met_nor_missed():
    assert verdicts() == [None, None, None, None]


# Start-up


def test_heavy_imports_are_read_from_importtime():
    log = "import time: self [us] | cumulative | imported package\nimport time:  9 |  9 |   torch._C\n"
    assert startup.heavy_in(log + "import time:  1 |  1 | torchless\nimport time:  1 | 1 | pandas\n") == [
        "torch",
        "pandas",
    ]
    assert startup.heavy_in("import time:  1 |  1 | typer") == []


@pytest.mark.parametrize(("ours", "holds"), [([2.0, 2.3, 9.0], True), ([2.2, 2.31, 2.4], False), ("failed: x", False)])
def test_startup_target(ours, holds):
    found = {
        startup.BARE: [0.01, 0.02, 0.03],
        startup.REFERENCE: [1.0, 2.0, 3.0],
        startup.MODEL: ours,
        "flopcount --help": [0.1, 0.32, 0.5],
        "flopcount list": [0.33, 0.33, 0.1],
    }
    targets = startup.startup_targets(found, {"flopcount list": [], "flopcount --help": ["torch"]})
    assert [target.holds for target in targets] == [holds, True, False, True, False]
    assert startup.startup_grid(found).rows[1] == (startup.REFERENCE, "2.000", "1.00")


@pytest.mark.parametrize(("ours", "holds"), [([2.6, 2.5, 9.0], True), ([2.7, 2.71, 2.8], False), ("failed: x", False)])
def test_a_prediction_takes_little_longer_than_a_count(ours, holds):
    found = {startup.BARE: [0.1], startup.REFERENCE: [1.9], startup.MODEL: [2.0, 2.0], startup.COST: ours}
    _, target, *_ = startup.startup_targets(found, {})
    assert startup.COST in target.promise
    assert target.holds is holds


# The command


def test_rounds_go_forth_and_back_and_computing_tools_run_less():
    options = speed.parse(["--repeats", "2", "--cpu-repeats", "1", "--tools", "flopcount", "thop", "--models", "c3d"])
    assert [(r, tool) for r, _, tool in speed.schedule(options)] == [
        (0, "bare"), (0, "flopcount"), (0, "thop"),
        (1, "flopcount"), (1, "bare"),
    ]  # fmt: skip


@pytest.mark.parametrize("argv", [["--repeats", "0"], ["--tools", "nothing"], ["--out", "speed.json"]])
def test_bad_arguments_are_refused(argv, capsys):
    with pytest.raises(SystemExit):
        speed.parse(argv)
    assert "error: " in capsys.readouterr().err


def test_report_is_written_with_its_data(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(speed, "child", lambda network, tool, env: record(tool, macs=networks.NETWORKS[network].macs))
    out = tmp_path / "reports" / "speed.md"
    code = speed.main(["--repeats", "1", "--models", "c3d", "--no-startup", "--out", str(out)])
    assert code == 0
    text = out.read_text()
    assert "| flopcount | 1.00 | 1.00 |" in text
    assert all(tool.title in text for tool in TOOLS.values())
    data = json.loads(out.with_suffix(".json").read_text())
    assert len(data["measurements"]) == len(TOOLS)
    assert sorted(path.name for path in out.parent.iterdir()) == ["speed.json", "speed.md"]
    shown = capsys.readouterr()
    assert "pass" in shown.out
    assert "1/15" in shown.err


def test_a_missed_target_is_the_exit_code(monkeypatch, capsys):
    monkeypatch.setattr(speed, "child", lambda network, tool, env: record(tool, macs=1))
    assert speed.main(["--repeats", "1", "--models", "c3d", "--tools", "flopcount", "--no-startup"]) == 1
    assert "FAIL" in capsys.readouterr().out


def test_nothing_half_written_stays(tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("before")
    with pytest.raises(TypeError):
        page.write_whole({taken: "after", tmp_path / "other": None})
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
    assert taken.read_text() == "before"
