"""Pieces of markdown that several generated pages need."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

__all__ = ["ROOT", "relinked", "table"]

ROOT = Path(__file__).resolve().parent.parent.parent
_LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)([^)#\s]+)")


def table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table; bars in cells are escaped."""
    names = list(headings)
    lines = [names, ["---"] * len(names), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def relinked(text: str, target: Callable[[str], str | None]) -> str:
    """The text with every relative link set anew; a link that `target` knows no place for becomes code."""

    def link(match: re.Match[str]) -> str:
        return target(match[1]) or match[1]

    return _LINK.sub(link, text)
