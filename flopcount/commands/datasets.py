"""Data sets on which published networks are compared."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from .application import app
from .arguments import FormatOpt
from .output import show, write

__all__ = ["datasets"]


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount datasets\n\n"
    "flopcount datasets Kinetics-400\n\n"
    "flopcount datasets k400 --json"
)
def datasets(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One data set, with the accuracy of each network on it.")
    ] = None,
    format: FormatOpt = "table",
) -> None:
    """List the data sets that networks are compared on: classes, metric, and how many networks have an accuracy."""
    from ..publishing.candidates import find_benchmark
    from .dataset_tables import accuracies_table, dataset_data, datasets_data, datasets_table

    if name is None:
        if format == "json":
            write(json.dumps(datasets_data(), indent=2, ensure_ascii=False))
        else:
            show(datasets_table(), format)
        return
    dataset = find_benchmark(name)
    if format == "json":
        write(json.dumps(dataset_data(dataset), indent=2, ensure_ascii=False))
    else:
        show(accuracies_table(dataset), format)
