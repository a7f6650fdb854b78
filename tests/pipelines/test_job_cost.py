"""A job on a device: its stages' times, energies and money, each as often as it runs."""

import pytest
from decoding import Decode
from torch import nn

from flopcount import Pipeline, Stage, TensorSpec, Unit, count_flops
from flopcount.analysis.difference import diff
from flopcount.core.errors import InputError
from flopcount.count import count
from flopcount.hardware.setting import Setting
from flopcount.pipelines.growing import Growing

SETTING = Setting.named("rtx-4090", "amp", price=0.4)


@pytest.fixture(scope="module")
def conv():
    return count_flops(nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU()), (4, 3, 64, 64)).with_dataflow()


@pytest.fixture(scope="module")
def linear():
    return count_flops(nn.Linear(1024, 1024), (64, 1024)).with_dataflow()


def test_a_job_is_the_sum_of_its_passes(conv, linear):
    job = Pipeline(
        [Stage("a", conv, "n"), Stage("b", linear, 2)], n=10, units=[Unit("step", "n", "a"), Unit("video", 1)]
    )
    cost = job.cost_under(SETTING)
    a, b = conv.cost_under(SETTING), linear.cost_under(SETTING)
    for name in ("bound", "estimate", "low", "high"):
        assert getattr(cost, name) == pytest.approx(10 * getattr(a, name) + 2 * getattr(b, name))
    assert cost.energy.mid == pytest.approx(10 * a.energy.mid + 2 * b.energy.mid)
    assert cost.money.amount == pytest.approx(10 * a.money.amount + 2 * b.money.amount)
    step, video = cost.units
    assert step.estimate == pytest.approx(a.estimate)
    assert video.estimate == pytest.approx(cost.estimate)
    assert cost.pass_word == "job"
    seconds = {kind.kind: kind.seconds for kind in cost.by_kind}
    assert sum(seconds.values()) == pytest.approx(cost.estimate, rel=1e-6)
    assert sum(kind.macs for kind in cost.by_kind) == job.macs


def test_layers_of_a_priced_job_sum_exactly(conv, linear):
    job = Pipeline([Stage("a", conv, 10), Stage("in", Pipeline([Stage("b", linear, 3)]), 2)])
    cost = job.cost_under(SETTING)
    result = cost.result
    assert sum(row.own["time"] for row in result.modules) == result.total["time"]
    assert result.module("in").cost["time"] == 6 * linear.cost_under(SETTING).result.total["time"]
    table = cost.table()
    assert [row[0] for row in table.rows] == ["a", "in.b"]
    assert [row[2] for row in table.rows] == ["10", "6"]
    assert "per job" in str(table)
    for by in ("module", "kind", "operator"):
        assert cost.table(by).rows


def test_growing_passes_take_the_time_of_the_one_in_the_middle():
    def one(k):
        return count(Decode(256), (TensorSpec((1, 1, 256)), TensorSpec((1, 512 + k, 256))), dataflow=True, saving=False)

    job = Pipeline([Stage("decode", Growing(one), 101)])
    cost = job.cost_under(SETTING)
    assert cost.estimate == pytest.approx(101 * SETTING.cost(one(50)).estimate)
    by_force = sum(SETTING.cost(one(k)).estimate for k in range(0, 101, 10)) / 11 * 101
    assert cost.estimate == pytest.approx(by_force, rel=0.01)
    assert cost.result.macs == job.macs


def test_twice_as_many_steps_take_twice_the_time(conv):
    job = Pipeline([Stage("a", conv, "n")], n=7)
    assert job.with_parameters(n=14).cost_under(SETTING).estimate == pytest.approx(2 * job.cost_under(SETTING).estimate)


def test_a_stage_that_never_runs_takes_no_time(conv, linear):
    job = Pipeline([Stage("a", conv), Stage("b", linear, 0)])
    assert job.cost_under(SETTING).estimate == pytest.approx(conv.cost_under(SETTING).estimate)


def test_a_count_without_dataflow_is_refused():
    bare = count(nn.Linear(8, 8), TensorSpec((1, 8)))
    with pytest.raises(InputError, match="no time of stage a: it was counted without its dataflow"):
        Pipeline([Stage("a", bare)]).cost_under(SETTING)


def test_a_priced_job_differs_from_another_in_time_too(conv):
    job = Pipeline([Stage("a", conv, "n")], n=7)
    change = diff(job.cost_under(SETTING).result, job.with_parameters(n=14).cost_under(SETTING).result)
    assert "time" in {quantity.name for quantity in change.quantities}


def test_where_nothing_runs_no_time_is_said():
    one = count(nn.Linear(8, 8), TensorSpec((1, 8)), dataflow=True, saving=False)
    with pytest.raises(InputError, match="no time of pipeline: none of its stages runs"):
        Pipeline([Stage("decode", Growing(lambda k: one), 0)]).cost_under(SETTING)
