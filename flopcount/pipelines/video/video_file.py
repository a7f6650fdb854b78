"""What is in a video file, as its container tells it: frames, their times, and where decoding can begin.

A packet is a compressed frame. Packets are stored in the order in which they are decoded; frames are shown in the order
of their times, which B-frames change.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from ...core.one_line import OneLine

__all__ = ["Packet", "VideoFile"]

_COLOURS = 3


class Packet(NamedTuple):
    """One compressed frame.

    Arguments:
        time: when it is shown, in units of the file's time base.
        key: whether decoding can begin here.
        nbytes: its size.
        shown: whether a frame of the video comes of it; others are only decoded, such as those before a cut.
    """

    time: int
    key: bool
    nbytes: int
    shown: bool = True


@dataclass(frozen=True)
class VideoFile(OneLine):
    """The video of one file; nothing of it is decoded but one frame, for its rotation.

    Arguments:
        path: as the user wrote it.
        container: ffmpeg's name of the format, such as "mp4".
        codec: ffmpeg's name, such as "h264".
        width: of a frame as it is shown, in pixels: after the rotation.
        height: as width.
        rotation: degrees by which players turn the stored frames, counter-clockwise: 0, 90, 180 or 270.
        pixel_format: ffmpeg's name, such as "yuv420p".
        alpha: whether frames have an alpha channel, which networks do not see.
        time_base: seconds of one unit of time.
        packets: in the order in which they are stored; one at least is shown.
        lasting: how long the last frame is shown, in units of time.
        nbytes: size of the whole file.
        notes: what is assumed, and what is unusual.
    """

    path: str
    container: str
    codec: str
    width: int
    height: int
    rotation: int
    pixel_format: str
    alpha: bool
    time_base: Fraction
    packets: tuple[Packet, ...]
    lasting: int
    nbytes: int
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of the file, without its folders."""
        return Path(self.path).name

    @cached_property
    def places(self) -> tuple[int, ...]:
        """Of each frame, in the order in which they are shown, the place of its packet in the file."""
        shown = [place for place, packet in enumerate(self.packets) if packet.shown]
        return tuple(sorted(shown, key=lambda place: (self.packets[place].time, place)))

    @property
    def frames(self) -> int:
        """How many frames are shown."""
        return len(self.places)

    @cached_property
    def times(self) -> tuple[Fraction, ...]:
        """Seconds from the first frame to each frame."""
        first = self.packets[self.places[0]].time
        return tuple((self.packets[place].time - first) * self.time_base for place in self.places)

    @cached_property
    def duration(self) -> Fraction:
        """Seconds from the first frame to the end of the last."""
        return self.times[-1] + self.lasting * self.time_base

    @property
    def fps(self) -> Fraction:
        """Frames per second, on average."""
        return self.frames / self.duration

    @cached_property
    def varies(self) -> bool:
        """Whether frames are shown for different times; a container's units are too coarse for one unit to tell."""
        gaps = [later - sooner for sooner, later in pairwise(self.times)]
        return bool(gaps) and max(gaps) - min(gaps) > 2 * self.time_base and max(gaps) > Fraction(51, 50) * min(gaps)

    @cached_property
    def keys(self) -> tuple[int, ...]:
        """The frames at which decoding can begin, in the order in which they are shown."""
        return tuple(frame for frame, place in enumerate(self.places) if self.packets[place].key)

    @property
    def packet_bytes(self) -> int:
        """Bytes of all compressed frames."""
        return sum(packet.nbytes for packet in self.packets)

    @property
    def raw_bytes(self) -> int:
        """Bytes of all frames as uint8, three colours a pixel."""
        return self.frames * _COLOURS * self.height * self.width

    def frame_at(self, seconds: Fraction) -> int:
        """The frame that is shown at a time since the first; the last one after the end."""
        return max(bisect_right(self.times, seconds) - 1, 0)

    def begin_of(self, place: int) -> int:
        """The place of the packet at which decoding begins for the frame of a packet.

        It is the last key before it that is shown no later: what is stored after a key and shown before it may need
        frames before that key.
        """
        return self._begins[place]

    @cached_property
    def _begins(self) -> tuple[int, ...]:
        return tuple(self._find_begins())

    def _find_begins(self) -> Iterator[int]:
        key = before = 0
        for place, packet in enumerate(self.packets):
            if packet.key:
                before, key = key, place
            leads = packet.time < self.packets[key].time
            yield before if leads else key

    def data(self) -> dict[str, Any]:
        """For JSON; times in seconds."""
        return {
            "container": self.container,
            "codec": self.codec,
            "width": self.width,
            "height": self.height,
            "rotation": self.rotation,
            "pixel_format": self.pixel_format,
            "frames": self.frames,
            "seconds": float(self.duration),
            "fps": float(self.fps),
            "variable_rate": self.varies,
            "key_frames": list(self.keys),
            "bytes": self.nbytes,
            "packet_bytes": self.packet_bytes,
            "raw_bytes": self.raw_bytes,
            "notes": list(self.notes),
        }

    def _headline(self) -> str:
        return f"{self.name}: {self.frames:,} frames of {self.height}×{self.width}, {self.codec}"
