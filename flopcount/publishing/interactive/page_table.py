"""A Table -> what the template shows of it: chosen columns under headings in words, texts, what they sort by, links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...core.quantity import TABLE
from ...core.table import Column, Table
from ...output.cells import cell
from .chart_data import linked

__all__ = ["Cell", "Shown", "page_table", "table_of"]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its text, what it sorts by, where it leads, if anywhere, and what stands small below it."""

    text: str
    key: str
    url: str = ""
    aside: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A column of a table by its key, under a heading; `aside` says what is small below, with columns in braces."""

    key: str
    heading: str = ""
    aside: str = ""


def table_of(table: Table, urls: Sequence[str] = ()) -> dict[str, Any]:
    """Every column, a quantity under its full title; a column with nothing in it is left out.

    `urls` are those of the last cells of the rows.
    """
    titles = {quantity.key: quantity.title for quantity in TABLE.values()}
    return page_table(table, [Shown(_key(column), titles.get(column.key, "")) for column in table.columns], urls)


def page_table(table: Table, shown: Sequence[Shown], urls: Sequence[str] = ()) -> dict[str, Any]:
    """The shown columns that the table has and that have something in them; `urls` as in `table_of`."""
    at = {_key(column): index for index, column in enumerate(table.columns)}
    shown = [entry for entry in shown if entry.key in at]
    columns = [table.columns[at[entry.key]] for entry in shown]
    rows = []
    for row in table.rows:
        texts = {key: cell(table.columns[index], row[index]) for key, index in at.items()}
        rows.append([_cell(table.columns[at[entry.key]], row[at[entry.key]], entry.aside, texts) for entry in shown])
    for cells, url in zip(rows, urls or [""] * len(rows), strict=True):
        last = cells[-1]
        cells[-1] = Cell(last.text, last.key, linked(url), last.aside)
    indices = [index for index in range(len(shown)) if any(row[index].text for row in rows)]
    total = None if table.total is None else [_cell(columns[i], table.total[at[shown[i].key]]).text for i in indices]
    return {
        "title": table.title,
        "columns": [(shown[i].heading or columns[i].name, columns[i].kind) for i in indices],
        "rows": [[row[i] for i in indices] for row in rows],
        "total": total,
        "notes": table.notes,
    }


def _key(column: Column) -> str:
    return column.key or column.name


def _cell(column: Column, value: Any, aside: str = "", texts: Mapping[str, str] | None = None) -> Cell:
    small = aside.format_map(texts) if texts and aside and any(f"{{{key}}}" in aside for key in _full(texts)) else ""
    if column.kind == "share":
        part, whole = value
        return Cell(cell(column, value), str(part / whole if whole else 0), aside=small)
    key = _number(value) if isinstance(value, str) else str(value)
    return Cell(cell(column, value), key, aside=small)


def _full(texts: Mapping[str, str]) -> list[str]:
    """The columns with something in this row; what is small has nothing to say where they are empty."""
    return [key for key, text in texts.items() if text]


def _number(text: str) -> str:
    """What a text sorts by: the number it is, where it is one."""
    bare = text.replace(",", "")
    return bare if bare.replace(".", "", 1).isdigit() else text
