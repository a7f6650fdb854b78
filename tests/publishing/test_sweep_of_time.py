"""Sweeps on a device: each configuration has the time that a cost of it alone has, in every form, on any executor."""

import csv
import io
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from torch import nn
from typer.testing import CliRunner

from flopcount import InputError, UnknownNameError, count_flops, count_model, sweep
from flopcount.cli import app
from flopcount.core.quantity import PICO
from flopcount.hardware.money import parse_price
from flopcount.hardware.setting import Setting

GRID = {"width": (4, 8), "frames": (4, 8)}


def build(width, frames):
    if (width, frames) == (8, 8):
        raise ValueError("too much")
    net = nn.Sequential(nn.Conv3d(3, width, 3, padding=1), nn.ReLU(), nn.Conv3d(width, width, 3, padding=1))
    return net, (1, 3, frames, 32, 32)


ON = Setting.of("rtx-4090", "amp", compile=True, price=parse_price("3.60EUR"))


@pytest.fixture(scope="module")
def result():
    return sweep(build, GRID, on=ON)


def alone(width, frames):
    return count_flops(*build(width, frames)).cost("rtx-4090", dtype="amp", compile=True, price="3.60EUR")


def test_each_configuration_has_its_own_cost(result):
    for row in result.rows[:3]:
        cost = alone(**row.configuration)
        assert row.cost == cost.result.total
        assert row.times == cost.times
        assert row.pricing == cost.result.pricing
    assert result.rows[3].error == "ValueError: too much"
    assert result.rows[3].times is None


def test_workers_give_the_same(result):
    with ProcessPoolExecutor(2, mp_context=get_context("forkserver")) as pool:
        assert sweep(build, GRID, on=ON, executor=pool, chunk=1) == result


def test_the_table(result):
    table = result.table()
    names = [column.name for column in table.columns]
    first = dict(zip(names, table.rows[0], strict=True))
    cost = alone(4, 4)
    assert first["time"] == cost.result.total.time
    assert (first["low"], first["high"]) == (round(cost.low * PICO), round(cost.high * PICO))
    assert first["on"] == "rtx-4090, amp, compiled, nchw"
    text = str(table)
    assert "time as estimated on rtx-4090, amp, compiled, nchw" in text
    assert "3.6 EUR per hour: given by the caller" in text
    assert all(len(line) <= 80 for line in text.splitlines())
    assert next(column.unit for column in table.columns if column.name == "money") == "EUR"


def test_csv_and_frame_in_plain_units(result):
    rows = list(csv.DictReader(io.StringIO(result.table().to_csv())))
    frame = result.to_pandas()
    cost = alone(4, 8)
    assert float(rows[1]["time (s)"]) == frame["time_s"][1] == cost.result.total.time / PICO
    assert float(rows[1]["energy (J)"]) == frame["energy_J"][1] == cost.result.total.energy / PICO
    assert float(rows[1]["money (EUR)"]) == frame["money"][1] == cost.result.total.money / PICO
    assert frame["time_bound_s"][1] == cost.bound
    assert (frame["time_low_s"][1], frame["time_high_s"][1]) == (cost.low, cost.high)
    assert frame["macs"].dtype == "Int64"
    assert frame["time_s"].isna().tolist() == [False, False, False, True]
    assert rows[3]["time (s)"] == rows[3]["low (s)"] == ""
    assert rows[3]["problem"] == "ValueError: too much"


def test_without_a_device_nothing_has_a_time():
    plain = sweep(build, GRID)
    assert not any("time" in name for name in plain.to_pandas().columns)
    assert not any(column.name in ("time", "low", "on") for column in plain.table().columns)


def test_a_device_by_name():
    assert sweep(build, {"width": [4], "frames": [4]}, on="t4").pricing.conditions == "t4, fp32, eager, nchw"
    with pytest.raises(UnknownNameError, match="no device named 't5'"):
        sweep(build, GRID, on="t5")


def test_a_report_without_its_data_has_no_time():
    def counted(size):
        return count_flops(nn.Conv2d(3, 4, 3), (1, 3, size, size))

    (row,) = sweep(counted, {"size": [8]}, on="t4").rows
    assert row.error == "the builder returned a report without its data, which its time is estimated from"


def test_a_chart_has_every_point_with_its_range(result):
    ax = result.plot("frames", y="time")
    drawn = {tuple(point) for line in ax.lines for point in line.get_xydata()}
    assert drawn == {(row.configuration["frames"], row.times.estimate * 1000) for row in result.rows[:3]}
    tops = {round(y, 9) for band in ax.collections for path in band.get_paths() for _, y in path.vertices}
    for row in result.rows[:3]:
        assert {round(row.times.low * 1000, 9), round(row.times.high * 1000, 9)} <= tops
    with pytest.raises(UnknownNameError, match="axis of the sweep"):
        result.plot("frames", y="tim")
    with pytest.raises(InputError, match="the sweep has no time"):
        sweep(build, GRID).plot("frames", y="time")


def test_the_command(tmp_path):
    words = ["sweep", "toy_3d_cnn", "--frames", "4,8", "--size", "64", "--on", "t4", "--format", "csv"]
    result = CliRunner().invoke(app, [*words, "--plot", str(tmp_path / "a.svg"), "--y", "time"])
    assert result.exit_code == 0
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    for row, frames in zip(rows, (4, 8), strict=True):
        cost = count_model("toy_3d_cnn", clip=(frames, 64, 64)).cost("t4")
        assert float(row["time (s)"]) == cost.result.total.time / PICO
    assert (tmp_path / "a.svg").stat().st_size > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--on t4,l4", "--on names 2 devices: a sweep is on one"),
        ("--y time --plot a.png", "--y time draws the times of a device"),
        ("--y time --on t4", "add --plot FILE"),
    ],
)
def test_what_the_command_refuses(words, message):
    result = CliRunner().invoke(app, ["sweep", "c3d", "--frames", "4", "--size", "64", *words.split()])
    assert result.exit_code == 2
    assert message in result.stderr
