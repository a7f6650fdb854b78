"""What the template shows of a model and of a comparison: tables with their links, sliders, notes; all of it text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...analysis.cost_tables import by_operator, output_of
from ...core.quantity import TABLE, of_layers
from ...core.result import ModuleRow, Result
from ...core.table import Column, Table
from ...core.units import exact, percent, si, times
from ...core.wording import assumed_lines, missing_lines, sentence
from ...hardware.cost import Cost
from ...hardware.cost_notes import spent_lines
from ...output.cells import cell
from ...symbolic import ClosedForm
from ...verification import verdicts_table
from ..axis_range import axis_range
from ..comparison import Comparison
from ..cost_report import CostReport
from .chart_data import linked
from .model_data import columns, layers_of

__all__ = ["Slider", "comparison_section", "model_section", "sum_text", "table_of"]

_WHAT = {"T": "frames", "H": "height", "W": "width", "S": "side, H = W", "B": "batch"}
_ASIDES = {"macs": "papers’ “FLOPs”"}
_MOST_CLIPS, _MOST_CROPS = 30, 10


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its text, what it sorts by, and where it leads, if anywhere."""

    text: str
    key: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Slider:
    """A size or another number that can be moved, or that is fixed, and why; decimals are text, which is exact."""

    name: str
    what: str
    value: int | str
    least: int | str
    most: int | str
    step: int | str
    fixed: str = ""


def model_section(cost: CostReport) -> dict[str, Any]:
    """One model's panel."""
    report, form = cost.report, cost.form
    assumed = tuple(assumed_lines(report.assumed))
    warnings = tuple(line for line in missing_lines(report) if line not in assumed)
    operators = by_operator(report)
    return {
        "name": cost.name,
        "model": report.model,
        "sentence": sentence(report),
        "input": ", ".join(times(shape) for shape in report.input.shapes) + f" {report.input.dtype}",
        "clip": str(report.input.clip or ""),
        "warnings": warnings,
        "assumed": assumed,
        "departures": report.departures,
        "notes": [note for note in operators.notes if note not in (*warnings, *assumed)],
        "sliders": [] if form is None else _sliders(form),
        "views": _views(report),
        "per": _per(report),
        "totals": list(_totals(report, form)),
        "time": None if cost.cost is None else _time(cost, cost.cost),
        "form_notes": () if form is None else form.table().notes,
        "form_missing": cost.missing.get("form", ""),
        "layer_totals": [si(report.total[q.name], q.unit) for q in columns()],
        "layers": [_layer(row, report) for row in layers_of(cost)],
        "depths": range(1, max((row.depth for row in layers_of(cost)), default=0)),
        "operators": table_of(operators),
        "verdicts": _verdicts(cost),
        "check": None if cost.check is None else table_of(cost.check.table()),
        "check_agrees": cost.check is not None and cost.check.agrees,
        "check_at": str(cost.check_clip or ""),
        "check_missing": cost.missing.get("check", ""),
    }


def comparison_section(comparison: Comparison) -> dict[str, Any]:
    """The table behind the chart, each source a link."""
    table = comparison.table()
    return {
        "dataset": comparison.dataset,
        "points": len(comparison.rows),
        "conditions": comparison.conditions if any(row.times for row in comparison.rows) else "",
        "table": table_of(table, [row.url for row in comparison.rows]),
    }


def table_of(table: Table, urls: Sequence[str] = ()) -> dict[str, Any]:
    """Columns, rows of Cells and the total; `urls` are those of the last cells of the rows.

    A column with nothing in it is left out.
    """
    rows = [[_cell(column, value) for column, value in zip(table.columns, row, strict=True)] for row in table.rows]
    for row, url in zip(rows, urls or [""] * len(rows), strict=True):
        row[-1] = Cell(row[-1].text, row[-1].key, linked(url))
    indices = [index for index in range(len(table.columns)) if any(row[index].text for row in rows)]
    total = None if table.total is None else [_cell(table.columns[i], table.total[i]).text for i in indices]
    return {
        "title": table.title,
        "columns": [(table.columns[i].name, table.columns[i].kind) for i in indices],
        "rows": [[row[i] for i in indices] for row in rows],
        "total": total,
        "notes": table.notes,
    }


