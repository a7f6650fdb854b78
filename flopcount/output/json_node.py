"""A value of a saved JSON file with its place in it, so that whatever is wrong with it can be named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..core.amount import Amount
from ..core.errors import InputError
from ..core.quantity import PICO, counted, priced

__all__ = ["Malformed", "Node", "read_saved"]

T = TypeVar("T")


def read_saved(path: str | Path, schema: str, what: str, fix: str, read: Callable[[Node], T]) -> T:
    """What `read` makes of a JSON file of this schema; `what` it is, and how to write one, are for the message.

    Raises:
        InputError: the file does not exist, is not JSON, has another schema, or contradicts itself.
    """
    path, advice = Path(path), [("fix", fix)]
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", advice) from None
    except (ValueError, RecursionError) as error:  # of JSON, or of UTF-8
        raise InputError(f"{path} is not JSON: {error}", advice) from None
    seen = data.get("schema") if isinstance(data, dict) else None
    if seen != schema:
        other = repr(seen) if seen is not None else "no schema"
        raise InputError(f"{path} is not a {what} of schema {schema}", [("seen", other), *advice])
    try:
        return read(Node(data))
    except (Malformed, InputError) as error:  # an InputError is that of a clip, or of views
        raise InputError(f"{path} is not a complete {what}: {str(error).splitlines()[0]}", advice) from None


class Malformed(Exception):
    """What is wrong with the file, and where in it."""


@dataclass(frozen=True, slots=True)
class Node:
    """A JSON value with its place, so that whatever is wrong with it can be named."""

    value: Any
    place: str = ""

    def __getitem__(self, key: str) -> Node:
        place = f"{self.place}.{key}".lstrip(".")
        if key not in self.object():
            raise Malformed(f"{place} is missing")
        return Node(self.value[key], place)

    def object(self) -> dict[str, Any]:
        """Values by name."""
        if not isinstance(self.value, dict):
            raise Malformed(f"{self.place} is {self.value!r}, not an object")
        return self.value

    def texts(self) -> dict[str, str]:
        """Strings by name."""
        return {name: self[name].text() for name in self.object()}

    def items(self) -> Iterable[Node]:
        """The elements of a list."""
        if not isinstance(self.value, list):
            raise Malformed(f"{self.place} is {self.value!r}, not a list")
        return [Node(value, f"{self.place}[{position}]") for position, value in enumerate(self.value)]

    def whole(self) -> int:
        """A count: a whole number of 0 or more."""
        if type(self.value) is not int or self.value < 0:
            raise Malformed(f"{self.place} is {self.value!r}, not a count")
        return self.value

    def number(self) -> float:
        """A number of 0 or more."""
        if type(self.value) not in (int, float) or not 0 <= self.value < float("inf"):
            raise Malformed(f"{self.place} is {self.value!r}, not a number of 0 or more")
        return float(self.value)

    def says(self, key: str) -> bool:
        """Whether something is so, which is not written where it is not."""
        if key not in self.object():
            return False
        if type(self.value[key]) is not bool:
            raise Malformed(f"{self[key].place} is {self.value[key]!r}, neither true nor false")
        return bool(self.value[key])

    def text(self) -> str:
        """A string."""
        if not isinstance(self.value, str):
            raise Malformed(f"{self.place} is {self.value!r}, not a string")
        return self.value

    def lines(self, key: str) -> tuple[str, ...]:
        """A list of strings, which is empty where an older version did not write it."""
        return tuple(line.text() for line in self[key].items()) if key in self.object() else ()

    def shape(self) -> tuple[int, ...]:
        """Sizes of one tensor."""
        return tuple(size.whole() for size in self.items())

    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Sizes of several tensors."""
        return tuple(shape.shape() for shape in self.items())

    def amount(self, prefix: str = "") -> Amount:
        """The amount of each counted quantity in the file, and of what a device spends; MACs are required."""
        names = (quantity.name for quantity in counted())
        there = [name for name in names if f"{prefix}{name}" in self.object() or name == "macs"]
        spent = [quantity for quantity in priced() if f"{prefix}{quantity.key}" in self.object()]
        return Amount(
            {name: self[f"{prefix}{name}"].whole() for name in there}
            | {quantity.name: round(self[f"{prefix}{quantity.key}"].number() * PICO) for quantity in spent}
        )
