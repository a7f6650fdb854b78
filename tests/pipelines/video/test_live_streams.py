"""Networks on live streams: passes per second by hand, and how far a device keeps up."""

import csv
import json
from fractions import Fraction

import pytest
from typer.testing import CliRunner

from flopcount import count_model, create_model, streaming
from flopcount.cli import app
from flopcount.core.errors import InputError
from flopcount.core.model_spec import ModelSpec
from flopcount.core.protocol import Protocol
from flopcount.pipelines.video.live import live, live_table, parse_rate
from flopcount.pipelines.video.video_job import Counts

C3D = 38_548_959_232  # MACs of a clip of 16×112×112


def stream(name, fps=30, hop=None, *, clip=None, dataflow=False, **protocol):
    return live(Counts(ModelSpec.of(name, clip=clip), Protocol(**protocol), dataflow), Fraction(fps), hop)


def run(*words):
    return CliRunner().invoke(app, ["video", *words], catch_exceptions=False, env={"COLUMNS": "1000"})


@pytest.mark.parametrize(
    ("text", "rate"),
    [("30fps", 30), ("30", 30), (" 29.97 FPS ", Fraction(2997, 100)), ("0.5fps", Fraction(1, 2))],
)
def test_rates(text, rate):
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["0", "-5", "fps", "30 Hz", "1e3", "", "30fpsfps"])
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(InputError, match="is no rate"):
        parse_rate(text)


@pytest.mark.parametrize(("hop", "between"), [(None, 16), (8, 8), (1, 1)])
def test_a_window_is_computed_again_after_every_hop(hop, between):
    """C3D at 30 frames per second: without a hop, when all 16 frames are new."""
    found = stream("c3d", hop=hop)
    assert found.per_second == Fraction(C3D * 30, between)
    assert not found.steps
    assert found.pipeline.facts["frames_between_passes"] == between


def test_the_job_is_the_shortest_stretch_of_whole_passes_and_whole_seconds():
    """16 frames at 30 per second are 8/15 s: 15 passes in 8 seconds."""
    found = stream("c3d")
    assert (dict(found.pipeline.times), found.seconds) == ({"network": 15}, 8)
    second, hour, one = found.pipeline.per_units
    assert second.total.macs == 15 * C3D // 8
    assert hour.total.macs == 15 * C3D * 450
    assert one.total.macs == C3D


def test_a_window_of_frames_apart_takes_as_many_more():
    """X3D-XS takes every twelfth of 48 frames."""
    macs = count_model("x3d_xs", clip="4x32x32").macs
    assert stream("x3d_xs", clip="4x32x32").per_second == Fraction(macs * 30, 48)
    assert stream("x3d_xs", clip="4x32x32", stride=2).per_second == Fraction(macs * 30, 8)


