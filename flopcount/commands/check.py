"""Checking a model against other counters."""

from __future__ import annotations

from typing import Annotated

import typer

from ..core.model_spec import ModelSpec
from ..core.protocol import Protocol
from .application import EXIT_FAILED_CHECK, app
from .arguments import TableFormat, takes_model
from .output import show, working

__all__ = ["check"]


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount check c3d\n\n"
    "flopcount check c3d --clip 16x32x32 --device cuda\n\n"
    "flopcount check cnn_lstm --clip 3x49x49 --against fvcore,torch,ptflops,thop,torchinfo,calflops"
)
@takes_model()
def check(
    spec: ModelSpec,
    protocol: Protocol,
    against: Annotated[
        str,
        typer.Option(metavar="TOOL,...", help="Of fvcore, torch, ptflops, thop, torchinfo, calflops (extra: peers)."),
    ] = "fvcore,torch",
    device: Annotated[str, typer.Option(help="Where the real module runs: cpu or cuda.")] = "cpu",
    format: Annotated[TableFormat, typer.Option(help="How to write it.")] = TableFormat.table,
) -> None:
    """Run the real model under other counters and explain every difference (exit code 1 if one is not)."""
    with working(f"running {spec.name} under {against} on {device}"):
        from ..crosscheck import check_model

        result = check_model(spec, protocol.batch, against=against, device=device)
    show(result.table(), format.value)
    if not result.agrees:
        raise typer.Exit(EXIT_FAILED_CHECK)
