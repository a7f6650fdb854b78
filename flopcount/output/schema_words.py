"""The words that schemas are written in: functions that make pieces of JSON Schema."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = [
    *("Schema", "count", "described", "list_of", "nullable", "number", "one_of", "or_null", "record", "shape", "text"),
]

Schema = dict[str, Any]


def record(keys: dict[str, Schema], description: str = "", optional: Iterable[str] = ()) -> Schema:
    """An object of these keys and no others."""
    required = [key for key in keys if key not in set(optional)]
    return described(
        {"type": "object", "properties": keys, "required": required, "additionalProperties": False}, description
    )


def list_of(item: Schema, description: str = "") -> Schema:
    """An array."""
    return described({"type": "array", "items": item}, description)


def shape() -> Schema:
    """Sizes of a tensor."""
    return list_of(count())


def count(description: str = "") -> Schema:
    """A whole number of 0 or more."""
    return described({"type": "integer", "minimum": 0}, description)


def number(description: str = "") -> Schema:
    """A number of 0 or more."""
    return described({"type": "number", "minimum": 0}, description)


def text(description: str = "") -> Schema:
    """A string."""
    return described({"type": "string"}, description)


def nullable(type: str, description: str) -> Schema:
    """A value of a type, or null."""
    return described({"type": [type, "null"]}, description)


def or_null(schema: Schema, description: str) -> Schema:
    """Either of the two."""
    return described({"oneOf": [schema, {"type": "null"}]}, description)


def described(schema: Schema, description: str) -> Schema:
    """With a description, if there is one."""
    return schema | ({"description": description} if description else {})


def one_of(values: Iterable[str], description: str = "") -> Schema:
    """One of these strings."""
    return described({"enum": list(values)}, description)
