"""Table -> one HTML table that stands alone in a notebook, light or dark."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from ...core.table import Column, Table
from ..cells import cell, heading
from ..format import Format

__all__ = ["FORMAT"]

_CELL = "padding:2px 10px;border:0;"
_RULE = "border-bottom:1px solid currentColor;"
_ADDRESS = re.compile(r"https?://(?:[^\s&]|&amp;)*(?:[^\s&.,;:)]|&amp;)")  # in escaped text


def _text(table: Table) -> str:
    """A <div> with inline styles only: notebooks strip style sheets."""
    notes = "".join(f"<div>{_linked(escape(note))}</div>" for note in table.notes)
    return (
        '<div class="flopcount" style="font-variant-numeric:tabular-nums">'
        f"<div><b>{escape(table.title)}</b></div>"
        f"{_grid(table) if table.columns else ''}"
        f'<div style="opacity:.75;font-size:90%">{notes}</div></div>'
    )


def _grid(table: Table) -> str:
    """The <table>; without a row of headings where no column has one."""
    headings = "".join(_tag("th", column, escape(heading(column)), _RULE) for column in table.columns)
    head = f"<thead><tr>{headings}</tr></thead>" if any(column.name for column in table.columns) else ""
    top = "vertical-align:top;" if any(column.kind == "prose" for column in table.columns) else ""  # beside long text
    rows = "".join(f"<tr>{_row('td', table.columns, line.values, top, line.level)}</tr>" for line in table.lines)
    total = _row("th", table.columns, table.total, "border-top:1px solid currentColor;") if table.total else ""
    return (
        '<table style="border-collapse:collapse;margin:6px 0;background:none;color:inherit">'
        f"{head}<tbody>{rows}</tbody><tfoot><tr>{total}</tr></tfoot></table>"
    )


def _row(tag: str, columns: tuple[Column, ...], row: tuple[Any, ...], style: str = "", level: int = 0) -> str:
    """One row, the first cell moved in by its level in a tree."""
    indents = [f"padding-left:{10 + 16 * level}px;" if level else "", *([""] * (len(columns) - 1))]
    return "".join(
        _tag(tag, column, _content(column, value, bar=tag == "td"), style + indent)
        for column, value, indent in zip(columns, row, indents, strict=True)
    )


def _content(column: Column, value: Any, *, bar: bool) -> str:
    text = escape(cell(column, value))
    if column.kind == "prose":
        return _linked(text)
    if column.kind != "share" or not text:
        return text
    part, whole = value
    number = f'<span style="display:inline-block;width:3.6em;text-align:right">{text}</span>'
    length = f"width:{100 * part / whole:.1f}px;min-width:1px"
    rectangle = f' <span style="display:inline-block;height:.7em;background:#3987e5;{length}"></span>'
    return number + (rectangle if bar else "")


def _linked(text: str) -> str:
    """Escaped text with its web addresses as links, in the colour of the text: a browser's blue is lost on black."""
    return _ADDRESS.sub(lambda found: f'<a href="{found[0]}" style="color:inherit">{found[0]}</a>', text)


def _tag(tag: str, column: Column, content: str, style: str) -> str:
    align = "right" if column.kind in ("count", "delta") else "left"
    wrap = "" if column.kind == "prose" else "white-space:nowrap;"
    return f'<{tag} style="{_CELL}{wrap}{style}text-align:{align}">{content}</{tag}>'


FORMAT = Format(_text, for_commands=False)
