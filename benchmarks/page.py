"""Grids and targets -> the terminal (rich) and a markdown page that is written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from summary import Grid, Target

__all__ = ["markdown", "show", "write_whole"]

READING = """\
- **How**: one fresh process per network, tool and round, rounds interleaved, medians over rounds; a ratio is a ratio
  of medians. The clock starts after the imports of torch and of the tool and after the network is built, and stops when
  the MACs are known. What a call imports by itself counts, on both sides: for a bare forward on meta tensors that is
  most of its first call. In the repeated call both sides have everything imported, and flopcount
  reuses what its first call worked out. `benchmarks/README.md` has first counts in a warm process.
- **Bare forward**: `module(x)` under `torch.no_grad()` in eval mode, module and input on the meta device. Tools that
  let torch work out the shapes pay for at least one such pass; flopcount works most of them out by itself.
- **Memory**: the highest resident size of the process, weights included where a tool needs them.
- **MACs**: beside the sum over layers by hand (`benchmarks/formulas.py`). Tools that report FLOPs are divided by 2.
  Some add normalisation or biases to the same number, and some see neither attention nor functions outside modules;
  both are differences here.
- **Rows**: "meta" and "CPU" say where module and input live; "real weights" is flopcount on a real CPU module."""


def verdict(target: Target) -> str:
    return {True: "pass", False: "FAIL", None: "not measured"}[target.holds]


def show(tables: Sequence[Grid], targets: Sequence[Target], problems: Sequence[str]) -> None:
    """Print the tables to stdout; progress goes to stderr."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    for grid in tables:
        table = Table(title=grid.title, title_justify="left")
        for position, name in enumerate(grid.header):
            table.add_column(name, justify="right" if position else "left", overflow="fold")
        for row in grid.rows:
            ours = row[0].startswith("flopcount")
            table.add_row(*map(escape, row), style="bold" if ours else None)
        console.print(table)
    for problem in problems:
        console.print(problem, markup=False)
    colours = {True: "green", False: "bold red", None: "yellow"}
    for target in targets:
        console.print(
            f"[{colours[target.holds]}]{verdict(target)}[/]  {escape(target.promise)}: {escape(target.found)}"
        )


def markdown(
    result: Mapping[str, Any], tables: Sequence[Grid], targets: Sequence[Target], problems: Sequence[str]
) -> str:
    """The report; every number in it is of this run."""
    machine, rounds = result["machine"], result["rounds"]
    known = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    promises = Grid("", ("target", "measured", ""), tuple((t.promise, t.found, verdict(t)) for t in targets))
    networks = Grid(
        "",
        ("network", "input", "exact MACs"),
        tuple((n["title"], "×".join(map(str, n["shape"])), f"{n['macs']:,}") for n in result["networks"].values()),
    )
    parts = [
        "# Speed and memory beside the peers",
        f"Written by `{result['command']}` on {result['date']}; the raw measurements are in the JSON file beside it.",
        f"{machine['cpus']} CPUs ({machine['architecture']}, {machine['system']}), load average "
        f"{machine['load'][0]} before and {machine['load'][1]} after; {rounds['meta']} rounds on meta tensors, "
        f"{rounds['cpu']} on real ones. {known}.",
        "## Targets",
        rows_of(promises),
        *(part for grid in tables for part in (f"## {grid.title}", rows_of(grid))),
        "## Networks",
        rows_of(networks),
        *(["## What failed", "\n".join(f"- {cell(problem)}" for problem in problems)] if problems else []),
        "## How to read this",
        READING,
    ]
    return "\n\n".join(parts) + "\n"


def rows_of(grid: Grid) -> str:
    rule = ["---", *["---:"] * (len(grid.header) - 1)]
    return "\n".join("| " + " | ".join(map(cell, row)) + " |" for row in (grid.header, rule, *grid.rows))


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def write_whole(files: Mapping[Path, str]) -> None:
    """All files or none: each is written under a temporary name and moved to its place once all are complete."""
    written: dict[Path, Path] = {}
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False) as file:
                written[path] = Path(file.name)
                file.write(text)
        for path, part in written.items():
            part.chmod(0o666 & ~umask())
            part.replace(path)
    finally:
        for part in written.values():
            part.unlink(missing_ok=True)


def umask() -> int:
    """Temporary files are private; a report is not."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
