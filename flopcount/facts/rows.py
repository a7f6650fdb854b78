"""Rows of a data file of the project; a row without a source is refused."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from importlib.resources import files

from ..core.errors import InputError

__all__ = ["read", "sourced"]

SOURCE = ("url", "locator")


def read(name: str) -> Iterator[tuple[str, dict[str, str]]]:
    """(place, row) of each row of flopcount/facts/<name>; the place is "<name>, line 3"."""
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    reader = csv.DictReader(text.splitlines())
    for row in reader:
        yield f"{name}, line {reader.line_num}", row


def sourced(place: str, row: dict[str, str], needed: Sequence[str] = ()) -> dict[str, str]:
    """The row itself, if it has its source and every other required cell.

    Raises:
        InputError: the url, the locator or another required cell is empty; the message names the line and the cells.
    """
    missing = [column for column in (*SOURCE, *needed) if not row.get(column)]
    if missing:
        raise InputError(
            f"a fact without {' and '.join(missing)}",
            [("in", place), ("fix", "give the url of its source, and the place there (table, section)")],
        )
    if not row["url"].startswith(("https://", "http://")):
        raise InputError(f"{row['url']!r} is not the url of a source", [("in", place)])
    return row
