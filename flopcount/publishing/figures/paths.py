"""Long paths of modules -> names that fit: what paths have in common is cut from their middle, what differs stays."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["shortened"]

_CUT = "…"


def shortened(paths: Sequence[str], letters: int) -> list[str]:
    """Each path in so many letters, where that is possible; no two become the same.

    Of "encoder.layers.0.attention.query" and "encoder.layers.1.attention.query" the numbers stay, and "layers" goes
    first: "encoder…0…query". A path that still does not fit loses letters in its middle.
    """
    branches = _branches(paths)
    names = [_by_parts(path, branches, letters) for path in paths]
    names = [_by_letters(name, letters) for name in names]
    # where two would be the same, both stay whole
    return [path if names.count(name) > 1 else name for path, name in zip(paths, names, strict=True)]


def _branches(paths: Sequence[str]) -> set[tuple[str, ...]]:
    """The beginnings of paths behind which paths differ."""
    following: dict[tuple[str, ...], set[str]] = {}
    for path in paths:
        parts = path.split(".")
        for at, part in enumerate(parts):
            following.setdefault(tuple(parts[:at]), set()).add(part)
    return {begin for begin, parts in following.items() if len(parts) > 1}


def _by_parts(path: str, branches: set[tuple[str, ...]], letters: int) -> str:
    """Without parts in its middle: those first that other paths share, from the middle outwards."""
    parts = path.split(".")
    kept = list(range(len(parts)))
    middle = (len(parts) - 1) / 2
    inner = sorted(kept[1:-1], key=lambda at: (tuple(parts[:at]) in branches, abs(at - middle)))
    for at in inner:
        if len(_joined(parts, kept)) <= letters:
            break
        if tuple(parts[:at]) not in branches:
            kept.remove(at)
    return _joined(parts, kept)


def _joined(parts: Sequence[str], kept: Sequence[int]) -> str:
    text, before = "", -1
    for at in kept:
        joint = "" if before < 0 else "." if at == before + 1 else _CUT
        text, before = f"{text}{joint}{parts[at]}", at
    return text


def _by_letters(name: str, letters: int) -> str:
    if len(name) <= letters or " " in name:  # words are no path
        return name
    tail = max(1, (letters - 1) * 2 // 3)
    return f"{name[: max(1, letters - 1 - tail)]}{_CUT}{name[-tail:]}"
