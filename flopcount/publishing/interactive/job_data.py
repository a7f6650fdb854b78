"""A job -> what its page's script works with: parameters, repeats as expressions, and what a pass of each stage costs.

Whole numbers are strings, since JSON's are read as floats in a browser; what a device spends is floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...core.amount import Amount
from ...core.layer_tree import in_running_order, shown_modules
from ...core.quantity import Quantity, counted
from ...core.result import ModuleRow, Result
from ...hardware.cost import Cost
from ...hardware.prediction import Prediction
from ...pipelines.growing import Growing
from ...pipelines.job_cost import JobCost, StageCost, cost_of_pass
from ...pipelines.leaf import Leaf
from ...pipelines.saved_stage import SavedPiece
from ...pipelines.staged_job import StagedJob
from ...pipelines.unit import PerUnit
from .job_parameters import value_text
from .model_data import columns, quantities_data

__all__ = ["is_the_job", "job_data", "known_quantities", "layer_rows", "shown_columns"]

_MOST_ROWS = 500  # of layers: deeper levels stand in the rows above them


def job_data(job: StagedJob, costs: Sequence[JobCost] = ()) -> dict[str, Any]:
    """JSON-able; assets/job.js reads it."""
    return {
        "name": job.name,
        "quantities": quantities_data(),
        "names": [quantity.name for quantity in known_quantities(job) if quantity.of_operator is not None],
        "columns": [quantity.name for quantity in shown_columns(job)],
        "parameters": {name: value_text(value) for name, value in job.parameters.items()},
        "stages": [_stage(job, leaf) for leaf in job.leaves],
        "fixed": _static(job.total),
        "units": [
            {
                "name": row.unit.name,
                "stage": row.unit.stage,
                "shown": not is_the_job(row),
                "count": row.unit.count.data(),
                "fixed": _static(job.part(row.unit.stage) if row.unit.stage else job.total),
            }
            for row in job.per_units
        ],
        "devices": [_device(cost) for cost in costs],
        "layers": _layers(job),
    }


def known_quantities(job: StagedJob, among: Sequence[Quantity] = ()) -> tuple[Quantity, ...]:
    """What is counted, or those of `among`, as far as every stage knows it."""
    totals = [job.total, *(leaf.total for leaf in job.leaves)]
    return tuple(quantity for quantity in among or counted() if all(total.knows(quantity) for total in totals))


def shown_columns(job: StagedJob) -> tuple[Quantity, ...]:
    """The quantities of the table of stages."""
    return known_quantities(job, columns())


def is_the_job(row: PerUnit) -> bool:
    """Whether the job makes one of it whatever its parameters are."""
    return row.count == 1 and not row.unit.count.names and not row.unit.stage


def layer_rows(result: Result) -> tuple[tuple[ModuleRow, Amount], ...]:
    """Modules that cost something, each before those in it; the deepest level that has room holds all below it."""
    rows = [row for row in in_running_order(result.modules, result.course) if row.cost or not row.path]
    depths = sorted(row.depth for row in rows)
    depth = max(1, max((depth for depth in set(depths) if _shallow(depths, depth) <= _MOST_ROWS), default=1))
    return tuple(shown_modules(rows, depth))


def _shallow(depths: Sequence[int], depth: int) -> int:
    return sum(1 for other in depths if other <= depth)


def _stage(job: StagedJob, leaf: Leaf) -> dict[str, Any]:
    names = [quantity.name for quantity in known_quantities(job) if quantity.of_operator is not None]
    each = leaf.stage.report.total
    return {
        "place": leaf.place,
        "around": [expression.data() for expression in leaf.around],
        "passes": leaf.times.data(),
        "fixed": _static(job.shown_total(leaf)),
        "each": None if leaf.grows else {name: str(each[name]) for name in names},
        "pieces": [_piece(piece, names) for piece in leaf.pieces] if leaf.grows else None,
    }


def _piece(piece: SavedPiece, names: Sequence[str]) -> dict[str, Any]:
    differences = {name: [str(n) for n in piece.differences[name]] for name in names}
    return {"start": piece.start, "count": piece.count, "differences": differences}


def _static(amount: Amount) -> dict[str, str]:
    """What runs do not multiply: parameters."""
    return {q.name: str(amount[q.name]) for q in counted() if q.of_module is not None and amount.knows(q)}


def _device(cost: JobCost) -> dict[str, Any]:
    return {
        "conditions": str(cost.conditions),
        "joules": cost.energy is not None,
        "currency": "" if cost.money is None else cost.money.currency,
        "stages": [_spent(stage, cost) for stage in cost.stages],
    }


def _spent(stage: StageCost, cost: JobCost) -> dict[str, Any] | None:
    """What a pass spends; of passes that grow, all of them as priced, and some of them by their numbers."""
    leaf, setting = stage.leaf, cost.setting
    assert setting is not None  # of a job that was priced
    report = leaf.stage.report
    if not isinstance(report, Growing):
        runs = leaf.runs * leaf.passes
        return {"each": [_part(n, runs) for n in _vector(stage)] if runs else _vector(cost_of_pass(leaf, 0, setting))}
    if not leaf.passes or not leaf.runs:
        return None
    middles = {piece.start + (piece.count - 1) // 2 for piece in report.pieces(leaf.passes)}
    return {
        "passes": leaf.passes,
        "whole": [_part(number, leaf.runs) for number in _vector(stage)],
        "along": [[k, _vector(cost_of_pass(leaf, k, setting))] for k in sorted({0, leaf.passes - 1, *middles})],
    }


def _part(number: float | None, of: int) -> float | None:
    return None if number is None else number / of


def _vector(cost: Cost | StageCost | Prediction) -> list[float | None]:
    """Seconds (bound, estimate, low, high), joules (low, mid, high) and money; what nobody knows is None."""
    times, energy = cost.times, cost.energy
    joules = (None, None, None) if energy is None else (energy.low, energy.mid, energy.high)
    return [times.bound, times.estimate, times.low, times.high, *joules, cost.money and cost.money.amount]


def _layers(job: StagedJob) -> dict[str, Any] | None:
    """Each layer's own cost at the parameters as counted; None of stages that were saved without theirs."""
    result = job.result
    if not isinstance(result, Result):
        return None
    rows = layer_rows(result)
    names = [quantity.name for quantity in known_quantities(job)]
    return {
        "paths": [row.path for row, _ in rows],
        "amounts": {name: [str(amount[name]) for _, amount in rows] for name in names},
        "totals": {name: str(result.total[name]) for name in names},
    }
