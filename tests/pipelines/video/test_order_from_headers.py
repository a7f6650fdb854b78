"""The order in which frames are shown, where only their own headers tell it: every frame is the one that it says."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flopcount.pipelines.video.bit_reader import BitReader, NotUnderstood
from flopcount.pipelines.video.decoded import decoded
from flopcount.pipelines.video.decoding import decoding
from flopcount.pipelines.video.h264_order import H264Headers, Picture, order_counts
from flopcount.pipelines.video.h264_sets import SequenceSet
from flopcount.pipelines.video.header_order import HeaderOrder
from flopcount.pipelines.video.nal_units import length_size, meaning, units
from flopcount.pipelines.video.picture_types import Picture as Typed
from flopcount.pipelines.video.picture_types import order_of_types
from flopcount.pipelines.video.reading import read_video

av = pytest.importorskip("av")

SIZE, FRAMES = 64, 20  # with smaller frames x265 writes over memory that is not its own
X264 = "b-adapt=0:scenecut=0:threads=1:"
X265 = "log-level=none:pools=1:frame-threads=1:b-adapt=0:scenecut=0:"


def written(path, codec, options, form=None, frames=FRAMES):
    """A video no two frames of which are alike."""
    named = {"libx264": {"x264-params": X264 + options}, "libx265": {"x265-params": X265 + options}}
    plain = dict(pair.split("=") for pair in options.split(":") if pair)
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=25, options=named.get(codec, plain))
        stream.width = stream.height = SIZE
        for number in range(frames):
            pixels = np.full((SIZE, SIZE, 3), number * 5 % 256, np.uint8)
            pixels[:, number * 3 % SIZE :][:, :9] = 255
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def rewritten(path, packets, extradata, form="avi"):
    """A file of these packets of MPEG-4."""
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = SIZE
        stream.codec_context.extradata = extradata
        for place, data in enumerate(packets):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, place, place, Fraction(1, 25)
            packet.is_keyframe = vop_type(data) == 0
            container.mux(packet)
    return path


def stored(path):
    """The packets of a file, the numbers of those that are keys, and the extradata."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        keys = [place for place, packet in enumerate(packets) if packet.is_keyframe]
        return [bytes(packet) for packet in packets], keys, bytes(stream.codec_context.extradata or b"")


def pixels(frame):
    return frame.to_ndarray(format="rgb24").tobytes()


def shown(path):
    with av.open(str(path)) as container:
        return [pixels(frame) for frame in container.decode(video=0)]


def assert_frames_are_what_they_say(path):
    video, whole = read_video(path), shown(path)
    assert len(set(whole)) == len(whole) == video.frames
    for number, frame in enumerate(whole):
        ((found, picture),) = decoded(video, decoding(video, [number]))
        assert (found, pixels(picture) == frame) == (number, True)
    assert not [note for note in video.notes if "B-frames" in note]
    return video


H264 = [
    "bframes=0:keyint=6",
    "bframes=1:keyint=250:ref=1",
    "bframes=2:b-pyramid=0:keyint=7:weightp=2:weightb=1:slices=3",
    "bframes=3:b-pyramid=1:keyint=8:open-gop=1",
    "bframes=4:b-pyramid=2:keyint=9:open-gop=1:ref=4",
    "bframes=3:keyint=250:tff=1",
    "bframes=2:intra-refresh=1:keyint=6",
]
HEVC = [
    "bframes=0:keyint=6:open-gop=0",
    "bframes=2:keyint=7:min-keyint=7:open-gop=0",
    "bframes=3:keyint=8:min-keyint=8:open-gop=1",
    "bframes=4:keyint=250:b-pyramid=1:ref=4",
]
OTHERS = [
    ("mpeg2video", "mpeg2video", "bf=2:g=6"),
    ("mpeg2video", "avi", "bf=3:g=30"),
    ("mpeg1video", "mpeg1video", "bf=2:g=6"),
    ("mpeg4", "m4v", "bf=2:g=6"),
    ("mpeg4", "avi", "bf=3:g=30"),
]
VIDEOS = [
    *[("libx264", form, options) for options in H264 for form in ("avi", "h264")],
    *[("libx265", "hevc", options) for options in HEVC],
    *OTHERS,
]


@pytest.mark.parametrize(("codec", "form", "options"), VIDEOS)
def test_each_frame_is_the_one_that_it_says(tmp_path, codec, form, options):
    video = assert_frames_are_what_they_say(written(tmp_path / f"a.{form}", codec, options, form))
    assert video.times == tuple(Fraction(number, 25) for number in range(FRAMES))


