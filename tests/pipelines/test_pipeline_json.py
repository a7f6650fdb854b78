"""A pipeline as JSON: as described, read back as a pipeline and as a report, and never contradicting itself."""

import json

import pytest
from decoding import Decode, passes
from torch import nn

from flopcount import Pipeline, Stage, Unit, count_flops, read_pipeline, read_report
from flopcount.core.errors import InputError
from flopcount.pipelines.growing import Growing
from flopcount.pipelines.pipeline_json import pipeline_data
from flopcount.pipelines.pipeline_schema import pipeline_schema

jsonschema = pytest.importorskip("jsonschema")


@pytest.fixture(scope="module")
def job():
    small = count_flops(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), (1, 3, 8, 8)).with_dataflow()
    inner = Pipeline([Stage("x", small, "n")], n=3, assumed=["50 steps"], notes=["another note"])
    return Pipeline(
        [
            Stage("text", small, 2),
            Stage("in", inner, "m"),
            Stage("decode", Growing(passes(Decode())[0]), "tokens - 1"),
        ],
        name="job",
        units=[Unit("token", "tokens"), Unit("step", "m", "in")],
        notes=["a note"],
        assumed=["81 frames"],
        facts={"tokens": {"visual": 4096}},
        parameters={"m": 2, "tokens": 20, "reuse": "0.3"},
    )


def saved(tmp_path, job, name="job.json"):
    path = tmp_path / name
    path.write_text(job.to_json())
    return path


def test_the_keys_of_the_contract(job):
    data = json.loads(job.to_json())
    assert data["schema"] == "flopcount/1"
    assert data["total"]["macs"] == job.macs
    assert data["total"]["flops"] == 2 * job.macs
    assert data["total"]["params"] == job.params
    assert data["parameters"] == {"m": 2, "tokens": 20, "reuse": "3/10"}
    assert [(stage["name"], stage["times"]) for stage in data["stages"]] == [("text", 2), ("in", 2), ("decode", 19)]
    assert sum(stage["total"]["macs"] for stage in data["stages"]) == data["total"]["macs"]
    assert {"name", "model", "times", "total"} <= data["stages"][0].keys()
    assert data["facts"] == {"tokens": {"visual": 4096}}


def test_it_is_as_described(job, tmp_path):
    schema = pipeline_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    cost = Pipeline(job.stages[:2], m=2).cost("rtx-4090", price=0.4)
    again = read_pipeline(saved(tmp_path, job))
    for data in (
        pipeline_data(job),
        pipeline_data(again),
        pipeline_data(Pipeline(job.stages[:2], m=2), [cost]),
    ):
        validator.validate(json.loads(json.dumps(data)))
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(pipeline_data(job) | {"stages": [{"name": "x"}]})


def test_it_is_read_back_whole(job, tmp_path):
    again = read_pipeline(saved(tmp_path, job))
    assert again.total == job.total
    assert dict(again.times) == dict(job.times)
    assert again.parameters == job.parameters
    assert [row.total for row in again.per_units] == [row.total for row in job.per_units]
    assert again.notes == job.notes
    assert again.result.assumed == job.result.assumed == ("81 frames", "50 steps (in)")
    assert "another note (in)" in str(again)
    assert again.facts == job.facts
    twice = read_pipeline(saved(tmp_path, again, "twice.json"))
    assert twice.total == job.total


def test_parameters_of_what_was_saved_can_change(job, tmp_path):
    again = read_pipeline(saved(tmp_path, job))
    for values in ({"m": 7}, {"tokens": 5}, {"in.n": 9}):
        assert again.with_parameters(**values).total == job.with_parameters(**values).total
    with pytest.raises(InputError, match="19 passes of Decode were saved, not 99"):
        again.with_parameters(tokens=100).total  # noqa: B018
    assert read_pipeline(saved(tmp_path, job), parameters={"m": 7}).total == job.with_parameters(m=7).total


def test_it_is_a_report_of_the_whole_job_too(job, tmp_path):
    report = read_report(saved(tmp_path, job))
    assert report.total == job.total
    assert {row.path for row in report.modules} >= {"text", "text.0", "in", "in.x", "decode"}


def test_saved_stages_show_their_table(job, tmp_path):
    again = read_pipeline(saved(tmp_path, job))
    assert again.by_stage().rows == job.by_stage().rows
    with pytest.raises(InputError, match="no table by module"):
        again.table_by("module")
    with pytest.raises(InputError, match="no time of stage text: it was saved"):
        again.cost("rtx-4090")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data["stages"][0].update(times=3, repeat="3"), "its stages sum to"),
        (lambda data: data["stages"][0].update(times=7), r"stages\[0\].times is 7, but its repeat is "),
        (lambda data: data["input"].update(batch=0), "input.batch is 0"),
        (lambda data: data["stages"][2]["grows"][0]["differences"].update(joy=[1, 1, 1]), "has joy, which is no quan"),
        (lambda data: data["stages"][0].pop("each"), r"stages\[0\].each is missing"),
        (lambda data: data.pop("stages"), "it has no stages"),
        (lambda data: data["stages"][0].update(repeat="x +"), "is no arithmetic"),
        (lambda data: data["stages"][2]["grows"][0]["differences"].update(macs=[1]), "has 1 differences, not 3"),
        (lambda data: data["stages"][2]["grows"][0]["differences"].update(macs=["a", 1, 1]), "not a whole number"),
        (lambda data: data.update(schema="flopcount/2"), "is not a pipeline of schema flopcount/1"),
        (lambda data: data["parameters"].update(m="many"), "not a number"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(job, tmp_path, change, message):
    data = json.loads(job.to_json())
    change(data)
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(data))
    with pytest.raises(InputError, match=message):
        read_pipeline(path)


def test_one_device_prices_the_stages_too(job):
    priced = Pipeline(job.stages[:2], m=2)
    cost = priced.cost("rtx-4090", price=0.4)
    data = pipeline_data(priced, [cost])
    assert sum(stage["total"]["time_s"] for stage in data["stages"]) == pytest.approx(
        data["total"]["time_s"], rel=1e-12
    )
    assert data["cost"][0]["per"] == "job"
    assert data["cost"][0]["estimate_s"] == pytest.approx(cost.estimate)
