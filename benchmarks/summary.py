"""Raw measurements -> medians, ratios, targets and tables. Pure functions: nothing is run, read or written here.

What enters are records as probe.py prints them, with their network, tool and round; what leaves are Grids of text.
A tool that failed keeps its row, and its cells say why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from statistics import median
from typing import Any

__all__ = ["Cell", "Grid", "Target", "geometric_mean", "grids", "summarise", "targets"]

MAX_TIME_RATIO = 1.3
MAX_MEMORY_RATIO = 1.2
SHORT = 40  # characters of a reason that a cell shows; the whole reason is under the tables

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """One tool on one network: medians over its rounds, as ratios to the bare forward; or the problem it had."""

    first: float | None = None
    again: float | None = None
    memory: float | None = None
    growth_bytes: float | None = None
    first_s: float | None = None
    again_s: float | None = None
    off: float | None = None
    exact: bool = False
    weight_share: float = 0.0
    problem: str | None = None


@dataclass(frozen=True)
class Grid:
    """A table of text: its first column names the row."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Target:
    """A promise, the measured value, and whether it holds (None where it was not measured)."""

    promise: str
    found: str
    holds: bool | None


def geometric_mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return exp(sum(map(log, known)) / len(known)) if known else None


def summarise(records: Iterable[Record], macs: Mapping[str, int], bare: str) -> dict[tuple[str, str], Cell]:
    """One Cell per (network, tool) from all rounds; `macs` are the networks' exact ones."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record["network"], record["tool"]), []).append(record)
    return {
        (network, tool): cell_of(found, groups.get((network, bare), ()), macs[network])
        for (network, tool), found in groups.items()
    }


def cell_of(records: Sequence[Record], bare: Sequence[Record], macs: int) -> Cell:
    """Medians of ratios would pair rounds by chance; these are ratios of medians."""
    problem = problem_of(records) or problem_of(bare)
    if problem or not bare:
        return Cell(problem=problem or "failed: no bare forward to compare with")
    counted = records[0]["macs"]
    first, again = middle(records, "first_s"), middle(records, "again_s")
    growth = median(r["peak_bytes"] - r["imported_bytes"] for r in records)
    return Cell(
        first=first / middle(bare, "first_s"),
        again=again / middle(bare, "again_s"),
        memory=middle(records, "peak_bytes") / middle(bare, "peak_bytes"),
        growth_bytes=growth,
        first_s=first,
        again_s=again,
        off=None if counted is None else 100 * (counted - macs) / macs,
        exact=counted == macs,
        weight_share=growth / records[0]["weight_bytes"],
    )


def problem_of(records: Sequence[Record]) -> str | None:
    """The cell of a tool that did not answer every time, or not always the same."""
    for record in records:
        if record["status"] == "not installed":
            return "not installed"
        if record["status"] != "ok":
            return f"failed: {record['reason']}"
    if len({record["macs"] for record in records}) > 1:
        return "failed: counts differ between rounds"
    return None


def middle(records: Sequence[Record], name: str) -> float:
    return float(median(record[name] for record in records))


def grids(cells: Mapping[tuple[str, str], Cell], networks: Mapping[str, str], tools: Mapping[str, str]) -> list[Grid]:
    """The tables of the report; `networks` and `tools` give names to titles, in order."""
    ratio = "ratio to a bare forward on meta tensors"
    return [
        grid(f"First call in a process, {ratio}", cells, networks, tools, lambda c: c.first, times, mean=True),
        grid(f"Repeated call, {ratio}", cells, networks, tools, lambda c: c.again, times, mean=True),
        grid("First call, seconds", cells, networks, tools, lambda c: c.first_s, seconds),
        grid(f"Peak memory of the process, {ratio}", cells, networks, tools, lambda c: c.memory, times, mean=True),
        grid("Peak memory over that after imports, MB", cells, networks, tools, lambda c: c.growth_bytes, megabytes),
        grid("MACs beside the exact ones", cells, networks, tools, lambda c: c, exactness),
    ]  # fmt: skip


def grid(
    title: str,
    cells: Mapping[tuple[str, str], Cell],
    networks: Mapping[str, str],
    tools: Mapping[str, str],
    value: Any,
    text: Any,
    *,
    mean: bool = False,
) -> Grid:
    rows = []
    for tool, label in tools.items():
        row = [cells.get((network, tool), Cell(problem="not measured")) for network in networks]
        shown = [short(cell.problem) if cell.problem else text(value(cell)) for cell in row]
        if mean:
            known = [value(cell) for cell in row if cell.problem is None]
            partial = f" of {len(known)}" if 0 < len(known) < len(row) else ""
            shown.append(times(geometric_mean(known)) + partial)
        rows.append((label, *shown))
    header = ("tool", *networks.values(), *(("geometric mean",) if mean else ()))
    return Grid(title, header, tuple(rows))


def short(problem: str) -> str:
    return problem if len(problem) <= SHORT else problem[: SHORT - 1].rstrip() + "…"


def times(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def megabytes(value: float | None) -> str:
    return "–" if value is None else f"{value / 1e6:.0f}"


def exactness(cell: Cell) -> str:
    return "exact" if cell.exact else "–" if cell.off is None else f"{cell.off:+.3f} %"


def failures(cells: Mapping[tuple[str, str], Cell], networks: Mapping[str, str], tools: Mapping[str, str]) -> list[str]:
    """Every problem in full, for under the tables; networks with the same one share a line."""
    places: dict[tuple[str, str], list[str]] = {}
    for tool, label in tools.items():
        for network, title in networks.items():
            problem = cells.get((network, tool), Cell()).problem
            if problem:
                places.setdefault((label, problem), []).append(title)
    return [f"{label}, {'; '.join(titles)}: {problem}" for (label, problem), titles in places.items()]


def targets(cells: Mapping[tuple[str, str], Cell], networks: Iterable[str], ours: str) -> list[Target]:
    """The promises of flopcount on time, memory and exactness; a failure on one network breaks them all."""
    row = [cells.get((network, ours), Cell(problem="not measured")) for network in networks]
    complete = bool(row) and all(cell.problem is None for cell in row)
    mean = geometric_mean(c.first for c in row if c.first is not None) if complete else None
    worst = max((c.memory for c in row if c.memory is not None), default=None) if complete else None
    missed = None if all(cell.problem == "not measured" for cell in row) else False
    time_promise = f"first call: geometric mean at most {MAX_TIME_RATIO} of a bare forward on meta tensors"
    memory_promise = f"peak memory on every network at most {MAX_MEMORY_RATIO} of the bare forward's process"
    return [
        Target(time_promise, times(mean), mean <= MAX_TIME_RATIO if mean is not None else missed),
        Target(memory_promise, times(worst), worst <= MAX_MEMORY_RATIO if worst is not None else missed),
        Target(
            "no weights allocated: memory grows by less than them on every network",
            f"{max(c.weight_share for c in row):.0%} of them at most" if complete else "–",
            all(c.weight_share < 1 for c in row) if complete else missed,
        ),
        Target(
            "MACs equal the exact ones on every network",
            f"{sum(c.exact for c in row)} of {len(row)} networks",
            all(c.exact for c in row) if complete else missed,
        ),
    ]
