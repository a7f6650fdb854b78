"""A cost report -> every file of its page: markdown, the layers as CSV, the whole as JSON, and pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from .._version import __version__
from ..comparison import Comparison
from ..cost_report import CostReport
from ..models import CARDS
from ..tables import Column, Table, by_kind, by_module
from ..units import exact
from ..verification import RowVerdict, Verdict
from .breakdown import breakdown
from .files import picture
from .pages import comparison_files

__all__ = ["index_page", "report_files", "report_page", "reports_files"]

_THEMES = (("light", False), ("dark", True))
_BREAKDOWNS = {"module": "Which layers eat the cost", "kind": "Which kinds of operators eat the cost"}


def reports_files(
    reports: Sequence[CostReport], command: str, *, depth: int = 2, comparison: Comparison | None = None
) -> dict[str, bytes]:
    """Path below the folder asked for -> content; of several models with an index, and with the comparison if any."""
    files: dict[str, bytes] = {}
    for report in reports:
        files |= report_files(report, command, depth)
    if len(reports) > 1:
        files["index.md"] = index_page(reports, command, comparison).encode()
        if comparison is not None:
            files |= comparison_files(comparison, command)
    return files


def report_files(cost: CostReport, command: str, depth: int = 2) -> dict[str, bytes]:
    """The page of one model, and what it links to."""
    stem = _stem(cost.name)
    files = {
        f"{stem}.md": report_page(cost, command, depth).encode(),
        f"{stem}/layers.csv": (by_module(cost.report, -1).to_csv() + "\n").encode(),
        f"{stem}/report.json": (cost.report.to_json() + "\n").encode(),
    }
    if cost.form is not None:
        files[f"{stem}/form.json"] = (cost.form.to_json() + "\n").encode()
    for by in _BREAKDOWNS if cost.report.macs else ():
        for theme, dark in _THEMES:
            files[f"{stem}/{by}_{theme}.svg"] = picture(
                partial(breakdown, cost.report, by, depth=depth, dark=dark), "svg"
            )
    return files


def _stem(name: str) -> str:
    """A file's name: "nets.py:build" is "nets.py-build"."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "model"


def report_page(cost: CostReport, command: str, depth: int = 2) -> str:
    """What was asked, totals, layers, kinds, the closed form, the cross-check, and what papers print of it."""
    return "\n\n".join(part for part in _parts(cost, command, depth) if part) + "\n"


def _parts(cost: CostReport, command: str, depth: int) -> Iterator[str]:
    report, stem = cost.report, _stem(cost.name)
    yield f"# What {cost.name} costs"
    yield _made(command)
    yield f"> {report.sentence()}"
    yield "## What was asked"
    yield _bullets(_asked(cost))
    yield totals_table(cost).to_markdown()
    yield "## Layer by layer"
    yield _pictures(stem, "module") if report.macs else ""
    yield by_module(report, depth).to_markdown()
    yield f"All layers: [CSV]({stem}/layers.csv); the whole report: [JSON]({stem}/report.json)."
    yield "## Kind by kind"
    yield _pictures(stem, "kind") if report.macs else ""
    yield by_kind(report).to_markdown()
    yield "## As a function of the clip"
    if cost.form is not None:
        yield cost.form.table().to_markdown()
        yield f"Every term: [JSON]({stem}/form.json). ⌊ ⌋ rounds down, ⌈ ⌉ up."
    else:
        yield f"No closed form: {cost.missing['form']}."
    yield "## Under other counters"
    if cost.check is not None:
        yield f"The real network was run at {cost.check_clip or report.input.clip}; a difference shows at any size."
        yield cost.check.table().to_markdown()
    else:
        yield f"Not run: {cost.missing['check']}."
    if cost.verdicts:
        yield "## What is printed of it"
        yield printed_table(cost.verdicts).to_markdown()
        yield "Sources:"
        yield _bullets(_sources(cost.verdicts))


def _made(command: str) -> str:
    from torch import __version__ as torch_version

    built = torch_version.partition("+")[0]  # CPU or CUDA makes no difference to a count
    return f"Made by `{command}`, flopcount {__version__}, torch {built}."


