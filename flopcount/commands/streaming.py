"""Networks on a stream of frames."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from .application import app
from .arguments import ClassesOpt, ClipOpt, FormatOpt, SetOpt, clip_of
from .output import progress, show, write

__all__ = ["streaming"]


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount streaming single_frame cnn_lstm recurrent_cnn c3d\n\n"
    "flopcount streaming cnn_attention --clip 16x224x224 --stride 4\n\n"
    "flopcount streaming tsm_r50 --set online=true --format json"
)
def streaming(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Networks of the zoo, or models of your own.")],
    stride: Annotated[int, typer.Option(metavar="S", help="New frames per step.")] = 1,
    clip: ClipOpt = None,
    num_classes: ClassesOpt = None,
    set: SetOpt = None,
    format: FormatOpt = "table",
) -> None:
    """Count what a new frame costs once a clip has been seen, or say which layer prevents it."""
    from ..core.parsing import parse_settings
    from ..models import require_known

    for name in names:
        require_known(name)
    window, options = clip_of(clip), parse_settings(set or ())
    rows = []
    with progress("counting", len(names)) as say:
        from ..analysis.streaming import stream_model, streaming_table

        for name in names:
            say(name)
            rows.append(stream_model(name, clip=window, num_classes=num_classes, options=options, stride=stride))
    if format == "json":
        write(json.dumps([row.data() for row in rows], indent=2, ensure_ascii=False))
        return
    show(streaming_table(rows, stride), format)
