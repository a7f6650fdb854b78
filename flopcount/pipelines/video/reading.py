"""A file -> its VideoFile, by PyAV: the container is read, and one frame is decoded for its rotation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from ...core.errors import InputError
from ...core.units import plural
from .container import opened, stored_packets, video_stream, videos_of
from .header_order import HeaderOrder
from .hidden_frames import hides
from .shown import Shown
from .video_file import Packet, VideoFile

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

__all__ = ["read_video"]

_UNTIMED = "its frames have no times: they are taken in the order in which they are stored, at {} frames per second"
_PACED = "its frames have no times: they are taken in the order that they tell, at {} frames per second"
_GUESSED = "this {} does not say when frames are shown, and it has B-frames: their order is a guess of ffmpeg's"
_REORDERED = "this {} does not say when frames are shown, and it has B-frames: they are taken as they are stored"


def read_video(path: str | Path) -> VideoFile:
    """What is in a video file.

    Raises:
        InputError: there is no such file, it cannot be read, or it has no video; PyAV is not installed.
    """
    with opened(path) as container:
        return _read(str(path), container)


def _read(path: str, container: InputContainer) -> VideoFile:
    stream = video_stream(container, path)
    raw, order = _demuxed(container, stream, path)
    if not raw:
        raise InputError(f"{path} has a video without frames", [("fix", "name a file with moving pictures")])
    if not any(packet.key for packet in raw):
        seen = f"{len(raw)} frames, none of which is a key frame"
        raise InputError(f"{path} cannot be decoded", [("seen", seen), ("fix", "name a whole video file")])
    rate = Fraction(stream.guessed_rate or stream.average_rate or stream.base_rate or 25)
    notes = list(_notes(container, stream, raw))
    base, times = _times_in_order(stream, raw, rate, order, notes) if order else _times(stream, raw, rate, notes)
    first = _first_frame(path)
    lost = _before_keys(raw) if order else _lost(raw, times, first.pts)
    packets = tuple(_packets(raw, times, lost))
    if lost:
        stand = "stands" if len(lost) == 1 else "stand"
        notes.append(f"{plural(len(lost), 'frame')} {stand} before the first key frame, and cannot be decoded")
    if (hidden := len(packets) - len(lost) - sum(packet.shown for packet in packets)) > 0:
        notes.append(f"{plural(hidden, 'frame')} {'is' if hidden == 1 else 'are'} decoded and never shown")
    if not any(packet.shown for packet in packets):
        raise InputError(f"{path} shows no frame", [("fix", "name a whole video file")])
    codec = stream.codec_context
    rotation = round(first.rotation / 90) * 90 % 360
    width, height = codec.width, codec.height
    if not (width and height):
        raise InputError(f"{path} does not say how large its frames are", [("fix", "name a whole video file")])
    shown_size = (height, width) if rotation % 180 else (width, height)
    return VideoFile(
        path=path,
        container=_container_name(container.format.name, path),
        codec=codec.codec.canonical_name,  # that of the format; of the decoder, it may be libdav1d's
        width=shown_size[0],
        height=shown_size[1],
        rotation=rotation,
        pixel_format=codec.format.name if codec.format else "unknown",
        alpha=_has_alpha(stream),
        time_base=base,
        packets=packets,
        lasting=_lasting(raw, packets, base, rate) if base == stream.time_base else 1,
        nbytes=Path(path).stat().st_size,
        notes=tuple(notes),
    )


def _demuxed(container: InputContainer, stream: VideoStream, path: str) -> tuple[list[_Raw], list[Shown] | None]:
    """The packets, and when each is shown, if the container does not say it and their headers do."""
    codec = stream.codec_context.codec.canonical_name
    hidden = hides(codec)
    stored = stored_packets(container, stream, path)
    if not _stores_no_times(stream):
        return [_Raw(packet, hidden) for packet in stored], None
    headers = HeaderOrder(codec, bytes(stream.codec_context.extradata or b""))
    raw = []
    for packet in stored:
        raw.append(_Raw(packet, hidden))
        headers.add(bytes(packet))
    order = headers.found(next((place for place, packet in enumerate(raw) if packet.key), len(raw)))
    for one, shown in zip(raw, order or [], strict=False):
        one.hidden = not shown.visible
        one.key = one.key and not shown.no_start  # a recovery point, from which on frames become right only slowly
    return raw, order


class _Raw:
    """What is kept of a packet while a file is read; its data are not."""

    __slots__ = ("corrupt", "discarded", "dts", "duration", "hidden", "key", "nbytes", "pts")

    def __init__(self, packet: Any, hides: Callable[[bytes], bool] | None) -> None:
        self.pts: int | None = packet.pts
        self.dts: int | None = packet.dts
        self.key: bool = packet.is_keyframe
        self.nbytes: int = packet.size
        self.duration: int = packet.duration or 0
        self.discarded: bool = packet.is_discard
        self.corrupt: bool = packet.is_corrupt
        self.hidden: bool = hides is not None and hides(bytes(packet))


def _notes(container: InputContainer, stream: VideoStream, raw: list[_Raw]) -> Iterator[str]:
    said, found = stream.frames, len(raw)
    if said > found and any(packet.discarded for packet in raw):  # so that it has an edit list
        yield f"its header has {said} frames, of which {found} are read: its edit list leaves out the others"
    elif said > found:
        yield f"its header has {said} frames, the file only {found}: it was cut"
    elif (short := _missing_seconds(container, raw)) is not None:
        yield f"its header is {short[0]:.3g} s long, its frames only {short[1]:.3g} s: it was cut"
    damaged = [place for place, packet in enumerate(raw) if packet.corrupt]
    if damaged == [len(raw) - 1]:
        yield "its last frame is incomplete: the file was cut"
    elif damaged:
        yield f"{plural(len(damaged), 'frame')} {'is' if len(damaged) == 1 else 'are'} damaged"
    stored = [packet.dts for packet in raw if packet.dts is not None]
    if back := sum(later < sooner for sooner, later in pairwise(stored)):
        places = plural(back, "place")
        yield f"its times go back at {places}, as where files were joined: frames are taken in the order of their times"
    if (videos := len(videos_of(container))) > 1:
        yield f"it has {videos} videos: the first is read"
    if container.format.name.endswith("_pipe") or container.format.name == "image2":
        yield "it is a picture and has no times: 25 frames per second are taken for it"


def _missing_seconds(container: InputContainer, raw: list[_Raw]) -> tuple[float, float] | None:
    """Seconds that a Matroska header says, and where the frames end, if that is over a second sooner.

    Its header does not count frames. It says the length of the longest stream, and so nothing of one of several.
    """
    said, only = container.duration, container.streams.video[0]
    if said is None or len(container.streams) > 1 or "matroska" not in container.format.name or not only.time_base:
        return None
    ends = [packet.pts + packet.duration for packet in raw if packet.pts is not None]
    end = float(max(ends) * only.time_base) if ends else 0.0
    return (said / 1e6, end) if end + 1 < said / 1e6 else None


def _times(stream: VideoStream, raw: list[_Raw], rate: Fraction, notes: list[str]) -> tuple[Fraction, list[int]]:
    """The unit of time in seconds, and when the frame of each packet is shown."""
    base, name = stream.time_base or 1 / rate, _container_name(stream.container.format.name, "")
    reordered = bool(stream.codec_context.has_b_frames)
    times = [packet.pts for packet in raw if packet.pts is not None]
    if len(times) == len(raw):
        if reordered and _stores_no_times(stream):
            notes.append((_REORDERED if times == sorted(times) else _GUESSED).format(name))
        return base, times
    times = [packet.dts for packet in raw if packet.dts is not None]
    if len(times) < len(raw):
        base, times = 1 / rate, list(range(len(raw)))
        notes.append(_UNTIMED.format(f"{float(rate):g}"))
    if reordered:
        notes.append(_REORDERED.format(name))
    return base, times


def _times_in_order(
    stream: VideoStream, raw: list[_Raw], rate: Fraction, order: list[Shown], notes: list[str]
) -> tuple[Fraction, list[int]]:
    """As `_times`, given the order from the headers: packets' places in the file say how long frames are shown."""
    ranked = sorted(range(len(raw)), key=lambda place: order[place][:2])
    if stream.time_base and all(packet.dts is not None for packet in raw):
        base, slots = stream.time_base, sorted(packet.dts for packet in raw if packet.dts is not None)
    else:
        base, slots = 1 / rate, list(accumulate((order[place].visible for place in ranked[:-1]), initial=0))
        notes.append(_PACED.format(f"{float(rate):g}"))
    times = [0] * len(raw)
    for slot, place in zip(slots, ranked, strict=True):
        times[place] = slot
    return base, times


