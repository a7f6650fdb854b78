"""Table -> a terminal, with rich: fitted to its width, colourless where it is piped.

In a narrow terminal minor columns go first, then the bar, then long paths are shortened in the middle, then columns
leave in the order that `Column.drop` says: of a report by module type, parameters, other, output, FLOPs, and last the
share.
"""

from __future__ import annotations

import io
import unicodedata
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from ..core.table import Column, Line, Table
from .cells import cells, heading
from .short_names import shortened
from .tree_names import below_parents, parents_of

__all__ = ["PLAIN_WIDTH", "plain", "renderable", "terminal"]

PLAIN_WIDTH = 80
_GAPS = (2, 1)  # blanks between columns; one where two would cost the bar
_SHORTEST_PATH = 14
_INDENT = 2  # blanks for each level of a tree
_NARROWEST_BAR, _WIDEST_BAR = 4, 16
_NARROWEST_PROSE = 30
_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")
_LOUD = {"UNCOSTED": "bold red", "EXCEEDED": "bold red", "most ": "bold"}  # how a note begins that must not be missed
_STYLES = {"strong": "bold", "quiet": "dim"}

# A rule under the headings and one above the totals; the box itself puts one blank between columns
_LINES = box.Box("    \n    \n ── \n    \n    \n ── \n    \n    \n")

Row = list[str]


def terminal(table: Table, width: int = PLAIN_WIDTH) -> str:
    """Plain text, at most `width` columns wide."""
    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False, _environ={})
    console.print(renderable(table, width))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def renderable(table: Table, width: int) -> RenderableType:
    """The table with its title and notes, fitted to `width`."""
    title = Text(_one_line(table.title), style="bold")
    return Group(title, Text(), _grid(_fitted(table, width)), Text(), *map(_note, table.notes))


def plain(text: str) -> str:
    """Text that cannot move the cursor or colour the screen: a file's name may hold anything."""
    if text.isprintable():
        return text
    kept = "\n\t"
    return "".join(repr(one)[1:-1] if unicodedata.category(one) == "Cc" and one not in kept else one for one in text)


def _one_line(text: str) -> str:
    return plain(text).replace("\n", r"\n")


@dataclass(frozen=True, slots=True)
class _Fitted:
    """The part of a table that is shown: texts by row, the width of the bar (0: none) and of the gaps."""

    columns: list[Column]
    rows: list[Row]
    total: Row | None
    shares: list[Any]
    bar: int
    gap: int


def _fitted(table: Table, width: int) -> _Fitted:
    columns = list(table.columns)
    if any(column.minor for column in columns):
        texts = [cells(table.columns, row) for row in (*table.rows, *([table.total] if table.total else []))]
        gap, spare = _spacing(columns, texts, width)
        if spare < _needed(columns, gap):
            columns = [column for column in columns if not column.minor]
    while True:
        places = [table.columns.index(column) for column in columns]
        lines = _saying(table, columns)
        rows = [_pick(_texts(table, line), places) for line in lines]
        total = _pick(cells(table.columns, table.total), places) if table.total is not None else None
        gap, spare = _spacing(columns, [*rows, *([total] if total else [])], width)
        path = max((len(row[0]) for row in rows), default=0)
        leaving = min((column for column in columns if column.drop), key=lambda column: column.drop, default=None)
        if spare >= 0 or path + spare >= min(path, _SHORTEST_PATH) or leaving is None:
            break
        columns.remove(leaving)
    if spare < 0:
        _shorten(rows, [line.level for line in lines], max(path + spare, _SHORTEST_PATH))
    shares = [line.values[places[-1]] for line in lines] if columns[-1].kind == "share" else []
    bar = min(spare - gap, _WIDEST_BAR) if shares and spare >= _NARROWEST_BAR + gap else 0
    return _Fitted(columns, rows, total, shares, bar, gap)


