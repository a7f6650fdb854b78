"""A file -> its VideoFile, by PyAV: the container is read, and one frame is decoded for its rotation."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from ...core.errors import InputError
from .header_order import HeaderOrder
from .shown import Shown
from .stored_order import shown_order
from .video_file import Packet, VideoFile

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

__all__ = ["opened", "read_video", "require_pyav", "video_stream"]

_NO_VIDEO = ("tty", "ffmetadata", "srt", "ass", "webvtt")
"""Formats that ffmpeg calls video, or opens, and that are texts."""
_UNTIMED = "its frames have no times: they are taken in the order in which they are stored, at {} frames per second"
_PACED = "its frames have no times: they are taken in the order that they tell, at {} frames per second"
_GUESSED = "an {} does not say when frames are shown, and this one has B-frames: their order is a guess of ffmpeg's"
_REORDERED = "an {} does not say when frames are shown, and this one has B-frames: they are taken as they are stored"


def require_pyav() -> None:
    """Refuse to go on without PyAV.

    Raises:
        InputError: it is not installed.
    """
    if importlib.util.find_spec("av") is None:
        fix = "pip install 'flopcount[video]', or pip install av"
        raise InputError("video files are read by PyAV, which is not installed", [("fix", fix)])


def read_video(path: str | Path) -> VideoFile:
    """What is in a video file.

    Raises:
        InputError: there is no such file, it cannot be read, or it has no video; PyAV is not installed.
    """
    with opened(path) as container:
        return _read(str(path), container)


class opened:
    """A context with the container of a file, open for reading; what PyAV raises becomes an InputError."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __enter__(self) -> InputContainer:
        require_pyav()
        import av

        _require_file(self.path)
        av.logging.set_level(None)  # what ffmpeg prints of bad files is said by the error
        try:
            self.container = av.open(str(self.path.absolute()), options={"protocol_whitelist": "file"})
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise self._refused(error) from None
        return self.container

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        import av

        self.container.close()
        if isinstance(error, av.error.FFmpegError):
            raise self._refused(error) from None

    def _refused(self, error: Exception) -> InputError:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        fix = "give a whole video file: one that a player plays"
        return InputError(f"{self.path} cannot be read as a video", [("seen", said), ("fix", fix)])


def _require_file(path: Path) -> None:
    try:
        if not path.exists():
            raise InputError(f"{path} does not exist", [("fix", "name a video file, or a folder of them")])
        if path.is_dir():
            raise InputError(f"{path} is a folder", [("fix", "name a video file")])
        if not path.is_file():
            raise InputError(f"{path} is no file", [("fix", "name a video file, or a folder of them")])
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty: it has 0 bytes", [("fix", "name a video file")])
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", [("fix", "name a video file")]) from None
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} cannot be read: no permission", [("fix", f"chmod u+r {path}")])


def video_stream(container: InputContainer, path: str) -> VideoStream:
    """The stream of moving pictures; a cover of an audio file is none.

    Raises:
        InputError: there is none.
    """
    from av.stream import Disposition

    videos = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not videos or container.format.name in _NO_VIDEO:
        others = sorted({stream.type for stream in container.streams})
        seen = f"{container.format.name} with {' and '.join(others) or 'nothing in it'}"
        raise InputError(f"{path} has no video", [("seen", seen), ("fix", "name a file with moving pictures")])
    return videos[0]


