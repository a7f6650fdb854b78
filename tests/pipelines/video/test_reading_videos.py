"""What is in a video file, by hand, for every kind of file; and frames in the order in which they are shown."""

from fractions import Fraction

import av
import pytest
from videos import KINDS, OnlyWrites, copied, decoded_in_full, example, listed, make, pixels_of, write_video

from flopcount.pipelines.video.decoded import decoded
from flopcount.pipelines.video.decoding import Stretch, decoding
from flopcount.pipelines.video.hidden_frames import hides
from flopcount.pipelines.video.reading import read_video

EVERY_10, EVERY = (0, 10, 20), tuple(range(30))
FILES = {  # kind -> container, codec, key frames
    "plain.mp4": ("mp4", "h264", EVERY_10),
    "b_frames.mp4": ("mp4", "h264", EVERY_10),
    "b_frames.mkv": ("matroska", "h264", EVERY_10),
    "b_frames.ts": ("mpegts", "h264", EVERY_10),
    "b_frames.mov": ("mov", "h264", EVERY_10),
    "open_gop.mp4": ("mp4", "h264", EVERY_10),
    "open_gop.mkv": ("matroska", "h264", EVERY_10),
    "open_gop.ts": ("mpegts", "h264", EVERY_10),
    "long_gop.mp4": ("mp4", "h264", (0,)),
    "intra.avi": ("avi", "mjpeg", EVERY),
    "intra.mov": ("mov", "mjpeg", EVERY),
    "mpeg4_plain.avi": ("avi", "mpeg4", EVERY_10),
    "vp8.webm": ("webm", "vp8", EVERY_10),
    "vp9.webm": ("webm", "vp9", EVERY_10),
    "vp9.mp4": ("mp4", "vp9", EVERY_10),
    "hevc.mp4": ("mp4", "hevc", EVERY_10),
    "hevc_open.mkv": ("matroska", "hevc", EVERY_10),
    "av1.mp4": ("mp4", "av1", EVERY_10),
    "ffv1.mkv": ("matroska", "ffv1", EVERY_10),
    "prores.mov": ("mov", "prores", EVERY),
    "qtrle_alpha.mov": ("mov", "qtrle", EVERY_10),
    "png_alpha.mov": ("mov", "png", EVERY),
    "raw.h264": ("h264", "h264", EVERY_10),
}


@pytest.mark.parametrize("kind", FILES)
def test_what_is_in_a_file(tmp_path, kind):
    path = make(tmp_path, kind)
    video = read_video(path)
    assert (video.container, video.codec, video.keys) == FILES[kind]
    height = 64 if video.codec == "hevc" else 48
    assert (video.width, video.height, video.rotation) == (64, height, 0)
    assert (video.frames, video.duration, video.fps) == (30, Fraction(6, 5), 25)
    assert video.times == tuple(Fraction(k, 25) for k in range(30))
    assert not video.varies
    assert video.nbytes == path.stat().st_size >= video.packet_bytes > 0
    assert video.raw_bytes == 30 * 3 * height * 64


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith(("qtrle", "raw_b"))])
def test_key_frames_are_those_that_a_decoder_shows(tmp_path, kind):
    """But of QuickTime's animations, whose decoder does not say which they are."""
    shown = decoded_in_full(make(tmp_path, kind))
    video = read_video(tmp_path / kind)
    assert video.frames == len(shown)
    assert video.keys == tuple(number for number, frame in enumerate(shown) if frame.key_frame)


@pytest.mark.parametrize(
    ("kind", "pixels"),
    [("vp9_alpha.webm", "yuv420p"), ("qtrle_alpha.mov", "argb"), ("png_alpha.mov", "rgba"), ("prores_alpha.mov", None)],
)
def test_alpha_is_seen_in_the_format_and_in_the_tags_of_webm(tmp_path, kind, pixels):
    video = read_video(make(tmp_path, kind))
    assert video.alpha
    assert video.pixel_format == (pixels or video.pixel_format)
    assert not read_video(make(tmp_path, "vp9.webm")).alpha
    assert video.raw_bytes == 30 * 3 * 48 * 64  # three colours, for networks see no more


def test_odd_sizes_stay_odd(tmp_path):
    video = read_video(make(tmp_path, "odd.mp4"))
    assert (video.width, video.height, video.pixel_format) == (63, 47, "yuv444p")
    assert video.raw_bytes == 30 * 3 * 47 * 63


