"""Published times: every row read and checked, and for every row what runs in it, or why that is not known."""

import re

import pytest

from flopcount.core.errors import InputError, UnknownNameError
from flopcount.facts import (
    MeasuredRun,
    NotJudged,
    measured_part,
    measured_parts,
    measured_run,
    measured_runs,
    measured_time,
    measured_times,
)
from flopcount.facts.measured_mapping import measured_run_row
from flopcount.facts.measured_times import measured_time_row
from flopcount.facts.rows import read

TIME = dict(read("measured_times.csv"))["measured_times.csv, line 2"]
RUN = dict(read("measured_mapping.csv"))["measured_mapping.csv, line 2"]
RUNS = [run for run in measured_runs() if isinstance(run, MeasuredRun)]
GENERATED = [run for run in RUNS if measured_time(run.key).kind == "generation"]


def test_all_rows_are_there_each_with_its_source():
    rows = measured_times()
    assert len(rows) == 577
    assert all(row.source and row.locator for row in rows)
    kinds = [row.kind for row in rows]
    assert {kind: kinds.count(kind) for kind in kinds} == {"generation": 346, "recognition": 131, "vlm": 58, "flow": 42}


def test_seconds_are_of_one_of_what_the_quantity_counts():
    assert measured_time("wan2.1-001").seconds == 261.4  # s_per_video
    assert measured_time("wan2.1-002").seconds is None  # a peak of memory
    assert measured_time("fastvideo-003").seconds == 4.91  # s_per_iter
    assert measured_time("mmaction2-006").seconds == 0.25  # 4 videos per second
    assert measured_time("ptlflow-001").seconds == 0.100166  # printed in ms
    assert sum(row.seconds is None for row in measured_times()) == 30


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"source": ""}, "without source"),
        ({"key": "", "locator": ""}, "without key and locator"),
        ({"value": "fast"}, "'fast'"),
        ({"value": "-1"}, "'-1'"),
        ({"value": "nan"}, "'nan'"),
        ({"kind": "audio"}, "'audio'"),
        ({"quantity": "fps"}, "'fps'"),
    ],
)
def test_a_malformed_time_is_refused(change, part):
    with pytest.raises(InputError, match=part) as error:
        measured_time_row("measured_times.csv, line 2", TIME | change)
    assert "line 2" in str(error.value)


@pytest.mark.parametrize("find", [measured_time, measured_run])
def test_a_key_that_does_not_exist_offers_near_ones(find):
    with pytest.raises(UnknownNameError, match=r"near .*ptlflow-042"):
        find("ptlflow-42")


def test_every_row_is_judged_or_has_a_reason():
    assert [run.key for run in measured_runs()] == [row.key for row in measured_times()]
    for run in measured_runs():
        assert isinstance(run, MeasuredRun) or len(run.why) > 5


def test_a_row_that_is_no_time_or_of_several_devices_is_not_judged():
    for row in measured_times():
        run = measured_run(row.key)
        if row.seconds is None:
            assert run == NotJudged(row.key, "not a time")
        elif row.devices != "1":
            assert isinstance(run, NotJudged)
            assert "several GPUs" in run.why


def test_what_is_complete_is_so_by_its_source_too():
    complete = [run for run in RUNS if run.complete]
    assert len(complete) == 86
    assert all(measured_time(run.key).note.startswith("complete") for run in complete)


def test_weights_and_attention_of_few_bits_are_not_judged():
    for run in RUNS:
        row = measured_time(run.key)
        assert not re.search(r"int4|int8|fp8|autoquant|w8a", row.precision)
        assert not re.search(r"sage|nattn|natten|lightx2v|sparse|distill", row.software, re.IGNORECASE)


def test_steps_and_size_are_those_that_the_row_prints():
    """CFG runs the denoiser twice a step: in two forwards, or in one on twice the batch."""
    for run in GENERATED:
        row = measured_time(run.key)
        printed = re.search(r"(?<!of )\b(\d+) steps", row.input)
        steps = 1 if row.quantity == "s_per_iter" else int(printed[1]) if printed else 50
        assert printed or row.quantity == "s_per_iter" or "steps are not printed: 50" in run.note
        assert run.times * run.batch == int(row.batch) * steps * 2, run.key
        assert run.times == (steps if run.model.startswith("cogvideox") else 2 * steps)
        if f"{run.clip.width}x{run.clip.height}" not in row.input:
            assert f"taken for {run.clip.width}x{run.clip.height}" in run.note
        assert f"{run.clip.frames} frames" in row.input


def test_views_are_a_batch_of_the_frames_that_the_row_prints():
    """mmaction2 prints "80x3 frames": 10 clips of 8 frames and three crops, or one clip of 80 and three crops."""
    for run in RUNS:
        row = measured_time(run.key)
        if printed := re.match(r"(\d+)x(\d+) frames", row.input):
            frames, crops = map(int, printed.groups())
            assert run.batch * run.clip.frames == frames * crops, run.key
            assert run.batch % crops == 0


def test_what_a_row_leaves_open_is_said():
    for run in RUNS:
        row = measured_time(run.key)
        if row.device in ("A100", "H100", "NVIDIA H100", "H800/H100", "A800", "A800/A100", "H200"):
            assert "taken for" in run.note, run.key
        if "not printed" in row.precision:
            assert "dtype is not printed" in run.note, run.key


def test_other_parts_are_those_of_a_whole_pipeline():
    """Two texts by guidance, one decoder; an image is encoded too, and what the processor runs is left out."""
    for run in RUNS:
        others = [other.part.partition("/")[2] for other in run.others]
        assert bool(others) == ("time is that of the whole pipeline" in run.note), run.key
        if others:
            videos = int(measured_time(run.key).batch)
            for other, part in zip(run.others, others, strict=True):
                assert other.batch * other.times == (2 * videos if part == "text_encoder" else videos)
            assert ("text_encoder" in others) == ("t5_cpu" not in measured_time(run.key).software)
            assert ("image_encoder" in others) == ("vae_encoder" in others) == ("i2v" in run.model)
            assert "vae_decoder" in others


def test_parts_have_a_source_and_are_used():
    named = {name for run in RUNS for name in (run.model, *(other.part for other in run.others)) if "/" in name}
    assert {part.name for part in measured_parts()} == named
    assert all(part.url.startswith("https://github.com/") and part.locator for part in measured_parts())
    with pytest.raises(UnknownNameError, match=r"wan2\.1-t2v-14b/denoiser"):
        measured_part("wan2.1-t2v-14b/denoise")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"why": "offloading"}, "both"),
        ({"model": ""}, "neither"),
        ({"clip": ""}, "needs a clip or a number of tokens"),
        ({"tokens": "256"}, "needs a clip or a number of tokens"),
        ({"device": ""}, "without device"),
        ({"dtype": "float16"}, "'float16'"),
        ({"compile": "maybe"}, "'maybe'"),
        ({"times": "0"}, "'0'"),
        ({"batch": ""}, "batch is ''"),
        ({"others": "wan2.1/vae_decoder"}, "others has"),
        ({"others": "wan2.1/vae_decoder=1x0"}, "others has"),
    ],
)
def test_a_malformed_line_is_refused(change, part):
    with pytest.raises(InputError, match=part):
        measured_run_row("measured_mapping.csv, line 2", RUN | change)