@pytest.mark.slow
@settings(max_examples=12)
@given(
    st.integers(0, 6), st.integers(0, 2), st.integers(1, 30), st.booleans(), st.integers(1, 5), st.sampled_from("012")
)
def test_each_frame_is_the_one_that_it_says_however_it_is_coded(tmp_path_factory, b, pyramid, keys, opened, ref, weigh):
    options = f"bframes={b}:b-pyramid={pyramid}:keyint={keys}:open-gop={opened:d}:ref={ref}:weightp={weigh}"
    assert_frames_are_what_they_say(written(tmp_path_factory.mktemp("a") / "a.h264", "libx264", options, "h264"))


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("form", ["mp4", "mpegts"])
def test_headers_tell_the_order_of_containers_that_know_it(tmp_path, codec, form):
    path = written(tmp_path / "a", codec, "bframes=4:keyint=30:min-keyint=30:open-gop=1", form, frames=100)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        headers = HeaderOrder(stream.codec_context.name, bytes(stream.codec_context.extradata or b""))
        times = []
        for packet in container.demux(stream):
            if packet.size:
                headers.add(bytes(packet))
                times.append(packet.pts)
    order = headers.found(0)
    assert times != sorted(times)
    assert sorted(range(100), key=order.__getitem__) == sorted(range(100), key=times.__getitem__)


@pytest.mark.parametrize(
    ("codec", "form", "options"),
    [
        ("libx264", "h264", "bframes=3:keyint=6:min-keyint=6:open-gop=1"),
        ("libx265", "hevc", "bframes=3:keyint=6:min-keyint=6:open-gop=1"),
        ("mpeg2video", "mpeg2video", "bf=2:g=6:sc_threshold=1000000000"),
        ("mpeg4", "m4v", "bf=2:g=6:sc_threshold=1000000000"),
    ],
)
def test_frames_that_need_what_was_cut_off_are_not_shown(tmp_path, codec, form, options):
    packets, keys, _ = stored(written(tmp_path / "whole", codec, options, form))
    for begin in (keys[1], keys[1] - 2):
        path = tmp_path / f"{begin}.{form}"
        path.write_bytes(b"".join(packets[begin:]))
        video = assert_frames_are_what_they_say(path)
        assert video.frames < len(packets) - keys[1]
        assert "decoded and never shown" in video.notes[-1]


@pytest.mark.parametrize(("codec", "form"), [("libx264", "h264"), ("libx265", "hevc")])
def test_streams_one_after_another(tmp_path, codec, form):
    one = written(tmp_path / "one", codec, "bframes=3:keyint=30", form, frames=12)
    two = tmp_path / f"two.{form}"
    two.write_bytes(one.read_bytes() * 2)
    assert read_video(two).places == (*(places := read_video(one).places), *(12 + place for place in places))


NOT_CODED = b"\x00\x00\x01\xb6" + bytes([0b01_0_1_0000, 0b0_1_0_01111])


def vop_type(data):
    return data[data.find(NOT_CODED[:4]) + 4] >> 6


def packed(path, named=True):
    """What DivX makes of an MPEG-4 stream: each first B-VOP is in the packet before its own."""
    packets, _, extradata = stored(path)
    user = b"\x00\x00\x01\xb2DivX503b1393p" if named else b""
    found = []
    for number, data in enumerate(packets):
        begin = data.find(NOT_CODED[:4])
        follows = number + 1 < len(packets) and vop_type(packets[number + 1]) == 2
        if vop_type(data) == 2:
            found.append(packets[number + 1] if follows else NOT_CODED)
        else:
            at = data.find(b"\x00\x00\x01\xb2")
            head = data[:at] + user if 0 <= at < begin else data[:begin]
            found.append(head + data[begin:] + (packets[number + 1] if follows else b""))
    return found, extradata[: extradata.find(b"\x00\x00\x01\xb2")] + user


@pytest.mark.parametrize("b", [1, 2])
def test_a_packed_stream(tmp_path, b):
    plain = written(tmp_path / "a.m4v", "mpeg4", f"bf={b}:g=7", "m4v")
    path = rewritten(tmp_path / "a.avi", *packed(plain))
    assert_frames_are_what_they_say(path)
    assert shown(path) == shown(plain)


def test_frames_that_are_not_coded_are_not_shown(tmp_path):
    packets, _, extradata = stored(written(tmp_path / "a.m4v", "mpeg4", "bf=0:g=7", "m4v"))
    video = assert_frames_are_what_they_say(
        rewritten(tmp_path / "a.avi", [*packets[:3], NOT_CODED, *packets[3:]], extradata)
    )
    assert video.times[2:4] == (Fraction(2, 25), Fraction(4, 25))


def test_what_is_not_understood_is_said(tmp_path):
    """A packed stream that does not say so; H.264 without parameter sets, or with two pictures in a packet."""
    plain = written(tmp_path / "a.m4v", "mpeg4", "bf=2:g=7", "m4v")
    (note,) = read_video(rewritten(tmp_path / "a.avi", *packed(plain, named=False))).notes
    assert "does not say when frames are shown" in note
    packets, _, extradata = stored(written(tmp_path / "a.h264", "libx264", "bframes=2", "h264"))
    for data, beside in [
        ([packets[1]], b""),
        ([packets[0] + packets[1]], extradata),
        ([b"no unit"], extradata),
        (packets[1:], extradata),
        ([packets[0][:-1] + b"\x00\x00\x01\x22"], extradata),
        (packets[:1], b"\x01"),
    ]:
        headers = HeaderOrder("h264", beside)
        for packet in data:
            headers.add(packet)
        assert headers.found(0) is None
    assert HeaderOrder("vp9", b"").found(0) is None


