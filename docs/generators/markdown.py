"""Pieces of markdown that several generated pages need."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

__all__ = ["ROOT", "relinked", "table"]

ROOT = Path(__file__).resolve().parent.parent.parent
_CODE = r"^```.*?^```$|`[^`\n]*`"
_LINK = r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?!https?:|#|mailto:)(?P<path>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)"
_CODE_OR_LINK = re.compile(f"{_CODE}|{_LINK}", re.DOTALL | re.MULTILINE)


def table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table; bars in its cells are escaped."""
    names = list(headings)
    lines = [names, ["---"] * len(names), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def relinked(text: str, place: Callable[[str], str | None]) -> str:
    """The text with each relative link set to its `place`; a link without one is its text alone. Code stays."""

    def link(match: re.Match[str]) -> str:
        if match["path"] is None:  # code
            return match[0]
        target = place(match["path"])
        if target is None:
            return match["text"]
        return f"{match['image']}[{match['text']}]({target}{match['anchor'] or ''})"

    return _CODE_OR_LINK.sub(link, text)
