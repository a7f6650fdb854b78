"""The JSON of a pipeline as a JSON Schema: that of a report of the whole job, and what a job has beside it."""

from __future__ import annotations

from typing import Any

from ..core.quantity import TABLE
from ..output.report_json import saved_quantities
from ..output.report_schema import amount_schema, report_schema, uncosted_schema
from ..output.schema_words import Schema, count, list_of, nullable, record, text

__all__ = ["pipeline_schema"]

_TITLE = "flopcount/1 of a pipeline"


def pipeline_schema() -> Schema:
    """The schema of `Pipeline.to_json`, and of `flopcount pipeline` and `flopcount generate` with --format json."""
    report = report_schema()
    keys = {
        **{key: value for key, value in report["properties"].items() if key != "training"},
        "parameters": _values("values of the names in the expressions"),
        "stages": list_of({"$ref": "#/$defs/stage"}, "parts of the job, in the order in which they run"),
        "units": list_of(_unit(), "what the job is paid by"),
        "notes": list_of(text(), "what a reader has to know, one sentence each"),
        "facts": {"type": "object", "description": "what else was worked out, such as tokens and a cache"},
    }
    dialect = {"$schema": report["$schema"], "title": _TITLE}
    whole = record(keys, "what a whole job costs, as one report and by stage", optional=["cost"])
    return {**dialect, **whole, "$defs": {"stage": _stage()}}


def _values(description: str) -> Schema:
    value: dict[str, Any] = {"type": ["integer", "string"], "description": "a whole number, or a fraction such as 3/10"}
    return {"type": "object", "additionalProperties": value, "description": description}


def _stage() -> Schema:
    differences = {
        "type": "object",
        "additionalProperties": list_of({"type": "integer"}),
        "description": "by quantity: its amount in the first of these passes, and its first and second difference",
    }
    piece = record(
        {"start": count("number of the first pass"), "count": count("how many passes"), "differences": differences}
    )
    keys = {
        "name": text("name of the stage"),
        "model": text("name of what runs"),
        "times": count("how often it runs"),
        "repeat": text("the same as an expression of the parameters"),
        "total": amount_schema(TABLE.values(), "what all passes cost; its parameters are those of its own model"),
        "each": amount_schema(saved_quantities(), "what one pass costs; of passes that grow, the first"),
        "weights": text("the first stage that has these weights, which count once"),
        "type": text("class name of what runs"),
        "grows": list_of(piece, "pieces of passes that grow, where they do"),
        "uncosted": list_of(uncosted_schema(), "operators of one pass without a rule, where there are any"),
        "assumed": list_of(text(), "what the count of one pass, or a pipeline within, had to assume"),
        "notes": list_of(text(), "of a pipeline within"),
        "parameters": _values("of a pipeline within"),
        "stages": list_of({"$ref": "#/$defs/stage"}, "of a pipeline within"),
    }
    optional = ["weights", "type", "grows", "uncosted", "assumed", "notes", "parameters", "stages"]
    return record(keys, "a stage", optional)


def _unit() -> Schema:
    keys = {
        "unit": text("name of the unit"),
        "stage": nullable("string", "the stage that alone is counted; null for the whole job"),
        "of": text("how many there are, as an expression of the parameters"),
        "count": {"type": ["integer", "string"], "description": "how many there are"},
        "total": amount_schema(saved_quantities(), "what one of them costs, rounded down"),
    }
    return record(keys)
