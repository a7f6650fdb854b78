"""A time as people write it -> seconds: "1883s", "12ms", "2.5min"."""

from __future__ import annotations

import re

from .errors import InputError

__all__ = ["parse_duration"]

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
_DURATION = re.compile(rf"\s*(\d+(?:\.\d*)?|\.\d+)(?:e([+-]?\d{{1,2}}))?\s*({'|'.join(_UNITS)})\s*", re.IGNORECASE)


def parse_duration(text: str) -> float:
    """Seconds above 0.

    Raises:
        InputError: the text has no number, or no unit, or is no time above 0.
    """
    match = _DURATION.fullmatch(text)
    seconds = float(f"{match[1]}e{match[2] or 0}") * _UNITS[match[3].lower()] if match else 0.0
    if not 0 < seconds < float("inf"):
        raise InputError(
            f"{text!r} is not a time", [("fix", "write a number and its unit, such as 1883s, 12ms or 2.5min")]
        )
    return seconds
