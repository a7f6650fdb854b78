"""The index of several cost reports: one row for each with a link to its page, and the comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...core.made_by import made_by
from ...core.quantity import of_modules, of_operators
from ...core.table import Column, Table
from ...core.wording import missing_lines
from ...models import CARDS
from ...verification import Finding
from ..comparison import Comparison
from ..cost_report import CostReport
from ..figures import picture_markup

__all__ = ["INDEX", "index_page"]

INDEX = "index.md"


def index_page(costs: Sequence[tuple[str, CostReport]], command: str, comparison: Comparison | None) -> str:
    """The page in markdown; `costs` are file names without ".md" and what is in them."""
    parts = ["# Cost reports", made_by(command), index_table(costs).to_markdown()]
    if comparison is not None:
        data = comparison.dataset
        parts += [
            f"## Cost against accuracy on {data}",
            picture_markup(f"{data}/per_view", f"top-1 on {data} against GMACs per view"),
            f"Each at the clip and views of its accuracy, and per video: [{data}.md]({data}.md).",
        ]
    return "\n\n".join(parts) + "\n"


def index_table(costs: Sequence[tuple[str, CostReport]]) -> Table:
    """One row per model, in the order of the request."""
    quantities = (*of_modules(), *of_operators())
    several = any(cost.report.views.count > 1 for _, cost in costs)
    columns = (
        Column("model", "text"),
        Column("family", "text"),
        Column("clip", "text"),
        *(Column(q.title, unit=q.unit) for q in quantities),
        *((Column("views", "text"), Column("MACs per video")) if several else ()),
        Column("cross-check", "text"),
        Column("published costs", "prose"),
    )
    rows = []
    for stem, cost in costs:
        report = cost.report
        family = CARDS[cost.name].family if cost.name in CARDS else ""
        amounts = (report.total[quantity.name] for quantity in quantities)
        video = (str(report.views), report.per_video.macs) if several else ()
        rows.append(
            (f"[{cost.name}]({stem}.md)", family, str(report.input.clip or ""), *amounts, *video, *_judged(cost))
        )
    notes = ["FLOPs are 2 × MACs; papers mostly print MACs and call them FLOPs"]
    notes += [f"{cost.name}: {line}" for _, cost in costs for line in missing_lines(cost.report)]
    notes += [f"{cost.name} departs from its paper: {text}" for _, cost in costs for text in cost.report.departures]
    return Table("", columns, tuple(rows), None, tuple(notes))


def _judged(cost: CostReport) -> tuple[str, str]:
    check = "not run" if cost.check is None else "agrees" if cost.check.agrees else "DOES NOT AGREE"
    tally = Counter(verdict.cost.kind for verdict in cost.verdicts if verdict.cost)
    return check, ", ".join(f"{tally[kind]} {kind.value}" for kind in Finding if tally[kind])
