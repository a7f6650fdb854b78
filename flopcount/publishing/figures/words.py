"""Words that a chart has room for: lines that are broken between words, and names of networks as papers print them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from textwrap import wrap

from ...models import CARDS

__all__ = ["gap_lines", "paper_name", "wrapped"]


_BOUND = "\N{NO-BREAK SPACE}"
_SIGNS = (" = ", " × ")
_UNIT = re.compile(r"(?<=\d) (?=[a-zA-Zµ])")  # between a number and what it is of


def wrapped(text: str, letters: int | None) -> str:
    """The text in lines of so many letters, none broken in an equation or before a unit; as it is where None."""
    if letters is None:
        return text
    for sign in _SIGNS:
        text = text.replace(sign, sign.replace(" ", _BOUND))
    text = _UNIT.sub(_BOUND, text)
    return "\n".join(wrap(text, letters, break_long_words=False)).replace(_BOUND, " ")


def gap_lines(lines: Iterable[str], letters: int) -> list[str]:
    """What is missing in a count, and what it assumes, in lines that stand under a chart as they do under a table."""
    return [part for line in lines if not line.startswith(_EXPLAINED) for part in wrapped(line, letters).splitlines()]


_EXPLAINED = "what is missing: "  # how much it may be, which the table says


def paper_name(model: str) -> str:
    """A network's name in papers, or the name that its user gave it."""
    return CARDS[model].label if model in CARDS else model
