"""Checking a model against other counters."""

from __future__ import annotations

from typing import Annotated

import typer

from ..core.model_spec import ModelSpec
from ..core.protocol import Protocol
from ..core.registries import DEFAULT_TOOLS, TOOLS
from .application import EXIT_FAILED_CHECK, app
from .arguments import TableFormatOpt, takes_model
from .output import show, working

__all__ = ["check"]


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount check c3d\n\n"
    "flopcount check c3d --clip 16x32x32 --device cuda\n\n"
    f"flopcount check cnn_lstm --clip 3x49x49 --against {','.join(TOOLS)}"
)
@takes_model()
def check(
    spec: ModelSpec,
    protocol: Protocol,
    against: Annotated[
        str,
        typer.Option(metavar="TOOL,...", help=f"Any of {', '.join(TOOLS)} (extra: peers)."),
    ] = ",".join(DEFAULT_TOOLS),
    device: Annotated[str, typer.Option(help="Where the real module runs: cpu or cuda.")] = "cpu",
    format: TableFormatOpt = "table",
) -> None:
    """Run the real model under other counters and explain every difference (exit code 1 if one is unexplained)."""
    with working(f"running {spec.name} under {against} on {device}"):
        from ..crosscheck import check_model

        result = check_model(spec, protocol.batch, against=against, device=device)
    show(result.table(), format)
    if not result.agrees:
        raise typer.Exit(EXIT_FAILED_CHECK)