def _grid(fitted: _Fitted) -> RichTable:
    footers: Row = fitted.total or [""] * len(fitted.columns)
    grid = RichTable(
        box=_LINES,
        show_edge=False,
        pad_edge=False,
        padding=(0, fitted.gap - 1, 0, 0),
        show_footer=fitted.total is not None,
    )
    for column, footer in zip(fitted.columns, footers, strict=True):
        grid.add_column(
            heading(column),
            footer,
            justify="left" if column.kind in ("text", "prose") else "right",
            style=_STYLES.get(column.tone, ""),
            header_style="bold",
            footer_style="bold",
            no_wrap=column.kind != "prose",
            overflow="fold" if column.kind == "prose" else "ellipsis",
        )
    if fitted.bar:
        grid.add_column("", style="cyan", no_wrap=True, min_width=fitted.bar)
    for position, row in enumerate(fitted.rows):
        bar = [_bar(fitted.shares[position], fitted.bar)] if fitted.bar else []
        grid.add_row(*map(Text, row), *bar)  # as Text, since a name may hold what rich takes for markup: [id], :cat:
    return grid


def _texts(table: Table, line: Line) -> Row:
    """The cells of a line, where only prose may have several lines; the first is moved in by its level in a tree."""
    texts = zip(table.columns, cells(table.columns, line.values), strict=True)
    first, *others = [plain(text) if column.kind == "prose" else _one_line(text) for column, text in texts]
    return [" " * (_INDENT * line.level) + first, *others]


def _saying(table: Table, columns: list[Column]) -> list[Line]:
    """The lines of a tree that say something behind their names in these columns: a layer may have bytes alone."""
    after = next((place for place, column in enumerate(table.columns) if column.kind != "text"), 0)
    places = [table.columns.index(column) for column in columns if column in table.columns[after:]]
    if not table.tree or not places:
        return list(table.lines)
    return [line for line in table.lines if any(_pick(cells(table.columns, line.values), places))]


def _pick(row: Row, places: list[int]) -> Row:
    return [row[position] for position in places]


def _spacing(columns: list[Column], rows: list[Row], width: int) -> tuple[int, int]:
    """The gap between columns, and what is left of the width (negative: too narrow)."""
    texts = sum(_text_width(column, [row[i] for row in rows]) for i, column in enumerate(columns))
    for gap in _GAPS:
        spare = width - texts - gap * (len(columns) - 1)
        if spare >= _needed(columns, gap):
            break
    return gap, spare


def _needed(columns: list[Column], gap: int) -> int:
    """The width that a bar needs."""
    return _NARROWEST_BAR + gap if columns[-1].kind == "share" else 0


def _text_width(column: Column, texts: Row) -> int:
    """Prose wraps, so it needs little; everything else is on one line."""
    return _NARROWEST_PROSE if column.kind == "prose" else max(map(len, (heading(column), *texts)))


def _shorten(rows: list[Row], levels: list[int], width: int) -> None:
    """Cut the names to a width: in a tree first what the line above says, of all that are below it, then the middle."""
    names = [row[0].lstrip(" ") for row in rows]
    parents = parents_of(levels)
    indents = [_INDENT * level for level in levels]
    room = [max(width - indent, _SHORTEST_PATH // 2) for indent in indents]
    wide = {parent for parent, name, most in zip(parents, names, room, strict=True) if len(name) > most}
    shorter = below_parents(names, [parent if parent in wide else None for parent in parents])
    for row, indent, name in zip(rows, indents, shortened(shorter, room), strict=True):
        row[0] = " " * indent + name


def _bar(share: tuple[int, int], width: int) -> str:
    """A bar of eighths of a block, in integers; what is not zero shows at least a sliver."""
    part, whole = share
    eighths = part * width * 8 // whole if whole else 0
    if part and not eighths:
        eighths = 1
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8]


def _note(note: str) -> Text:
    label, colon, rest = plain(note).partition(": ")
    style = next((style for start, style in _LOUD.items() if label.startswith(start)), "dim")
    return Text.assemble((label + colon, style), rest, overflow="fold")
