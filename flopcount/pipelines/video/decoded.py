"""Decode for real what a plan says, and nothing else, by PyAV: the frames themselves, and the time that they take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ...core.errors import InputError
from .container import opened, stored_packets, video_stream
from .decoding import Decoding, Stretch, decoding
from .video_file import VideoFile

if TYPE_CHECKING:
    from av.packet import Packet as CodedPacket
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

__all__ = ["decoded", "seconds_to_decode", "sheet_frames"]


def decoded(video: VideoFile, taken: Decoding) -> Iterator[tuple[int, VideoFrame]]:
    """Each wanted frame, by its number in the order in which they are shown.

    Packets of each stretch are decoded from its key frame on, and the decoder is emptied after each.

    Raises:
        InputError: the file changed, or a wanted frame cannot be decoded.
    """
    frames = {video.places[frame]: frame for frame in taken.wanted}
    for places in _decoded(video, taken, lambda run: run()):
        for place, picture in places:
            if place in frames:
                yield frames.pop(place), picture
    if frames:
        missing = ", ".join(map(str, sorted(frames.values())[:5]))
        why = f"{len(frames)} frames of {video.path} cannot be decoded"
        raise InputError(why, [("seen", f"frame {missing}"), ("fix", "give a whole video file")])


def seconds_to_decode(video: VideoFile, taken: Decoding) -> float:
    """How long this machine takes to decode what is taken of a video, and to turn the wanted frames into RGB.

    Reading the file is not timed.

    Raises:
        InputError: as for `decoded`.
    """
    spent = 0.0

    def timed(run: Callable[[], Any]) -> Any:
        nonlocal spent
        begin = time.perf_counter()
        result = run()
        spent += time.perf_counter() - begin
        return result

    wanted = {video.places[frame] for frame in taken.wanted}
    for places in _decoded(video, taken, timed):
        for place, picture in places:
            if place in wanted:
                wanted.remove(place)
                timed(picture.to_rgb)
    if wanted:
        why = f"{len(wanted)} frames of {video.path} cannot be decoded, so that their time is unknown"
        raise InputError(why, [("fix", "give a whole video file, or leave out --measure-decode")])
    return spent


_Run = Callable[[Callable[[], Any]], Any]


def _decoded(video: VideoFile, taken: Decoding, run: _Run) -> Iterator[list[tuple[int, VideoFrame]]]:
    """Frames with the places of their packets; whatever decodes is called through `run`."""
    begins = {stretch.begin: stretch for stretch in taken.stretches}
    with opened(video.path) as container:
        stream = video_stream(container, video.path)
        decoder, stretch, place = stream.codec_context, None, -1
        for packet in stored_packets(container, stream, video.path):
            place += 1
            stretch = begins.get(place, stretch)
            if stretch is None:
                continue
            yield _fed(decoder, packet, place, run)
            if place == stretch.end:
                yield _emptied(decoder, stretch, run)
                stretch = None


def _fed(decoder: VideoCodecContext, packet: CodedPacket[Any], place: int, run: _Run) -> list[tuple[int, VideoFrame]]:
    import av

    packet.pts = packet.dts = place  # the decoder hands it on, and so says which packet a frame is of
    try:
        return [(frame.pts, frame) for frame in run(lambda: decoder.decode(packet))]
    except av.error.InvalidDataError:  # a broken packet; whoever wants its frame says so
        return []


def _emptied(decoder: VideoCodecContext, stretch: Stretch, run: _Run) -> list[tuple[int, VideoFrame]]:
    frames = [(frame.pts, frame) for frame in run(lambda: decoder.decode(None))]
    decoder.flush_buffers()
    return frames


def sheet_frames(video: VideoFile, taken: Decoding, most: int = 48) -> list[tuple[int, Any]]:
    """Up to `most` of the wanted frames, evenly chosen, as arrays (H, W, 3) of bytes, each with its number.

    Raises:
        InputError: as for `decoded`.
    """
    step = -(-len(taken.wanted) // most)
    chosen = decoding(video, taken.wanted[::step])
    turned = dict(decoded(video, chosen))
    return [(frame, _upright(turned[frame], video.rotation)) for frame in sorted(turned)]


def _upright(picture: VideoFrame, rotation: int) -> Any:
    import numpy as np

    return np.rot90(picture.to_ndarray(format="rgb24"), rotation // 90)