def _cell(column: Column, value: Any) -> Cell:
    if column.kind == "share":
        part, whole = value
        return Cell(cell(column, value), str(part / whole if whole else 0))
    key = _number(value) if isinstance(value, str) else str(value)
    return Cell(cell(column, value), key)


def _number(text: str) -> str:
    """What a text sorts by: the number it is, where it is one."""
    bare = text.replace(",", "")
    return bare if bare.replace(".", "", 1).isdigit() else text


def _sliders(form: ClosedForm) -> list[Slider]:
    sliders = []
    for domain in form.domains:
        least, most = axis_range(domain.base, domain.minimum, domain.step)
        what = _WHAT.get(domain.axis, "size")
        sliders.append(Slider(domain.axis, what, domain.base, least, most, domain.step, domain.pinned))
    return sliders


def _per(report: Result) -> tuple[str, str]:
    """What the two columns of totals are of: a view and a video, or several; or an input that is no clip."""
    batch, clip = report.input.batch, report.input.clip
    if clip is None or batch is None:
        return ("the input" if batch is None else "per input" if batch == 1 else f"{batch} inputs at once"), "all views"
    return ("per view", "per video") if batch == 1 else (f"{batch} clips at once", f"{batch} videos")


def _views(report: Result) -> list[Slider]:
    views = report.views
    return [
        Slider("clips", "per video", views.clips, 1, max(_MOST_CLIPS, views.clips), 1),
        Slider("crops", "per clip", views.crops, 1, max(_MOST_CROPS, views.crops), 1),
    ]


def _totals(report: Result, form: ClosedForm | None) -> Iterable[dict[str, Any]]:
    """The total of every quantity; `why` says why there is no form."""
    for quantity in of_layers():
        name, parts = quantity.name, quantity.made_of
        value = report.total[name]
        video = value * report.views.count
        missing = [] if form is None else [form.missing[part] for part in parts or (name,) if part in form.missing]
        text = "" if form is None or missing else sum_text(parts, "·") if parts else form.text(name)
        yield {
            "name": name,
            "title": quantity.title,
            "aside": sum_text(parts, " × ") if parts else _ASIDES.get(name, ""),
            "view": (si(value, quantity.unit), exact(value)),
            "video": (si(video, quantity.unit), exact(video)) if "views" in quantity.grows_with else None,
            "form": text,
            "derived": bool(parts),
            "why": "".join(missing[:1]),
        }


def _time(report: CostReport, cost: Cost) -> dict[str, Any]:
    """The three numbers of a time, per view and per video, as the script first shows them, and what they rest on."""
    of_video = cost.times.scaled(report.report.views.count)
    rows = [
        ("estimate", "estimate", "", *(si(times.estimate, "s") for times in (cost.times, of_video))),
        ("range", "range", "8 of 10 networks", cost.times.span, of_video.span),
        ("bound", "bound", "datasheet, all fused", *(si(times.bound, "s") for times in (cost.times, of_video))),
    ]
    pricing = report.report.pricing
    if report.grid is not None:
        elsewhere = f"The sliders move it: {report.grid.words}."
    else:
        why = report.missing.get("grid") or report.missing.get("form", "")
        elsewhere = "It is known as counted alone" + (f": {why}." if why else ".")
    return {
        "conditions": str(cost.conditions),
        "rows": rows,
        "elsewhere": elsewhere,
        "notes": (*(f"as counted: {line}" for line in spent_lines(cost)), *(pricing.notes if pricing else ())),
    }


def sum_text(parts: Mapping[str, int], times: str) -> str:
    """What a quantity is made of: 2·MACs."""
    return " + ".join(f"{count}{times}{TABLE[name].title}" for name, count in parts.items())


def _layer(row: ModuleRow, report: Result) -> dict[str, Any]:
    """One row of the table of layers: its own operators and parameters, as the script first shows it."""
    whole, part = (report.macs, row.own.macs) if report.macs else (report.total_flops, row.own.total_flops)
    return {
        "path": row.path or f"({report.model})",
        "type": row.type,
        "output": output_of(row, report),
        "own": bool(row.own),
        "counts": [si(row.own[q.name], q.unit, blank=True) for q in columns()],
        "share": percent(part, whole) if part else "",
    }


def _verdicts(cost: CostReport) -> dict[str, Any] | None:
    if not cost.verdicts:
        return None
    return table_of(verdicts_table(cost.verdicts), [verdict.row.url for verdict in cost.verdicts])
