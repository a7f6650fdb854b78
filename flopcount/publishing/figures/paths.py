"""Long paths of modules -> names that fit: what paths have in common is cut from their middle, what differs stays."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["shortened"]

_CUT = "…"


def shortened(paths: Sequence[str], letters: int) -> list[str]:
    """Each path in so many letters, where that is possible; no two become the same.

    Of "encoder.layers.0.attention.query" and "encoder.layers.1.attention.query" the numbers stay, and "layers" goes
    first: "encoder…0…query", then "…0…query". A path that still does not fit loses letters in its middle.
    """
    branches = _branches([path for path in paths if not _is_words(path)])
    names = [_by_parts(path, branches, letters) for path in paths]
    cut = [_by_letters(name, letters) for name in names]
    # where letters alone would tell them apart, they keep theirs
    names = [name if cut.count(short) > 1 else short for name, short in zip(names, cut, strict=True)]
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
    """Without parts that other paths share: those in its middle first, then its first, and then its last."""
    parts = path.split(".")
    kept = list(range(len(parts)))
    middle = (len(parts) - 1) / 2
    for at in [*sorted(kept[1:-1], key=lambda at: abs(at - middle)), 0, len(parts) - 1]:
        if len(_joined(parts, kept)) <= letters:
            break
        if tuple(parts[:at]) not in branches and kept != [at]:
            kept.remove(at)
    return _joined(parts, kept)


def _joined(parts: Sequence[str], kept: Sequence[int]) -> str:
    text, before = "", -1
    for at in kept:
        joint = _CUT if at > before + 1 else "." if text else ""
        text, before = f"{text}{joint}{parts[at]}", at
    return text if before == len(parts) - 1 else f"{text}{_CUT}"


def _is_words(name: str) -> bool:
    """Whether it is no path, as "45 others" and "(c3d)" are not."""
    return " " in name or name.startswith("(")


def _by_letters(name: str, letters: int) -> str:
    if len(name) <= letters or _is_words(name):
        return name
    tail = max(1, (letters - 1) * 2 // 3)
    return f"{name[: max(1, letters - 1 - tail)]}{_CUT}{name[-tail:]}"
