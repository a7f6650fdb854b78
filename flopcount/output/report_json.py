"""The whole result as JSON, in exact integers (schema flopcount/1)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from ..analysis.receptive_field import Fields
from ..core.amount import Amount
from ..core.ops import Phase
from ..core.quantity import TABLE, Quantity
from ..core.result import CONVENTION, ModuleRow, Result
from ..hardware.prediction import Prediction
from ..training.step import Step
from .cost_json import cost_data

__all__ = ["SCHEMA", "amount_data", "phase_key", "report_data", "saved_quantities", "to_json"]

SCHEMA = "flopcount/1"


def to_json(
    result: Result, *, training: Step | None = None, fields: Fields | None = None, costs: Sequence[Prediction] = ()
) -> str:
    """The result as one JSON object, with its training step, receptive fields and costs where there are any."""
    data = report_data(result, training=training, fields=fields, costs=costs)
    return json.dumps(data, indent=2, ensure_ascii=False)


def report_data(
    result: Result, *, training: Step | None = None, fields: Fields | None = None, costs: Sequence[Prediction] = ()
) -> dict[str, Any]:
    """The same in plain types, keys as in the schema flopcount/1.

    Of one cost on a device the layers of a forward pass have their time, energy and money; of several each has its own.
    """
    if len(costs) == 1 and training is None:
        result = costs[0].result
    input = result.input
    step = {"training": _training(training)} if training else {}
    on_devices = {"cost": [cost_data(cost) for cost in costs]} if costs else {}
    return {
        "schema": SCHEMA,
        "model": result.model,
        "departures": list(result.departures),
        "input": {
            "clip": input.clip.code if input.clip else None,
            "stride": input.stride,
            "shapes": [list(shape) for shape in input.shapes],
            "batch": input.batch,
            "dtype": input.dtype,
            **({"values": list(input.values)} if input.values else {}),
        },
        "assumed": list(result.assumed),
        "convention": CONVENTION,
        "total": amount_data(result.total, TABLE.values()),
        "per_sample": None if result.per_sample is None else amount_data(result.per_sample),
        "views": {"clips": result.views.clips, "crops": result.views.crops},
        "per_video": amount_data(result.per_video),
        "uncosted": [
            {
                "op": row.op,
                "calls": row.calls,
                "modules": list(row.modules),
                "elements": row.elements,
                "upper_macs": row.upper_macs,
            }
            for row in result.uncosted
        ],
        "unknown": {
            "elements_costed": result.unknown.elements_costed,
            "elements_written": result.unknown.elements_written,
            "upper_macs": result.unknown.upper_macs,
        },
        "modules": [_module(row) | _fields(row, fields) for row in result.modules],
        "operators": [
            {"op": row.op, "kind": row.kind.value, "calls": row.calls} | amount_data(row.cost)
            for row in result.operators
        ],
        "engine": result.engine,
        "versions": result.versions,
        **step,
        **on_devices,
    }


def _training(training: Step) -> dict[str, Any]:
    """A training step; phases are named as in its tables, modules have the cost of their own operations alone."""
    run = training.run
    return {
        "losses": list(training.losses),
        "streams": list(training.streams),
        "frozen": list(training.frozen),
        "trained_params": training.trained_params,
        "untrained": list(training.untrained),
        "optimizer": training.optimizer.name if training.optimizer else None,
        "total": amount_data(training.total),
        "phases": {phase_key(phase): amount_data(amount) for phase, amount in training.phases.items()},
        "modules": [
            {"path": row.path, "type": row.type, "depth": row.depth}
            | {
                phase_key(phase): amount_data(row.cost[phase]) | amount_data(row.own[phase], prefix="self_")
                for phase in Phase
            }
            for row in training.rows
        ],
        "uncosted": [
            {"op": row.op, "calls": row.calls, "modules": list(row.modules)} for row in training.step.uncosted
        ],
        "run": {"epochs": run.epochs, "samples": run.samples, "steps": run.steps} | amount_data(run.cost)
        if run
        else None,
        "engine": training.engine,
    }


def phase_key(phase: Phase) -> str:
    """The key of a phase of training."""
    return phase.value.replace(" ", "_")


def _module(row: ModuleRow) -> dict[str, Any]:
    return {
        "path": row.path,
        "type": row.type,
        "depth": row.depth,
        "calls": row.calls,
        **({"used_elsewhere": True} if row.used_elsewhere else {}),
        "input_shapes": [list(shape) for shape in row.input_shapes],
        "output_shapes": [list(shape) for shape in row.output_shapes],
        **amount_data(row.cost),
        **amount_data(row.own, prefix="self_"),
    }


def _fields(row: ModuleRow, fields: Fields | None) -> dict[str, Any]:
    """The distinct receptive fields of a module's outputs, where they were asked for."""
    if fields is None:
        return {}
    return {"receptive_field": [field.data() for field in fields.get(row.path, ())]}


def amount_data(
    amount: Amount, quantities: Iterable[Quantity] | None = None, prefix: str = ""
) -> dict[str, int | float]:
    """The known amounts of these quantities, by key; by default of all that a part of a report has."""
    shown = saved_quantities() if quantities is None else quantities
    return {f"{prefix}{q.key}": q.exact(amount[q.name]) for q in shown if amount.knows(q)}


def saved_quantities() -> tuple[Quantity, ...]:
    """What each part of a report has in JSON: all that is counted, and what else layers show."""
    return tuple(quantity for quantity in TABLE.values() if quantity.of_layers or not quantity.made_of)
