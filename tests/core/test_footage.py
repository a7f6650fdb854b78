"""A clip as data: the lecture's arithmetic, written out."""

import json
import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flopcount import Clip, InputError
from flopcount.core.footage import Footage, parse_frame_size

LECTURE = Clip(16, 112, 112)


def amounts(footage):
    """What is in the table, by name."""
    return {what: amount for what, amount, _ in footage.table().rows}


def test_the_lectures_numbers():
    # 3·16·112·112 bytes and four times as many; 16 / 5 s; 6 frames of 30 fps for each of 5 fps; 3·W·H·30·60 bytes
    assert amounts(Footage(LECTURE, fps=5, video_fps=30)) == {
        "bytes as uint8": 602_112,
        "bytes as float32": 2_408_448,
        "seconds at 5 fps": 3.2,
        "frames of a 30 fps video": 96,
        "bytes of a raw minute, 640×480": 1_658_880_000,
        "bytes of a raw minute, 1920×1080": 11_197_440_000,
    }


def test_what_is_not_given_is_left_out():
    assert list(amounts(Footage(LECTURE, raw=()))) == ["bytes as uint8", "bytes as float32"]
    data = Footage(LECTURE).data()
    assert (data["fps"], data["seconds"], data["video"]) == (None, None, None)
    assert "fps" not in str(Footage(LECTURE, raw=()).table())


def test_a_stride_spreads_the_clip():
    # every 2nd frame of 10 fps is 5 fps: every 6th frame of 30
    assert Footage(LECTURE, 10, 2, 30).data()["video"] == {"fps": 30, "frames": 96, "every": 6}
    assert Footage(LECTURE, 10, 2).span == Fraction(32, 10)
    assert "every 2nd frame" in Footage(LECTURE, 10, 2).table().title


def test_rates_that_do_not_divide():
    footage = Footage(LECTURE, 5, 1, 12)  # one in 12 / 5 frames
    assert footage.data()["video"] == {"fps": 12, "frames": 38.4, "every": 2.4}
    assert "16·2.4 = 38.4: one in 2.4 frames" in str(footage.table())
    assert Footage(LECTURE, 29.97, 1, 29.97).video_frames == 16  # exactly: 29.97 is 2997 / 100


@given(st.integers(1, 64), st.integers(1, 60), st.integers(1, 8), st.integers(1, 10))
def test_the_span_is_the_same_in_seconds_and_in_frames(frames, fps, stride, times):
    footage = Footage(Clip(frames, 8, 8), fps, stride, fps * times)
    assert footage.video_frames == footage.span * fps * times == frames * stride * times


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fps": 0}, "fps is 0"),
        ({"fps": float("nan")}, "fps is nan"),
        ({"fps": 5, "video_fps": float("inf")}, "of is inf"),
        ({"stride": 0}, "stride is 0"),
        ({"video_fps": 30}, "of a video of 30 fps nobody knows how many frames the clip skips"),
        ({"fps": 60, "video_fps": 30}, "a video of 30 fps does not have 60 frames a second"),
    ],
)
def test_what_makes_no_sense(wrong, message):
    with pytest.raises(InputError, match=message):
        Footage(LECTURE, **wrong)


def test_half_of_60_fps_is_in_a_video_of_30():
    assert Footage(LECTURE, 60, 2, 30).step == 1


def test_sizes():
    assert parse_frame_size("640x480") == parse_frame_size(" 640 × 480 ") == (640, 480)
    for text in ("640", "640x", "0x480", "axb", "1x2x3", ""):
        with pytest.raises(InputError, match="is not width x height"):
            parse_frame_size(text)


def test_the_json_has_what_the_table_has():
    footage = Footage(LECTURE, 5, 1, 30, ((10, 20),))
    data = json.loads(json.dumps(footage.data()))
    assert data["bytes"] == {"uint8": 602_112, "float32": 2_408_448}
    assert (data["clip"], data["seconds"]) == ("16x112x112", 3.2)
    assert data["raw_minute"] == [{"width": 10, "height": 20, "fps": 30, "bytes": 3 * 10 * 20 * 30 * 60}]


def test_it_needs_no_torch():
    code = "import sys; from flopcount.cli import app; app(['clip', '2x4x4'], standalone_mode=False)"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'torch' not in sys.modules"], check=True)
