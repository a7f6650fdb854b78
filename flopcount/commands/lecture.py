"""The lecture's systems at one clip."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.protocol import Clip
from ..output.atomic_files import require_folder, write_files
from .application import app
from .arguments import TableFormatOpt
from .output import say_written, show, working

__all__ = ["lecture"]


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount lecture\n\n"
    "flopcount lecture --clip 32x224x224 --format csv\n\n"
    "flopcount lecture --format latex\n\n"
    "flopcount lecture --out reports"
)
def lecture(
    clip: Annotated[
        str, typer.Option(metavar="TxHxW", help="The clip of all systems; one that cannot take it has its own.")
    ] = "16x224x224",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write page, chart, CSV and LaTeX there; all or nothing.")
    ] = None,
    format: TableFormatOpt = "table",
) -> None:
    """Show the lecture's video systems at one clip: cost, parameters, span, and which layer merges time.

    Early fusion sees all frames in its first layer, late fusion in its last, a 3D CNN ever more of them in between. The
    page of --out also has the corrections to the lecture's slide, which verify lecture shows alone.
    """
    common = Clip.parse(clip)
    if out is not None:
        require_folder(out)
    with working("counting the lecture's systems") as say:
        from ..publishing.lecture_systems import COMMON_CLIP, count_systems, systems_table

        systems = count_systems(common, say)
        if out is not None:
            say("drawing")
            import matplotlib

            matplotlib.use("agg")  # files need no screen, and a broken one must not matter
            from ..publishing.pages.lecture import lecture_files

            words = ["flopcount lecture", *(["--clip", clip] if common != COMMON_CLIP else []), "--out DIR"]
            files = lecture_files(systems, common, " ".join(words))
    if out is None:
        show(systems_table(systems, common), format)
        return
    write_files({out / path: content for path, content in files.items()}, folders=True)
    say_written(out, files)
