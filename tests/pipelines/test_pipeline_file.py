"""Pipelines from TOML files: what a file says is what is counted, and what is malformed is refused before counting."""

import importlib.util
import json
from pathlib import Path

import pytest

from flopcount import count_generation, count_model, read_pipeline
from flopcount.core.errors import FlopcountError, InputError, UnknownNameError

EXAMPLES = Path(__file__).parents[2] / "examples" / "pipelines"

JOB = """
name = "job"
[parameters]
n = 3
[units]
video = 1
step = {of = "a", count = "n"}
[[stages]]
name = "a"
model = "toy_3d_cnn"
clip = "8x64x64"
times = "2 * n"
[[stages]]
name = "b"
model = "toy_late_fusion"
batch = 2
"""


def written(folder, text, name="job.toml"):
    path = folder / name
    path.write_text(text)
    return path


def test_a_file_is_the_sum_of_its_stages(tmp_path):
    job = read_pipeline(written(tmp_path, JOB))
    a, b = count_model("toy_3d_cnn", clip="8x64x64"), count_model("toy_late_fusion", batch=2)
    assert job.name == "job"
    assert job.macs == 6 * a.macs + b.macs
    assert job.params == a.params + b.params
    assert [row.words for row in job.per_units] == ["video", "step of a"]
    assert read_pipeline(written(tmp_path, JOB), parameters={"n": "1"}).macs == 2 * a.macs + b.macs


def test_stages_of_one_model_are_counted_once(tmp_path):
    again = JOB + '[[stages]]\nname = "c"\nmodel = "toy_late_fusion"\nbatch = 2\n'
    counted = []
    job = read_pipeline(written(tmp_path, again), progress=counted.append)
    assert counted == ["counting a: toy_3d_cnn (stage 1 of 3)", "counting b: toy_late_fusion (stage 2 of 3)"]
    assert job.part("c").macs == job.part("b").macs
    assert job.params == read_pipeline(written(tmp_path, JOB)).params


def test_pipelines_within_pipelines_and_saved_reports(tmp_path):
    written(tmp_path, JOB, "inner.toml")
    (tmp_path / "saved.json").write_text(count_model("toy_3d_cnn", clip="8x64x64").to_json())
    outer = '[[stages]]\nname="in"\npipeline="inner.toml"\nparameters={n=1}\ntimes=2\n'
    outer += '[[stages]]\nname="saved"\nreport="saved.json"\ntimes=5\n'
    path = written(tmp_path, outer, "outer.toml")
    one = count_model("toy_3d_cnn", clip="8x64x64").macs
    inner = 2 * one + count_model("toy_late_fusion", batch=2).macs
    job = read_pipeline(path)
    assert job.name == "outer"
    assert job.macs == 2 * inner + 5 * one
    assert read_pipeline(path, parameters={"in.n": 2}).macs == 2 * (inner + 2 * one) + 5 * one


@pytest.mark.skipif(importlib.util.find_spec("diffusers") is None, reason="needs diffusers")
def test_a_stage_names_a_part_of_a_model_of_known_sizes_and_a_video(tmp_path):
    text = '[[stages]]\nname="a"\nmodel="wan2.1-t2v-1.3b/vae.decode"\nvideo="5x64x64"\ntimes=3\n'
    once = count_model("wan2.1-t2v-1.3b/vae.decode", video="5x64x64")
    assert read_pipeline(written(tmp_path, text)).macs == 3 * once.macs > 0


