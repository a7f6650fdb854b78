"""Frames that are wanted -> frames that must be decoded: all that are stored from a key frame to each wanted one.

A decoder gets packets in the order in which they are stored. To show a frame it needs its packet and, since nothing
tells which it depends on, all before it down to a key frame. What frames of one stretch share is decoded once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ...core.one_line import OneLine
from .video_file import VideoFile

__all__ = ["Decoding", "Stretch", "decoding"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Packets that are decoded one after another, from a key frame: places in the file, both ends included."""

    begin: int
    end: int

    @property
    def packets(self) -> int:
        """How many there are."""
        return self.end - self.begin + 1


@dataclass(frozen=True, slots=True)
class Decoding(OneLine):
    """What is decoded of a video to get some of its frames.

    Arguments:
        wanted: the frames, in the order in which they are shown; none twice.
        stretches: what is decoded, in the order of the file; each begins with a seek.
        nbytes: of the packets.
        pixels: of all decoded frames.
    """

    wanted: tuple[int, ...]
    stretches: tuple[Stretch, ...]
    nbytes: int
    pixels: int

    @property
    def frames(self) -> int:
        """How many frames are decoded, those that nobody wanted included."""
        return sum(stretch.packets for stretch in self.stretches)


def decoding(video: VideoFile, wanted: Iterable[int]) -> Decoding:
    """What must be decoded to get the frames `wanted`, numbers in the order in which the video shows them."""
    frames = tuple(sorted(set(wanted)))
    ends = sorted(video.places[frame] for frame in frames)
    stretches: list[Stretch] = []
    for begin, end in sorted((video.begin_of(end), end) for end in ends):
        if stretches and begin <= stretches[-1].end:  # the decoder is there already, and goes on
            last = stretches[-1]
            stretches[-1] = Stretch(last.begin, max(last.end, end))
        else:
            stretches.append(Stretch(begin, end))
    nbytes = sum(video.packets[place].nbytes for s in stretches for place in range(s.begin, s.end + 1))
    count = sum(stretch.packets for stretch in stretches)
    return Decoding(frames, tuple(stretches), nbytes, count * video.width * video.height)