def _asked(cost: CostReport) -> Iterator[str]:
    report, card = cost.report, CARDS.get(cost.name)
    if card is not None:
        yield f"network: {card.title}, {card.year} ([paper]({card.paper}), [code followed]({card.code}))"
    else:
        yield f"network: `{cost.name}`"
    clip = f"clip {report.input.clip}, sampled with stride {report.input.stride}" if report.input.clip else "no clip"
    shapes = ", ".join("×".join(map(str, shape)) for shape in report.input.shapes)
    yield f"input: {clip}; {shapes} {report.input.dtype}"
    yield f"views: {report.views} = {report.views.count}" if report.views.count > 1 else "views: 1"
    yield from (f"departs from its paper: {text}" for text in report.departures)
    yield (
        f"traced on {report.engine} tensors: no arithmetic was done, no weights were there"
        if (report.engine != "real")
        else "run on real tensors, since it needs its values"
    )


def totals_table(cost: CostReport) -> Table:
    """Exact amounts of one view, and of all views of a video."""
    report = cost.report
    columns = (Column("total", "text"), Column("per view", "text"), Column("per video", "text"))
    amounts = [
        (title, exact(getattr(report.per_sample, name)), exact(getattr(report.per_video, name)))
        for title, name in (("MACs", "macs"), ("FLOPs", "flops"), ("other FLOPs", "other_flops"))
    ]
    fixed = [("parameters", exact(report.params), exact(report.params))]
    notes = ("1 MAC = 2 FLOPs; what papers print as GFLOPs are mostly GMACs",)
    return Table(f"totals of {report.model}", columns, (*amounts, *fixed), None, notes)


def printed_table(verdicts: Sequence[RowVerdict]) -> Table:
    """Printed numbers with what was counted and the verdict; numbered as the sources below."""
    columns = tuple(Column(name, "text") for name in ("", "as", "data", "printed", "counted", "verdict", "because"))
    rows: list[tuple[str, ...]] = []
    for number, verdict in enumerate(verdicts, 1):
        row, counted = verdict.row, verdict.counted
        for printed, amount, found in (
            (row.cost and f"{row.cost} {row.unit}", counted and f"{exact(counted.macs)} MACs", verdict.cost),
            (row.params and f"{row.params} params", counted and exact(counted.params), verdict.params),
        ):
            if printed and found:
                rows.append((str(number), row.model, row.dataset, printed, amount or "", str(found), found.why))
    every = [verdict for pair in verdicts for verdict in (pair.cost, pair.params) if verdict is not None]
    return Table("printed numbers against our counts", columns, tuple(rows), None, (_tally(every),))


def _tally(found: Sequence[Verdict]) -> str:
    kinds = dict.fromkeys(verdict.kind for verdict in found)
    return ", ".join(f"{sum(v.kind is kind for v in found)} {kind.value}" for kind in kinds)


def _sources(verdicts: Sequence[RowVerdict]) -> Iterator[str]:
    for number, verdict in enumerate(verdicts, 1):
        yield f"{number}: [{verdict.row.source}]({verdict.row.url}), {verdict.row.locator}"


def _pictures(stem: str, by: str) -> str:
    return (
        f'<picture>\n<source media="(prefers-color-scheme: dark)" srcset="{stem}/{by}_dark.svg">\n'
        f'<img src="{stem}/{by}_light.svg" alt="{_BREAKDOWNS[by]}">\n</picture>'
    )


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def index_page(reports: Sequence[CostReport], command: str, comparison: Comparison | None = None) -> str:
    """All models side by side with links to their pages, and to the comparison."""
    columns = (
        *(Column(name, "text") for name in ("model", "clip", "views")),
        *(Column(name) for name in ("MACs per view", "FLOPs per view", "MACs per video", "params")),
    )
    rows = tuple(
        (
            f"[{cost.name}]({_stem(cost.name)}.md)",
            str(cost.report.input.clip or ""),
            str(cost.report.views),
            *(
                cost.report.per_sample.macs,
                cost.report.per_sample.flops,
                cost.report.per_video.macs,
                cost.report.params,
            ),
        )
        for cost in reports
    )
    parts = ["# What they cost", _made(command), Table("side by side", columns, rows, None).to_markdown()]
    if comparison is not None:
        parts.append(f"Cost against accuracy: [{comparison.dataset}]({comparison.dataset}.md).")
    return "\n\n".join(parts) + "\n"
