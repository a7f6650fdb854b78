"""What is no whole video: one clear error that names the file, or the frames up to the cut; never a traceback."""

import os

import pytest
from typer.testing import CliRunner
from videos import audio, decoded_in_full, make, with_cover, write_video

from flopcount.cli import app
from flopcount.core.errors import InputError
from flopcount.pipelines.video.container import stored_packets
from flopcount.pipelines.video.decoded import decoded
from flopcount.pipelines.video.decoding import decoding
from flopcount.pipelines.video.reading import read_video


def cut(path, share):
    """The first part of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def written(path, data):
    path.write_bytes(data)
    return path


def of_no_codec(path):
    """Its pictures are said to be of a codec that there is not."""
    return written(path, path.read_bytes().replace(b"avc1", b"zzzz"))


BAD = {
    "missing": (lambda d: d / "none.mp4", "none.mp4 does not exist"),
    "zero_bytes": (lambda d: written(d / "zero.mp4", b""), "zero.mp4 is empty: it has 0 bytes"),
    "zeros": (lambda d: written(d / "zeros.mp4", bytes(5000)), "zeros.mp4 cannot be read as a video"),
    "text": (lambda d: written(d / "notes.txt", b"no video\n" * 99), "notes.txt has no video"),
    "text_called_mp4": (lambda d: written(d / "notes.mp4", b"no video\n" * 99), "notes.mp4 cannot be read as a video"),
    "subtitles": (
        lambda d: written(d / "a.srt", b"1\n00:00:01,000 --> 00:00:02,000\nhello\n"),
        "a.srt has no video",
    ),
    "audio": (lambda d: audio(d / "sound.m4a"), "sound.m4a has no video"),
    "audio_in_mkv": (lambda d: audio(d / "sound.mkv"), "sound.mkv has no video"),
    "audio_with_a_cover": (lambda d: with_cover(d / "song.m4a"), "song.m4a has no video"),
    "index_cut_off": (lambda d: cut(make(d, "plain.mp4"), 0.6), "plain.mp4 cannot be read as a video"),
    "no_whole_frame": (lambda d: cut(make(d, "intra.avi"), 0.3), "intra.avi cannot be decoded"),
    "no_codec": (lambda d: of_no_codec(make(d, "plain.mp4")), "a video of a codec that PyAV cannot decode"),
    "long_name": (lambda d: d / ("x" * 300), "cannot be read: File name too long"),
    "a_device": (lambda d: type(d)("/dev/null"), "/dev/null is no file"),
}


@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_video_is_refused_by_name_with_a_way_out(tmp_path, bad):
    make_it, message = BAD[bad]
    with pytest.raises(InputError) as caught:
        read_video(make_it(tmp_path))
    assert message in caught.value.message
    assert dict(caught.value.details)["fix"]


@pytest.mark.parametrize("bad", BAD)
def test_the_command_says_it_once_and_exits_with_2(tmp_path, bad):
    make_it, message = BAD[bad]
    for words in ([], ["--model", "toy_3d_cnn"]):
        result = CliRunner().invoke(app, ["video", str(make_it(tmp_path)), *words], env={"COLUMNS": "1000"})
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.count(message) == 1
        assert "fix" in result.stderr
        assert "Traceback" not in result.stderr


def test_a_folder_is_no_video_and_an_empty_one_has_none(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        read_video(tmp_path)
    result = CliRunner().invoke(app, ["video", str(tmp_path)], env={"COLUMNS": "1000"})
    assert result.exit_code == 2
    assert "has no video files" in result.stderr


def test_a_file_without_permission_is_refused_with_the_cure(tmp_path, monkeypatch):
    """Root may read everything, so what the system would say of others is said here."""
    path = make(tmp_path, "one.mp4")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.R_OK)
    with pytest.raises(InputError, match="cannot be read: no permission") as caught:
        read_video(path)
    assert dict(caught.value.details)["fix"] == f"chmod u+r {path}"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_the_system_too_refuses_a_file_without_permission(tmp_path):
    path = make(tmp_path, "one.mp4")
    path.chmod(0)
    with pytest.raises(InputError, match="no permission"):
        read_video(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("http://localhost:1/clip.mp4", "is an address, and nothing is downloaded"),
        ("", "a video file has an empty name"),
    ],
)
def test_names_of_no_file(name, message):
    result = CliRunner().invoke(app, ["video", name], env={"COLUMNS": "1000"})
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_a_link_to_nothing_and_a_name_like_another_are_told(tmp_path):
    make(tmp_path, "one.mp4")
    (tmp_path / "link.mkv").symlink_to(tmp_path / "gone.mkv")
    with pytest.raises(InputError, match=r"is a link to .*gone\.mkv, which does not exist"):
        read_video(tmp_path / "link.mkv")
    with pytest.raises(InputError) as caught:
        read_video(tmp_path / "onw.mp4")
    assert dict(caught.value.details)["near"] == str(tmp_path / "one.mp4")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize(
    "kind", ["b_frames.mkv", "open_gop.mkv", "b_frames.ts", "mpeg2.mpg", "raw.h264", "vp9.webm", "ffv1.mkv"]
)
def test_a_stream_that_was_cut_is_counted_up_to_the_cut(tmp_path, kind, share):
    """What a player shows of it is what is counted, and all of it can be decoded."""
    shown = decoded_in_full(cut(make(tmp_path, kind), share))
    video = read_video(tmp_path / kind)
    assert 0 < video.frames == len(shown) <= 30
    assert len(list(decoded(video, decoding(video, range(video.frames))))) == video.frames


@pytest.mark.parametrize("share", [0.6, 0.9])
def test_a_file_whose_index_says_more_than_it_has_was_cut(tmp_path, share):
    """With the index at its beginning, as the web has them, the rest can be read."""
    path = write_video(tmp_path / "web.mp4", options={"g": "10"}, container_options={"movflags": "faststart"})
    video = read_video(cut(path, share))
    assert video.notes[0] == f"its header has 30 frames, the file only {video.frames}: it was cut"
    assert 0 < video.frames - len(decoded_in_full(path)) <= 1  # the frame at the cut is there in part
    result = CliRunner().invoke(app, ["video", str(path)], env={"COLUMNS": "1000"})
    assert result.exit_code == 0
    assert "it was cut" in result.stdout


def test_a_frame_that_cannot_be_decoded_is_named(tmp_path):
    path = write_video(tmp_path / "web.mp4", options={"g": "10"}, container_options={"movflags": "faststart"})
    video = read_video(cut(path, 0.6))
    last = video.frames - 1
    with pytest.raises(InputError, match=r"1 frames of .* cannot be decoded") as caught:
        list(decoded(video, decoding(video, [0, last])))
    assert dict(caught.value.details)["seen"] == f"frame {last}"


def test_frames_before_the_first_key_frame_are_no_frames_of_the_video(tmp_path):
    """A broadcast that was joined late: its first whole stretch begins at the next key frame."""
    path = make(tmp_path, "b_frames.ts")
    path.write_bytes(path.read_bytes()[188 * 10 :])  # packets of 188 bytes
    video = read_video(path)
    shown = decoded_in_full(path)
    assert video.frames == len(shown) == 20
    assert video.keys == (0, 10)
    assert any("stand before the first key frame, and cannot be decoded" in note for note in video.notes)


def test_packets_before_a_header_that_a_decoder_refuses_are_skipped(tmp_path):
    """H.264 in a transport stream that was joined late: what its frames mean comes with the next key frame."""
    path = make(tmp_path, "open_gop.ts")
    path.write_bytes(path.read_bytes()[188 * 20 :])
    video, shown = read_video(path), decoded_in_full(path)
    assert 0 < video.frames == len(shown) < 30
    assert video.keys[0] == 0
    assert len(list(decoded(video, decoding(video, range(video.frames))))) == video.frames


def test_a_stream_that_begins_within_the_file_is_refused_with_a_way_out():
    """PyAV looks for it among those that it saw first."""

    class Container:
        def demux(self, stream):
            yield type("Packet", (), {"size": 1})
            raise IndexError("list index out of range")

    with pytest.raises(InputError, match=r"broadcast\.ts cannot be read as a video") as caught:
        list(stored_packets(Container(), None, "broadcast.ts"))
    assert "-map 0:v:0" in dict(caught.value.details)["fix"]


def test_without_pyav_one_is_told_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="PyAV, which is not installed") as caught:
        read_video(tmp_path / "any.mp4")
    assert "extra [video]" in dict(caught.value.details)["fix"]
