"""Checking a model against other counters."""

from __future__ import annotations

from typing import Annotated

import typer

from ..core.registries import DEFAULT_TOOLS, TOOLS
from .application import EXIT_FAILED_CHECK, app
from .arguments import BatchOpt, ClassesOpt, ClipOpt, DtypeOpt, InputOpt, NameArg, SetOpt, TableFormatOpt, arguments_of
from .output import show, working

__all__ = ["check"]


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount check c3d\n\n"
    "flopcount check c3d --clip 16x32x32 --device cuda\n\n"
    f"flopcount check cnn_lstm --clip 3x49x49 --against {','.join(TOOLS)}"
)
def check(
    name: NameArg,
    clip: ClipOpt = None,
    batch: BatchOpt = 1,
    against: Annotated[
        str,
        typer.Option(metavar="TOOL,...", help=f"Of {', '.join(TOOLS)} (extra: peers)."),
    ] = ",".join(DEFAULT_TOOLS),
    device: Annotated[str, typer.Option(help="Where the real module runs: cpu or cuda.")] = "cpu",
    dtype: DtypeOpt = None,
    input: InputOpt = None,
    num_classes: ClassesOpt = None,
    set: SetOpt = None,
    format: TableFormatOpt = "table",
) -> None:
    """Run the real model under other counters and explain every difference (exit code 1 if one is not)."""
    arguments = arguments_of(name, clip, batch, num_classes, set, input, dtype)
    with working(f"running {name} under {against} on {device}"):
        from ..crosscheck import check_model

        result = check_model(**arguments, against=against, device=device)
    show(result.table(), format)
    if not result.agrees:
        raise typer.Exit(EXIT_FAILED_CHECK)
