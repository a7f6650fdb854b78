"""Compressed frames that are decoded and never shown, told from their bytes.

Source: RFC 6386 (VP8) section 9.1, show_frame. VP9 and AV1 store such a frame in the packet of one that is shown.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["hides"]


def hides(codec: str) -> Callable[[bytes], bool] | None:
    """A function of a packet's bytes -> whether it shows no frame; None for a codec whose packets all show one."""
    return _vp8_hides if codec == "vp8" else None


def _vp8_hides(data: bytes) -> bool:
    """Frames that are only referred to have show_frame, bit 4 of the first byte, unset."""
    return bool(data) and not data[0] & 0x10