@pytest.mark.parametrize(("turn", "rotation", "size"), [(90, 90, (48, 64)), (-90, 270, (48, 64)), (180, 180, (64, 48))])
def test_a_turned_video_is_as_wide_as_players_show_it(tmp_path, turn, rotation, size):
    video = read_video(write_video(tmp_path / "turned.mp4", 3, rotation=turn))
    assert (video.rotation, (video.width, video.height)) == (rotation, size)


@pytest.mark.parametrize("name", ["varies.mp4", "varies.mkv"])
def test_a_variable_rate_is_told_by_the_times(tmp_path, name):
    times = [0, 40, 100, 200, 240, 1000]
    video = read_video(write_video(tmp_path / name, 6, times=times, unit=Fraction(1, 1000)))
    assert video.times == tuple(Fraction(time, 1000) for time in times)
    assert video.varies
    assert video.duration > 1  # the last frame is shown for a while, which no file of them says
    assert video.fps == 6 / video.duration


@pytest.mark.parametrize("name", ["rate.mp4", "rate.mkv"])
def test_a_container_of_coarse_times_does_not_make_a_rate_vary(tmp_path, name):
    """Matroska has milliseconds, of which a frame at 30000/1001 per second lasts 33.37."""
    video = read_video(make(tmp_path, name))
    assert not video.varies
    assert float(video.fps) == pytest.approx(30000 / 1001, rel=1e-3)


@pytest.mark.parametrize(("name", "codec"), [("pipe.mkv", "libx264"), ("pipe.webm", "libvpx")])
def test_a_container_without_its_length_is_as_long_as_its_frames(tmp_path, name, codec):
    form = {"pipe.mkv": "matroska", "pipe.webm": "webm"}[name]
    write_video(OnlyWrites(tmp_path / name), codec=codec, form=form)
    with av.open(str(tmp_path / name)) as container:
        assert container.duration is None
    video = read_video(tmp_path / name)
    assert (video.frames, video.duration, video.fps) == (30, Fraction(6, 5), 25)


def test_frames_without_times_are_taken_in_the_order_that_is_known(tmp_path):
    plain, reordered = read_video(make(tmp_path, "raw.h264")), read_video(make(tmp_path, "raw_b_frames.h264"))
    assert plain.places == tuple(range(30))
    assert [note[:28] for note in plain.notes] == ["its frames have no times: th"]
    assert [note[:67] for note in reordered.notes] == [
        "its frames have no times: they are taken in the order that they tel"
    ]


@pytest.mark.parametrize("kind", ["one.mp4", "one.mkv"])
def test_a_video_of_one_frame(tmp_path, kind):
    video = read_video(make(tmp_path, kind))
    assert (video.frames, video.keys, video.duration, video.fps) == (1, (0,), Fraction(1, 25), 25)
    assert not video.varies


def test_b_frames_are_stored_after_a_frame_that_is_shown_after_them(tmp_path):
    """Of I0 b1 b2 P3: the decoder gets I0 P3 and then the two between them, in the way of x264 with no pyramid."""
    options = {"g": "4", "bf": "2", "x264-params": "scenecut=0:b-adapt=0:b-pyramid=none"}
    video = read_video(write_video(tmp_path / "b.mp4", 4, options=options))
    assert video.places == (0, 2, 3, 1)


def test_avi_with_b_frames_is_sorted_by_the_kinds_of_its_frames(tmp_path):
    """AVI stores no times of showing; the order of MPEG-4 is in its pictures, and mp4 says it too."""
    options = {"g": "10", "bf": "2", "sc_threshold": "1000000000"}
    avi, mp4 = (
        read_video(write_video(tmp_path / f"b.{suffix}", codec="mpeg4", options=options)) for suffix in ("avi", "mp4")
    )
    assert avi.places == mp4.places != tuple(range(30))


def test_frames_that_are_never_shown_are_decoded_and_no_frames_of_the_video(tmp_path):
    """VP8 keeps whether a frame is shown in bit 4 of its first byte; here frame 15 is made a hidden one."""

    def hide(number, data):
        return bytes([data[0] & 0xEF]) + data[1:] if number == 15 else data

    copied(make(tmp_path, "vp8.webm"), tmp_path / "hidden.webm", change=hide)
    video = read_video(tmp_path / "hidden.webm")
    assert len(video.packets) == 30
    assert video.places == (*range(15), *range(16, 30))
    assert video.notes == ("1 frame is decoded and never shown",)
    assert len(decoded_in_full(tmp_path / "hidden.webm")) == 29


