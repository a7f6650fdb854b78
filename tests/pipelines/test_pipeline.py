"""Stages times repeats: exact sums, one result of the whole, parameters of distinct models once."""

import pickle
from dataclasses import replace

import pytest
import torch
from decoding import Decode, passes
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from flopcount import Pipeline, Stage, Unit, count_flops, count_model
from flopcount.analysis.difference import diff
from flopcount.core.errors import InputError, UnknownNameError
from flopcount.core.units import si
from flopcount.core.wording import cost_text
from flopcount.pipelines.growing import Growing

SHAPE = (1, 3, 8, 8)


@pytest.fixture(scope="module")
def small():
    return count_flops(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), SHAPE)


@pytest.fixture(scope="module")
def other():
    return count_flops(nn.Sequential(nn.Flatten(), nn.Linear(192, 5)), SHAPE)


# by hand: a convolution of 3 to 4 channels, 3×3, on 6×6 positions; a linear layer of 192 to 5
CONV, LINEAR = 3 * 4 * 9 * 36, 192 * 5
CONV_PARAMS, LINEAR_PARAMS = 3 * 4 * 9 + 4, 192 * 5 + 5


def test_the_total_by_hand(small, other):
    job = Pipeline([Stage("text", other, times=2), Stage("denoise", small, times="2 * steps")], steps=50)
    assert job.macs == 2 * LINEAR + 2 * 50 * CONV
    assert job.flops == 2 * job.macs
    assert job.params == LINEAR_PARAMS + CONV_PARAMS
    assert job.part("denoise").macs == 100 * CONV
    assert dict(job.times) == {"text": 2, "denoise": 100}


@given(a=st.integers(0, 10**6), b=st.integers(0, 50), c=st.integers(1, 9))
@settings(max_examples=30)
def test_stages_sum_to_the_job_and_its_layers_too(small, other, a, b, c):
    inner = Pipeline([Stage("x", small, "n"), Stage("y", other)], n=b)
    job = Pipeline([Stage("in", inner, c), Stage("alone", small, a)])
    assert job.total.only(["macs", "other_flops", "bytes_read"]) == (small.total * (b * c + a) + other.total * c).only(
        ["macs", "other_flops", "bytes_read"]
    )
    assert job.result.total == job.total
    assert sum(row.own.macs for row in job.result.modules) == job.macs
    assert sum(row.cost.other_flops for row in job.result.operators) == job.other_flops
    rows = job.by_stage().rows
    macs = [column.key or column.name for column in job.by_stage().columns].index("macs")
    assert sum(row[macs] for row in rows) == job.macs


def test_a_job_is_linear_in_its_repeats_and_traces_once(small):
    calls = []

    class Counted(nn.Module):
        def forward(self, x):
            calls.append(1)
            return x * 2

    report = count_flops(Counted(), SHAPE)
    traced = len(calls)
    job = Pipeline([Stage("a", report, "steps")], steps=50)
    assert job.with_parameters(steps=100).other_flops == 2 * job.other_flops == 100 * report.other_flops
    assert len(calls) == traced


def test_the_forced_trace_of_the_whole_loop_is_the_job():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode, self.step = nn.Linear(8, 8), nn.Conv1d(2, 2, 3, padding=1)

        def forward(self, x):
            x = self.encode(x)
            for _ in range(7):
                x = self.step(x)
            return x

    loop = Loop()
    whole = count_flops(loop, (1, 2, 8))
    job = Pipeline(
        [Stage("encode", count_flops(loop.encode, (1, 2, 8))), Stage("step", count_flops(loop.step, (1, 2, 8)), 7)]
    )
    for name in ("macs", "other_flops", "params", "bytes_read", "bytes_written"):
        assert getattr(job, name) == getattr(whole, name), name
    assert job.result.module("step").calls == whole.module("step").calls == 7


def test_parameters_of_distinct_models_count_once(small, other):
    assert Pipeline([Stage("a", small), Stage("b", small, 3)]).params == CONV_PARAMS  # one module
    twins = [count_flops(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), SHAPE) for _ in range(2)]
    assert Pipeline([Stage("a", twins[0]), Stage("b", twins[1])]).params == 2 * CONV_PARAMS  # two modules
    named = [count_model("toy_3d_cnn").released() for _ in range(2)]
    assert Pipeline([Stage("a", named[0]), Stage("b", named[1])]).params == named[0].params  # a model by name
    said = [Stage("a", named[0], weights="1"), Stage("b", named[1], weights="2")]
    assert Pipeline(said).params == 2 * named[0].params  # two experts
    with pytest.raises(InputError, match="do not have the same weights"):
        Pipeline([Stage("a", small, weights="1"), Stage("b", other, weights="1")]).params  # noqa: B018


