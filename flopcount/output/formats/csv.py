"""Table -> csv: exact integers for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from ...core.quantity import PICO
from ...core.table import Column, Measured, Table
from ...core.wording import ASSUMED, PRICE
from ..format import Format

__all__ = ["FORMAT", "values"]


def _text(table: Table) -> str:
    """One line per row, exact integers, no total and no notes; a share is a fraction of 1.

    What the numbers assume, and the price that money is made of, stand beside each of them in last columns: a file of
    numbers leaves its notes behind.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    labels = (ASSUMED, *([PRICE] if any(column.key == "money" for column in table.columns) else []))
    last = {
        label.strip(": "): "; ".join(note.removeprefix(label) for note in table.notes if note.startswith(label))
        for label in labels
    }
    last = {heading: text for heading, text in last.items() if text}
    writer.writerow([*(_heading(column) for column in table.columns), *last])
    writer.writerows([*values(table.columns, row), *last.values()] for row in table.rows)
    return out.getvalue().rstrip("\n")


def _heading(column: Column) -> str:
    return f"{column.name} ({column.unit})" if column.pico and column.unit else column.name


def values(columns: Sequence[Column], row: Sequence[Any]) -> list[Any]:
    """A row as plain values; a share (part, whole) becomes part / whole, and a priced amount one in its unit."""
    return [_value(column, value) for column, value in zip(columns, row, strict=True)]


def _value(column: Column, value: Any) -> Any:
    if isinstance(value, Measured):
        return value.amount
    if isinstance(value, tuple):
        return value[0] / value[1] if value[1] else 0.0
    return value / PICO if column.pico and isinstance(value, int) else value


FORMAT = Format(_text)
