"""The picture of a video: its timeline, and a sheet of the frames that a network takes."""

import re

import matplotlib
import matplotlib.pyplot as plt
import pytest
from typer.testing import CliRunner
from videos import example, make, write_video

from flopcount import count_video
from flopcount.cli import app
from flopcount.pipelines.video.decoded import sheet_frames
from flopcount.publishing.figures.video_timeline import draw_timeline

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def forty(tmp_path_factory):
    return example(tmp_path_factory.mktemp("videos") / "forty.mp4", 40)


def drawn(job):
    return draw_timeline(job, sheet_frames(job.plan.video, job.plan.decoding))


def run(*words):
    return CliRunner().invoke(app, ["video", *map(str, words)], catch_exceptions=False)


def test_the_timeline_has_clips_what_is_decoded_and_key_frames(forty):
    """Two clips of four frames, every fifth, from 0 and from 24 on; key frames every ten."""
    axes = drawn(count_video(forty, "toy_3d_cnn", clip="4x16x16", views=2, stride=5))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["clip 1", "clip 2", "decoded", "key frames"]
    marks = [[round(25 * x) for x in line.get_xdata()] for line in axes.lines]
    assert marks == [[0, 5, 10, 15], [24, 29, 34, 39], [0, 10, 20, 30]]
    begin, end = axes.get_xlim()
    assert -0.05 < begin <= 0 < 1.6 <= end < 1.65
    assert axes.get_title(loc="left").replace("\n", " ").endswith("32 of 40 frames decoded for 8")
    bars = [path.get_extents() for path in axes.collections[-1].get_paths()]
    assert [(round(25 * bar.x0), round(25 * bar.x1)) for bar in bars] == [(0, 5), (10, 15), (20, 29), (30, 39)]


def test_the_sheet_has_a_picture_of_each_frame_with_its_second(forty):
    axes = drawn(count_video(forty, "toy_3d_cnn", clip="4x16x16", views=1, stride=5))
    sheet = [other for other in axes.figure.axes if other is not axes]
    assert [other.get_title() for other in sheet] == [f"{frame / 25:.3g} s" for frame in (12, 17, 22, 27)]
    assert all(other.images[0].get_array().shape == (48, 64, 3) for other in sheet)


def test_many_clips_are_drawn_up_to_twelve_and_counted(forty):
    axes = drawn(count_video(forty, "toy_3d_cnn", clip="4x16x16", hop=1))
    assert len(axes.get_yticks()) == 12 + 2
    assert axes.get_title(loc="left").replace("\n", " ").endswith("the first 12 of 37 clips")
    assert len(axes.figure.axes) == 1 + 40


@pytest.mark.parametrize("kind", ["one.mp4", "open_gop.mp4", "vp9.webm", "prores_alpha.mov", "odd.mp4"])
def test_videos_of_every_kind_can_be_drawn(tmp_path, kind):
    axes = drawn(count_video(make(tmp_path, kind), "toy_3d_cnn", clip="4x16x16", views=2))
    axes.figure.draw_without_rendering()


def test_a_turned_video_is_drawn_upright(tmp_path):
    path = write_video(tmp_path / "turned.mp4", 8, rotation=90)
    axes = drawn(count_video(path, "toy_3d_cnn", clip="4x16x16", views=1))
    assert axes.figure.axes[1].images[0].get_array().shape == (64, 48, 3)


@pytest.mark.parametrize(("suffix", "begin"), [("png", rb"\x89PNG"), ("svg", rb"<\?xml"), ("pdf", rb"%PDF")])
def test_pictures_of_every_format(forty, tmp_path, suffix, begin):
    path = tmp_path / f"frames.{suffix}"
    result = run(forty, "--model", "toy_3d_cnn", "--clip", "4x16x16", "--views", "2x1", "--plot", path)
    assert result.exit_code == 0
    assert f"wrote {path}" in result.stderr
    assert re.match(begin, path.read_bytes())


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("frames.txt", (), "no picture format named 'txt'"),
        ("none/frames.png", (), "frames.png"),
        ("frames.png", ("again",), "--plot is of one video, and several are named"),
        ("frames.png", ("--resize", "short=8"), "is resized to too little"),
        ("frames.png", ("--flow", "tvl1"), "takes no optical flow"),
    ],
)
def test_where_a_picture_is_refused_nothing_is_written(forty, tmp_path, name, more, message):
    more = [forty if word == "again" else word for word in more]
    result = run(forty, *more, "--model", "toy_3d_cnn", "--clip", "4x16x16", "--plot", tmp_path / name)
    assert result.exit_code == 2
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_picture_without_a_network_is_refused(forty, tmp_path):
    result = run(forty, "--plot", tmp_path / "frames.png")
    assert result.exit_code == 2
    assert "--plot says how a network looks at a video, and none is named" in result.stderr
    assert list(tmp_path.iterdir()) == []