def _read(path: str, container: InputContainer) -> VideoFile:
    stream = video_stream(container, path)
    raw, order = _demuxed(container, stream)
    if not raw:
        raise InputError(f"{path} has a video without frames", [("fix", "name a file with moving pictures")])
    if not any(packet.key for packet in raw):
        seen = f"{len(raw)} frames, none of which is a key frame"
        raise InputError(f"{path} cannot be decoded", [("seen", seen), ("fix", "name a whole video file")])
    rate = Fraction(stream.guessed_rate or stream.average_rate or stream.base_rate or 25)
    notes = list(_notes(stream, raw))
    base, times = _times_in_order(stream, raw, rate, order, notes) if order else _times(stream, raw, rate, notes)
    packets = tuple(_packets(raw, times))
    lost = next(place for place, packet in enumerate(raw) if packet.key)
    if lost:
        notes.append(f"{lost} frames stand before the first key frame, and cannot be decoded")
    if (hidden := len(packets) - lost - sum(packet.shown for packet in packets)) > 0:
        notes.append(f"{hidden} frames are decoded and never shown")
    if not any(packet.shown for packet in packets):
        raise InputError(f"{path} shows no frame", [("fix", "name a whole video file")])
    codec = stream.codec_context
    rotation = _rotation(path)
    width, height = codec.width, codec.height
    if not (width and height):
        raise InputError(f"{path} does not say how large its frames are", [("fix", "name a whole video file")])
    shown_size = (height, width) if rotation % 180 else (width, height)
    return VideoFile(
        path=path,
        container=_container_name(container.format.name, path),
        codec=codec.name,
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


def _demuxed(container: InputContainer, stream: VideoStream) -> tuple[list[_Raw], list[Shown] | None]:
    """The packets, and when each is shown, if the container does not say it and their headers do."""
    kind = shown_order(stream.codec_context.name)
    if not _stores_no_times(stream):
        return [_Raw(packet, kind) for packet in container.demux(stream) if packet.size], None
    headers = HeaderOrder(stream.codec_context.name, bytes(stream.codec_context.extradata or b""))
    raw = []
    for packet in container.demux(stream):
        if packet.size:
            raw.append(_Raw(packet, kind))
            headers.add(bytes(packet))
    order = headers.found(next((place for place, packet in enumerate(raw) if packet.key), len(raw)))
    for one, shown in zip(raw, order or [], strict=False):
        one.kind = "" if shown.visible else "hidden"
        one.key = one.key and not shown.no_start  # a recovery point, from which on frames become right only slowly
    return raw, order


class _Raw:
    """What is kept of a packet while a file is read; its data are not."""

    __slots__ = ("corrupt", "discarded", "dts", "duration", "key", "kind", "nbytes", "pts")

    def __init__(self, packet: Any, order: Any) -> None:
        self.pts: int | None = packet.pts
        self.dts: int | None = packet.dts
        self.key: bool = packet.is_keyframe
        self.nbytes: int = packet.size
        self.duration: int = packet.duration or 0
        self.discarded: bool = packet.is_discard
        self.corrupt: bool = packet.is_corrupt
        self.kind: str = order(bytes(packet)) if order else ""  # "B", "hidden", or anything else


def _notes(stream: VideoStream, raw: list[_Raw]) -> Iterator[str]:
    said, found = stream.frames, len(raw)
    if said > found:
        yield f"its header has {said} frames, the file only {found}: it was cut"
    if any(packet.corrupt for packet in raw):
        yield "its last frame is incomplete: the file was cut"


def _times(stream: VideoStream, raw: list[_Raw], rate: Fraction, notes: list[str]) -> tuple[Fraction, list[int]]:
    """The unit of time in seconds, and when the frame of each packet is shown."""
    base = stream.time_base or 1 / rate
    reordered = bool(stream.codec_context.has_b_frames)
    if all(packet.pts is not None for packet in raw):
        times = [packet.pts for packet in raw if packet.pts is not None]
        if not (reordered and times == sorted(times)):
            if reordered and _stores_no_times(stream):
                notes.append(_GUESSED.format(_container_name(stream.container.format.name, "")))
            return base, times
    elif all(packet.dts is not None for packet in raw):
        times = [packet.dts for packet in raw if packet.dts is not None]
    else:
        base, times = 1 / rate, list(range(len(raw)))
        notes.append(_UNTIMED.format(f"{float(rate):g}"))
    if reordered and _stores_no_times(stream):
        notes.append(_REORDERED.format(_container_name(stream.container.format.name, "")))
    elif reordered and any(packet.kind for packet in raw):
        return base, _reordered(times, raw)
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


def _reordered(times: list[int], raw: list[_Raw]) -> list[int]:
    """Times of frames that are stored with the others before their B-frames: each such one is shown after them."""
    order: list[int] = []
    waiting: int | None = None
    for place, packet in enumerate(raw):
        if packet.kind == "B":
            order.append(place)
            continue
        if waiting is not None:
            order.append(waiting)
        waiting = place
    order.extend([] if waiting is None else [waiting])
    shown = [0] * len(raw)
    for time, place in zip(sorted(times), order, strict=True):
        shown[place] = time
    return shown


def _packets(raw: list[_Raw], times: Iterable[int]) -> Iterator[Packet]:
    begun = False
    for packet, time in zip(raw, times, strict=True):
        begun = begun or packet.key
        shown = begun and not packet.discarded and packet.kind != "hidden"
        yield Packet(time, packet.key, packet.nbytes, shown)


def _lasting(raw: list[_Raw], packets: tuple[Packet, ...], base: Fraction, rate: Fraction) -> int:
    """How long the last frame is shown: as it says, or as long as the others, or by the rate."""
    last = max((place for place, p in enumerate(packets) if p.shown), key=lambda place: packets[place].time)
    times = sorted(packet.time for packet in packets if packet.shown)
    gaps = [later - sooner for sooner, later in pairwise(times) if later > sooner]
    usual = median(gaps) if gaps else 0
    own = raw[last].duration
    return own or round(usual) or max(round(1 / (rate * base)), 1)


def _rotation(path: str) -> int:
    """Of the first frame; PyAV has no other way to it. 0 where it cannot be decoded, which decoding will say."""
    import av

    with opened(path) as container:
        stream = video_stream(container, path)
        try:
            frame = next(container.decode(stream), None)
        except av.error.FFmpegError as error:
            why = f"{path} cannot be decoded"
            fix = "give a whole video file: one that a player plays"
            raise InputError(why, [("seen", str(error.strerror)), ("fix", fix)]) from None
        if frame is None:
            fix = "give a whole video file: one that a player plays"
            raise InputError(f"{path} cannot be decoded", [("seen", "no frame comes out"), ("fix", fix)])
        return round(frame.rotation / 90) * 90 % 360


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