def test_frames_that_an_edit_cuts_away_are_decoded_and_not_shown(tmp_path):
    """The first five of thirty; the others begin at 0 s, and the first key frame of them is the sixth."""
    options = {"use_editlist": "1", "avoid_negative_ts": "disabled"}
    path = copied(make(tmp_path, "plain.mp4"), tmp_path / "edited.mp4", earlier=5, options=options)
    video = read_video(path)
    assert video.frames == len(decoded_in_full(path)) == 25
    assert len(video.packets) == 30
    assert (video.times[0], video.duration, video.keys) == (0, 1, (5, 15))
    assert video.notes == ("5 frames are decoded and never shown",)
    assert decoding(video, [0]).stretches == (Stretch(0, 5),)


@pytest.mark.parametrize(
    ("kind", "suffix"), [("open_gop.mp4", "mp4"), ("open_gop.mkv", "mkv"), ("hevc_open.mkv", "mkv")]
)
def test_frames_that_lead_the_first_key_frame_cannot_be_decoded(tmp_path, kind, suffix):
    """A copy from frame 11 in the order of the file on: it begins within an open group."""
    path = copied(make(tmp_path, kind), tmp_path / f"late.{suffix}", skip=11)
    video, shown = read_video(path), decoded_in_full(path)
    assert video.frames == len(shown) == 10
    assert video.keys == (0,)
    assert video.notes == ("9 frames stand before the first key frame, and cannot be decoded",)
    assert [pixels_of(frame) for _, frame in sorted(decoded(video, decoding(video, [0, 9])))] == [
        pixels_of(shown[0]),
        pixels_of(shown[9]),
    ]


def test_mpeg2_that_begins_with_an_open_group_has_no_leading_frames(tmp_path):
    """A broadcast from its tenth frame on: two of the order I B B before it stand before the key frame."""
    path = copied(make(tmp_path, "mpeg2.ts"), tmp_path / "late.ts", skip=10)
    video = read_video(path)
    assert video.frames == len(decoded_in_full(path)) == len(video.packets) - 2
    assert any("2 frames stand before the first key frame" in note for note in video.notes)


def test_frames_of_vp8_that_are_only_referred_to_say_so():
    vp8 = hides("vp8")
    assert [vp8(data) for data in (b"\x10", b"\x00", b"")] == [False, True, False]
    assert hides("h264") is None


def test_a_matroska_in_which_some_frames_lack_times_says_how_they_are_taken(tmp_path):
    path = tmp_path / "some.mkv"
    copied(make(tmp_path, "b_frames.mp4"), path, earlier=5, options={"avoid_negative_ts": "disabled"})
    assert any("it has B-frames: they are taken as they are stored" in note for note in read_video(path).notes)


def test_a_frame_at_a_time_is_the_one_that_is_on():
    video = listed([0, 40, 100, 1000], unit=Fraction(1, 1000), lasting=40)
    at = {seconds: video.frame_at(Fraction(seconds)) for seconds in ("0", "0.039", "0.04", "0.999", "1", "77")}
    assert list(at.values()) == [0, 0, 1, 2, 3, 3]
    assert video.duration == Fraction(104, 100)
    assert video.varies


def test_the_first_frame_begins_the_video_whatever_its_time():
    late = listed([500, 501, 502])
    assert late.times == (0, Fraction(1, 25), Fraction(2, 25))
    assert late.duration == Fraction(3, 25)


def test_a_video_beside_sound_is_its_first_stream(tmp_path):
    path = tmp_path / "both.mkv"
    with av.open(str(example(tmp_path / "video.mp4", 12))) as video, av.open(str(path), "w") as both:
        sound = both.add_stream("aac", rate=16000, layout="mono")
        copy = both.add_stream_from_template(video.streams.video[0])
        for packet in video.demux(video.streams.video[0]):
            if packet.size:
                packet.stream = copy
                both.mux(packet)
        both.mux(sound.encode(None))
    assert read_video(path).frames == 12
