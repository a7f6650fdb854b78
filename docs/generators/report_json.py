"""The JSON of a report: its schema, and the same as a page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from flopcount.output.report_schema import report_schema

from .markdown import table

__all__ = ["json_page", "json_schema"]

_HEAD = """# JSON

`flopcount model NAME --format json` and `report.to_json()` write one object of the schema `flopcount/1`.
[The schema](flopcount-1.schema.json) is a JSON Schema of draft 2020-12. Counts are exact integers; what is unknown is
absent or null, never 0. `flopcount diff` and `flopcount.read_report` read such a file back.

Keys are written as paths: `modules[].path` is the key `path` of each element of `modules`. A key in italics may be
absent.
"""


def json_schema() -> str:
    """The schema itself."""
    return json.dumps(report_schema(), indent=2, ensure_ascii=False) + "\n"


def json_page() -> str:
    """One row per key."""
    return _HEAD + "\n" + table(("key", "type", "meaning"), _rows(report_schema(), ""))


def _rows(schema: dict[str, Any], place: str) -> Iterator[tuple[str, str, str]]:
    for key, inner in schema.get("properties", {}).items():
        path = f"{place}{key}"
        name = f"`{path}`" if key in schema["required"] else f"*`{path}`*"
        yield name, _type(inner), inner.get("description", "")
        while inner.get("type") == "array":
            path, inner = f"{path}[]", inner["items"]
        for option in [inner, *inner.get("oneOf", [])]:
            yield from _rows(option, f"{path}.")


def _type(schema: dict[str, Any]) -> str:
    """In the words of the schema."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "oneOf" in schema:
        return " or ".join(_type(option) for option in schema["oneOf"])
    if schema["type"] == "array":
        return f"array of {_type(schema['items'])}"
    return " or ".join(schema["type"]) if isinstance(schema["type"], list) else str(schema["type"])
