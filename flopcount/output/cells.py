"""The values of a table as text, the same in every format for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.quantity import PICO
from ..core.table import Column, Measured
from ..core.units import duration, in_prefix, percent, si, signed

__all__ = ["cell", "cells", "heading"]


def heading(column: Column) -> str:
    """The name of a column, with the unit that all of its numbers are in, if they are in one."""
    return column.name if column.prefix is None else f"{column.name} ({column.prefix}{column.unit})"


def cell(column: Column, value: Any) -> str:
    """Text as it is, counts and differences in SI, a share in percent; a zero leaves its cell empty."""
    if column.kind in ("text", "prose"):
        return str(value)
    if isinstance(value, str):  # which says why there is no number
        return value
    if isinstance(value, Measured):
        return str(value)
    if column.kind == "share":
        part, whole = value
        return percent(part, whole) if part else ""
    if column.pico:
        value = value / PICO
    if column.prefix is not None:
        sign = "+" if column.kind == "delta" and value > 0 else ""
        return sign + in_prefix(value, column.prefix, column.places) if value else ""
    if column.kind == "delta":
        return signed(value, column.unit, blank=True)
    if column.unit == "s" and value:
        return duration(value)
    return si(value, column.unit, blank=True)


def cells(columns: Sequence[Column], row: Sequence[Any]) -> list[str]:
    """One row of text."""
    return [cell(column, value) for column, value in zip(columns, row, strict=True)]
