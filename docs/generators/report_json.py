"""The JSON of a report: its schema, and the same as a page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from flopcount.output.report_schema import report_schema
from flopcount.pipelines.pipeline_schema import pipeline_schema

from .markdown import table

__all__ = ["json_page", "json_schema", "pipeline_json_schema"]

_HEAD = """# JSON

`flopcount model NAME --format json` and `report.to_json()` write one object of the schema `flopcount/1`.
[The schema](flopcount-1.schema.json) is a JSON Schema of draft 2020-12. Counts are exact integers; what is unknown is
absent or null, never 0. `flopcount diff` and `flopcount.read_report` read such a file back.

Keys are written as paths: `modules[].path` is the key `path` of each element of `modules`. A key in italics may be
absent.
"""

_PIPELINES = """## Whole jobs

`flopcount pipeline`, `flopcount generate` and `pipeline.to_json()` write the same object of the whole job, whose
modules are its stages, and these keys beside it ([the schema](flopcount-pipeline-1.schema.json)).
`flopcount.read_pipeline` reads such a file back with its stages, and `flopcount.read_report` as one report.
"""


def json_schema() -> str:
    """The schema itself."""
    return json.dumps(report_schema(), indent=2, ensure_ascii=False) + "\n"


def pipeline_json_schema() -> str:
    """That of a pipeline."""
    return json.dumps(pipeline_schema(), indent=2, ensure_ascii=False) + "\n"


def json_page() -> str:
    """One row per key of a report, then one for each that a pipeline has beside them."""
    report, pipeline = report_schema(), pipeline_schema()
    beside = [*(key for key in pipeline["properties"] if key not in report["properties"])]
    more = {**pipeline, "properties": {key: pipeline["properties"][key] for key in beside}}
    rows = [*_rows(more, ""), *_rows(pipeline["$defs"]["stage"], "stages[].")]
    head = ("key", "type", "meaning")
    return f"{_HEAD}\n{table(head, _rows(report, ''))}\n{_PIPELINES}\n{table(head, rows)}"


def _rows(schema: dict[str, Any], place: str) -> Iterator[tuple[str, str, str]]:
    for key, inner in schema.get("properties", {}).items():
        path = f"{place}{key}"
        name = f"`{path}`" if key in schema["required"] else f"*`{path}`*"
        yield name, _type(inner), inner.get("description", "")
        while inner.get("type") == "array":
            path, inner = f"{path}[]", inner["items"]
        for option in [{} if "$ref" in inner else inner, *inner.get("oneOf", [])]:
            yield from _rows(option, f"{path}.")


def _type(schema: dict[str, Any]) -> str:
    """In the words of the schema."""
    if "$ref" in schema:
        return f"object, as `{schema['$ref'].rpartition('/')[2]}s[]` in this table"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "oneOf" in schema:
        return " or ".join(_type(option) for option in schema["oneOf"])
    if schema["type"] == "array":
        return f"array of {_type(schema['items'])}"
    return " or ".join(schema["type"]) if isinstance(schema["type"], list) else str(schema["type"])
