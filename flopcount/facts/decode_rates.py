"""Measured rates of video decoding, on CPUs in software and on NVIDIA's decoding engine, and its share of a job's time.

The data are in decode_rates.csv and decode_shares.csv. A rate holds for the video that was measured: higher bit rates,
more bits per sample and fewer threads are slower. So what the rows say of another video is a range. Some rows of
software time more than decoding (opening the file, RGB arrays), as `notes` say. Left out are measurements whose source
does not name codec and size, and NVDEC rates over so few frames that opening the file may weigh most.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from ..core.errors import InputError
from ..core.one_line import OneLine
from .rows import number, read, sourced, whole

__all__ = [
    "CODECS",
    "DECODERS",
    "DecodeRate",
    "DecodeShare",
    "decode_rate_row",
    "decode_rates",
    "decode_share_row",
    "decode_shares",
    "published_rates",
]

DECODERS = ("software", "NVDEC")
CODECS = ("h264", "hevc", "vp9", "av1", "mpeg4")
"""Names of codecs as FFmpeg has them."""

_SECONDARY = {"yes": True, "no": False}
_RATE = ("decoder", "program", "codec", "height", "width", "device", "frames_per_s", "secondary")
_SHARE = (
    *("network", "backbone", "device", "cpu", "video_s", "height", "width", "fps"),
    *("preprocess_ms", "inference_ms", "total_ms", "secondary"),
)


@dataclass(frozen=True, slots=True)
class DecodeRate(OneLine):
    """How fast a video was decoded.

    Arguments:
        decoder: "software" (on a CPU) or "NVDEC" (one engine of a GPU).
        program: what decoded, as the source calls it.
        codec: one of `CODECS`.
        bit_depth: bits per sample; None where the source does not say.
        height: of a frame, in pixels.
        width: of a frame, in pixels.
        device: the CPU, or the GPU or its architecture, as the source prints it.
        threads: of the decoder; None where the source does not say, or where the program chose.
        frames_per_s: frames per second; `notes` say so where the source prints a time instead.
        url: where it was read.
        locator: the place there.
        secondary: whether the source quotes another text.
        notes: what else was timed, the video's bit rate, and what was printed.
    """

    decoder: str
    program: str
    codec: str
    bit_depth: int | None
    height: int
    width: int
    device: str
    threads: int | None
    frames_per_s: float
    url: str
    locator: str
    secondary: bool
    notes: str

    @property
    def pixels_per_s(self) -> float:
        """Pixels of decoded frames per second."""
        return self.frames_per_s * self.height * self.width


@dataclass(frozen=True, slots=True)
class DecodeShare(OneLine):
    """Where the time of classifying a video went. Means over the same videos.

    Arguments:
        network: as the source calls it.
        backbone: as the source calls it.
        device: what the network ran on.
        cpu: what decoded.
        video_s: length of a video, in seconds.
        height: of a frame, in pixels.
        width: of a frame, in pixels.
        fps: frames per second of the video.
        preprocess_ms: milliseconds from the file to the network's input: decoding, sampling, resizing, cropping.
        inference_ms: milliseconds of the network.
        total_ms: milliseconds of both, as printed.
        url: where it was read.
        locator: the place there.
        secondary: whether the source quotes another text.
        notes: in what the row differs from the others.
    """

    network: str
    backbone: str
    device: str
    cpu: str
    video_s: float
    height: int
    width: int
    fps: float
    preprocess_ms: float
    inference_ms: float
    total_ms: float
    url: str
    locator: str
    secondary: bool
    notes: str

    @property
    def share(self) -> float:
        """The share of the time that is not the network's, from 0 to 1: at most so much is decoding alone."""
        return self.preprocess_ms / self.total_ms


@cache
def decode_rates() -> tuple[DecodeRate, ...]:
    """Every rate, in the order of the data file."""
    return tuple(decode_rate_row(place, row) for place, row in read("decode_rates.csv"))


def published_rates(codec: str, decoder: str = "software") -> tuple[DecodeRate, ...]:
    """The rates of a codec, from the fewest pixels per second to the most; none where nothing was published of it.

    Raises:
        InputError: there is no such decoder.
    """
    if decoder not in DECODERS:
        raise InputError(f"decoder is {decoder!r}", [("fix", f"choose {' or '.join(DECODERS)}")])
    found = (rate for rate in decode_rates() if (rate.codec, rate.decoder) == (codec, decoder))
    return tuple(sorted(found, key=lambda rate: rate.pixels_per_s))


@cache
def decode_shares() -> tuple[DecodeShare, ...]:
    """Every share, in the order of the data file."""
    return tuple(decode_share_row(place, row) for place, row in read("decode_shares.csv"))


def decode_rate_row(place: str, row: dict[str, str]) -> DecodeRate:
    """One row of decode_rates.csv, checked.

    Raises:
        InputError: a cell is empty or malformed, or the row has no source; the message names the line.
    """
    sourced(place, row, _RATE)
    return DecodeRate(
        decoder=_one_of(place, row, "decoder", DECODERS),
        program=row["program"],
        codec=_one_of(place, row, "codec", CODECS),
        bit_depth=whole(place, row, "bit_depth") if row["bit_depth"] else None,
        height=whole(place, row, "height"),
        width=whole(place, row, "width"),
        device=row["device"],
        threads=whole(place, row, "threads") if row["threads"] else None,
        frames_per_s=_above_zero(place, row, "frames_per_s"),
        url=row["url"],
        locator=row["locator"],
        secondary=_SECONDARY[_one_of(place, row, "secondary", tuple(_SECONDARY))],
        notes=row["notes"],
    )


def decode_share_row(place: str, row: dict[str, str]) -> DecodeShare:
    """One row of decode_shares.csv, checked.

    Raises:
        InputError: a cell is empty or malformed, or the row has no source; the message names the line.
    """
    sourced(place, row, _SHARE)
    return DecodeShare(
        network=row["network"],
        backbone=row["backbone"],
        device=row["device"],
        cpu=row["cpu"],
        video_s=_above_zero(place, row, "video_s"),
        height=whole(place, row, "height"),
        width=whole(place, row, "width"),
        fps=_above_zero(place, row, "fps"),
        preprocess_ms=_above_zero(place, row, "preprocess_ms"),
        inference_ms=_above_zero(place, row, "inference_ms"),
        total_ms=_above_zero(place, row, "total_ms"),
        url=row["url"],
        locator=row["locator"],
        secondary=_SECONDARY[_one_of(place, row, "secondary", tuple(_SECONDARY))],
        notes=row["notes"],
    )


def _one_of(place: str, row: dict[str, str], column: str, known: tuple[str, ...]) -> str:
    if row[column] not in known:
        raise InputError(f"{column} is {row[column]!r}", [("in", place), ("fix", f"choose {', '.join(known)}")])
    return row[column]


def _above_zero(place: str, row: dict[str, str], column: str) -> float:
    value = number(place, row, column)
    assert value is not None  # every cell is filled
    return value
