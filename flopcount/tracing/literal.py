"""Arguments that are passed as they are: `literal((8, 14, 14))` stays three numbers and is no shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Literal", "literal"]


@dataclass(frozen=True, slots=True, eq=False)
class Literal:
    """A value that is no description of a tensor; the module gets a copy of it."""

    value: Any


def literal(value: Any) -> Literal:
    """Pass an argument as it is: whole numbers in it are no shape, and tensors in it keep their values.

    >>> from flopcount import literal
    >>> literal((8, 14, 14)).value
    (8, 14, 14)
    """
    return Literal(value)
