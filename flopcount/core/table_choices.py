"""A table as its reader wants it: which columns, and in which multiple of their units; the values stay the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .errors import InputError, UnknownNameError
from .quantity import PICO
from .table import Column, Line, Table
from .units import PREFIXES

__all__ = ["in_units", "parse_units", "with_columns"]

_DIGITS = 4  # of the largest number of a column, as far as it has that many
_COUNTS = ("count", "delta")


def with_columns(table: Table, names: Sequence[str]) -> Table:
    """The table with these columns in this order, after that which names its rows; all stay in a narrow terminal.

    Arguments:
        table: any.
        names: headings, or names in data, in any case.

    Raises:
        UnknownNameError: there is no such column, with near names.
    """
    places = [0]
    for name in names:
        place = _place(table.columns, name)
        if place not in places:
            places.append(place)

    def pick(row: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(row[place] for place in places)

    return replace(
        table,
        columns=tuple(replace(column, drop=0, minor=False) for column in pick(table.columns)),
        rows=tuple(map(pick, table.rows)),
        total=None if table.total is None else pick(table.total),
        tree=tuple(Line(line.level, pick(line.values)) for line in table.tree),
    )


def _place(columns: Sequence[Column], name: str) -> int:
    typed = name.strip().lower()
    for place, column in enumerate(columns):
        if typed in (column.name.lower(), column.key.lower()):
            return place
    known = [column.name for column in columns]
    raise UnknownNameError("column", name, known, f"choose {', '.join(known)}")


def parse_units(text: str) -> dict[str, str]:
    """Prefix by column, "" for all others: "G" or "G,params=M".

    Raises:
        InputError: a prefix is none of SI's.
    """
    prefixes: dict[str, str] = {}
    for part in text.split(","):
        column, _, prefix = part.rpartition("=")
        prefix = {"u": "µ", "K": "k"}.get(prefix.strip(), prefix.strip())
        if not prefix or prefix not in PREFIXES:
            known = " ".join(filter(None, PREFIXES))
            raise InputError(f"unit {part.strip()!r} has no SI prefix", [("fix", f"choose one of {known}, such as G")])
        prefixes[column.strip().lower()] = prefix
    return prefixes


def in_units(table: Table, prefixes: dict[str, str]) -> Table:
    """The table with the numbers of each column in one multiple of its unit.

    Arguments:
        table: any; a tally, such as of calls, stays as it is unless it is named.
        prefixes: of `parse_units`.

    Raises:
        UnknownNameError: there is no such column, with near names.
    """
    of_place = {_place(table.columns, name): prefix for name, prefix in prefixes.items() if name}
    columns = []
    for place, column in enumerate(table.columns):
        prefix = of_place.get(place, None if column.tally else prefixes.get(""))
        amounts = [row[place] for row in (*table.rows, *([table.total] if table.total else []))]
        numbers = [value for value in amounts if isinstance(value, (int, float))]
        if prefix is None or column.kind not in _COUNTS or not numbers:
            columns.append(column)
            continue
        largest = max(map(abs, numbers)) / PREFIXES[prefix] / (PICO if column.pico else 1)
        places = min(max(_DIGITS - len(str(int(largest))), 0), _DIGITS - 1)
        columns.append(replace(column, prefix=prefix, places=places))
    return replace(table, columns=tuple(columns))
