"""Table -> GitHub's markdown."""

from __future__ import annotations

import re

from ...core.table import Table
from ..cells import cells, heading
from ..format import Format
from ..tree_names import named_below

__all__ = ["FORMAT", "escaped"]

_INDENT = "&nbsp;&nbsp;"  # of a level of a tree: Markdown drops plain blanks
_MARKUP = re.compile(
    r"<(?=[A-Za-z/!?])"  # a tag
    r"|(?<![^\W_])_(?=\w.*\w_(?!\w))"  # an emphasis, but not in snake_case
    r"|\*(?=\S.*\*)"
)


def _text(table: Table) -> str:
    """Title, pipe table with a bold total row, notes as a list; a title or notes that are missing leave no gap."""
    headings = [heading(column) for column in table.columns]
    ruler = ["---" if column.kind in ("text", "prose") else "---:" for column in table.columns]
    body = [[escaped(text) for text in cells(table.columns, line.values)] for line in table.lines]
    if table.tree:
        names = [_INDENT * level + escaped(name) for level, name in named_below(table)]
        body = [[name, *row[1:]] for name, row in zip(names, body, strict=True)]
    if table.total is not None:
        body.append([f"**{escaped(text)}**" if text else "" for text in cells(table.columns, table.total)])
    lines = ["| " + " | ".join(map(_celled, row)) + " |" for row in (headings, ruler, *body)]
    top = [f"**{escaped(table.title)}**", ""] if table.title else []
    notes = ["", *(f"- {escaped(note)}" for note in table.notes)] if table.notes else []
    return "\n".join([*top, *lines, *notes])


def escaped(text: str) -> str:
    """The text with whatever opens a tag or an emphasis escaped; an underscore inside a word does neither."""
    return _MARKUP.sub(r"\\\g<0>", text)


def _celled(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split("\n"))


FORMAT = Format(_text)
