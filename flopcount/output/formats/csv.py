"""Table -> csv: exact integers for programs."""

from __future__ import annotations

import csv
import io
from typing import Any

from ...core.table import Table
from ...core.wording import ASSUMED
from ..format import Format

__all__ = ["FORMAT", "values"]


def _text(table: Table) -> str:
    """One line per row, exact integers, no total and no notes; a share is a fraction of 1.

    What the numbers assume stands beside each of them, in a last column: a file of numbers leaves its notes behind.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    assumed = "; ".join(note.removeprefix(ASSUMED) for note in table.notes if note.startswith(ASSUMED))
    last = [assumed] if assumed else []
    writer.writerow([*(column.name for column in table.columns), *([ASSUMED.strip(": ")] if assumed else [])])
    writer.writerows([*values(row), *last] for row in table.rows)
    return out.getvalue().rstrip("\n")


def values(row: tuple[Any, ...]) -> list[Any]:
    """A row as plain values; a share (part, whole) becomes part / whole."""
    return [(value[0] / value[1] if value[1] else 0.0) if isinstance(value, tuple) else value for value in row]


FORMAT = Format(_text)
