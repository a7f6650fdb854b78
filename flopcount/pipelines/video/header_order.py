"""The order in which a stream is shown, from its pictures' own headers, for containers that do not store it.

Nothing is decoded. Where anything in a stream is not understood, no order is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from .bit_reader import NotUnderstood
from .h264_order import H264Headers
from .hevc_order import HevcHeaders
from .picture_types import Mpeg2Headers, Mpeg4Headers
from .shown import Shown

__all__ = ["HeaderOrder"]


class _Headers(Protocol):
    """What reads the headers of one codec."""

    def read(self, packet: bytes) -> Any:
        """The picture of a packet."""

    def order(self, pictures: Sequence[Any], first: int) -> list[Shown]:
        """Of each picture of a whole stream, when it is shown."""


class HeaderOrder:
    """Gathers the headers of a stream, packet by packet, and tells the order when all are there."""

    def __init__(self, codec: str, extradata: bytes) -> None:
        self._pictures: list[Any] = []
        self._headers: _Headers | None = None
        try:
            self._headers = _headers(codec, extradata)
        except (NotUnderstood, IndexError):
            return

    def add(self, packet: bytes) -> None:
        """Take the next packet."""
        if self._headers is None:
            return
        try:
            self._pictures.append(self._headers.read(packet))
        except (NotUnderstood, IndexError):
            self._headers = None

    def found(self, first: int) -> list[Shown] | None:
        """When the picture of each packet is shown, `first` of which is the first key; None where not understood."""
        if self._headers is None or first >= len(self._pictures):
            return None
        try:
            shown = self._headers.order(self._pictures, first)
        except NotUnderstood:
            return None
        return shown if len({(picture.group, picture.rank) for picture in shown}) == len(shown) else None


def _headers(codec: str, extradata: bytes) -> _Headers | None:
    match codec:
        case "h264":
            return H264Headers(extradata)
        case "hevc":
            return HevcHeaders(extradata)
        case "mpeg4":
            return Mpeg4Headers(extradata)
        case "mpeg1video" | "mpeg2video":
            return Mpeg2Headers()
    return None
