"""Table -> a terminal, with rich: fitted to its width, colourless where it is piped.

In a narrow terminal the bar goes first, then long paths are shortened in the middle, then columns leave in the order
that `Column.drop` says: type, parameters (or bytes), other, output, FLOPs, and last the share.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from ..tables import Column, Table
from .cells import cells

__all__ = ["PLAIN_WIDTH", "renderable", "terminal"]

PLAIN_WIDTH = 80
_GAPS = (2, 1)  # blanks between columns; one where two would cost the bar
_SHORTEST_PATH = 14
_NARROWEST_BAR, _WIDEST_BAR = 4, 16
_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")

Row = list[str]


def terminal(table: Table, width: int = PLAIN_WIDTH) -> str:
    """Plain text, at most `width` columns wide."""
    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False, _environ={})
    console.print(renderable(table, width))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def renderable(table: Table, width: int) -> RenderableType:
    """The table with its title and notes, fitted to `width`."""
    columns = list(table.columns)
    while True:
        kept = [table.columns.index(column) for column in columns]
        rows = [_pick(cells(table.columns, row), kept) for row in table.rows]
        total = _pick(cells(table.columns, table.total), kept)
        gap, spare = _spacing(columns, [*rows, total], width)
        path = max((len(row[0]) for row in rows), default=0)
        if spare >= 0 or path + spare >= min(path, _SHORTEST_PATH):
            break
        leaving = min((column for column in columns if column.drop), key=lambda column: column.drop, default=None)
        if leaving is None:
            break
        columns.remove(leaving)
    if spare < 0:
        for row in rows:
            row[0] = _shorten(row[0], max(path + spare, _SHORTEST_PATH))
    shares = [row[table.columns.index(columns[-1])] for row in table.rows] if columns[-1].kind == "share" else None
    bar = min(spare - gap, _WIDEST_BAR) if shares and spare > _NARROWEST_BAR + gap else 0
    return Group(
        Text(table.title, style="bold"),
        Text(),
        _grid(columns, rows, total, shares, bar, gap),
        Text(),
        *map(_note, table.notes),
    )


def _grid(columns: Sequence[Column], rows: list[Row], total: Row, shares: Any, bar: int, gap: int) -> RichTable:
    grid = RichTable(box=_LINES, show_edge=False, pad_edge=False, padding=(0, gap - 1, 0, 0), show_footer=True)
    for column, footer in zip(columns, total, strict=True):
        grid.add_column(
            column.name,
            footer,
            justify="left" if column.kind == "text" else "right",
            style={"MACs": "bold", "other": "dim", "type": "dim", "kind": "dim"}.get(column.name, ""),
            header_style="bold",
            footer_style="bold",
            no_wrap=True,
        )
    if bar:
        grid.add_column("", justify="left", style="cyan", no_wrap=True, min_width=bar)
    for position, row in enumerate(rows):
        grid.add_row(*row, *([_bar(shares[position], bar)] if bar else []))
    return grid


# A rule under the headings and one above the totals; the box itself puts one blank between columns
_LINES = box.Box("    \n    \n ── \n    \n    \n ── \n    \n    \n")


def _pick(row: Row, kept: list[int]) -> Row:
    return [row[position] for position in kept]


def _spacing(columns: Sequence[Column], rows: list[Row], width: int) -> tuple[int, int]:
    """The gap between columns, and what is left of the width (negative: too narrow)."""
    texts = sum(max(len(text) for text in (column.name, *(row[i] for row in rows))) for i, column in enumerate(columns))
    for gap in _GAPS:
        spare = width - texts - gap * (len(columns) - 1)
        if spare > _NARROWEST_BAR + gap:
            break
    return gap, spare


def _shorten(path: str, width: int) -> str:
    """Keep both ends: a path is recognised by its root and its leaf."""
    if len(path) <= width:
        return path
    tail = (width - 1) * 2 // 3
    return f"{path[: width - 1 - tail]}…{path[-tail:]}"


def _bar(share: tuple[int, int], width: int) -> str:
    """A bar of eighths of a block, in integers; what is not zero shows at least a sliver."""
    part, whole = share
    eighths = part * width * 8 // whole if whole else 0
    if part and not eighths:
        eighths = 1
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8]


def _note(note: str) -> Text:
    label, colon, rest = note.partition(": ")
    style = "bold red" if label.startswith("UNCOSTED") else "dim"
    return Text.assemble((label + colon, style), rest, overflow="fold")