def _stores_no_times(stream: VideoStream) -> bool:
    """Whether the container has no times of showing, so that increasing times say nothing of B-frames."""
    return stream.container.format.name in ("avi", "h264", "hevc", "m4v", "mpegvideo", "vc1", "obu", "ivf")


def _before_keys(raw: list[_Raw]) -> frozenset[int]:
    """The places of the packets before the first key frame."""
    return frozenset(range(next(place for place, packet in enumerate(raw) if packet.key)))


def _lost(raw: list[_Raw], times: list[int], shown_first: int | None) -> frozenset[int]:
    """The places of the packets whose frames need others that the file does not have.

    They are stored before the first key frame, or right after it and shown before it; a decoder shows some of the
    latter, and the first frame that it shows tells.
    """
    key = next(place for place, packet in enumerate(raw) if packet.key)
    end = key + 1
    if shown_first is not None:
        begin = min(times[key], shown_first)
        while end < len(raw) and times[end] < begin:
            end += 1
    return frozenset([*range(key), *range(key + 1, end)])


def _packets(raw: list[_Raw], times: Iterable[int], lost: frozenset[int]) -> Iterator[Packet]:
    for place, (packet, time) in enumerate(zip(raw, times, strict=True)):
        shown = place not in lost and not packet.discarded and not packet.hidden
        yield Packet(time, packet.key, packet.nbytes, shown)