REFUSED = [
    ("", "has no stages"),
    ("stages = 5", "has no stages"),
    ("[[stages]]\nname = 5", "its name is 5, not a string"),
    ('[[stages]]\nname = "a"', "it has nothing to run"),
    ('[[stages]]\nname = "a"\nmodel = "c3d"\nreport = "x.json"', "it has model and report to run"),
    ('[[stages]]\nname = "a"\nmodel = "c3e"', "no network named 'c3e'|no model named 'c3e'|c3e"),
    ('[[stages]]\nname = "a"\nmodel = "c3d"\nclib = "1x1x1"', "no key in stage a of .* named 'clib'"),
    ('[[stages]]\nname = "a"\nmodel = "c3d"\nclip = "16x112"', "clip '16x112' is not frames x height x width"),
    ('[[stages]]\nname = "a"\nmodel = "c3d"\nbatch = 0', "batch is 0"),
    ('[[stages]]\nname = "a"\nmodel = "c3d"\nclip = 5', "clip is 5, not a string"),
    ('[[stages]]\nname = "a"\nmodel = "c3d"\ntimes = "import os"', "is no arithmetic"),
    ('[[stages]]\nname = "a"\nmodel = "c3d"\nparameters = {n = 1}', "parameters is for a stage with pipeline"),
    ('[[stages]]\nname = "a"\npipeline = "job.toml"', "is a pipeline within itself"),
    ('[[stages]]\nname = "a"\npipeline = "job.toml"\nclip = "1x1x1"', "clip is for a stage with model"),
    ('[[stages]]\nname = "a"\ngenerate = "wan2"', "no generator or video-language model named 'wan2'"),
    ('[[stages]]\nname = "a"\ngenerate = "wan2.1-t2v-1.3b"\nprompt = 5', "--prompt is for a video-language model"),
    ('[[stages]]\nname = "a"\ngenerate = "wan2.1-t2v-1.3b"\nsteps = "many"', "steps is 'many'"),
    ('[[stages]]\nname = "a"\nmodel = "c3d"\nsteps = 5', "steps is for a stage with generate"),
    ('[[stages]]\nname = "a"\ngenerate = "allegro"\nweights = "x"', "weights is for a stage with model or report"),
    ('[[stages]]\nname = "a"\ngenerate = "allegro"\nvideo = 5', "clip 5 is not frames x height x width"),
    ('[[stages]]\nname = "a"\ngenerate = "allegro"\nguidance = "yes"', "guidance is 'yes'"),
    ('[[stages]]\nname = "a"\ngenerate = "allegro"\nbatch = 1.5', "batch is 1.5"),
    ('[[stages]]\nname = "a"\ngenerate = "qwen2.5-vl-7b"\nfps = "2"', "fps is '2'"),
    ('[[stages]]\nname = "a"\ngenerate = "qwen2.5-vl-7b"\nall-logits = 1', "all logits is 1"),
    ('[[stages]]\nname = "a"\ngenerate = "qwen2.5-vl-7b"\nkv-dtype = 8', "kv dtype is 8"),
    ('[[stages]]\nname = "a"\nreport = "none.json"', "cannot read"),
    ("[parameters", "is not TOML"),
    ("parameter = 5", "no key in .* named 'parameter'"),
    ("parameters = 5", "is 5, not a table"),
    ("name = 5\n[[stages]]", "its name is None|name of"),
    ('notes = "x"\n[[stages]]\nname = "a"\nmodel = "c3d"', "not a list of strings"),
    (2 * '[[stages]]\nname = "a"\nmodel = "c3d"\n', "two stages are called a"),
    ('[[stages]]\nname = "a.b"\nmodel = "c3d"', "is no name of a stage"),
    ('[[stages]]\nname = "a"\nmodel = "c3d"\ntimes = "n"', "no parameter named 'n'"),
    ('[[stages]]\nname = "a"\nmodel = "c3d"\ntimes = 2.5', "the times of stage a is 5/2"),
    ('parameters = {n = "many"}\n[[stages]]\nname = "a"\nmodel = "c3d"', "parameter n is 'many', not a number"),
    ('parameters = {"a.n" = 5}\n[[stages]]\nname = "a"\nmodel = "c3d"', "stage a of .* has no parameters"),
    ('units = {video = 0}\n[[stages]]\nname = "a"\nmodel = "c3d"', "there are 0 videos"),
    ('units = {video = {of = "b"}}\n[[stages]]\nname = "a"\nmodel = "c3d"', "no stage named 'b'"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_is_malformed_is_refused_before_anything_is_counted(tmp_path, text, message):
    counted = []
    with pytest.raises(FlopcountError, match=message):
        read_pipeline(written(tmp_path, text), progress=counted.append)
    assert counted == []


def test_a_fault_names_its_place(tmp_path):
    path = written(tmp_path, '[[stages]]\nname = "flow"\nmodel = "c3d"\nclip = "16x112"')
    with pytest.raises(InputError) as caught:
        read_pipeline(path)
    assert ("in", f"stage flow of {path}") in caught.value.details


def test_an_unknown_parameter_offers_near_names(tmp_path):
    with pytest.raises(UnknownNameError, match=r"no parameter of .* named 'm'"):
        read_pipeline(written(tmp_path, JOB), parameters={"m": 1})


def test_a_missing_file_is_named(tmp_path):
    for name in ("none.toml", "none.json"):
        with pytest.raises(InputError, match=r"cannot read .*none"):
            read_pipeline(tmp_path / name)


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_examples_count(path):
    if "wan2.1" in path.read_text():
        pytest.importorskip("diffusers")
    job = read_pipeline(path)
    assert job.total_flops > 0
    assert not job.result.uncosted
    assert json.loads(job.to_json())["total"]["macs"] == job.macs


@pytest.mark.slow
def test_the_two_stream_example_by_hand():
    job = read_pipeline(EXAMPLES / "two_stream_tvl1.toml")
    flow = count_model("optical_flow_tvl1", clip="2x240x320")
    streams = [count_model("two_stream", options={"stream": stream}) for stream in ("spatial", "temporal")]
    assert job.other_flops == 25 * 10 * (flow.other_flops + sum(stream.other_flops for stream in streams))
    assert job.macs == 250 * sum(stream.macs for stream in streams)


@pytest.mark.slow
def test_a_video_from_its_parts_is_the_generation():
    pytest.importorskip("diffusers")
    job = read_pipeline(EXAMPLES / "text_to_video.toml")
    assert job.total == count_generation("wan2.1-t2v-1.3b").total
    assert job.macs == 14_292_610_214_780_928


@pytest.mark.slow
def test_a_stage_may_be_what_generate_counts(tmp_path):
    text = '[[stages]]\nname="ask"\ngenerate="smolvlm2-2.2b"\nvideo="2x384x384"\nprompt=8\nnew-tokens=3\ntimes=4\n'
    job = read_pipeline(written(tmp_path, text))
    one = count_generation("smolvlm2-2.2b", video="2x384x384", prompt=8, new_tokens=3)
    assert job.macs == 4 * one.macs
    assert job.params == one.params
    assert read_pipeline(written(tmp_path, text), parameters={"ask.new_tokens": 1}).macs < job.macs