@pytest.mark.parametrize("codec", ["h264", "hevc", "mpeg2video", "mpeg4"])
@given(st.binary(max_size=80), st.lists(st.binary(max_size=80), max_size=3))
@settings(max_examples=30)
def test_whatever_stands_in_a_stream_raises_nothing(codec, extradata, packets):
    for start in (b"", b"\x01", b"\x00\x00\x01\x67", b"\x00\x00\x01\x42\x01"):
        headers = HeaderOrder(codec, start + extradata)
        for packet in packets:
            headers.add(b"\x00\x00\x01" + packet)
        headers.found(0)


def test_numbers_of_a_header():
    """Table 9-2: 1, 010, 011, 00100, 00101 are 0 to 4; with signs they are 0, 1, -1, 2, -2."""
    data = int("1" + "010" + "011" + "00100" + "00101" + "0001000" + "11111111", 2).to_bytes(4, "big")
    bits = BitReader(data)
    assert [bits.unsigned() for _ in range(6)] == [0, 1, 2, 3, 4, 7]
    assert bits.bits(8) == 255
    with pytest.raises(NotUnderstood, match="too soon"):
        bits.flag()
    bits = BitReader(data)
    assert [bits.signed() for _ in range(5)] == [0, 1, -1, 2, -2]
    with pytest.raises(NotUnderstood, match="7 where 6"):
        bits.number(6)
    with pytest.raises(NotUnderstood, match="so many zeros"):
        BitReader(bytes(8)).unsigned()


def test_units_of_a_packet():
    assert meaning(bytes.fromhex("65000003000300000302")) == bytes.fromhex("6500000003000002")
    assert list(units(bytes.fromhex("00000001aabb000001cc0000"), 0)) == [b"\xaa\xbb", b"\xcc"]
    assert list(units(bytes.fromhex("0002aabb0001cc"), 2)) == [b"\xaa\xbb", b"\xcc"]
    with pytest.raises(NotUnderstood):
        list(units(bytes.fromhex("0003aabb"), 2))
    assert length_size("h264", bytes.fromhex("0164000affe1")) == 4
    assert length_size("h264", bytes.fromhex("0000000167")) == 0


def counts(sequence, *pictures):
    return [tuple(one[:2]) for one in order_counts([Picture(sequence, *picture) for picture in pictures])]


def test_counts_of_h264():
    """8.2.1.1 to 8.2.1.3, by hand: counts that wrap, a cycle of steps, and the order of storage."""
    low = SequenceSet(1, False, 4, 0, low_bits=4)
    pictures = (True, True, 0, 0), (False, True, 1, 8), (False, False, 2, 4), (False, True, 2, 0), (False, False, 3, 12)
    assert counts(low, *pictures) == [(1, 0), (1, 8), (1, 4), (1, 16), (1, 12)]
    assert counts(low, *pictures[:2], pictures[0]) == [(1, 0), (1, 8), (2, 0)]
    cycle = SequenceSet(1, False, 4, 1, unreferred=-2, bottom=1, cycle=(4, 6))
    pictures = (True, True, 0), (False, True, 1), (False, False, 2), (False, True, 2), (False, False, 3)
    assert counts(cycle, *pictures) == [(1, 0), (1, 4), (1, 2), (1, 10), (1, 8)]
    as_stored = SequenceSet(1, False, 4, 2)
    pictures = (True, True, 0), (False, False, 1), (False, True, 15), (False, True, 0)
    assert counts(as_stored, *pictures) == [(1, 0), (1, 1), (1, 30), (1, 32)]
    with pytest.raises(NotUnderstood):
        counts(low, (True, True, 0), (True, True, 0, 0, (0, 0), True))


def test_what_is_not_read_of_h264():
    headers = H264Headers(b"")
    with pytest.raises(NotUnderstood, match="profile 1"):
        headers.read(bytes.fromhex("000001670100"))
    with pytest.raises(NotUnderstood, match="no picture"):
        headers.read(bytes.fromhex("0000010900"))


def test_the_order_of_types():
    found = order_of_types([Typed(kind) for kind in "IPBBPB"])
    assert [one.rank for one in found] == [0, 3, 1, 2, 5, 4]
    lost = order_of_types([Typed("I"), Typed("B"), Typed("P"), Typed("B")])
    assert [one.visible for one in lost] == [True, False, True, True]
    kept = order_of_types([Typed("I", closed=True), Typed("B"), Typed("P")])
    assert [one.visible for one in kept] == [True, True, True]
