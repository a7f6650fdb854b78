"""Why two numbers differ, as a value: the kind of reason, and the numbers and names of the case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Reason"]


@dataclass(frozen=True, slots=True)
class Reason:
    """`kind` is a sentence with placeholders, such as "adds {} per {}", and `values` fill them.

    Equal reasons count as one. A value may itself be a Reason.
    """

    kind: str
    values: tuple[Any, ...] = ()

    @classmethod
    def in_words(cls, text: str) -> Reason:
        """A reason from the words of a data file or of an error, which may contain braces."""
        return cls("{}", (text,))

    def __str__(self) -> str:
        return self.kind.format(*self.values)
