"""An open video file, by PyAV: its container, the stream of moving pictures, and the packets of that."""

from __future__ import annotations

import difflib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import InputError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet as CodedPacket
    from av.video.stream import VideoStream

__all__ = ["opened", "require_pyav", "stored_packets", "video_stream", "videos_of"]

_NO_VIDEO = ("tty", "ffmetadata", "srt", "ass", "webvtt")
"""Formats that ffmpeg calls video, or opens, and that are texts."""


def require_pyav() -> None:
    """Refuse to go on without PyAV.

    Raises:
        InputError: it is not installed.
    """
    if importlib.util.find_spec("av") is None:
        fix = "pip install 'av>=18.0', or flopcount with its extra [video]"
        raise InputError("video files are read by PyAV, which is not installed", [("fix", fix)])


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
        if path.is_symlink() and not path.exists():
            why = f"{path} is a link to {path.readlink()}, which does not exist"
            raise InputError(why, [("fix", "name a video file, or a folder of them")])
        if not path.exists():
            fix = ("fix", "name a video file, or a folder of them")
            raise InputError(f"{path} does not exist", [*_near(path), fix])
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
    videos = videos_of(container)
    if not videos or container.format.name in _NO_VIDEO:
        others = sorted({stream.type for stream in container.streams})
        seen = f"{container.format.name} with {' and '.join(others) or 'nothing in it'}"
        raise InputError(f"{path} has no video", [("seen", seen), ("fix", "name a file with moving pictures")])
    if videos[0].codec_context is None:
        fix = "convert it to another codec, such as h264"
        raise InputError(f"{path} has a video of a codec that PyAV cannot decode", [("fix", fix)])
    return videos[0]


def stored_packets(container: InputContainer, stream: VideoStream, path: str | Path) -> Iterator[CodedPacket[Any]]:
    """The compressed frames of a stream, in the order in which they are stored.

    Raises:
        InputError: another stream begins in the middle of the file, which PyAV cannot follow.
    """
    try:
        yield from (packet for packet in container.demux(stream) if packet.size)
    except IndexError:
        seen = "a stream that begins in the middle of the file"
        fix = "keep the pictures alone: ffmpeg -i IN -map 0:v:0 -c copy OUT.mkv"
        raise InputError(f"{path} cannot be read as a video", [("seen", seen), ("fix", fix)]) from None


def _near(path: Path) -> Iterator[tuple[str, str]]:
    """Files beside one that does not exist whose names are like its."""
    try:
        beside = [each.name for each in path.parent.iterdir()]
    except OSError:
        return
    if near := difflib.get_close_matches(path.name, beside):
        yield "near", ", ".join(str(path.with_name(name)) for name in near)


def videos_of(container: InputContainer) -> list[VideoStream]:
    """The streams of moving pictures."""
    from av.stream import Disposition

    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
