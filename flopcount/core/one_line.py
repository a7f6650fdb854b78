"""How objects show themselves at a prompt: in one line, which says what they are of and their main number.

A result holds thousands of operators, and what is made of it holds the result: written out as dataclasses are, one
would fill the screen. Here each says what it is of and its main number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, fields
from enum import Enum
from typing import Any

__all__ = ["LONGEST", "OneLine", "one_line"]

LONGEST = 160
"""Characters of a `repr` at most."""


def one_line(shown: object, headline: str) -> str:
    """The `repr` of an object in one line: its class, and what is said of it, cut where it gets too long."""
    words = " ".join(f"<{type(shown).__name__} {headline}".split())
    text = "".join(one if one.isprintable() else repr(one)[1:-1] for one in words)  # a name may hold anything
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
    if isinstance(value, OneLine):  # whose `str` may be a whole table
        return f"{entry.name}={value!r}"
    kind: Any = type(value)
    return f"{entry.name}={value}" if kind.__str__ is not object.__str__ else ""
