"""Every file of one cost report or of several: pages and data as text, charts as pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import partial

from matplotlib.axes import Axes

from ...analysis.cost_tables import by_module
from ...core.result import Result
from ...output.report_json import to_json
from ..chart_size import PAGE, SPREAD
from ..comparison import Comparison
from ..cost_report import CostReport
from ..figures import breakdown, breakdown_data, themed_pictures
from .comparison import comparison_pictures, comparison_texts
from .index import INDEX, index_page
from .model import charts, model_page

__all__ = ["report_files", "report_pictures", "report_texts"]


def report_files(
    costs: Sequence[CostReport],
    command: str,
    comparison: Comparison | None = None,
    *,
    depth: int = 2,
    width: str | None = None,
) -> dict[str, bytes]:
    """Path below the folder asked for -> content: a page for each model, and an index of several or of a comparison.

    Arguments:
        costs: one model or several.
        command: what made it, for the pages.
        comparison: of those that have an accuracy, for the index; None where none has.
        depth: levels of modules in the tables of layers; -1 for all.
        width: of the charts; where None, each has its own on a page.
    """
    texts = report_texts(costs, command, comparison, depth=depth)
    pictures = report_pictures(costs, comparison, depth=depth, width=width)
    return {path: text.encode() for path, text in texts.items()} | pictures


def report_texts(
    costs: Sequence[CostReport], command: str, comparison: Comparison | None = None, *, depth: int = 2
) -> dict[str, str]:
    """What of the files is text: pages, and what is on them as JSON, CSV and LaTeX."""
    texts: dict[str, str] = {}
    stems = _stems(costs, comparison)
    for stem, cost in zip(stems, costs, strict=True):
        texts[f"{stem}.md"] = model_page(cost, command, stem, depth=depth)
        texts[f"{stem}/report.json"] = to_json(cost.report, costs=[cost.cost] if cost.cost else []) + "\n"
        texts[f"{stem}/layers.csv"] = by_module(cost.report, -1).to_csv() + "\n"
        texts[f"{stem}/layers.tex"] = by_module(cost.report, depth).to_latex() + "\n"
        for by in charts(cost.report):
            texts[f"{stem}/by_{by}.csv"] = breakdown_data(cost.report, by, depth).to_csv() + "\n"
        if cost.form is not None:
            texts[f"{stem}/closed_form.json"] = cost.form.to_json() + "\n"
            texts[f"{stem}/closed_form.tex"] = cost.form.table().to_latex() + "\n"
    if comparison is not None:
        texts |= comparison_texts(comparison, command)
    if len(costs) > 1 or comparison is not None:
        texts[INDEX] = index_page(list(zip(stems, costs, strict=True)), command, comparison)
    return texts


def report_pictures(
    costs: Sequence[CostReport], comparison: Comparison | None = None, *, depth: int = 2, width: str | None = None
) -> dict[str, bytes]:
    """The charts of all pages."""
    bars = width or SPREAD.name
    files: dict[str, bytes] = {}
    for stem, cost in zip(_stems(costs, comparison), costs, strict=True):
        for by in charts(cost.report):
            files |= themed_pictures(partial(_drawn, cost.report, by, depth, bars), f"{stem}/by_{by}", bars)
    return files if comparison is None else files | comparison_pictures(comparison, width=width or PAGE.name)


def _drawn(report: Result, by: str, depth: int, width: str, dark: bool) -> Axes:
    return breakdown(report, by, depth=depth, dark=dark, width=width)


def _stems(costs: Iterable[CostReport], comparison: Comparison | None) -> list[str]:
    """File names without ending, each once: a user's own model has a path in its name."""
    taken = {INDEX.removesuffix(".md"), comparison.dataset if comparison else ""}
    stems = []
    for cost in costs:
        plain = re.sub(r"[^\w.-]+", "_", cost.name).strip("._") or "model"
        stem, number = plain, 2
        while stem in taken:
            stem, number = f"{plain}_{number}", number + 1
        taken.add(stem)
        stems.append(stem)
    return stems