def _lasting(raw: list[_Raw], packets: tuple[Packet, ...], base: Fraction, rate: Fraction) -> int:
    """How long the last frame is shown: as it says, or as long as the others, or by the rate."""
    last = max((place for place, p in enumerate(packets) if p.shown), key=lambda place: packets[place].time)
    times = sorted(packet.time for packet in packets if packet.shown)
    gaps = [later - sooner for sooner, later in pairwise(times) if later > sooner]
    usual = median(gaps) if gaps else 0
    own = raw[last].duration
    return own or round(usual) or max(round(1 / (rate * base)), 1)


def _first_frame(path: str) -> VideoFrame:
    """The first that a decoder shows; nothing else tells how it is turned.

    Raises:
        InputError: it cannot be decoded.
    """
    import av

    said = "no frame comes out"
    with opened(path) as container:
        for packet in container.demux(video_stream(container, path)):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError as error:  # a broadcast that was joined late begins with such packets
                said = str(error.strerror)
                continue
            if frames:
                return frames[0]
    fix = "give a whole video file: one that a player plays"
    raise InputError(f"{path} cannot be decoded", [("seen", said), ("fix", fix)])


def _has_alpha(stream: VideoStream) -> bool:
    """Whether frames have an alpha channel; WebM keeps it beside the stream, and says so in its tags."""
    format = stream.codec_context.format
    tagged = {key.lower(): value for key, value in stream.metadata.items()}.get("alpha_mode") == "1"
    return tagged or (format is not None and any(component.is_alpha for component in format.components))


def _container_name(names: str, path: str) -> str:
    """One of ffmpeg's names for a format: the one that is the file's suffix, or the first."""
    several = names.split(",")
    suffix = Path(path).suffix.lstrip(".").lower()
    return suffix if suffix in several else several[0]
