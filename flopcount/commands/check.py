"""Checking a model against other counters."""

from __future__ import annotations

from typing import Annotated

import typer

from .application import EXIT_FAILED_CHECK, app
from .arguments import (
    BatchOpt,
    ClassesOpt,
    ClipOpt,
    DtypeOpt,
    InputOpt,
    NameArg,
    SetOpt,
    TableFormat,
    arguments_of,
)
from .output import show, working

__all__ = ["check"]


@app.command(epilog="[bold]Examples[/]\n\nflopcount check c3d\n\nflopcount check c3d --clip 16x32x32 --device cuda")
def check(
    name: NameArg,
    clip: ClipOpt = None,
    batch: BatchOpt = 1,
    device: Annotated[str, typer.Option(help="Where the real module runs: cpu or cuda.")] = "cpu",
    dtype: DtypeOpt = None,
    input: InputOpt = None,
    num_classes: ClassesOpt = None,
    set: SetOpt = None,
    format: Annotated[TableFormat, typer.Option(help="How to write it.")] = TableFormat.table,
) -> None:
    """Run the real model under fvcore and torch's counter and explain every difference (exit code 1 if one is not)."""
    arguments = arguments_of(name, clip, batch, num_classes, set, input, dtype)
    with working(f"running {name} under fvcore and torch's counter on {device}"):
        from ..crosscheck import check_model

        result = check_model(**arguments, device=device)
    show(result.table(), format.value)
    if not result.agrees:
        raise typer.Exit(EXIT_FAILED_CHECK)
