"""Time and money of a video: decoding by published rates or measured here, then the stages, and shares of all that."""

import csv
import json
from dataclasses import replace
from statistics import median

import pytest
from typer.testing import CliRunner
from videos import example, make

from flopcount import count_model, count_video
from flopcount.cli import app
from flopcount.core.errors import InputError
from flopcount.core.units import duration
from flopcount.facts import published_rates
from flopcount.hardware.this_machine import cpu_name
from flopcount.pipelines.video.decode_time import DecodeTime, published_time, summed_times

C3D = 38_548_959_232  # MACs of a clip of 16×112×112
PIXELS = 18 * 48 * 64  # of what is decoded for frames 12 to 27 with a key frame every ten


@pytest.fixture(scope="module")
def forty(tmp_path_factory):
    return example(tmp_path_factory.mktemp("videos") / "forty.mp4", 40)


@pytest.fixture(scope="module")
def job(forty):
    """One clip in the middle of 1.6 s of video, and three crops of it."""
    return count_video(forty, "c3d", views="1x3", dataflow=True)


@pytest.fixture(scope="module")
def on_t4(job):
    return job.cost("t4", price=0.36)


def run(*words):
    return CliRunner().invoke(app, ["video", *map(str, words)], catch_exceptions=False, env={"COLUMNS": "1000"})


def column(table, name):
    return [column.key or column.name for column in table.columns].index(name)


def test_published_decoding_is_at_the_median_rate_of_the_codec(on_t4):
    rates = [rate.pixels_per_s for rate in published_rates("h264")]
    decode = on_t4.decode
    assert decode.seconds == pytest.approx(PIXELS / median(rates))
    assert PIXELS / max(rates) < decode.low < decode.seconds < decode.high < PIXELS / min(rates)
    middle = [rate for rate in rates if PIXELS / decode.high <= rate <= PIXELS / decode.low]
    assert 0.4 < len(middle) / len(rates) < 0.6
    assert f"the median of {len(rates)} published rates of h264 on CPUs" in decode.words
    assert "--measure-decode" in decode.words


def test_quarter_points_of_made_up_rates(job, monkeypatch):
    """Of 1, 2, 3, 4 and 5 frames of a thousand pixels per second: 2, 3 and 4; of two rates, between them."""
    (rate, *_) = published_rates("h264")

    def rates(*fps):
        made = [replace(rate, height=1, width=1000, frames_per_s=float(many)) for many in fps]
        monkeypatch.setattr("flopcount.pipelines.video.decode_time.published_rates", lambda codec: tuple(made))
        return published_time(job.plan)

    five = rates(1, 2, 3, 4, 5)
    assert (five.low, five.seconds, five.high) == (PIXELS / 4000, PIXELS / 3000, PIXELS / 2000)
    assert rates(1, 3).seconds == PIXELS / 2000
    one = rates(7)
    assert one.low == one.seconds == one.high == PIXELS / 7000
    assert one.words.startswith("the only published rate of h264")


def test_a_codec_that_nobody_measured_has_no_time(tmp_path):
    job = count_video(make(tmp_path, "prores.mov"), "c3d", views=1, dataflow=True)
    cost = job.cost("t4")
    assert cost.decode is None
    assert cost.decode_share is None
    assert cost.seconds == cost.stages.estimate
    notes = cost.table().notes
    assert "decode: nobody published how fast prores is decoded; --measure-decode measures it here" in notes
    assert not any(note.startswith("time:") for note in notes)
    told = cost.data()
    assert (told["decode"], told["seconds"], told["real_time"], told["money"]) == (None, None, None, None)


def test_av1_is_av1_whatever_decodes_it(tmp_path):
    job = count_video(make(tmp_path, "av1.mp4"), "c3d", views=1, dataflow=True)
    assert "published rates of av1" in job.cost("t4").decode.words


def test_measured_decoding_is_a_time_of_this_machine(job):
    decode = job.cost("t4", measure_decode=True).decode
    assert 0 < decode.seconds == decode.low == decode.high < 5
    assert decode.words.startswith("measured here, once, to RGB: ")
    assert cpu_name() in decode.words
    assert "PyAV" in decode.words
    assert "to" not in decode.text.split()


def test_the_whole_is_the_decoding_and_the_stages(job, on_t4):
    stages = job.pipeline.cost("t4", price=0.36)
    assert on_t4.stages.estimate == stages.estimate
    assert on_t4.seconds == on_t4.decode.seconds + stages.estimate
    assert on_t4.decode_share == on_t4.decode.seconds / on_t4.seconds
    assert on_t4.speed == pytest.approx(1.6 / on_t4.seconds)
    network = 3 * count_model("c3d").cost("t4").estimate
    assert network < stages.estimate < 1.1 * network  # and the resize


