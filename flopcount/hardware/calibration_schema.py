"""The JSON Schema of a calibration file, for those who read one with their own tools."""

from __future__ import annotations

from typing import Any

from ..facts.devices import PEAK_DTYPES
from .calibration_file import HERE, SCHEMA
from .conditions import LAYOUTS
from .execution_setup import RUNNABLE
from .time_model import CONSTANTS

__all__ = ["CALIBRATION_SCHEMA"]

_ABOVE_0 = {"type": "number", "exclusiveMinimum": 0}
_FROM_0 = {"type": "number", "minimum": 0}
_COUNT = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string", "minLength": 1}


def _object(properties: dict[str, Any], *, optional: bool = False) -> dict[str, Any]:
    required = [] if optional else list(properties)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _rows(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": _object(properties), "minItems": 1}


_CONSTANTS = _object(dict.fromkeys(CONSTANTS, _ABOVE_0))

CALIBRATION_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "What a machine reaches, and the constants that predict its times",
    **_object(
        {
            "schema": {"const": SCHEMA},
            "made_by": _TEXT,
            "device": _object(
                {
                    "name": {"const": HERE},
                    "machine": _TEXT,
                    "kind": {"enum": ["cpu", "gpu"]},
                    "torch": _TEXT,
                    "threads": {"type": "integer", "minimum": 1},
                    "day": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"},
                    "peaks": {
                        **_object(dict.fromkeys(PEAK_DTYPES, _ABOVE_0), optional=True),
                        "description": "FLOP/s of the fastest contraction",
                        "minProperties": 1,
                    },
                    "bandwidth": {**_ABOVE_0, "description": "bytes per second of the fastest copy, read and written"},
                    "memory": {"anyOf": [_ABOVE_0, {"type": "null"}]},
                }
            ),
            "conditions": _object(
                {"dtype": {"enum": list(RUNNABLE)}, "compiled": {"type": "boolean"}, "layout": {"enum": list(LAYOUTS)}}
            ),
            "constants": {**_CONSTANTS, "description": "factors on the peaks and the bandwidth; launch in seconds"},
            "prior": {**_CONSTANTS, "description": "the same by single layers alone"},
            "errors": {
                **_object(
                    {
                        "count": _COUNT,
                        "families": _COUNT,
                        "median": _FROM_0,
                        "mean": _FROM_0,
                        "rank": {"type": "number", "minimum": -1, "maximum": 1},
                        "low": {"type": "number"},
                        "high": {"type": "number"},
                    }
                ),
                "description": "of families left out; low, high: p10, p90 of log(measured / predicted)",
            },
            "benchmarks": _rows({"name": _TEXT, "seconds": _ABOVE_0, "flops": _FROM_0, "bytes": _FROM_0}),
            "networks": _rows(
                {
                    "name": _TEXT,
                    "family": _TEXT,
                    "shapes": {"type": "array", "items": {"type": "array", "items": _COUNT}},
                    "macs": _COUNT,
                    "measured_s": _ABOVE_0,
                    "low_s": _ABOVE_0,
                    "high_s": _ABOVE_0,
                    "predicted_s": {**_ABOVE_0, "description": "by constants without its family"},
                }
            ),
            "unseen": {"type": "array", "items": _TEXT, "description": "families of kernel that no network has"},
        }
    ),
}
"""The schema."""
