"""Exact integers for programs: csv of a table, and the whole report as JSON (schema flopcount/1)."""

from __future__ import annotations

import csv as csv_format
import io
import json
from typing import TYPE_CHECKING, Any

from ..ops import Phase
from ..report import CONVENTION, Amount, ModuleRow, Report
from ..tables import Table

if TYPE_CHECKING:
    from ..training.step import Training

__all__ = ["csv", "report_data", "to_json"]

SCHEMA = "flopcount/1"


def csv(table: Table) -> str:
    """One line per row, exact integers, no total and no notes; a share is a fraction of 1."""
    out = io.StringIO()
    writer = csv_format.writer(out, lineterminator="\n")
    writer.writerow(column.name for column in table.columns)
    writer.writerows(values(row) for row in table.rows)
    return out.getvalue().rstrip("\n")


def values(row: tuple[Any, ...]) -> list[Any]:
    """A row as plain values; a share (part, whole) becomes part / whole."""
    return [(value[0] / value[1] if value[1] else 0.0) if isinstance(value, tuple) else value for value in row]


def to_json(report: Report) -> str:
    """The report as one JSON object."""
    return json.dumps(report_data(report), indent=2, ensure_ascii=False)


def report_data(report: Report) -> dict[str, Any]:
    """The report in plain types, keys as in the schema flopcount/1."""
    given = report.input
    training = {"training": _training(report.training)} if report.training else {}
    return {
        "schema": SCHEMA,
        "model": report.model,
        "departures": list(report.departures),
        "input": {
            "clip": given.clip.code if given.clip else None,
            "stride": given.stride,
            "shapes": [list(shape) for shape in given.shapes],
            "batch": given.batch,
            "dtype": given.dtype,
        },
        "convention": CONVENTION,
        "total": _amount(report.total)
        | {
            "total_flops": report.total_flops,
            "params": report.params,
            "trainable_params": report.trainable_params,
            "bytes_read": report.bytes_read,
            "bytes_written": report.bytes_written,
        },
        "per_sample": _amount(report.per_sample),
        "views": {"clips": report.views.clips, "crops": report.views.crops},
        "per_video": _amount(report.per_video),
        "uncosted": [
            {
                "op": row.op,
                "calls": row.calls,
                "modules": list(row.modules),
                "elements": row.elements,
                "upper_macs": row.upper_macs,
            }
            for row in report.uncosted
        ],
        "unknown": {
            "elements_costed": report.unknown.elements_costed,
            "elements_written": report.unknown.elements_written,
            "upper_macs": report.unknown.upper_macs,
        },
        "modules": [_module(row) | _fields(row, report) for row in report.modules],
        "operators": [
            {"op": row.op, "kind": row.kind.value, "calls": row.calls} | _amount(row.cost) for row in report.operators
        ],
        "engine": report.engine,
        "versions": report.versions,
        **training,
    }


def _training(training: Training) -> dict[str, Any]:
    """A training step; phases are named as in its tables, modules have their own operations' cost alone."""
    run = training.run
    return {
        "losses": list(training.losses),
        "streams": list(training.streams),
        "frozen": list(training.frozen),
        "trained_params": training.trained_params,
        "optimizer": training.optimizer.name if training.optimizer else None,
        "total": _amount(training.total),
        "phases": {_key(phase): _amount(amount) for phase, amount in training.phases.items()},
        "modules": [
            {"path": row.path, "type": row.type, "depth": row.depth}
            | {_key(phase): _amount(row.cost[phase]) | _amount(row.own[phase], "self_") for phase in Phase}
            for row in training.rows
        ],
        "uncosted": [
            {"op": row.op, "calls": row.calls, "modules": list(row.modules)} for row in training.step.uncosted
        ],
        "run": {"epochs": run.epochs, "samples": run.samples, "steps": run.steps} | _amount(run.cost) if run else None,
        "engine": training.engine,
    }


def _key(phase: Phase) -> str:
    return phase.value.replace(" ", "_")


def _module(row: ModuleRow) -> dict[str, Any]:
    return {
        "path": row.path,
        "type": row.type,
        "depth": row.depth,
        "calls": row.calls,
        "input_shapes": [list(shape) for shape in row.input_shapes],
        "output_shapes": [list(shape) for shape in row.output_shapes],
        "params": row.params,
        **_amount(row.cost),
        **_amount(row.own, "self_"),
    }


def _fields(row: ModuleRow, report: Report) -> dict[str, Any]:
    """The distinct receptive fields of a module's outputs, where they were asked for."""
    if report.receptive_field is None:
        return {}
    return {"receptive_field": [field.data() for field in report.receptive_field.get(row.path, ())]}


def _amount(amount: Amount, prefix: str = "") -> dict[str, int]:
    return {
        f"{prefix}macs": amount.macs,
        f"{prefix}flops": amount.flops,
        f"{prefix}other_flops": amount.other_flops,
    }
