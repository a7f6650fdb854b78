"""Sweeps here, on a process pool and on a cluster that loses a worker; and the largest clips within a budget."""

import os
import signal
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import pandas
import pytest
import torch
from modules import Apply
from torch import nn
from typer.testing import CliRunner

from flopcount import Clip, InputError, Views, closed_form, closed_form_of, count_model, sweep
from flopcount.analysis.largest_clip import Allowance, largest_clips
from flopcount.cli import app

run = CliRunner().invoke


def build(width, depth, marker=None):
    """A search space: `depth` linear layers of `width`; one configuration kills the first worker that counts it."""
    if width == 13:
        raise ValueError("13 brings bad luck")
    if marker is not None and (width, depth) == (7, 3) and not Path(marker).exists():
        Path(marker).write_text("a worker died here")
        os.kill(os.getpid(), signal.SIGKILL)
    return nn.Sequential(*(nn.Linear(width, width) for _ in range(depth))), (5, width)


def macs(width, depth):
    return 5 * width * width * depth


GRID = {"width": range(1, 21), "depth": range(1, 6)}


def assert_whole(result):
    """Every configuration once, in order, each with its cost or its error."""
    points = [dict(zip(GRID, point, strict=True)) for point in product(*GRID.values())]
    assert [{key: row.configuration[key] for key in GRID} for row in result.rows] == points
    for row, point in zip(result.rows, points, strict=True):
        if point["width"] == 13:
            assert row.error == "ValueError: 13 brings bad luck"
            assert row.macs is None
        else:
            assert (row.macs, row.error) == (macs(**point), "")


def test_a_grid_here_with_progress():
    heard = []
    assert_whole(sweep(build, GRID, chunk=30, progress=lambda done, total: heard.append((done, total))))
    assert heard == [(30, 100), (60, 100), (90, 100), (100, 100)]


def test_a_list_of_configurations_and_an_endless_looking_iterator():
    rows = sweep(build, ({"width": width, "depth": 2} for width in range(1, 60))).rows
    assert [row.macs for row in rows if row.macs] == [macs(w, 2) for w in range(1, 60) if w != 13]
    with pytest.raises(InputError, match="the grid is empty"):
        sweep(build, {"width": [], "depth": [1]})
    with pytest.raises(InputError, match="a grid cannot be a value of type str"):
        sweep(build, "width")
    with pytest.raises(InputError, match="chunk is 0"):
        sweep(build, GRID, chunk=0)


def test_what_a_builder_must_return():
    row = sweep(lambda width: nn.Linear(width, 3), {"width": [4]}).rows[0]
    assert "the builder returned a Linear" in row.error
    uncounted = sweep(lambda width: (nn.Linear(width, 3), (2, 9)), {"width": [4]}).rows[0]
    assert "Linear raised" in uncounted.error


@pytest.mark.slow
def test_a_process_pool():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert_whole(sweep(build, GRID, executor=pool, chunk=25))


@pytest.mark.slow
def test_a_pool_that_breaks_loses_no_configuration(tmp_path):
    """A process pool accepts nothing after a worker died: a configuration that was not counted says so."""
    marker = [str(tmp_path / "died")]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        result = sweep(build, {**GRID, "marker": marker}, executor=pool, chunk=10)
    assert len(result.rows) == 100
    for row in result.rows:
        width, depth = row.configuration["width"], row.configuration["depth"]
        assert (row.macs is None) == bool(row.error)
        if row.macs is not None:
            assert row.macs == macs(width, depth)
    died = [row for row in result.rows if row.error.startswith("the worker failed: BrokenProcessPool")]
    assert any(row.configuration["width"] == 7 for row in died)


def test_threads_take_turns():
    with ThreadPoolExecutor(3) as pool:
        assert_whole(sweep(build, GRID, executor=pool, chunk=7))


@pytest.mark.slow
def test_a_cluster_whose_worker_dies_half_way(tmp_path):
    distributed = pytest.importorskip("distributed")
    marker = tmp_path / "died"
    settings = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with (
        distributed.LocalCluster(**settings, local_directory=str(tmp_path)) as cluster,
        distributed.Client(cluster) as client,
    ):
        result = sweep(build, {**GRID, "marker": [str(marker)]}, executor=client.get_executor(), chunk=5)
    assert marker.exists()  # a worker really died
    assert_whole(result)


def test_frames_and_tables_say_what_failed():
    result = sweep(build, {"width": [4, 13], "depth": [2]})
    frame = result.to_pandas()
    assert list(frame.columns) == [
        *("width", "depth", "macs", "flops", "other_flops", "params", "bytes_read", "bytes_written", "problem")
    ]
    assert frame["macs"].dtype == pandas.Int64Dtype()
    assert frame["macs"].tolist() == [macs(4, 2), pandas.NA]
    assert frame["flops"].tolist() == [2 * macs(4, 2), pandas.NA]
    assert [str(frame[name].dtype) for name in ("width", "depth", "problem")] == ["int64", "int64", "string"]
    assert "2 configurations, 1 counted, 1 failed" in str(result)
    assert "13 brings bad luck" in str(result)


def test_a_frame_of_mixed_configurations_has_one_type_for_each_column():
    configurations = [{"width": 4, "depth": 1, "note": "a"}, {"width": 5, "depth": 2, "note": 3}, {"width": 6}]
    frame = sweep(lambda width, depth=1, note=None: build(width, depth), configurations).to_pandas()
    assert [str(frame[name].dtype) for name in ("width", "depth", "note")] == ["int64", "Int64", "string"]
    assert frame["note"].tolist() == ["a", "3", pandas.NA]