def test_units(small, other):
    job = Pipeline(
        [Stage("a", other), Stage("b", small, "steps")],
        units=[Unit("video", 1), Unit("second", "frames / fps"), Unit("step", "steps", "b")],
        steps=10,
        frames=81,
        fps=16,
    )
    video, second, step = job.per_units
    assert video.total.macs == job.macs
    assert second.total.macs == job.macs * 16 // 81  # 81/16 seconds
    assert step.total.macs == CONV
    assert step.words == "step of b"


def test_other_parameters_make_another_job(small):
    inner = Pipeline([Stage("x", small, "n")], n=3)
    job = Pipeline([Stage("in", inner, "m")], m=2)
    assert job.with_parameters(m=5).macs == 15 * CONV
    assert job.with_parameters(**{"in.n": 4}).macs == 8 * CONV
    assert job.macs == 6 * CONV  # itself the same
    with pytest.raises(UnknownNameError, match="no parameter named 'k'"):
        job.with_parameters(k=1)


@pytest.mark.parametrize(
    ("stages", "parameters", "message"),
    [
        (lambda s: [], {}, "has no stages"),
        (lambda s: [Stage("a", s), Stage("a", s)], {}, "two stages are called a"),
        (lambda s: [Stage("a.b", s)], {}, "is no name of a stage"),
        (lambda s: [Stage("a", 5)], {}, "is no report"),
        (lambda s: [Stage("a", s, "n")], {}, "no parameter named 'n'"),
        (
            lambda s: [Stage("a", Pipeline([Stage("b", s)]), weights="x")],
            {},
            "stage a is a pipeline, which has no weights",
        ),
        (lambda s: [Stage("a", s, "n / 2")], {"n": 3}, "the times of stage a is 3/2"),
        (lambda s: [Stage("a", s, -1)], {}, "the times of stage a is -1"),
        (lambda s: [Stage("a", s, "n")], {"n": "many"}, "not a number"),
    ],
)
def test_what_is_malformed_is_refused(small, stages, parameters, message):
    with pytest.raises(InputError, match=message):
        Pipeline(stages(small), **parameters)


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        (lambda: Unit("", 1), "'' is no name of a unit"),
        (lambda: Unit("step", "n - 3"), "there are 0 steps"),
        (lambda: Unit("step", "n - 4", "a"), "there are -1 steps"),
        (lambda: Unit("step", "m"), "no parameter named 'm'"),
    ],
)
def test_a_unit_that_nothing_can_be_divided_by_is_refused(small, unit, message):
    with pytest.raises(InputError, match=message):
        Pipeline([Stage("a", small)], units=[unit()], n=3)


def test_pipelines_within_pipelines_do_not_run_beyond_all_numbers(small):
    inner = Pipeline([Stage("a", small, "n")], n=2**200)
    outer = Pipeline([Stage("in", inner, "n")], n=2**100)
    with pytest.raises(InputError, match=r"the times of stage in\.a is a number of more than 77 digits"):
        outer.total  # noqa: B018


def test_uncosted_work_of_a_stage_is_shown_as_often_as_it_runs():
    class Lost(nn.Module):
        def forward(self, x):
            return torch.cholesky_inverse(x)

    report = count_flops(Lost(), (1, 3, 3))
    job = Pipeline([Stage("lost", report, 5)])
    (row,) = job.result.uncosted
    (once,) = report.uncosted
    assert (row.calls, row.elements, row.upper_macs) == (5, 5 * once.elements, 5 * once.upper_macs)
    assert "UNCOSTED" in str(job)
    assert "uncosted" in job.sentence()


def test_assumptions_of_stages_name_the_stage(small):
    job = Pipeline([Stage("a", replace(small, assumed=("values of ids",)))], assumed=["81 frames"])
    assert job.result.assumed == ("81 frames", "values of ids (a)")
    assert "assumed: 81 frames" in str(job)


def test_two_jobs_differ_by_stage(small, other):
    job = Pipeline([Stage("a", small, "n"), Stage("b", other)], n=2)
    change = diff(job.result, job.with_parameters(n=5).result)
    assert change.macs == 3 * CONV
    assert {layer.path for layer in change.layers if layer.change.value == "changed"} >= {"a.0"}


def test_a_formula_gives_every_total(small, other):
    inner = Pipeline([Stage("x", small, "n")], n=3)
    job = Pipeline([Stage("in", inner, "m"), Stage("b", other, "2 * k + m // 2")], m=2, k=1)
    form = job.formula("flops")
    for m, k in ((1, 1), (2, 5), (9, 4)):
        assert form.at(m=m, k=k) == job.with_parameters(m=m, k=k).flops
    assert Pipeline([Stage("b", other, "2 * k")], k=3).formula().text == f"{2 * LINEAR}*k"
    assert job.formula("params").at() == job.params
    with pytest.raises(UnknownNameError):
        job.formula("gflops")


