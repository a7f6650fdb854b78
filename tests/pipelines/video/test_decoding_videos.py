"""What is decoded for frames that are wanted: no packet more, and what comes out is what a plain decode shows."""

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from videos import KINDS, decoded_in_full, listed, make, pixels_of, write_video

from flopcount.core.errors import InputError
from flopcount.pipelines.video import decoded as decoder
from flopcount.pipelines.video.decoded import decoded, seconds_to_decode, sheet_frames
from flopcount.pipelines.video.decoding import Decoding, Stretch, decoding
from flopcount.pipelines.video.reading import read_video

QUICK = (
    "plain.mp4",
    "b_frames.ts",
    "pyramid.mp4",
    "open_gop.mp4",
    "mpeg4.avi",
    "vp9.webm",
    "hevc_open.mkv",
    "raw.h264",
)
OTHERS = sorted({*KINDS} - {*QUICK, "raw_b_frames.h264", "one.mp4", "one.mkv"})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Each kind of video once: what is in it, and the pixels of a plain decode."""
    known, folder = {}, tmp_path_factory.mktemp("videos")

    def get(kind):
        if kind not in known:
            path = make(folder, kind)
            known[kind] = read_video(path), [pixels_of(frame) for frame in decoded_in_full(path)]
        return known[kind]

    return get


@pytest.mark.parametrize("kind", [*QUICK, *(pytest.param(kind, marks=pytest.mark.slow) for kind in OTHERS)])
def test_frames_are_those_that_a_plain_decode_shows(whole, kind):
    video, shown = whole(kind)
    for wanted in ([0], [29], [7, 13], [9, 10, 11, 19], list(range(30))):
        frames = dict(decoded(video, decoding(video, wanted)))
        assert sorted(frames) == sorted(wanted)
        assert all(pixels_of(frame) == shown[number] for number, frame in frames.items()), wanted


@given(data=st.data())
@settings(max_examples=40)
def test_any_frames_are_those_that_a_plain_decode_shows(whole, data):
    video, shown = whole(data.draw(st.sampled_from(QUICK)))
    wanted = data.draw(st.sets(st.integers(0, video.frames - 1), min_size=1))
    frames = list(decoded(video, decoding(video, wanted)))
    assert sorted(number for number, _ in frames) == sorted(wanted)
    assert all(pixels_of(frame) == shown[number] for number, frame in frames)


@pytest.mark.parametrize("kind", QUICK)
@pytest.mark.parametrize("wanted", [[0], [13], [3, 28], [9, 10, 21]], ids=str)
def test_so_many_packets_are_decoded_as_are_counted(whole, monkeypatch, kind, wanted):
    video, _ = whole(kind)
    fed, feed = [], decoder._fed
    monkeypatch.setattr(decoder, "_fed", lambda d, packet, place, run: fed.append(place) or feed(d, packet, place, run))
    taken = decoding(video, wanted)
    list(decoded(video, taken))
    assert len(fed) == len(set(fed)) == taken.frames
    assert taken.nbytes == sum(video.packets[place].nbytes for place in fed)
    assert taken.pixels == (64 * 64 if kind.startswith("hevc") else 64 * 48) * len(fed)


@pytest.mark.parametrize("kind", QUICK)
def test_without_its_last_packet_a_wanted_frame_does_not_come_out(whole, kind):
    video, _ = whole(kind)
    for number in (5, 13, 29):
        taken = decoding(video, [number])
        (stretch,) = taken.stretches
        short = Decoding(taken.wanted, (Stretch(stretch.begin, stretch.end - 1),), taken.nbytes, taken.pixels)
        with pytest.raises(InputError, match="cannot be decoded"):
            list(decoded(video, short))


@pytest.mark.parametrize("kind", ["open_gop.mp4", "open_gop.mkv", "open_gop.ts", "hevc_open.mkv"])
def test_frames_that_lead_an_open_group_need_the_group_before(whole, kind):
    """Stored after the key frame 10 and shown before it: from that key frame on they are not what they should be."""
    video, shown = whole(kind)
    key = video.places[10]
    leading = [number for number in range(10) if video.places[number] > key]
    assert leading
    for number in leading:
        (stretch,) = decoding(video, [number]).stretches
        assert (stretch.begin, stretch.end) == (0, video.places[number])
        late = Decoding((number,), (Stretch(key, video.places[number]),), 0, 0)
        try:
            frames = dict(decoded(video, late))
        except InputError:
            continue  # the decoder knows, and shows nothing
        assert pixels_of(frames[number]) != shown[number]


def test_a_stream_without_times_is_shown_in_the_order_that_its_frames_tell(whole):
    """Raw H.264 with B-frames: stored in another order than shown, and each frame is where the decoder shows it."""
    video, shown = whole("raw_b_frames.h264")
    frames = dict(decoded(video, decoding(video, range(30))))
    assert video.places != tuple(range(30))
    assert [pixels_of(frames[number]) for number in range(30)] == shown


def test_stretches_by_hand():
    """A key frame every ten: to show frame 13 are decoded 10, 11, 12 and 13."""
    video = listed(range(30), keys=(0, 10, 20))
    taken = decoding(video, [13])
    assert taken.stretches == (Stretch(10, 13),)
    assert (taken.wanted, taken.frames, taken.pixels) == ((13,), 4, 4 * 48 * 64)
    assert taken.nbytes == 110 + 111 + 112 + 113
    both = decoding(video, [28, 13, 11, 13])
    assert both.wanted == (11, 13, 28)
    assert both.stretches == (Stretch(10, 13), Stretch(20, 28))
    assert both.frames == 4 + 9


def test_stretches_of_b_frames_by_hand():
    """Shown 0 1 2 3 4 5, stored 0 3 1 2 | 5 4 with a key frame 5: frame 4 leads it, and needs all from frame 0 on."""
    video = listed(range(6), keys=(0, 5), stored=(0, 3, 1, 2, 5, 4))
    assert video.places == (0, 2, 3, 1, 5, 4)
    assert decoding(video, [1]).stretches == (Stretch(0, 2),)
    assert decoding(video, [3]).stretches == (Stretch(0, 1),)
    assert decoding(video, [5]).stretches == (Stretch(4, 4),)
    assert decoding(video, [4]).stretches == (Stretch(0, 5),)
    assert decoding(video, [4, 5]).stretches == (Stretch(0, 5),)
    assert decoding(video, [1, 5]).stretches == (Stretch(0, 2), Stretch(4, 4))


def test_nothing_wanted_is_nothing_decoded():
    taken = decoding(listed(range(5)), [])
    assert (taken.frames, taken.nbytes, taken.pixels) == (0, 0, 0)


@given(frames=st.integers(1, 60), every=st.integers(1, 20), data=st.data())
def test_stretches_do_not_overlap_begin_at_keys_and_end_at_wanted_frames(frames, every, data):
    video = listed(range(frames), keys=tuple(range(0, frames, every)))
    wanted = data.draw(st.sets(st.integers(0, frames - 1)))
    taken = decoding(video, wanted)
    places = [place for s in taken.stretches for place in range(s.begin, s.end + 1)]
    assert len(places) == len(set(places)) == taken.frames
    assert wanted <= set(places)
    assert all(s.begin % every == 0 and s.end in wanted for s in taken.stretches)
    by_hand = {place for frame in wanted for place in range(frame // every * every, frame + 1)}
    assert set(places) == by_hand


def test_the_time_of_decoding_is_that_of_the_frames_that_are_taken(whole):
    video, _ = whole("plain.mp4")
    assert 0 < seconds_to_decode(video, decoding(video, [3])) < 5


def test_the_contact_sheet_has_up_to_so_many_frames_evenly(whole):
    video, _ = whole("plain.mp4")
    numbers = [number for number, _ in sheet_frames(video, decoding(video, range(30)), most=8)]
    assert numbers == [0, 4, 8, 12, 16, 20, 24, 28]
    assert [number for number, _ in sheet_frames(video, decoding(video, [2, 5, 7]), most=8)] == [2, 5, 7]


@pytest.mark.parametrize("turn", [0, 90, 180, -90])
def test_the_contact_sheet_is_as_players_show_it(tmp_path, turn):
    """A white corner at the top left of the stored frame is where a counter-clockwise turn brings it."""
    path = write_video(tmp_path / "turned.mp4", 1, rotation=turn, options={"crf": "1"})
    stored = decoded_in_full(path)[0].to_ndarray(format="rgb24")
    ((_, pixels),) = sheet_frames(read_video(path), decoding(read_video(path), [0]))
    height, width, _ = pixels.shape
    corner = {0: (0, 0), 90: (height - 1, 0), 180: (height - 1, width - 1), -90: (0, width - 1)}[turn]
    assert (pixels[corner] == stored[0, 0]).all()
    assert (height, width) == ((48, 64) if turn in (0, 180) else (64, 48))


def test_rotation_is_counter_clockwise_as_pyav_has_it(tmp_path):
    path = write_video(tmp_path / "turned.mp4", 1, rotation=90)
    assert decoded_in_full(path)[0].rotation == read_video(path).rotation == 90
    assert av.VideoFrame(64, 48, "rgb24").rotation == 0
