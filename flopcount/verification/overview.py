"""Verdicts in sum, as the page of all rows begins: how many of each kind, what the words mean, what explains them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ..core.reason import Reason
from ..core.table import Column, Table
from ..core.units import plural
from ..facts import ZooModel
from .verdict import Finding, RowVerdict, Verdict

__all__ = [
    "MEANINGS",
    "TITLES",
    "accidents",
    "figure",
    "judged",
    "overview_table",
    "reasons",
    "reasons_table",
    "resting",
]

TITLES = {"cost": "cost", "params": "parameters"}
MEANINGS = {
    Finding.MATCH: "our count in the source's own units rounds to the printed digits",
    Finding.CAUSE: "a counter that the source is cited to use gives the digits",
    Finding.FITS: "one reading gives the digits, and nothing says that the source did so",
    Finding.UNDECIDED: "several readings give the digits",
    Finding.UNEXPLAINED: "no reading gives them; the nearest are named",
    Finding.NOT_CHECKABLE: "there is no network to compare with, or the source does not say enough",
}


def judged(verdicts: Sequence[RowVerdict], number: str) -> list[tuple[RowVerdict, Verdict]]:
    """The rows that print a number ("cost" or "params"), with the verdict on it."""
    return [(verdict, found) for verdict in verdicts if (found := getattr(verdict, number)) is not None]


def figure(verdict: RowVerdict, number: str) -> tuple[str, str]:
    """A number of a network, however many rows and sources print it."""
    name = verdict.model.name if isinstance(verdict.model, ZooModel) else verdict.row.model
    return name, str(getattr(verdict.row, number))


def accidents(verdicts: Sequence[RowVerdict], number: str) -> Iterator[str]:
    """How many figures are expected to meet a reading by accident."""
    odds = {figure(row, number): found.odds for row, found in judged(verdicts, number) if found.odds is not None}
    if odds:
        figures = f"{plural(len(odds), 'figure')} that {'is' if len(odds) == 1 else 'are'} no match"
        yield f"{TITLES[number]}: of {figures}, {sum(odds.values()):.1f} are expected to meet a reading by accident"


def resting(verdicts: Sequence[RowVerdict], number: str) -> Iterator[str]:
    """How many rows rest on what their source does not print."""
    rows = sum(bool(found.assumed) for _, found in judged(verdicts, number) if found.kind is not Finding.NOT_CHECKABLE)
    if rows:
        yield f"{TITLES[number]}: {rows} rows rest on what the source does not print, which each of them names"


def reasons(verdicts: Sequence[RowVerdict], number: str) -> Iterator[tuple[Finding, int, int, tuple[Reason, ...]]]:
    """Kind, rows, figures and reasons of what a counter explains and of what fits, the most frequent first."""
    found = judged(verdicts, number)
    for kind in (Finding.CAUSE, Finding.FITS):
        tally = Counter(verdict.reasons for _, verdict in found if verdict.kind is kind)
        for why, rows in tally.most_common():
            named = {figure(row, number) for row, one in found if one.kind is kind and one.reasons == why}
            yield kind, rows, len(named), why


def overview_table(verdicts: Sequence[RowVerdict]) -> Table:
    """One row per kind of verdict: rows and distinct figures of costs and of parameters, and what the word means."""
    columns = (
        Column("verdict", "text"),
        *(Column(f"{title}: {unit}") for title in TITLES.values() for unit in ("rows", "figures")),
        Column("meaning", "prose"),
    )
    found = {number: judged(verdicts, number) for number in TITLES}

    def counts(kind: Finding | None) -> Iterator[int]:
        for number in TITLES:
            rows = [row for row, verdict in found[number] if kind in (None, verdict.kind)]
            yield len(rows)
            yield len({figure(row, number) for row in rows})

    rows = tuple((kind.value, *counts(kind), MEANINGS[kind]) for kind in Finding)
    notes = (
        *accidents(verdicts, "cost"),
        *accidents(verdicts, "params"),
        *resting(verdicts, "cost"),
        "a figure is a printed number of a network, however many rows print it; the same one may be judged differently "
        "in two sources",
        "printed costs are MACs per view unless the reason says otherwise",
    )
    return Table("verdicts", columns, rows, ("all", *counts(None), ""), notes)


def reasons_table(verdicts: Sequence[RowVerdict]) -> Table:
    """What explains printed numbers, and how many of them."""
    columns = (
        Column("number", "text"),
        Column("verdict", "text"),
        Column("rows", tally=True),
        Column("figures", tally=True),
        Column("because", "prose"),
    )
    rows = tuple(
        (title, kind.value, times, figures, "; ".join(map(str, why)))
        for number, title in TITLES.items()
        for kind, times, figures, why in reasons(verdicts, number)
    )
    return Table("reasons", columns, rows, None)
