"""`flopcount video` on files and folders: a row each and a total; a bad file is named, and the others are counted."""

import csv
import json
import shutil

import pytest
from typer.testing import CliRunner
from videos import copied, example, make

from flopcount import count_model
from flopcount.cli import app
from flopcount.core.errors import InputError
from flopcount.pipelines.video.folder import SUFFIXES, is_folder, video_paths

C3D = 38_548_959_232  # MACs of a clip of 16×112×112


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two videos, one of them deeper, with 20 and 30 frames; a bad one between them; and a text."""
    base = tmp_path_factory.mktemp("videos")
    (base / "deep").mkdir()
    example(base / "a.mp4", 20)
    (base / "b.mp4").write_bytes(b"")
    make(base / "deep", "vp9.webm")
    (base / "notes.txt").write_text("no video")
    return base


@pytest.fixture
def good(folder):
    return folder / "a.mp4", folder / "deep" / "vp9.webm"


def run(*words):
    return CliRunner().invoke(app, ["video", *map(str, words)], catch_exceptions=False, env={"COLUMNS": "1000"})


def rows(*words):
    return list(csv.DictReader(run(*words, "--format", "csv").stdout.splitlines()))


def test_a_folder_is_walked_in_the_order_of_its_names(folder):
    assert video_paths([folder]) == [folder / "a.mp4", folder / "b.mp4", folder / "deep" / "vp9.webm"]
    assert video_paths([folder, folder / "a.mp4"]) == video_paths([folder])  # none twice
    assert video_paths([folder / "notes.txt", folder / "a.mp4"]) == [folder / "notes.txt", folder / "a.mp4"]


def test_names_of_videos_may_be_capitals(tmp_path):
    (tmp_path / "CLIP.MP4").write_bytes(b"")
    (tmp_path / "clip.txt").write_bytes(b"")
    (tmp_path / "._CLIP.MP4").write_bytes(b"")  # what a Mac leaves beside it
    assert video_paths([tmp_path]) == [tmp_path / "CLIP.MP4"]
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in SUFFIXES)


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    """Root may read every folder, so what the system would say of others is said here."""

    def walk(folder, onerror):
        onerror(PermissionError(13, "Permission denied", str(folder)))
        return iter(())

    monkeypatch.setattr("flopcount.pipelines.video.folder.os.walk", walk)
    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        video_paths([tmp_path])


def test_what_cannot_be_looked_at_is_no_folder(tmp_path, monkeypatch):
    assert is_folder(tmp_path)
    assert not is_folder(tmp_path / ("x" * 300))

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.is_dir", refuse)
    assert not is_folder(tmp_path)


def test_one_file_is_told_in_full(good):
    result = run(good[0])
    assert result.exit_code == 0
    for words in ("mp4, h264 (yuv420p)", "64×48", "25", "800 ms", "key frames"):
        assert words in result.stdout
    found = {row["what"]: row["amount"] for row in rows(good[0])}
    assert found["frames"] == "20"
    assert found["key frames"] == "2"
    assert found["longest way from a key frame to the next"] == "10 frames"
    assert found["file"] == str(good[0].stat().st_size)
    assert found["the same as uint8, three colours"] == str(20 * 3 * 48 * 64)


def test_a_video_whose_only_key_frame_was_cut_away_still_has_a_way_to_it(tmp_path):
    """An edit leaves 25 of 30 frames; what they need from the key frame on is stored before them."""
    options = {"use_editlist": "1", "avoid_negative_ts": "disabled"}
    path = copied(make(tmp_path, "long_gop.mp4"), tmp_path / "edited.mp4", earlier=5, options=options)
    found = {row["what"]: row["amount"] for row in rows(path)}
    assert (found["frames"], found["key frames"]) == ("25", "0")
    assert found["longest way from a key frame to the next"] == "30 frames"
    words = ("--model", "toy_3d_cnn", "--clip", "4x16x16", "--plot", tmp_path / "frames.png")
    assert run(path, *words).exit_code == 0


def test_files_are_a_row_each_and_sum(good):
    first, second = found = rows(*good)
    assert [row["file"] for row in found] == [str(path) for path in good]
    assert [row["codec"] for row in found] == ["h264", "vp9"]
    assert (first["frames"], second["frames"]) == ("20", "30")
    assert (first["bytes"], second["bytes"]) == tuple(str(path.stat().st_size) for path in good)
    table = run(*good).stdout
    (total,) = [line for line in table.splitlines() if line.startswith("total")]
    assert total.split()[1:3] == ["2.00", "s"]
    assert "50" in total.split()


def test_a_bad_file_is_named_and_the_others_are_counted(folder):
    result = run(folder)
    assert result.exit_code == 1
    assert f"{folder / 'b.mp4'} is empty: it has 0 bytes" in result.stdout
    assert "1 of 3 files could not be read, and are in no sum" in result.stdout
    counted = run(folder, "--model", "c3d", "--views", "2x1")
    assert counted.exit_code == 1
    assert "1 of 3 files could not be counted, and are in no sum" in counted.stdout
    assert "Traceback" not in result.stderr + counted.stderr


def test_several_files_that_are_good_exit_with_0(good):
    assert run(*good).exit_code == 0
    assert run(*good, "--model", "c3d").exit_code == 0


def test_csv_of_jobs_has_exact_numbers(folder, good):
    """Two clips of 16 of 20 frames begin at 0 and 4, so all 20 are decoded; of 30, at 0 and 14, all 30."""
    first, bad, second = rows(folder, "--model", "c3d", "--views", "2x1")
    assert (first["file"], second["file"]) == tuple(map(str, good))
    for row, frames in ((first, 20), (second, 30)):
        assert (int(row["MACs"]), int(row["views"]), int(row["frames"])) == (2 * C3D, 2, frames)
        assert int(row["decoded"]) == frames
    middle, _, _ = rows(folder, "--model", "c3d", "--views", "1x1")
    assert middle["decoded"] == "18"  # 2 to 17, and the two before them from the key frame on
    assert "is empty" in bad["problem"]
    assert bad["MACs"] == ""


def test_the_total_is_that_of_the_files_and_an_hour_of_them(good):
    """Four views of 0.8 s and 1.2 s of video."""
    notes = run(*good, "--model", "c3d", "--views", "2x1").stdout
    assert "total: 154 GMACs = 308 GFLOPs" in notes
    assert "; 2.00 s of video" in notes
    assert "per hour of video: 278 TMACs = 555 TFLOPs" in notes  # 154.2 · 1800


def test_json_of_files(folder):
    told = json.loads(run(folder, "--model", "c3d", "--views", "2x1", "--format", "json").stdout)
    first, bad, second = told["files"]
    assert set(bad) == {"file", "problem"}
    assert first["job"]["total"]["macs"] == second["job"]["total"]["macs"] == 2 * C3D
    assert (told["total"]["files"], told["total"]["seconds"], told["total"]["macs"]) == (2, 2.0, 4 * C3D)
    stored = json.loads(run(folder, "--format", "json").stdout)
    assert stored["model"] is None
    assert [file.get("video", {}).get("frames") for file in stored["files"]] == [20, None, 30]


def test_a_network_is_counted_once_for_all_files(good, monkeypatch):
    from flopcount.pipelines.video import video_job

    counted, count = [], video_job.count_named
    monkeypatch.setattr(
        video_job, "count_named", lambda spec, *a, **k: counted.append(spec.name) or count(spec, *a, **k)
    )
    run(*good, "--model", "c3d", "--views", "2x1")
    assert counted == ["c3d"]


def test_files_that_can_be_read_and_not_counted_are_named_too(good):
    result = run(*good, "--model", "c3d", "--views", 1, "--resize", "short=100")  # of crops of 112
    assert result.exit_code == 1
    assert "2 of 2 files could not be counted" in result.stdout
    assert result.stdout.count("is resized to too little") == 2


def test_several_files_on_a_device_have_their_time_and_money(good):
    result = run(*good, "--model", "c3d", "--views", "2x1", "--on", "t4", "--price", "0.36")
    assert result.exit_code == 0
    assert "× real time; " in result.stdout
    assert "% of it is decoding" in result.stdout
    assert "USD per hour of video, if the device waits while frames are decoded" in result.stdout
    for codec in ("h264", "vp9"):
        assert f"published rates of {codec} on CPUs" in result.stdout


def test_a_codec_without_rates_among_others_leaves_the_time_open(folder, tmp_path):
    shutil.copy(folder / "a.mp4", tmp_path)
    make(tmp_path, "prores.mov")
    result = run(tmp_path, "--model", "c3d", "--views", 1, "--on", "t4")
    assert "of some files nobody published how fast they are decoded" in result.stdout
    assert "real time" not in result.stdout
    measured = run(tmp_path, "--model", "c3d", "--views", 1, "--on", "t4", "--measure-decode")
    assert "measured here, once, to RGB" in measured.stdout
    assert "real time" in measured.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "no video file is named"),
        (("a.mp4", "--hop", "3"), "--hop says how a network looks at a video, and none is named"),
        (("a.mp4", "--clip", "4x32x32"), "none is named with --model"),
        (("a.mp4", "--on", "t4"), "--on says how a network looks at a video, and none is named"),
        (("a.mp4", "--model", "c3d", "--input", "1x3x8x8"), "--input"),
        (("a.mp4", "b.mp4", "--model", "c3d", "--on", "t4,rtx-4090"), "several files are counted on one device"),
        (("a.mp4", "--model", "c3d", "--views", "0x3"), "views"),
        (("a.mp4", "--model", "c3d", "--hop", "0"), "hop is 0"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_anything_is_read(words, message):
    result = run(*words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_a_file_without_a_decode_rate_leaves_the_time_and_money_of_the_stages(tmp_path, monkeypatch):
    """Nobody published how fast MJPEG is decoded: its decoding is in no sum, and the sum says that it is of stages."""
    monkeypatch.chdir(tmp_path)
    example(tmp_path / "a.mp4", 30)
    make(tmp_path, "intra.avi")
    words = ("video", "a.mp4", "intra.avi", "--model", "c3d", "--views", "1x1", "--on", "t4")
    table = CliRunner().invoke(app, [*words, "--price", "0.35"]).stdout
    assert "of the stages alone, without decoding" in table
    assert "for the stages alone" in table
    total = json.loads(CliRunner().invoke(app, [*words, "--price", "0.35", "--format", "json"]).stdout)["total"]
    assert total["cost"]["decode_seconds"] is total["cost"]["seconds"] is None
    assert total["cost"]["money"] == pytest.approx(total["cost"]["stages_seconds"] / 3600 * 0.35)


def test_weights_count_once_for_all_files(tmp_path):
    paths = [str(example(tmp_path / name, 30)) for name in ("a.mp4", "b.mp4")]
    words = ("video", *paths, "--model", "c3d", "--views", "1x1", "--format", "json")
    total = json.loads(CliRunner().invoke(app, words).stdout)["total"]
    whole = count_model("c3d")
    assert (total["params"], total["trainable_params"]) == (whole.params, whole.total["trainable_params"])
    assert total["macs"] == 2 * whole.macs
