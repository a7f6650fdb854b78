"""A clip as data, before any network sees it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ..core.footage import RAW_FPS, RAW_VIDEO, Footage, parse_frame_size
from ..core.protocol import Clip
from .application import app
from .arguments import FormatOpt
from .output import show, write

__all__ = ["clip"]

_RAW = " and ".join(f"{width}x{height}" for width, height in RAW_VIDEO)


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount clip 16x112x112\n\n"
    "flopcount clip 16x112x112 --fps 5 --of 30\n\n"
    "flopcount clip 32x224x224 --fps 30 --stride 2\n\n"
    "flopcount clip 8x256x256 --raw 1280x720 --raw 3840x2160 --format json"
)
def clip(
    size: Annotated[str, typer.Argument(metavar="TxHxW", help="Frames, height and width of the clip.")],
    fps: Annotated[
        float | None, typer.Option(metavar="F", help="Frames per second of which the clip has one in every --stride.")
    ] = None,
    stride: Annotated[int, typer.Option(metavar="S", help="Frames from one sample of the clip to the next.")] = 1,
    of: Annotated[
        float | None,
        typer.Option(metavar="F", help=f"Frames per second of the video itself; raw video has {RAW_FPS} without it."),
    ] = None,
    raw: Annotated[
        list[str] | None, typer.Option(metavar="WxH", help=f"Size of a raw video; repeatable; {_RAW} without it.")
    ] = None,
    format: FormatOpt = "table",
) -> None:
    """Show what a clip is as data: bytes, the time it spans, its frames of a video, and raw video beside it."""
    sizes = tuple(map(parse_frame_size, raw)) if raw else RAW_VIDEO
    footage = Footage(Clip.parse(size), fps, stride, of, sizes)
    if format == "json":
        write(json.dumps(footage.data(), indent=2, ensure_ascii=False))
        return
    show(footage.table(), format)
