"""Why two numbers differ, as a value: what kind of reason it is, and the numbers and names of the case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Reason"]


@dataclass(frozen=True, slots=True)
class Reason:
    """`kind` is a sentence with places, such as "adds {} per {}", and `values` stand in them.

    Equal reasons are one. A value may be a Reason itself.
    """

    kind: str
    values: tuple[Any, ...] = ()

    @classmethod
    def in_words(cls, text: str) -> Reason:
        """Words of a data file or of an error, which may hold braces."""
        return cls("{}", (text,))

    def __str__(self) -> str:
        return self.kind.format(*self.values)
