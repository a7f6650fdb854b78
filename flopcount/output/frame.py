"""Table -> pandas; imported only when asked for, since pandas takes longer to load than a model to count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas

from ..core.table import Table
from .formats.csv import values

__all__ = ["column_of", "to_frame"]


def to_frame(table: Table) -> pandas.DataFrame:
    """Exact integers, one row per row; text, counts, and shares as fractions of 1. The title is in `.attrs`."""
    rows = [values(table.columns, row) for row in table.rows]
    frame = pandas.DataFrame(
        {
            column.key or column.name: column_of([row[index] for row in rows])
            for index, column in enumerate(table.columns)
        }
    )
    frame.attrs.update(title=table.title, notes=list(table.notes))
    return frame


def column_of(cells: Sequence[Any]) -> Any:
    """One type for all: whole numbers, other numbers, yes or no, else text; None is a missing value of that type.

    Whole numbers without a gap are NumPy's int64; those that int64 cannot hold stay Python's, which are exact.
    """
    kinds = {type(cell) for cell in cells if cell is not None}
    gaps = any(cell is None for cell in cells)
    if kinds == {int}:
        if any(cell is not None and abs(cell) >= 2**63 for cell in cells):
            return pandas.array(list(cells), dtype=object)
        return pandas.array(list(cells), dtype="Int64" if gaps else "int64")
    if kinds and kinds <= {int, float}:
        return pandas.array([float("nan") if cell is None else float(cell) for cell in cells], dtype="float64")
    if kinds == {bool}:
        return pandas.array(list(cells), dtype="boolean" if gaps else "bool")
    return pandas.array([None if cell is None else str(cell) for cell in cells], dtype="string")
