"""Which frames clips take, by hand and by laws."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from videos import listed

from flopcount.core.errors import InputError
from flopcount.pipelines.video.needs import Needs
from flopcount.pipelines.video.plan import plan
from flopcount.pipelines.video.resize import Resize
from flopcount.pipelines.video.sampling import SEGMENTS, Sampling


def of(frames):
    return listed(range(frames), keys=tuple(range(0, frames, 12)))


def test_one_clip_stands_in_the_middle():
    """4 frames, every second one, span 7 of 20: 13 are left, 6 of them before."""
    assert Sampling(4, 2).clips_of(of(20)) == ((6, 8, 10, 12),)


def test_clips_spread_from_the_first_place_to_the_last():
    """The last that fits begins at 13; the middle one of three at 13 · 1 / 2, rounded down."""
    assert Sampling(4, 2, 3).clips_of(of(20)) == ((0, 2, 4, 6), (6, 8, 10, 12), (13, 15, 17, 19))
    assert Sampling(4, 2, 2).begins(of(20)) == (0, 13)
    assert Sampling(32, 2, 10).begins(of(300)) == (0, 26, 52, 79, 105, 131, 158, 184, 210, 237)  # 237 · k / 9


def test_a_hop_begins_a_clip_as_long_as_one_fits():
    sampling = Sampling(4, 2, None, 5)
    assert sampling.clips_of(of(20)) == ((0, 2, 4, 6), (5, 7, 9, 11), (10, 12, 14, 16))
    assert sampling.unused(of(20)) == 3  # 17, 18 and 19
    assert sampling.unused(of(17)) == 0
    assert Sampling(4, 2, 3).unused(of(20)) == 0  # a spread reaches the end


def test_segments_give_their_middles():
    """TSN: 25 frames in 3 parts of 8 1/3, whose middles lie at 4 1/6, 12 1/2 and 20 5/6."""
    assert Sampling(3, way=SEGMENTS).clips_of(of(25)) == ((4, 12, 20),)
    assert Sampling(8, way=SEGMENTS).clips_of(of(8)) == (tuple(range(8)),)


def test_clips_of_segments_share_each_part():
    """Of two clips the first takes a quarter of each part of 10, the second three quarters."""
    assert Sampling(2, clips=2, way=SEGMENTS).clips_of(of(20)) == ((2, 12), (7, 17))


def test_neighbours_follow_the_frame_of_their_segment():
    """TDN: of 40 frames 36 can begin five neighbours; two parts of 18 have their middles at 9 and 27."""
    sampling = Sampling(10, way=SEGMENTS, neighbours=5)
    assert sampling.clips_of(of(40)) == ((9, 10, 11, 12, 13, 27, 28, 29, 30, 31),)


def test_a_short_video_repeats_its_last_frame():
    assert Sampling(4, 2).clips_of(of(4)) == ((0, 2, 3, 3),)
    assert Sampling(4, 2, 2).clips_of(of(4)) == ((0, 2, 3, 3), (0, 2, 3, 3))
    assert Sampling(4, 2, None, 5).clips_of(of(4)) == ((0, 2, 3, 3),)
    assert Sampling(4, way=SEGMENTS).clips_of(of(2)) == ((0, 0, 1, 1),)
    assert Sampling(10, way=SEGMENTS, neighbours=5).clips_of(of(3)) == ((0, 1, 2, 2, 2, 0, 1, 2, 2, 2),)
    assert Sampling(3).clips_of(of(1)) == ((0, 0, 0),)


def test_what_repeats_is_what_is_shorter_than_a_clip():
    assert [Sampling(4, 2).repeats(of(frames)) for frames in (6, 7)] == [True, False]
    assert [Sampling(4, way=SEGMENTS).repeats(of(frames)) for frames in (3, 4)] == [True, False]
    assert [Sampling(1, after=10).repeats(of(frames)) for frames in (10, 11)] == [True, False]
    assert Sampling(4, 2, None, 1).unused(of(6)) == 0


def test_another_rate_shows_at_each_time_the_frame_that_is_on():
    """25 per second at 10: frames at 0, 0.1, 0.2 .. 0.9 s are 0, 2 (from 0.08), 5, 7, 10, 12, 15, 17, 20 and 22."""
    sampling = Sampling(10, fps=Fraction(10))
    assert sampling.length(of(25)) == 10
    assert sampling.clips_of(of(25)) == ((0, 2, 5, 7, 10, 12, 15, 17, 20, 22),)
    assert Sampling(3, 2, fps=Fraction(10)).clips_of(of(25)) == ((5, 10, 15),)


def test_another_rate_of_a_video_whose_rate_varies():
    """Frames at 0, 0.04, 0.1 and 0.9 s until 1 s, ten times a second: the third one stands for 0.1 to 0.8 s."""
    video = listed([0, 40, 100, 900], unit=Fraction(1, 1000), lasting=100)
    assert Sampling(10, fps=Fraction(10)).clips_of(video) == ((0, 2, 2, 2, 2, 2, 2, 2, 2, 3),)


def test_a_higher_rate_shows_frames_again():
    assert Sampling(6, fps=Fraction(50)).clips_of(of(3)) == ((0, 0, 1, 1, 2, 2),)


def test_a_video_shorter_than_a_frame_of_the_new_rate_has_one():
    assert Sampling(2, fps=Fraction(1, 10)).clips_of(of(25)) == ((0, 0),)


def test_pairs_of_a_stack_of_flow():
    """Two-stream: ten fields beside each frame, between it and the ten frames after it; 9 are left before."""
    sampling = Sampling(1, after=10)
    assert sampling.clips_of(of(30)) == ((9,),)
    assert sampling.pairs_of(of(30)) == {(k, k + 1) for k in range(9, 19)}
    both = Sampling(1, clips=25, after=10)  # which overlap: 19 places, 20 fields that begin at 0 .. 28
    assert both.begins(of(30))[-1] == 19
    assert both.pairs_of(of(30)) == {(k, k + 1) for k in range(29)}


def test_pairs_of_a_clip_of_flow():
    """I3D: a field from each frame of a clip to the next, so the clip ends one frame before the video may."""
    sampling = Sampling(4, after=1)
    assert sampling.clips_of(of(5)) == ((0, 1, 2, 3),)
    assert sampling.pairs_of(of(5)) == {(0, 1), (1, 2), (2, 3), (3, 4)}
    assert Sampling(3, 2, after=1).pairs_of(of(6)) == {(0, 1), (2, 3), (4, 5)}


def test_frames_of_pairs_are_decoded_too():
    needs = Needs(1, 48, 64, flows=10, beside=10)
    made = plan(of(30), needs, Sampling(1, after=10), 1, Resize())
    assert made.clips == ((9,),)
    assert made.pairs == 10
    assert made.decoding.wanted == tuple(range(9, 20))
    assert made.decoding.frames == 20  # 0 .. 11 for 9, 10 and 11, and 12 .. 19


def test_a_clip_lasts_as_long_as_its_frames_stand_for():
    assert Sampling(32, 2).seconds(of(99)) == Fraction(64, 25)
    assert Sampling(32, 2, fps=Fraction(30)).seconds(of(99)) == Fraction(64, 30)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"frames": 0}, "frames is 0"),
        ({"stride": 0}, "stride is 0"),
        ({"clips": 0}, "clips is 0"),
        ({"clips": None, "hop": 0}, "hop is 0"),
        ({"clips": None}, "one begins after every hop"),
        ({"hop": 3}, "one begins after every hop"),
        ({"clips": None, "hop": 3, "way": SEGMENTS}, "spans the whole video"),
        ({"fps": Fraction(0)}, "fps is 0"),
    ],
)
def test_numbers_that_make_no_clips_are_refused(more, message):
    with pytest.raises(InputError, match=message):
        Sampling(**{"frames": 4, **more})


SIZES = {"frames": st.integers(1, 12), "stride": st.integers(1, 6), "length": st.integers(1, 80)}


@given(**SIZES, clips=st.integers(1, 12))
def test_spread_clips_begin_at_both_ends_and_never_leave_the_video(frames, stride, length, clips):
    sampling, video = Sampling(frames, stride, clips), of(length)
    begins = sampling.begins(video)
    assert len(begins) == clips
    assert list(begins) == sorted(begins)
    room = max(length - sampling.span, 0)
    assert clips == 1 or (begins[0], begins[-1]) == (0, room)
    assert clips > 1 or 0 <= room - 2 * begins[0] <= 1
    for clip in sampling.clips_of(video):
        assert len(clip) == frames
        assert 0 <= clip[0] <= clip[-1] < length
        gaps = {later - sooner for sooner, later in pairwise(clip)}
        assert sampling.repeats(video) or gaps <= {stride}


@given(**SIZES, hop=st.integers(1, 12))
def test_a_hop_leaves_fewer_frames_than_a_hop(frames, stride, length, hop):
    sampling, video = Sampling(frames, stride, None, hop), of(length)
    clips, unused = sampling.clips_of(video), sampling.unused(video)
    assert 0 <= unused < hop
    assert [clip[0] for clip in clips] == [hop * k for k in range(len(clips))]
    if not sampling.repeats(video):
        assert clips[-1][-1] == length - 1 - unused
    if hop == stride == 1:
        assert {frame for clip in clips for frame in clip} == set(range(length))


@given(parts=st.integers(1, 12), neighbours=st.integers(1, 5), clips=st.integers(1, 4), length=st.integers(1, 80))
def test_segments_take_so_many_of_each_part(parts, neighbours, clips, length):
    sampling = Sampling(parts * neighbours, clips=clips, way=SEGMENTS, neighbours=neighbours)
    for clip in sampling.clips_of(of(length)):
        assert len(clip) == parts * neighbours
        assert max(clip) < length
        for part in range(parts):
            group = clip[part * neighbours : (part + 1) * neighbours]
            assert list(group) == [min(group[0] + step, length - 1) for step in range(neighbours)]
            room = Fraction(max(length - neighbours + 1, 1), parts)
            assert int(part * room) <= group[0] < (part + 1) * room


@given(rate=st.fractions(Fraction(1, 2), 60), length=st.integers(1, 60))
def test_resampling_keeps_order_and_length(rate, length):
    sampling, video = Sampling(1, fps=rate), of(length)
    frames = [sampling.frame(video, place) for place in range(sampling.length(video))]
    assert frames == sorted(frames)
    assert frames[0] == 0
    assert frames[-1] < length
    assert len(frames) == max(int(Fraction(length, 25) * rate), 1)
