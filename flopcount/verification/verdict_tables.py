"""Verdicts on published rows as a table with its notes, and as the page reports/published.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ..core.made_by import made_by
from ..core.table import Column, Table
from ..core.units import exact
from ..facts import ZooModel
from .verdicts import Finding, RowVerdict, Verdict

__all__ = ["published_report", "verdicts_table"]


def verdicts_table(verdicts: Sequence[RowVerdict]) -> Table:
    """One row per published row; the notes sum up."""
    columns = (
        Column("model", "text"),
        Column("data", "text", drop=3),
        Column("clip", "text", drop=6),
        Column("zoo", "text", drop=7),
        Column("printed", "text"),
        Column("MACs", "text", drop=8, tone="strong"),
        Column("cost", "text"),
        Column("because", "prose", drop=9),
        Column("printed params", "text", drop=4),
        Column("params", "text", drop=5),
        Column("params are", "text", drop=2),
        Column("because they", "prose", drop=1),
        Column("source", "text", drop=10, tone="quiet"),
    )
    return Table("published numbers against our counts", columns, tuple(map(_cells, verdicts)), None, _notes(verdicts))


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
        str(verdict.cost) if verdict.cost else "",
        verdict.cost.why if verdict.cost else "",
        str(row.params) if row.params else "",
        exact(counted.params) if counted else "",
        str(verdict.params) if verdict.params else "",
        verdict.params.why if verdict.params else "",
        row.source,
    )


def _notes(verdicts: Sequence[RowVerdict]) -> tuple[str, ...]:
    costs = [verdict.cost for verdict in verdicts if verdict.cost]
    params = [verdict.params for verdict in verdicts if verdict.params]
    return (
        f"cost: {_summary(costs)}",
        *(f"cause of {times}: {why}" for why, times in _causes(costs)),
        f"parameters: {_summary(params)}",
        *(f"cause of {times}: {why}" for why, times in _causes(params)),
        "match: our count rounds to the printed digits; cause: a formula over the trace closes the gap to them",
        "printed costs are MACs per view unless the cause says otherwise",
    )


def _summary(verdicts: Sequence[Verdict]) -> str:
    tally = Counter(verdict.kind for verdict in verdicts)
    return f"{len(verdicts)} rows: " + ", ".join(f"{tally[kind]} {kind.value}" for kind in Finding)


def _causes(verdicts: Iterable[Verdict]) -> list[tuple[str, int]]:
    """Causes, most frequent first; those of one kind with different numbers count separately."""
    tally = Counter(verdict.reasons for verdict in verdicts if verdict.kind is Finding.CAUSE)
    return [("; ".join(map(str, reasons)), times) for reasons, times in tally.most_common()]


def published_report(verdicts: Sequence[RowVerdict]) -> str:
    """The page reports/published.md: how it was made, the summary, and the table."""
    origin = made_by("flopcount verify published --write FILE")
    return f"# Published numbers against our counts\n\n{origin}\n\n{verdicts_table(verdicts).to_markdown()}\n"
