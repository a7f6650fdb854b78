"""Table -> pandas; imported only when asked for, since pandas takes longer to load than a model to count."""

from __future__ import annotations

import pandas

from ..tables import Table
from .machine import values

__all__ = ["to_frame"]


def to_frame(table: Table) -> pandas.DataFrame:
    """Exact integers, one row per row; shares as fractions. The title is in `.attrs`."""
    frame = pandas.DataFrame([values(row) for row in table.rows], columns=[column.name for column in table.columns])
    frame.attrs.update(title=table.title, notes=list(table.notes))
    return frame
