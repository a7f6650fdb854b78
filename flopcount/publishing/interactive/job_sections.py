"""What the template shows of a job: totals per unit, stages, formulas, what devices spend, layers; all of it text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...analysis.cost_tables import by_operator, output_of
from ...core.amount import Amount
from ...core.errors import InputError
from ...core.quantity import Quantity, of_layers
from ...core.result import ModuleRow, Result
from ...core.units import duration, exact, joules, money, percent, si
from ...core.wording import assumed_lines, missing_lines, uncosted_lines
from ...hardware.cost_notes import RANGE_WORDS, device_lines, gap_lines, scope_words
from ...hardware.prediction import UnitCost
from ...pipelines.job_cost import JobCost, StageCost
from ...pipelines.job_formula import job_formula
from ...pipelines.leaf import Leaf
from ...pipelines.pipeline import Pipeline
from ...pipelines.pipeline_tables import by_stage
from ...pipelines.staged_job import StagedJob
from ...pipelines.unit import PerUnit
from .job_data import is_the_job, known_quantities, layer_rows, shown_columns
from .job_parameters import number_text, parameter_sliders, value_text
from .model_data import SHARES, columns, measures
from .page_table import table_of
from .sections import sum_text

__all__ = ["job_section"]

COLOURS = 8
"""Of the stages, after which they begin again; assets/job.css has them."""


def job_section(job: Pipeline, costs: Sequence[JobCost] = ()) -> dict[str, Any]:
    """All that is shown before a slider moves."""
    result = job.result
    assumed = tuple(assumed_lines(result.assumed))
    missing = missing_lines(result) if isinstance(result, Result) else uncosted_lines(result.uncosted)
    warnings = tuple(line for line in missing if line not in assumed)
    departures = result.departures if isinstance(result, Result) else ()
    units = [row for row in job.per_units if not is_the_job(row)]
    known, shown = known_quantities(job), known_quantities(job, of_layers())
    basis = next((name for name in SHARES if job.total[name]), SHARES[-1])
    return {
        "name": job.name,
        "sentence": job.sentence(),
        "at": ", ".join(f"{name} = {value_text(value)}" for name, value in job.parameters.items()),
        "warnings": warnings,
        "assumed": assumed,
        "departures": departures,
        "notes": [note for note in by_stage(job).notes if note not in (*warnings, *assumed)],
        "sliders": parameter_sliders(job),
        "whole": " = ".join(["the job", *(f"one {row.unit.name}" for row in job.per_units if is_the_job(row))]),
        "units": [_unit(row) for row in units],
        "totals": [_total(quantity, job, units) for quantity in shown],
        "basis": basis,
        "measures": [quantity for quantity in measures() if quantity in known],
        "columns": shown_columns(job),
        "stages": list(_stages(job, basis)),
        "stage_totals": [si(job.total[q.name], q.unit) for q in shown_columns(job)],
        "formulas": [_formula(job, quantity) for quantity in shown],
        "devices": [_device(cost, units) for cost in costs],
        **_layers(job),
    }


def _unit(row: PerUnit) -> dict[str, Any]:
    text = row.unit.count.text if row.unit.count.names else ""
    return {"name": f"per {row.words}", "text": text, "count": number_text(row.count), "many": text or row.count != 1}


def _total(quantity: Quantity, job: StagedJob, units: Sequence[PerUnit]) -> dict[str, Any]:
    name = quantity.name

    def cell(amount: Amount) -> tuple[str, str]:
        return si(amount[name], quantity.unit), exact(amount[name])

    return {
        "name": name,
        "title": quantity.title,
        "aside": sum_text(quantity.made_of, " × ") if quantity.made_of else "",
        "grows": bool(quantity.grows_with),
        "whole": cell(job.total),
        "units": [cell(row.total) for row in units],
    }


def _stages(job: StagedJob, basis: str) -> Iterator[dict[str, Any]]:
    total, owned = job.total, dict(job.distinct_weights)
    shown = shown_columns(job)
    start = 0.0
    for at, leaf in enumerate(job.leaves):
        amount = job.shown_total(leaf)
        share = 100 * amount[basis] / total[basis] if total[basis] else 0.0
        yield {
            "place": leaf.place,
            "model": leaf.stage.model,
            "colour": at % COLOURS,
            "runs": exact(leaf.runs * leaf.passes),
            "times": _times(leaf),
            "grows": leaf.grows,
            "counts": [(si(amount[q.name], q.unit, blank=True), str(amount[q.name])) for q in shown],
            "share": percent(amount[basis], total[basis]) if amount[basis] else "",
            "part": str(amount[basis] / total[basis] if total[basis] else 0),
            "start": f"{start:.4f}",
            "width": f"{share:.4f}",
            "owner": leaf.place in owned or not leaf.stage.report.total.params,
        }
        start += share


def _times(leaf: Leaf) -> str:
    """How often it runs as an expression, with those of the pipelines around it; "" where that is a plain number."""
    if not leaf.around:
        return leaf.times.text if leaf.times.names else ""
    parts = (*leaf.around, leaf.times)
    return " · ".join(part.text if part.text.isalnum() else f"({part.text})" for part in parts)


def _formula(job: StagedJob, quantity: Quantity) -> dict[str, Any]:
    text = why = ""
    try:
        text = sum_text(quantity.made_of, "·") or job_formula(job, quantity.name).text
    except InputError as error:
        why = error.message
    return {
        "name": quantity.name,
        "title": quantity.title,
        "text": text.replace("**", "^").replace("*", "·"),
        "why": why,
        "derived": bool(quantity.made_of),
        "value": exact(job.total[quantity.name]),
    }


def _device(cost: JobCost, units: Sequence[PerUnit]) -> dict[str, Any]:
    words = [row.words for row in units]
    parts = [("the job", cost.over(1)), *((f"per {unit.unit}", unit) for unit in cost.units if unit.unit in words)]
    pricing = cost.result.pricing
    scope = () if cost.energy is None else (f"energy: {scope_words(cost)}",)
    has = (cost.energy is not None, cost.money is not None)
    return {
        "conditions": str(cost.conditions),
        "energy": has[0],
        "money": has[1],
        "units": [(name, _spent(of, has)) for name, of in parts],
        "stages": [_spent_row(stage, cost, has) for stage in cost.stages],
        "total": _spent(cost.over(1), has),
        "gaps": [line for line in gap_lines(cost) if line not in missing_lines(cost.result)],
        "notes": (
            f"range: {RANGE_WORDS}",
            "bound: by the datasheet, with all but contractions fused away",
            *(pricing.notes if pricing else ()),
            *scope,
            *device_lines(cost),
        ),
    }


def _spent_row(stage: StageCost, cost: JobCost, has: tuple[bool, bool]) -> dict[str, Any]:
    share = stage.times.estimate / cost.estimate if cost.estimate else 0.0
    return {
        "place": stage.leaf.place,
        "cells": _spent(stage, has),
        "share": f"{100 * share:.1f}%" if share else "",
        "part": str(share),
    }


def _spent(of: StageCost | UnitCost, has: tuple[bool, bool]) -> list[tuple[str, str]]:
    """Estimate, range and bound, then energy and money where the device has them, with what they sort by."""
    times = of.times if isinstance(of, StageCost) else of
    cells = [
        (duration(times.estimate), str(times.estimate)),
        (f"{duration(times.low)} to {duration(times.high)}", str(times.low)),
        (duration(times.bound), str(times.bound)),
    ]
    if has[0] and of.energy is not None:
        cells.append((joules(of.energy.mid), str(of.energy.mid)))
    if has[1] and of.money is not None:
        cells.append((money(of.money.amount, of.money.currency), str(of.money.amount)))
    return cells


def _layers(job: StagedJob) -> dict[str, Any]:
    """Layers and operators as counted; none of stages that were saved without theirs."""
    result = job.result
    if not isinstance(result, Result):
        return {"layers": [], "layer_totals": [], "layer_columns": [], "depths": [], "operators": None, "deeper": False}
    rows = layer_rows(result)
    deepest = max(row.depth for row, _ in rows)
    return {
        "layers": [_layer(row, amount, result) for row, amount in rows],
        "layer_totals": [si(result.total[q.name], q.unit) for q in columns()],
        "layer_columns": columns(),
        "depths": range(1, deepest),
        "operators": table_of(by_operator(result)),
        "deeper": any(row.depth > deepest and row.cost for row in result.modules),
    }


def _layer(row: ModuleRow, amount: Amount, result: Result) -> dict[str, Any]:
    """One row of the table of layers, as the script first shows it."""
    of = "macs" if result.macs else "total_flops"
    return {
        "path": row.path or f"({result.model})",
        "type": row.type,
        "output": output_of(row, result),
        "own": bool(amount),
        "counts": [si(amount[q.name], q.unit, blank=True) for q in columns()],
        "share": percent(amount[of], result.total[of]) if amount[of] else "",
    }
