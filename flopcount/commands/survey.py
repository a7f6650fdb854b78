"""Counting whole libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .application import EXIT_FAILED_CHECK, app
from .arguments import TableFormat
from .output import progress, show, write_file

__all__ = ["survey"]


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount survey zoo\n\n"
    "flopcount survey 'timm:resnet*'\n\n"
    "flopcount survey torchvision pytorchvideo --format csv\n\n"
    "flopcount survey timm --format csv --write timm.csv"
)
def survey(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="LIBRARY[:GLOB]...", help="zoo, torchvision, pytorchvideo, timm or transformers, or part of one."
        ),
    ],
    format: Annotated[TableFormat, typer.Option(help="How to write it.")] = TableFormat.table,
    write: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it there; whole or not at all.")] = None,
) -> None:
    """Count every model of a library, going on where one fails (exit code 1 if one did, or has uncosted operators)."""
    from ..renderers import render
    from ..survey import named_models
    from ..survey import survey as count_all

    models = [model for part in what for model in named_models(part)]
    with progress("counting", len(models)) as step:
        result = count_all(models, ", ".join(what), step)
    table = result.table()
    if write is not None:
        write_file(write, render(table, format.value) + "\n")
    else:
        show(table, format.value)
    for note in table.notes if write is not None or format is TableFormat.csv else ():
        typer.echo(note, err=True)
    if not result.complete:
        raise typer.Exit(EXIT_FAILED_CHECK)
