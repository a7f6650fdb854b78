"""The units that H.264 and HEVC streams consist of: how packets hold them, and the bytes that they mean.

Sources: ISO/IEC 14496-10 (H.264) clause 7.3.1, emulation prevention, and annex B, byte streams; ISO/IEC 14496-15
clauses 5.3.3.1, AVCDecoderConfigurationRecord, and 8.3.3.1, HEVCDecoderConfigurationRecord, which files have as
extradata where each unit is stored after its length.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from .bit_reader import NotUnderstood

__all__ = ["length_size", "meaning", "stored_sets", "units"]

_START = b"\x00\x00\x01"
_AVC_SETS, _HEVC_SETS = 5, 22
"""Where the parameter sets begin in a configuration record; the byte before HEVC's ends with the size of lengths."""


def units(data: bytes, size: int) -> Iterator[bytes]:
    """The units of a packet. `size` is that of the lengths before them, or 0 where start codes are.

    Raises:
        NotUnderstood: a length is more than there is.
    """
    return _after_lengths(data, size) if size else _after_start_codes(data)


def meaning(unit: bytes, most: int | None = None) -> bytes:
    """A unit, or its first `most` bytes, without the bytes that keep start codes from occurring in it (7.3.1)."""
    return unit[:most].replace(b"\x00\x00\x03", b"\x00\x00")


def _after_start_codes(data: bytes) -> Iterator[bytes]:
    at = data.find(_START)
    while at >= 0:
        begin = at + len(_START)
        at = data.find(_START, begin)
        unit = data[begin : at if at >= 0 else len(data)].rstrip(b"\x00")
        if unit:
            yield unit


def _after_lengths(data: bytes, size: int) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        begin = at + size
        at = begin + int.from_bytes(data[at:begin], "big")
        if begin >= len(data) or at > len(data):
            raise NotUnderstood("a unit is longer than its packet")
        if at > begin:
            yield data[begin:at]


def length_size(codec: str, extradata: bytes) -> int:
    """How long the lengths of units are, 0 where start codes are: which of both it is, the extradata say."""
    if not extradata or extradata[0] != 1:
        return 0
    at = 4 if codec == "h264" else _HEVC_SETS - 1
    if len(extradata) <= at + 1:
        raise NotUnderstood("a configuration record ends too soon")
    return (extradata[at] & 3) + 1


def stored_sets(codec: str, extradata: bytes) -> Iterator[bytes]:
    """The parameter sets that are stored beside the stream.

    Raises:
        NotUnderstood: the record ends too soon.
    """
    if not length_size(codec, extradata):
        yield from _after_start_codes(extradata)
    elif codec == "h264":
        at = yield from _listed(extradata, _AVC_SETS + 1, extradata[_AVC_SETS] & 31)
        if at < len(extradata):
            yield from _listed(extradata, at + 1, extradata[at])
    else:
        at = _HEVC_SETS + 1
        for _ in range(extradata[_HEVC_SETS]):
            at = yield from _listed(extradata, at + 3, int.from_bytes(extradata[at + 1 : at + 3], "big"))


def _listed(record: bytes, at: int, count: int) -> Generator[bytes, None, int]:
    """`count` units, each after its length in two bytes; returns where the next thing begins."""
    for _ in range(count):
        begin = at + 2
        at = begin + int.from_bytes(record[at:begin], "big")
        if begin > len(record) or at > len(record):
            raise NotUnderstood("a configuration record ends too soon")
        if at > begin:
            yield record[begin:at]
    return at
