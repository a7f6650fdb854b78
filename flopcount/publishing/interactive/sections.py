"""What the template shows of a model and of a comparison: tables with their links, sliders, notes; all of it text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...analysis.cost_tables import by_operator, output_of
from ...core.quantity import TABLE, of_layers
from ...core.result import ModuleRow, Result
from ...core.units import exact, percent, si, times
from ...core.wording import assumed_lines, missing_lines, sentence
from ...hardware.cost import Cost
from ...hardware.cost_notes import spent_lines
from ...symbolic import ClosedForm
from ...verification import verdicts_table
from ..axis_range import axis_range
from ..comparison import Comparison
from ..cost_report import CostReport
from .model_data import columns, layers_of
from .page_table import Shown, page_table, table_of
from .papers import paper_tables
from .tabs import paper_depth, tabs_of

__all__ = ["Slider", "comparison_section", "model_section", "sum_text"]

_WHAT = {"T": "frames", "H": "height", "W": "width", "S": "side, H = W", "B": "batch"}
_ASIDES = {"macs": "papers’ “FLOPs”"}
_MOST_CLIPS, _MOST_CROPS = 30, 10
_SMALL = {
    "network": ("name", "{name}"),
    "clip": ("views", "{views} views"),
    "MACs per view": ("FLOPs per view", "{FLOPs per view}FLOPs"),
    "time_s_per_video": ("time_low_s_per_video", "{time_low_s_per_video} to {time_high_s_per_video}"),
    "top-1": ("top-5", "{top-5} top-5"),
}
"""Columns of a comparison that stand small below others: the first of them, and how they are written there."""
_WITHIN = ("name", "views", "FLOPs per view", "time_low_s_per_video", "time_high_s_per_video", "top-5")


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


def model_section(cost: CostReport, depth: int) -> dict[str, Any]:
    """One model's panel; tables by layer besides that of its cost go down to `depth` (-1: all levels)."""
    report, form = cost.report, cost.form
    assumed = tuple(assumed_lines(report.assumed))
    warnings = tuple(line for line in missing_lines(report) if line not in assumed)
    operators = by_operator(report)
    sliders = [] if form is None else _sliders(form)
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
        "sliders": sliders,
        "lock": _can_lock(sliders),
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
        "papers": paper_tables(cost.verdicts),
        "papers_notes": () if not cost.verdicts else verdicts_table(cost.verdicts).notes,
        "check": _check(cost),
        "check_words": _check_words(cost),
        "tabs": tabs_of(cost, depth),
        "paper": max(1, paper_depth(report)),
    }


def comparison_section(comparison: Comparison) -> dict[str, Any]:
    """The table behind the chart, each source a link."""
    table = comparison.table()
    keys = [column.key or column.name for column in table.columns]
    shown = [
        Shown(key, aside=_SMALL[key][1] if key in _SMALL and _SMALL[key][0] in keys else "")
        for key in keys
        if key not in _WITHIN
    ]
    return {
        "dataset": comparison.dataset,
        "points": len(comparison.rows),
        "conditions": comparison.conditions if any(row.times for row in comparison.rows) else "",
        "table": page_table(table, shown, [row.url for row in comparison.rows]),
    }


def _sliders(form: ClosedForm) -> list[Slider]:
    sliders = []
    for domain in form.domains:
        least, most = axis_range(domain.base, domain.minimum, domain.step)
        what = _WHAT.get(domain.axis, "size")
        sliders.append(Slider(domain.axis, what, domain.base, least, most, domain.step, domain.pinned))
    return sliders


def _can_lock(sliders: Sequence[Slider]) -> bool:
    """Whether height and width can move as one: both move, from the same size over the same sizes."""
    sides = [replace(slider, name="", what="") for slider in sliders if slider.name in ("H", "W") and not slider.fixed]
    return len(sides) == 2 and sides[0] == sides[1]


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


def _check(cost: CostReport) -> dict[str, Any] | None:
    """The table of the cross-check, each count under the name of its counter."""
    if cost.check is None:
        return None
    table = cost.check.table()
    tools = [peer.tool for peer in cost.check.peers]
    counts = [Shown("ours", "MACs by flopcount"), *(Shown(tool, f"MACs by {tool}") for tool in tools)]
    return page_table(table, [Shown("layer"), *counts, Shown("verdict", "verdict on the difference")])


def _check_words(cost: CostReport) -> str:
    """At which clip the cross-check ran, why there, and what came of it."""
    if cost.check is None:
        return f"No cross-check: {cost.missing.get('check') or 'none was made'}."
    agrees = "Every difference is explained." if cost.check.agrees else "NOT every difference is explained."
    clip, ours = cost.check_clip, cost.report.input.clip
    if clip is None:
        where = "on the input above"
    elif clip == ours:
        where = f"on {clip}, the clip of this page"
    else:
        where = (
            f"on {clip} and not on {ours}: other counters run the network for real, arithmetic included, so the "
            f"smallest clip that it takes is used ({si(cost.check.report.macs, 'MACs')} instead of "
            f"{si(cost.report.macs, 'MACs')})"
        )
    return f"The real model ran under each counter {where}. {agrees}"
