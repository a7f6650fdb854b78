"""Networks on a stream of frames."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ..core.model_spec import ModelSpec
from ..core.protocol import Protocol
from .application import app
from .arguments import FormatOpt, takes_model
from .output import progress, show, write

__all__ = ["streaming"]


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount streaming single_frame cnn_lstm recurrent_cnn c3d\n\n"
    "flopcount streaming cnn_attention --clip 16x224x224 --stride 4\n\n"
    "flopcount streaming tsm_r50 --set online=true --format json\n\n"
    "flopcount streaming nets.py:TwoStream --input rgb:1x3x8x64x64 --input flow:1x2x8x64x64"
)
@takes_model()
def streaming(
    *,
    specs: list[ModelSpec],
    stride: Annotated[int, typer.Option(metavar="S", help="New frames per step.")] = 1,
    protocol: Protocol,
    format: FormatOpt = "table",
) -> None:
    """Count what each new frame of a stream costs, or say which layer prevents streaming."""
    rows = []
    with progress("counting", len(specs)) as say:
        from ..analysis.streaming import stream_model, streaming_table

        for spec in specs:
            say(spec.name)
            rows.append(stream_model(spec, protocol, stride=stride))
    if format == "json":
        write(json.dumps([row.data() for row in rows], indent=2, ensure_ascii=False))
        return
    show(streaming_table(rows, stride), format)