def test_the_formula_keeps_what_rounds_a_share(other):
    """Of 49 steps 0.3 are 14.7, of which 14 are skipped; at 50 the same job skips 15, and a formula is for both."""
    form = Pipeline([Stage("b", other, "steps - floor(reuse * steps)")], steps=50, reuse=0.3).formula()
    assert form.text == f"{LINEAR}*steps - {LINEAR}*floor(reuse*steps)"
    values = {"steps": 49, "reuse": form.parameters["reuse"]}
    at = form.expression.subs({symbol: values[symbol.name] for symbol in form.expression.free_symbols})
    assert at == form.at(steps=49) == 35 * LINEAR


def test_the_formula_of_growing_passes():
    job = Pipeline([Stage("decode", Growing(passes(Decode())[0]), "tokens - 1")], tokens=40)
    form = job.formula()
    for tokens in (1, 2, 17, 300):
        assert form.at(tokens=tokens) == job.with_parameters(tokens=tokens).macs


def test_tables_by_every_kind_and_their_exports(small, other):
    job = Pipeline([Stage("a", small, 2), Stage("b", other)])
    for by in ("stage", "module", "operator", "kind"):
        table = job.table_by(by)
        assert table.total is not None
        assert job.to_csv(by)
        assert job.to_markdown(by)
        assert job.to_latex(by)
    assert job.to_pandas()["macs"].sum() == job.macs
    with pytest.raises(UnknownNameError, match="no table named"):
        job.table_by("layer")
    assert "GMACs" not in job.sentence()
    assert "Pipeline" in repr(job)
    assert "<table" in job._repr_html_()


def test_a_job_survives_a_pickle(small, other):
    job = Pipeline([Stage("a", small, "n"), Stage("b", other)], n=3)
    assert pickle.loads(pickle.dumps(job)).total.macs == job.macs


def test_a_batch_of_jobs_is_shared_out(small):
    job = Pipeline([Stage("a", small)], batch=8)
    assert job.result.per_sample.macs == CONV // 8
    assert "per sample (batch 8)" in str(job)


def test_a_layer_is_explained_by_one_pass(small, other):
    inner = Pipeline([Stage("x", small, "n")], n=3)
    job = Pipeline([Stage("in", inner, 2), Stage("decode", Growing(passes(Decode())[0]), 9)])
    text = str(job.explain("in.x.0"))
    assert text.startswith("one pass of in.x, of 6:\n\n0 (Conv2d), called once")
    assert f"{CONV:,}" in text
    assert str(job.explain("decode.query")).startswith("the first pass of decode, of 9:")
    with pytest.raises(UnknownNameError, match="no stage named 'x'"):
        job.explain("x")
    with pytest.raises(UnknownNameError, match="no layer named '7'"):
        job.explain("in.x.7")


def test_what_a_job_is_about_stands_before_its_repeats_and_the_convention_last(small, other):
    job = Pipeline(
        [Stage("a", small, "n"), Stage("b", other, "2 * n"), Stage("c", small, "n")], notes=["a note of its own"], n=3
    )
    notes = job.by_stage().notes
    assert notes == (
        f"total: {cost_text(job.total)}; {si(job.params)} parameters",
        "a note of its own",
        "times: a and c run n = 3; b runs 2 * n = 6",
        "parameters: n = 3",
        "weights: those of c are those of a, and count once",
        "convention: 1 MAC = 2 FLOPs; flops = 2 * macs; other_flops apart",
    )
    for by in ("module", "operator", "kind"):
        assert job.table_by(by).notes == notes
        on_device = job.cost("t4").table(by).notes
        assert on_device[-1] == notes[-1]
        assert on_device[-5:-1] == notes[1:-1]


def test_a_video_of_a_batch_is_said_once(small):
    job = Pipeline([Stage("a", small)], batch=8, units=[Unit("video", 8)])
    assert "per video (8 of them)" in str(job)
    assert "per sample" not in str(job)


def test_what_is_assumed_within_has_its_place_from_the_outermost(small):
    inner = Pipeline([Stage("x", small)], assumed=["50 steps"], notes=["a note"])
    job = Pipeline([Stage("outer", Pipeline([Stage("inner", inner)]))])
    assert job.all_assumed == ("50 steps (outer.inner)",)
    assert job.all_notes == ("a note (outer.inner)",)