def test_lines_stand_at_what_was_counted():
    result = sweep(build, {"width": [4, 8, 13], "depth": [1, 2]})
    axes = result.plot("width")
    assert [list(line.get_xdata()) for line in axes.get_lines()] == [[4, 8], [4, 8]]
    assert [list(line.get_ydata() * 1e9) for line in axes.get_lines()] == [[macs(w, d) for w in (4, 8)] for d in (1, 2)]
    with pytest.raises(InputError, match="no column of the sweep named 'widht'"):
        result.plot("widht")
    with pytest.raises(InputError, match="20 lines are too many"):
        sweep(build, {"width": range(20, 22), "depth": range(1, 21)}).plot("width")
    with pytest.raises(InputError, match="no configuration of the sweep was counted"):
        sweep(build, {"width": [13], "depth": [1]}).plot("width")


# The largest clips


@pytest.mark.parametrize(
    ("text", "amount"),
    [("25GMACs", 25 * 10**9), ("50 GFLOPs", 25 * 10**9), ("1.5tmacs", 15 * 10**11), ("7 MACs", 7), ("3kflop", 1500)],
)
def test_a_budget_says_macs_or_flops(text, amount):
    assert Allowance.parse(text).macs == amount


@pytest.mark.parametrize("text", ["25G", "GMACs", "25", "-3GMACs", "1.2.3GMACs", "25 GB"])
def test_other_budgets_are_refused(text):
    with pytest.raises(InputError, match="budget"):
        Allowance.parse(text)


def test_no_clip_beside_the_found_ones_is_longer_or_larger():
    """The answer by trying all of a few sizes."""
    form = closed_form_of("r3d_18", rebuild=True)
    frames, sizes = range(1, 30), range(32, 300, 20)
    allowance = Allowance.parse("30GMACs")
    found = largest_clips(form, allowance, views=Views(2, 1), frames=frames, sizes=sizes)
    within = {(t, s) for t in frames for s in sizes if 2 * form.macs(T=t, H=s, W=s) <= allowance.macs}
    best = {(t, s) for t, s in within if not any((a, b) != (t, s) and a >= t and b >= s for a, b in within)}
    assert {(t, s) for t, s, _ in found.clips} == best
    for t, s, cost in found.clips:
        assert cost == count_model("r3d_18", clip=Clip(t, s, s)).macs


def test_what_has_no_rule_is_missing_from_every_clip():
    form = closed_form(Apply(lambda x: torch.linalg.eigvalsh(x @ x.mT)), (1, 3, 2, 8, 8), "TS")
    notes = largest_clips(form, "1GMACs", frames=[1, 2], sizes=[16]).notes
    assert notes[0] == "UNCOSTED aten._linalg_eigh: missing from every clip's cost"


def test_a_budget_below_the_smallest_clip_is_told():
    form = closed_form_of("r3d_18", rebuild=True)
    with pytest.raises(InputError, match=r"no clip of r3d_18 fits 1MMACs\n  seen    1×32×32 needs"):
        largest_clips(form, Allowance.parse("1MMACs"))
    for axes in ("T", "HW", "TH"):
        with pytest.raises(InputError, match="the form of r3d_18 is not one of frames and of both sides"):
            largest_clips(closed_form_of("r3d_18", axes, rebuild=True), Allowance.parse("1GMACs"))
    with pytest.raises(InputError, match="takes none of the frames 0 to 0"):
        largest_clips(form, Allowance.parse("1GMACs"), frames=[0])


# The commands


def test_the_command_sweeps_and_draws(tmp_path):
    picture = tmp_path / "sweep.svg"
    words = ["sweep", "r3d_18", "--frames", "4:8:4", "--size", "32,64", "--format", "csv", "--plot", str(picture)]
    result = run(app, words)
    assert result.exit_code == 0
    rows = [line.split(",") for line in result.stdout.splitlines()[1:5]]
    assert [row[:3] for row in rows] == [["r3d_18", t, s] for t in ("4", "8") for s in ("32", "64")]
    assert [int(row[3]) for row in rows] == [
        count_model("r3d_18", clip=Clip(t, s, s)).macs for t in (4, 8) for s in (32, 64)
    ]
    assert b"<svg" in picture.read_bytes()


def test_a_clip_that_cannot_be_counted_is_a_row(tmp_path):
    result = run(app, ["sweep", "c3d", "--frames", "1,16", "--size", "32"])
    assert result.exit_code == 1
    assert "2 configurations, 1 counted, 1 failed" in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("sweep c3 --frames 8 --size 32", "no model named 'c3'"),
        ("sweep c3d --frames 8:x --size 32", "--frames '8:x' is not a range"),
        ("sweep c3d --frames 16 --size 0", "has a number below 1"),
        ("sweep c3d --frames 16 --size 32 --plot no/such/file.png", "cannot write"),
        ("sweep c3d --frames 16 --size 32 --plot sweep.gif", "no picture format named 'gif'"),
        ("fit c3d --budget 25G", "budget '25G' is not an amount of work"),
        ("fit c3d --budget 1kMACs", "no clip of c3d fits"),
        ("fit c3d --budget 25GMACs --views 3x", "views"),
    ],
)
def test_what_the_commands_refuse(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(app, words.split())
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_command_fits():
    result = run(
        app, ["fit", "r3d_18", "--budget", "50GFLOPs", "--views", "2x1", "--frames", "4,8", "--size", "32:112:16"]
    )
    assert result.exit_code == 0
    assert "of budget" in result.stdout
    assert "8×" in result.stdout
