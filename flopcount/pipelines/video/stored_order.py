"""What a compressed frame says of when it is shown, for codecs whose containers may not say it.

Sources: ISO/IEC 14496-2 (MPEG-4 Visual) section 6.2.5, vop_start_code and vop_coding_type; RFC 6386 (VP8) section 9.1,
show_frame.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["shown_order"]

_VOP = b"\x00\x00\x01\xb6"
_KINDS = ("I", "P", "B", "S")


def shown_order(codec: str) -> Callable[[bytes], str] | None:
    """A function of a packet's bytes -> "I", "P", "B", "S", "hidden" for one that shows no frame, or "" if unknown."""
    return {"mpeg4": _mpeg4, "vp8": _vp8}.get(codec)


def _mpeg4(data: bytes) -> str:
    """The coding type of its first picture, the two bits after the start code."""
    at = data.find(_VOP)
    return _KINDS[data[at + 4] >> 6] if 0 <= at < len(data) - 4 else ""


def _vp8(data: bytes) -> str:
    """Frames that are only referred to have show_frame, bit 4 of the first byte, unset."""
    return "hidden" if data and not data[0] & 0x10 else ""
