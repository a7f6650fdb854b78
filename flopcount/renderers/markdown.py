"""Table -> GitHub's markdown."""

from __future__ import annotations

from ..tables import Table
from .cells import cells

__all__ = ["markdown"]


def markdown(table: Table) -> str:
    """Title, pipe table with a bold total row, notes as a list."""
    heading = [column.name for column in table.columns]
    ruler = ["---" if column.kind in ("text", "prose") else "---:" for column in table.columns]
    body = [cells(table.columns, row) for row in table.rows]
    if table.total is not None:
        body.append([f"**{text}**" if text else "" for text in cells(table.columns, table.total)])
    lines = ["| " + " | ".join(map(_escape, row)) + " |" for row in (heading, ruler, *body)]
    return "\n".join([f"**{table.title}**", "", *lines, "", *(f"- {note}" for note in table.notes)])


def _escape(text: str) -> str:
    return text.replace("|", "\\|")
