"""How objects show themselves: one line where Python asks for a `repr`, their tables where a notebook asks for HTML.

A result holds thousands of operators, and what is made of it holds the result: written out as dataclasses are, one
would fill the screen. Here each says what it is of and its main number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import Field, fields
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .table import Table

__all__ = ["LONGEST", "OneLine", "ShownAsTable", "ShownAsTables", "one_line"]

LONGEST = 160
"""Characters of a `repr` at most."""


def one_line(shown: object, headline: str) -> str:
    """The `repr` of an object in one line: its class, and what is said of it, cut where it gets too long."""
    text = " ".join(f"<{type(shown).__name__} {headline}".split())
    return f"{text}>" if len(text) < LONGEST else f"{text[: LONGEST - 2]}…>"


class OneLine:
    """Its `repr` is one line, made of the `_headline` of its class; by default that names the fields of a dataclass.

    Subclasses get it by themselves, so that no dataclass puts its own in its place.
    """

    __slots__ = ()

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "__repr__" not in cls.__dict__:
            cls.__repr__ = OneLine.__repr__  # type: ignore[method-assign]

    def _headline(self) -> str:
        """What it is of, and its main number; nothing is computed for it that takes long."""
        said = ((entry, getattr(self, entry.name)) for entry in fields(self))  # type: ignore[arg-type]
        return ", ".join(filter(None, (_field_text(entry, value) for entry, value in said if entry.repr)))

    def __repr__(self) -> str:
        return one_line(self, self._headline())


def _field_text(entry: Field[Any], value: Any) -> str:
    """A field in few words: a value as it is, of a collection how much is in it, of what is left at nothing nothing."""
    if value is None or value is entry.default:
        return ""
    if isinstance(value, (str, int, float)) and not isinstance(value, Enum):
        return "" if value in ("", entry.default) else f"{entry.name}={value!r}"
    if isinstance(value, (tuple, list, Mapping)):
        return f"{len(value)} {entry.name}" if value else ""
    kind: Any = type(value)
    return f"{entry.name}={value}" if kind.__str__ is not object.__str__ else ""


class ShownAsTables(OneLine):
    """What is read as tables: `str` has them as text, and a notebook as HTML, light or dark."""

    __slots__ = ()

    def _tables(self) -> Iterable[Table]:
        """The tables that show it, in their order."""
        raise NotImplementedError

    def __str__(self) -> str:
        return "\n\n".join(map(str, self._tables()))

    def _repr_html_(self) -> str:
        return "".join(table._repr_html_() for table in self._tables())


class ShownAsTable(ShownAsTables):
    """What is read as the one table that its `table()` gives."""

    __slots__ = ()

    if TYPE_CHECKING:

        def table(self) -> Table:
            """Which every such class has."""

    def _tables(self) -> Iterable[Table]:
        return (self.table(),)