def test_a_network_with_a_step_makes_one_for_every_frame():
    """A step of CNN-LSTM is a third of a clip of three frames."""
    whole = count_model("cnn_lstm", clip="3x49x49").macs
    found = stream("cnn_lstm", clip="3x49x49")
    assert found.steps
    assert found.per_second == 30 * (whole // 3)
    assert stream("cnn_lstm", clip="3x49x49", stride=3).per_second == 10 * (whole // 3)
    assert stream("cnn_lstm", 7.5, clip="3x49x49").per_second == Fraction(15, 2) * (whole // 3)


def test_a_hop_makes_a_window_of_a_network_with_a_step():
    whole = count_model("cnn_lstm", clip="3x49x49").macs
    found = stream("cnn_lstm", clip="3x49x49", hop=2)
    assert (found.steps, found.per_second) == (False, 15 * whole)


@pytest.mark.slow
def test_a_streaming_network_steps_as_streaming_counts_it():
    """MoViNet takes every fifth frame: six steps a second."""
    steps = streaming(create_model("movinet_a0_stream", clip="4x32x32").eval(), (1, 3, 4, 32, 32))
    assert stream("movinet_a0_stream", clip="4x32x32").per_second == 6 * steps.step.macs


def test_a_network_of_one_frame_sees_each():
    macs = count_model("tsn_r50", clip="1x33x33").macs
    assert stream("tsn_r50", clip="1x33x33").per_second == 30 * macs


@pytest.mark.parametrize(("name", "hop", "message"), [("two_stream", None, "optical flow"), ("c3d", 0, "hop is 0")])
def test_what_cannot_be_followed_is_refused(name, hop, message):
    with pytest.raises(InputError, match=message):
        stream(name, hop=hop)


def test_a_stream_has_one_clip_at_a_time():
    with pytest.raises(InputError, match="--batch 2 takes several"):
        stream("c3d", batch=2)


def test_real_time_is_the_stream_over_the_time_of_its_passes():
    found = stream("c3d", hop=8, dataflow=True)
    one = count_model("c3d").cost("t4", price=0.35)
    cost = found.pipeline.cost("t4", price=0.35)
    assert cost.estimate == pytest.approx(15 * one.estimate)  # in 4 seconds
    notes = live_table(found, cost).notes
    assert notes[0] == "stream: 145 GMACs/s, 289 GFLOP/s"
    assert notes[1] == f"real time: {4 / cost.estimate:.3g}×, the network keeps up with the stream"
    assert notes[2].startswith("money: 0.35 USD per hour of stream")


def test_a_device_that_is_too_slow_falls_behind():
    found = stream("c3d", 5000, hop=1, dataflow=True)
    notes = live_table(found, found.pipeline.cost("t4")).notes
    assert "falls behind" in notes[1]
    assert "frames have to be dropped" in notes[1]


def test_the_command_on_a_stream_without_a_device():
    result = run("--stream", "30fps", "--model", "c3d")
    assert result.exit_code == 0
    assert "stream: 72.3 GMACs/s, 145 GFLOP/s" in result.stdout
    assert "real time" not in result.stdout
    (row,) = csv.DictReader(run("--stream", "30fps", "--model", "c3d", "--format", "csv").stdout.splitlines())
    assert int(row["MACs"]) == 15 * C3D


def test_json_of_a_stream_has_its_real_time_factor():
    result = run("--stream", "30", "--model", "c3d", "--hop", "8", "--on", "t4,rtx-4090", "--format", "json")
    told = json.loads(result.stdout)
    assert told["schema"] == "flopcount/stream/1"
    assert (told["model"], told["fps"], told["steps"]) == ("c3d", 30, False)
    assert told["macs_per_second"] == C3D * 30 / 8
    assert told["job"]["total"]["macs"] == 15 * C3D
    one = count_model("c3d")
    assert told["real_time"] == {
        name: pytest.approx(4 / (15 * one.cost(name).estimate), rel=1e-6) for name in ("t4", "rtx-4090")
    }


def test_several_devices_are_compared():
    result = run("--stream", "30", "--model", "c3d", "--on", "t4,rtx-4090")
    assert result.exit_code == 0
    assert "t4" in result.stdout
    assert "rtx-4090" in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--stream", "fast", "--model", "c3d"), "is no rate"),
        (("clip.mp4", "--stream", "30", "--model", "c3d"), "clip.mp4 is a file"),
        (("--stream", "30"), "--stream says how a network looks at a video, and none is named"),
        (("--stream", "30", "--model", "c3d", "--views", "2x1"), "--views is for files"),
        (("--stream", "30", "--model", "c3d", "--resize", "short=256"), "--resize is for files"),
        (("--stream", "30", "--model", "c3d", "--plot", "a.png"), "--plot is for files"),
        (("--stream", "30", "--model", "c3d", "--online"), "--online is for files"),
        (("--stream", "30", "--model", "c3d", "--fps", "10"), "--fps"),
        (("--stream", "30", "--model", "two_stream"), "optical flow"),
    ],
)
def test_options_that_a_stream_has_no_use_for_are_refused(words, message):
    result = run(*words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""
