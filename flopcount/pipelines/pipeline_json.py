"""A pipeline as JSON: a report of schema flopcount/1 of the whole job, with its stages, parameters and units beside it.

So `read_report` reads the whole job as a saved report, and `read_pipeline` reads it with its stages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from ..core.amount import Amount
from ..core.quantity import TABLE
from ..core.result import CONVENTION, ModuleRow, Result, SavedReport, UncostedRow
from ..output.cost_json import cost_data
from ..output.report_json import SCHEMA, amount_data, report_data
from .expression import Value
from .job_cost import JobCost
from .leaf import Leaf
from .staged_job import StagedJob

__all__ = ["pipeline_data", "pipeline_json"]


def pipeline_json(pipeline: StagedJob, costs: Sequence[JobCost] = ()) -> str:
    """The pipeline as one JSON object, with its cost on devices where there is any."""
    return json.dumps(pipeline_data(pipeline, costs), indent=2, ensure_ascii=False)


def pipeline_data(pipeline: StagedJob, costs: Sequence[JobCost] = ()) -> dict[str, Any]:
    """The same in plain types: keys as in the schema flopcount/1, and those of a pipeline.

    Totals of stages are already multiplied by how often they run; `each` is one pass.
    """
    result = pipeline.result
    if isinstance(result, Result):
        data = report_data(costs[0].result if len(costs) == 1 else result)
    else:
        data = _saved_data(result)
    if costs:
        data["cost"] = [cost_data(cost) for cost in costs]
    return {
        **data,
        "parameters": {name: _value(value) for name, value in pipeline.parameters.items()},
        "stages": _stages(pipeline, "", _places(pipeline), _priced(costs)),
        "units": [
            {
                "unit": row.unit.name,
                "stage": row.unit.stage or None,
                "of": row.unit.count.text,
                "count": _value(row.count),
                "total": amount_data(row.total),
            }
            for row in pipeline.per_units
        ],
        "notes": list(pipeline.notes),
        "facts": dict(pipeline.facts),
    }


def _value(value: Value) -> int | str | float:
    """A whole number, or the exact fraction as text."""
    return str(value) if isinstance(value, Fraction) else value


def _places(pipeline: StagedJob) -> dict[str, tuple[Leaf, str]]:
    """Each leaf by its place, and the place of the first one with its weights."""
    first: dict[str, str] = {}
    return {leaf.place: (leaf, first.setdefault(leaf.weights, leaf.place)) for leaf in pipeline.leaves}


def _priced(costs: Sequence[JobCost]) -> Mapping[str, Amount]:
    """What each module spends, of one device."""
    return {row.path: row.cost for row in costs[0].result.modules} if len(costs) == 1 else {}


def _stages(
    pipeline: StagedJob, within: str, places: Mapping[str, tuple[Leaf, str]], priced: Mapping[str, Amount]
) -> list[dict[str, Any]]:
    rows = []
    for stage in pipeline.stages:
        place = f"{within}{stage.name}"
        spent = {name: n for name, n in (priced[place].counts if place in priced else {}).items() if TABLE[name].pico}
        total = Amount({**pipeline.stage_total(stage).counts, **spent})
        row: dict[str, Any] = {
            "name": stage.name,
            "model": stage.model,
            "times": pipeline.times[stage.name],
            "repeat": stage.times.text,
            "total": amount_data(total, TABLE.values()),
            "each": amount_data(stage.report.total),
        }
        nested = stage.report
        if isinstance(nested, StagedJob):
            row |= {key: list(lines) for key, lines in (("assumed", nested.assumed), ("notes", nested.notes)) if lines}
            row["parameters"] = {name: _value(value) for name, value in nested.parameters.items()}
            row["stages"] = _stages(nested, f"{place}.", places, priced)
        else:
            leaf, owner = places[place]
            row |= {"weights": owner, "type": leaf.type, **_growth(leaf), **_gaps(leaf)}
        rows.append(row)
    return rows


def _growth(leaf: Leaf) -> dict[str, Any]:
    """Pieces of passes that grow: how many, and the forward differences of each quantity at the first of them."""
    if not leaf.grows:
        return {}
    return {
        "grows": [
            {"start": piece.start, "count": piece.count, "differences": dict(piece.differences)}
            for piece in leaf.pieces
        ]
    }


def _gaps(leaf: Leaf) -> dict[str, Any]:
    """Operators without a rule and assumptions of one pass, where there are any."""
    uncosted, assumed = leaf.one_pass.uncosted, leaf.one_pass.assumed
    return {
        **({"uncosted": [_uncosted(row) for row in uncosted]} if uncosted else {}),
        **({"assumed": list(assumed)} if assumed else {}),
    }


def _uncosted(row: UncostedRow) -> dict[str, Any]:
    return {
        "op": row.op,
        "calls": row.calls,
        "modules": list(row.modules),
        "elements": row.elements,
        "upper_macs": row.upper_macs,
    }


def _saved_data(report: SavedReport) -> dict[str, Any]:
    """Of saved stages: what a report has, without operators."""
    per_sample = report.per_sample
    elements = sum(row.elements for row in report.uncosted)
    return {
        "schema": SCHEMA,
        "model": report.model,
        "departures": [],
        "input": {"clip": None, "stride": 1, "shapes": [], "batch": report.input.batch, "dtype": report.input.dtype},
        "assumed": list(report.assumed),
        "convention": CONVENTION,
        "total": amount_data(report.total, TABLE.values()),
        "per_sample": None if per_sample is None else amount_data(per_sample),
        "views": {"clips": report.views.clips, "crops": report.views.crops},
        "per_video": amount_data(report.per_video),
        "uncosted": [_uncosted(row) for row in report.uncosted],
        "unknown": {
            "elements_costed": 0,
            "elements_written": elements,
            "upper_macs": sum(row.upper_macs for row in report.uncosted),
        },
        "modules": [_module(row) for row in report.modules],
        "operators": [],
        "engine": report.engine,
        "versions": dict(report.versions),
    }


def _module(row: ModuleRow) -> dict[str, Any]:
    return {
        "path": row.path,
        "type": row.type,
        "depth": row.depth,
        "calls": row.calls,
        "input_shapes": [],
        "output_shapes": [],
        **amount_data(row.cost),
        **amount_data(row.own, prefix="self_"),
    }
