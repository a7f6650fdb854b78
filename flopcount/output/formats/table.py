"""Table -> text for a terminal, 80 columns wide; rich, which lays it out, is loaded when there is a table."""

from __future__ import annotations

from ...core.table import Table
from ..format import Format

__all__ = ["FORMAT"]


def _text(table: Table) -> str:
    from ..terminal import terminal

    return terminal(table)


FORMAT = Format(_text)
