"""The self-contained page of one model: what was asked, what it costs, where, why, and who says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ...analysis.cost_tables import notes_of_table, table_by
from ...core.amount import Amount
from ...core.made_by import made_by
from ...core.pricing import LOW_TO_HIGH
from ...core.protocol import describe_clip
from ...core.quantity import of_operators
from ...core.result import CONVENTION, Result
from ...core.table import Column, Measured, Table
from ...core.units import exact, si, times
from ...core.wording import missing_lines, sentence
from ...hardware.cost_notes import spent_lines
from ...models import CARDS
from ...output.formats.markdown import escaped
from ..cost_report import CostReport
from ..figures import picture_links, picture_markup
from .closed_form import closed_form_section, larger_clips_section
from .published import published_section

__all__ = ["charts", "model_page"]


def model_page(cost: CostReport, command: str, stem: str, *, depth: int = 2) -> str:
    """The page in markdown; `stem` is its own file name without ".md", and the folder of its pictures and data."""
    report = cost.report
    layers = table_by(report, "module", depth)
    sections = [
        f"# {escaped(cost.name)}",
        f"{sentence(report)}.",
        *_warning(report),
        made_by(command),
        "## What was asked",
        asked_table(cost).to_markdown(),
        "## Cost",
        cost_table(report).to_markdown(),
        *_time_section(cost),
        "## Layers",
        *_chart(report, "module", stem),
        _bare(layers, notes_of_table(layers, report)).to_markdown(),
        f"Every layer, exact: [CSV]({stem}/layers.csv); the whole report: [JSON]({stem}/report.json); this table for a "
        f"paper: [LaTeX]({stem}/layers.tex).",
        "## Kinds of operators",
        *_chart(report, "kind", stem),
        _bare(table_by(report, "kind", depth)).to_markdown(),
        "## Closed form",
        *closed_form_section(cost, stem),
        *larger_clips_section(cost),
        "## Cross-check",
        *_check_section(cost),
        "## Published values",
        *published_section(cost),
    ]
    return "\n\n".join(sections) + "\n"


def charts(report: Result) -> tuple[str, ...]:
    """Which charts say something: none without a contraction, and none of kinds where there is one kind."""
    kinds = {row.kind for row in report.operators if row.cost.macs}
    return ("module", "kind") if len(kinds) > 1 else ("module",) if kinds else ()


def _chart(report: Result, by: str, stem: str) -> Iterator[str]:
    if by in charts(report):
        what = {"module": "layer", "kind": "kind of operator"}[by]
        yield picture_markup(f"{stem}/by_{by}", f"MACs of each {what} of {report.model}")
        yield f"The chart: {picture_links(f'{stem}/by_{by}')}; its data: [CSV]({stem}/by_{by}.csv)."


def _warning(report: Result) -> Iterator[str]:
    """A gap in the count, where nobody can miss it."""
    lines = list(missing_lines(report))
    if lines:
        yield "\n".join(["> [!WARNING]", *(f"> {escaped(line)}  " for line in lines)])


def _bare(table: Table, notes: tuple[str, ...] = ()) -> Table:
    """Without title and notes, which the page has as sections, but for some that it has nowhere else."""
    return replace(table, title="", notes=notes)


def asked_table(cost: CostReport) -> Table:
    """The question: model, input, clip, views, what departs from the paper, and what a number means."""
    report = cost.report
    card, clip = CARDS.get(cost.name), report.input.clip
    shapes = ", ".join(times(shape) for shape in report.input.shapes)
    rows = [("model", f"{cost.name}: {card.title} ({card.family}, {card.year})" if card else cost.name)]
    if card:
        rows.append(("source", f"[paper]({card.paper}), [code]({card.code})"))
    rows.append(("input", f"{shapes} {report.input.dtype}"))
    if clip is not None:
        rows.append(("clip", describe_clip(clip, fps=report.input.fps, stride=report.input.stride)))
    if report.views.count > 1:
        rows.append(("views", f"{report.views} = {report.views.count} views of a video"))
    rows += [("departs from the paper", text) for text in report.departures]
    rows.append(("convention", CONVENTION))
    if report.engine in ("fake", "real"):
        rows.append(("engine", f"{report.engine} tensors, since the module could not run on shapes alone"))
    return Table("", (Column("what", "text"), Column("asked", "prose")), tuple(rows), None)


def cost_table(report: Result) -> Table:
    """The totals: of the input where it is a batch, of a sample, of a video; parameters and traffic below."""
    amounts: list[tuple[str, Amount]] = []
    batch, several = report.input.batch, report.views.count > 1
    if batch is not None and batch > 1:
        amounts.append((f"the batch of {batch}", report.total))
    one = "one view" if several else "one clip" if report.input.clip else "one sample"
    amounts.append(("the input" if batch is None else one, report.per_view))
    if several:
        amounts.append((f"a video, {report.views} = {report.views.count} views", report.per_video))
    shown = [quantity for quantity in of_operators() if report.per_view.knows(quantity)]
    columns = (Column("cost of", "text"), *(Column(q.title, unit=q.unit) for q in shown), Column("MACs, exact"))
    rows = tuple((name, *(a[q.name] for q in shown), exact(a.macs)) for name, a in amounts)
    trainable = f", of which {exact(report.trainable_params)} are trainable"
    notes = (
        f"parameters: {exact(report.params)}{trainable if report.trainable_params != report.params else ''}",
        f"memory traffic of a pass, every operator by itself: {si(report.bytes_read, 'B')} read, "
        f"{si(report.bytes_written, 'B')} written",
        "FLOPs are 2 × MACs; papers mostly print MACs and call them FLOPs",
        "other FLOPs: every floating-point operation outside contractions",
    )
    return Table("", columns, rows, None, notes)


def _time_section(report: CostReport) -> Iterator[str]:
    """The three numbers of the time on a device, and what they rest on; nothing where no device was named."""
    cost, pricing = report.cost, report.report.pricing
    if cost is None or pricing is None:
        return
    yield f"## Time on {cost.conditions}"
    columns = (Column("time of", "text"), *(Column(name) for name in ("estimate", "low", "high", "bound")))
    result = report.report
    runs = [("one pass", cost.times)]
    if result.views.count > 1:
        passes = result.views.count / (result.input.batch or 1)
        runs.append((f"a video, {result.views} = {result.views.count} views", cost.times.scaled(passes)))
    rows = tuple(
        (name, *(Measured(seconds, "s") for seconds in (times.estimate, times.low, times.high, times.bound)))
        for name, times in runs
    )
    notes = (LOW_TO_HIGH, "bound: the datasheet, if all is fused", *spent_lines(cost), *pricing.notes)
    yield Table("", columns, rows, None, notes).to_markdown()


def _check_section(cost: CostReport) -> Iterator[str]:
    check = cost.check
    if check is None:
        yield f"None: {escaped(cost.missing['check'])}."
        return
    table = check.table()
    clip = f" on a clip of {cost.check_clip}" if cost.check_clip else ""
    tools = " and ".join(peer.tool for peer in check.peers)
    verdict = "Nothing is left unexplained." if check.agrees else "**Not every difference is explained.**"
    yield f"The real model was run{clip}, on {check.device}, under {tools}. {verdict}"
    yield "\n".join(f"- {escaped(note)}" for note in table.notes)
    yield "<details><summary>MACs layer by layer, side by side</summary>"
    yield _bare(table).to_markdown()
    yield "</details>"
