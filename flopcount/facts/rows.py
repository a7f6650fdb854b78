"""Rows of a data file of the project; a row without a source is refused."""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Iterator, Sequence
from importlib.resources import files

from ..core.errors import InputError

__all__ = ["filled", "number", "read", "sourced", "whole"]

SOURCE = ("url", "locator")


def read(name: str) -> Iterator[tuple[str, dict[str, str]]]:
    """(place, row) of each row of flopcount/facts/<name>, packed or not; the place is "<name>, line 3"."""
    data = files(__package__).joinpath(name).read_bytes()
    text = (gzip.decompress(data) if name.endswith(".gz") else data).decode("utf-8")
    reader = csv.DictReader(text.splitlines())
    for row in reader:
        yield f"{name}, line {reader.line_num}", row


def sourced(place: str, row: dict[str, str], needed: Sequence[str] = ()) -> dict[str, str]:
    """The row itself, if it has its source and every other required cell.

    Raises:
        InputError: the url, the locator or another required cell is empty; the message names the line and the cells.
    """
    filled(place, row, (*SOURCE, *needed), "give the url of its source, and the place there (table, section)")
    if not row["url"].startswith(("https://", "http://")):
        raise InputError(f"{row['url']!r} is not the url of a source", [("in", place)])
    return row


def filled(place: str, row: dict[str, str], needed: Sequence[str], fix: str) -> dict[str, str]:
    """The row itself, if none of these cells is empty.

    Raises:
        InputError: a cell is empty; the message names the line and the cells.
    """
    missing = [column for column in needed if not row.get(column)]
    if missing:
        raise InputError(f"a fact without {' and '.join(missing)}", [("in", place), ("fix", fix)])
    return row


def number(place: str, row: dict[str, str], column: str) -> float | None:
    """A cell that holds a number above zero; None where it is empty.

    Raises:
        InputError: the cell holds something else; the message names the line.
    """
    text = row[column]
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise InputError(f"{column} is {text!r}, not a number above 0", [("in", place)])
    return value


def whole(place: str, row: dict[str, str], column: str) -> int:
    """A cell that holds a whole number above zero.

    Raises:
        InputError: the cell holds something else, or nothing; the message names the line.
    """
    text = row[column]
    if not text.isdecimal() or not int(text):
        raise InputError(f"{column} is {text!r}, not a whole number above 0", [("in", place)])
    return int(text)
