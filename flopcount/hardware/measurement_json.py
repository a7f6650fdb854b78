"""A measured time beside its prediction as plain data, schema flopcount-measurement/1; what is unknown is null."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..core.result import Result
from .achieved import Achieved
from .layer_times import LayerTimes
from .machine import Machine
from .timing import Timing

__all__ = ["MEASUREMENT_SCHEMA", "measurement_data"]

MEASUREMENT_SCHEMA = "flopcount-measurement/1"


def measurement_data(
    result: Result,
    achieved: Achieved,
    *,
    timing: Timing | None = None,
    machine: Machine | None = None,
    conditions: dict[str, Any] | None = None,
    layers: LayerTimes | None = None,
) -> dict[str, Any]:
    """The object: seconds are per pass of the input as given."""
    cost = achieved.predicted
    return {
        "schema": MEASUREMENT_SCHEMA,
        "model": result.model,
        "input": {"shapes": [list(shape) for shape in result.input.shapes], "batch": result.input.batch},
        "macs": result.macs,
        "flops": result.flops,
        "measured_s": achieved.per_pass,
        "passes": achieved.passes,
        "timing": None if timing is None else _timing(timing),
        "machine": None if machine is None else asdict(machine),
        "conditions": conditions,
        "flops_per_second": achieved.flops_per_second,
        "utilisation": achieved.utilisation,
        "verdict": None if cost is None else achieved.verdict,
        "predicted": None
        if cost is None
        else {
            "device": cost.conditions.device.name,
            "dtype": cost.conditions.precision.name,
            "compile": cost.conditions.compiled,
            "layout": cost.conditions.layout,
            "basis": cost.basis.value,
            "basis_words": cost.basis_words,
            "bound_s": cost.bound,
            "estimate_s": cost.estimate,
            "low_s": cost.low,
            "high_s": cost.high,
        },
        "layers": None
        if layers is None
        else {
            "whole_s": layers.whole,
            "rest_s": layers.rest,
            "rows": [asdict(layer) for layer in layers.layers],
        },
        "uncosted": [asdict(row) for row in result.uncosted],
        "assumed": list(result.assumed),
    }


def _timing(timing: Timing) -> dict[str, Any]:
    return {
        "median_s": timing.median,
        "low_s": timing.low,
        "high_s": timing.high,
        "repeats": timing.repeats,
        "warmup": timing.warmup,
        "clock": "thread" if timing.own else "wall",
        "seconds": list(timing.seconds),
        "wall_s": list(timing.wall),
    }
