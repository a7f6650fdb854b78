"""Names cut to a width, so that those that differ still do: of `blocks.0.qkv` and `blocks.1.qkv` the number stays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile

__all__ = ["shortened"]

_CUT = "…"
_ROUNDS = 4  # those that still look alike differ less than all that did before
_TAIL = 3  # characters of the end at least, where the beginning and the middle are cut


def shortened(names: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Each name at most as wide as its width; both ends are kept where that tells it from all others.

    Names that differ may still look alike where the widths have no room for the difference.
    """
    cut = [_both_ends(name, width) for name, width in zip(names, widths, strict=True)]
    for _ in range(_ROUNDS):
        groups: dict[str, list[int]] = {}
        for place, text in enumerate(cut):
            groups.setdefault(text, []).append(place)
        mixed = [places for places in groups.values() if len({names[place] for place in places}) > 1]
        for places in mixed:
            start, end = _difference(sorted({names[place] for place in places}))
            for place in places:
                cut[place] = _around(names[place], start, end, widths[place])
        if not mixed:
            break
    return cut


def _both_ends(name: str, width: int) -> str:
    """A path is recognised by its root and its leaf."""
    if len(name) <= width:
        return name
    tail = (width - 1) * 2 // 3
    return f"{name[: width - 1 - tail]}{_CUT}{name[-tail:] if tail else ''}"


def _difference(names: Sequence[str]) -> tuple[int, int]:
    """How many characters at the beginning and at the end all of them share."""
    start = _alike(names)
    end = _alike([name[::-1] for name in names])
    return start, min(end, min(map(len, names)) - start)


def _alike(names: Sequence[str]) -> int:
    """How many characters at the beginning all of them share."""
    return len(list(takewhile(lambda several: len(set(several)) == 1, zip(*names, strict=False))))


def _around(name: str, start: int, end: int, width: int) -> str:
    """The name with what is between `start` and the last `end` characters, and with its tail if that fits."""
    if len(name) <= width:
        return name
    begin = _begin(name, start)
    if len(name) - begin + 1 <= width:
        earliest = len(name) - (width - 1)
        dots = [place + 1 for place in _dots(name) if earliest <= place + 1 <= begin]
        return _CUT + name[min([*dots, begin]) :]
    spare = width - 2 - (len(name) - end - start)  # beside the part that differs
    tail = min(end, max(_TAIL, spare // 2))
    room = max(width - 2 - tail, 1)
    return f"{_CUT}{name[start : start + room]}{_CUT}{name[-tail:] if tail else ''}"[:width]


def _begin(name: str, start: int) -> int:
    """The beginning of the part of a path that a place is in."""
    return max((place + 1 for place in _dots(name) if place < start), default=start)


def _dots(name: str) -> Iterable[int]:
    return (place for place, character in enumerate(name) if character == ".")