def test_the_device_is_paid_while_frames_are_decoded(on_t4):
    """0.36 an hour is 0.0001 a second."""
    assert on_t4.paid == pytest.approx(on_t4.seconds * 0.0001)
    assert on_t4.data()["currency"] == "USD"
    (line,) = [line for line in on_t4.lines() if line.startswith("money:")]
    assert f"{on_t4.paid * 3600 / 1.6:.3g} USD per hour of video" in line


def test_it_shows_itself(on_t4, job):
    """In one line, as text and as HTML, with the decoding in all three."""
    assert repr(on_t4).startswith(f"<VideoCost of forty.mp4 on t4, fp32, eager, nchw: {duration(on_t4.seconds)}, ")
    assert str(on_t4) == str(on_t4.table())
    assert on_t4._repr_html_() == on_t4.table()._repr_html_()
    assert repr(job.plan.video) == "<VideoFile forty.mp4: 40 frames of 48×64, h264>"
    assert repr(job.plan) == "<Plan forty.mp4: 1×3 views of 16 frames, 18 frames decoded>"


def test_rows_of_the_table_sum_and_so_do_their_shares(on_t4):
    table = on_t4.table()
    assert [row[0] for row in table.rows] == ["decode", "resize", "network"]
    time = next(i for i, column in enumerate(table.columns) if column.pico and column.unit == "s")
    assert sum(row[time] for row in table.rows) == table.total[time]
    assert table.rows[0][time] == round(on_t4.decode.seconds * 10**12)
    share = column(table, "time_share")
    whole = table.total[time]
    assert [row[share] for row in table.rows] == [(row[time], whole) for row in table.rows]
    assert table.total[share] == (whole, whole)


def test_a_job_without_its_dataflow_has_no_time(forty):
    with pytest.raises(InputError):
        count_video(forty, "c3d", views=1).cost("t4")


def test_times_of_several_videos_add_up_or_are_unknown():
    one, other = DecodeTime(1.0, 0.5, 2.0, "a"), DecodeTime(3.0, 3.0, 3.0, "b")
    assert summed_times([one, other, one]) == DecodeTime(5.0, 4.0, 7.0, "a; b")
    assert summed_times([one, None]) is None
    assert summed_times([]) is None
    assert one.text == "1.00 s (500 ms to 2.00 s)"
    assert other.text == "3.00 s"


def test_the_command_shows_the_share_of_decoding_with_the_time(forty):
    result = run(forty, "--model", "c3d", "--views", "1x3", "--on", "t4", "--price", "0.36")
    assert result.exit_code == 0
    assert "% of the time; the median of" in result.stdout
    assert "× real time" in result.stdout
    assert "USD per hour of video, if the device waits while frames are decoded" in result.stdout


def test_the_command_measures_decoding(forty):
    result = run(forty, "--model", "c3d", "--views", "1x3", "--on", "t4", "--measure-decode")
    assert "measured here, once, to RGB" in result.stdout
    refused = run(forty, "--model", "c3d", "--measure-decode")
    assert refused.exit_code == 2
    assert "--measure-decode takes a time beside that of a device" in refused.stderr


def test_several_devices_are_a_row_each(forty):
    result = run(forty, "--model", "c3d", "--views", "1x3", "--on", "t4,rtx-4090", "--format", "csv")
    rows = list(csv.DictReader(result.stdout.splitlines()))
    assert [row["device"] for row in rows] == ["t4", "rtx-4090"]
    shown = run(forty, "--model", "c3d", "--views", "1x3", "--on", "t4,rtx-4090").stdout
    assert "t4: decode: " in shown
    assert "rtx-4090: time: " in shown


def test_json_has_the_decoding_beside_the_stages(forty, on_t4):
    words = ("--model", "c3d", "--views", "1x3", "--on", "t4", "--price", "0.36", "--format", "json")
    told = json.loads(run(forty, *words).stdout)
    assert (told["schema"], told["model"]) == ("flopcount/video/1", "c3d")
    (file,) = told["files"]
    (cost,) = file["cost"]
    assert cost == on_t4.data()
    assert cost["seconds"] == pytest.approx(cost["decode"]["seconds"] + cost["stages_seconds"])
    assert file["job"]["total"]["macs"] == told["total"]["macs"] == 3 * C3D
    assert told["total"] | {"files": 1, "seconds": 1.6} == told["total"]
