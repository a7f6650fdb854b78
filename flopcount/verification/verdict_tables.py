"""Verdicts on published rows as a table with its summary, and as the page reports/published.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..core.made_by import made_by
from ..core.table import Column, Table
from ..core.units import exact
from ..facts import ZooModel
from .odds import odds_text
from .overview import MEANINGS, TITLES, accidents, figure, judged, overview_table, reasons, reasons_table, resting
from .placebo import Placebo, placebo_table
from .verdict import Finding, RowVerdict, Verdict

__all__ = ["published_report", "summary", "verdicts_table"]

_BY_ACCIDENT = "by accident: how often a number of as many digits within 10 % would be met by some reading as simple"
_UNSURE = (Finding.CAUSE, Finding.FITS, Finding.UNDECIDED)


def verdicts_table(verdicts: Sequence[RowVerdict]) -> Table:
    """One row per published row; the notes sum up."""
    columns = (
        Column("model", "text"),
        Column("data", "text", drop=3),
        Column("clip", "text", drop=8),
        Column("zoo", "text", drop=9),
        Column("printed", "text"),
        Column("MACs", "text", drop=10, tone="strong"),
        Column("cost", "text"),
        Column("because", "prose", drop=11),
        Column("by accident", "text", drop=4),
        Column("printed params", "text", drop=6),
        Column("params", "text", drop=7),
        Column("params are", "text", drop=5),
        Column("because they", "prose", drop=1),
        Column("they by accident", "text", drop=2),
        Column("source", "text", drop=12, tone="quiet"),
    )
    rows = tuple(map(_cells, verdicts))
    return Table("published numbers against our counts", columns, rows, None, summary(verdicts))


def _cells(verdict: RowVerdict) -> tuple[str, ...]:
    row, model, counted = verdict.row, verdict.model, verdict.counted
    zoo, clip = (model.name, str(model.clip)) if isinstance(model, ZooModel) else ("", "")
    return (
        row.model,
        row.dataset,
        clip,
        zoo,
        str(row.cost) if row.cost else "",
        exact(counted.macs) if counted else "",
        *_words(verdict.cost),
        str(row.params) if row.params else "",
        exact(counted.params) if counted else "",
        *_words(verdict.params),
        row.source,
    )


def _words(verdict: Verdict | None) -> tuple[str, str, str]:
    """The verdict, why, and its odds where it is one that an accident could have made."""
    if verdict is None:
        return "", "", ""
    shown = verdict.odds is not None and verdict.kind in _UNSURE
    return str(verdict), verdict.why, odds_text(verdict.odds or 0.0) if shown else ""


def summary(verdicts: Sequence[RowVerdict]) -> tuple[str, ...]:
    """Rows, distinct figures, verdicts and expected accidents, of costs and of parameters; then what the words mean."""
    words = (Finding.MATCH, Finding.CAUSE, Finding.FITS, Finding.UNDECIDED)
    return (
        *_summary("cost", verdicts),
        *_summary("params", verdicts),
        "; ".join(f"{kind.value}: {MEANINGS[kind]}" for kind in words),
        _BY_ACCIDENT,
        "printed costs are MACs per view unless the reason says otherwise; a figure is a printed number of a network",
    )


def _summary(number: str, verdicts: Sequence[RowVerdict]) -> Iterator[str]:
    found = judged(verdicts, number)
    figures = {kind: {figure(row, number) for row, verdict in found if verdict.kind is kind} for kind in Finding}
    rows = Counter(verdict.kind for _, verdict in found)
    parts = [
        f"{rows[kind]} {kind.value}" + (f" ({len(figures[kind])})" if rows[kind] else "")
        for kind in Finding
        if rows[kind] or kind is not Finding.UNDECIDED
    ]
    every = len({figure(row, number) for row, _ in found})
    yield f"{TITLES[number]}: {len(found)} rows ({every} figures): {', '.join(parts)}"
    yield from accidents(verdicts, number)
    yield from resting(verdicts, number)
    for kind, times, named, why in reasons(verdicts, number):
        yield f"{_WORDS[kind]} {times} ({named}): {'; '.join(map(str, why))}"


_WORDS = {Finding.CAUSE: "cause of", Finding.FITS: "what fits"}


def published_report(verdicts: Sequence[RowVerdict], parts: Sequence[Placebo] = ()) -> str:
    """The page reports/published.md: how it was made, the sums, what explains them, the placebo test if given, rows."""
    origin = made_by("flopcount verify published --write FILE")
    sections = [
        f"# Published numbers against our counts\n\n{origin}",
        f"## Summary\n\n{overview_table(verdicts).to_markdown()}",
        f"## What explains them\n\n{reasons_table(verdicts).to_markdown()}",
    ]
    if parts:
        sections.append(f"## By accident\n\n{placebo_table(parts).to_markdown()}")
    table = replace(verdicts_table(verdicts), notes=(_BY_ACCIDENT,))
    return "\n\n".join((*sections, f"## Rows\n\n{table.to_markdown()}")) + "\n"
