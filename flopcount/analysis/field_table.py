"""Receptive fields -> Table: what a unit of each layer sees of the clip, and how much of it that is."""

from __future__ import annotations

from ..core.layer_tree import in_running_order
from ..core.result import Result
from ..core.table import Column, Table
from ..core.wording import title
from ..tracing.input_dependence import AXES
from .cost_tables import field_lines, field_of, output_of
from .receptive_field import Field, Fields

__all__ = ["field_table"]

_WORDS = {"T": "frames", "H": "height", "W": "width"}


def field_table(result: Result, fields: Fields, depth: int = -1) -> Table:
    """One row per module down to `depth` (-1: all levels) whose output depends on the input.

    A share is of the positions of the clip along one axis; a field that reaches beyond the clip sees all of them.
    """
    clip = next((field.clip for of_module in fields.values() for field in of_module), ())
    axes = AXES[-len(clip) :] if clip else ()
    columns = (
        Column("layer", "text"),
        Column("type", "text", drop=1, tone="quiet"),
        Column("output", "text", drop=4),
        Column("field", "text"),
        *(Column(f"of the {_WORDS[axis]}", "share", drop=2) for axis in axes),
    )
    rows = tuple(
        (
            row.path or f"({result.model})",
            row.type,
            output_of(row, result),
            field_of(row, fields),
            *_shares(fields[row.path][0]),
        )
        for row in in_running_order(result.modules, result.course)
        if fields.get(row.path) and (depth < 0 or row.depth <= depth)
    )
    notes = tuple(field_lines(fields, "input" if result.input.clip is None else "clip"))
    return Table(f"{title(result)}: what a unit of each layer sees", columns, rows, None, notes)


def _shares(field: Field) -> tuple[tuple[int, int], ...]:
    if field.lost:
        return tuple((0, length) for length in field.clip)
    seen = zip(field.sizes, field.clip, strict=True)
    return tuple((length if size is None else min(size, length), length) for size, length in seen)
