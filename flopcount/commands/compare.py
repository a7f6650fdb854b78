"""Cost against accuracy."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import InputError
from ..output.atomic_files import write_files
from .application import app
from .arguments import ModelOptions, format_option, takes_model
from .output import show, working, write
from .pictures import Width, WidthOpt, width_of_files
from .settings import Settings, one_setting

__all__ = ["Per", "compare"]


class Per(StrEnum):
    """What the cost of a chart is of."""

    view = "view"
    video = "video"


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount compare x3d_m slowfast_r50_8x8 mvit_b_16x4 --dataset kinetics400\n\n"
    "flopcount compare --point 'Ours=my.py:Net@78.9@16x224x224@10x3' --out charts\n\n"
    "flopcount compare x3d_m --point 'Ours=my.py:build@78.9' --clip 16x224x224 --set depth=18 --num-classes 400\n\n"
    "flopcount compare x3d_m slowfast_r50_8x8 --on rtx-4090 --dtype amp --out charts\n\n"
    "flopcount compare --out reports"
)
@takes_model()
def compare(
    *,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", help="Networks of the zoo; by default all with an accuracy."),
    ] = None,
    dataset: Annotated[str, typer.Option(metavar="NAME", help="Data set of the accuracy.")] = "kinetics400",
    per: Annotated[Per | None, typer.Option(help="Charts per view or per video only; both by default.")] = None,
    source: Annotated[
        str | None, typer.Option(metavar="URL", help="Part of the URL of the accuracy's source; the paper by default.")
    ] = None,
    point: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL=MODEL@TOP1[@CLIP[@VIEWS]]", help="A model of your own, counted here; repeatable."),
    ] = None,
    options: ModelOptions,
    settings: Settings,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write page, charts, CSV and LaTeX there; all or nothing.")
    ] = None,
    width: WidthOpt = None,
    format: Annotated[str, format_option("json", help="Format of the table.")] = "table",
) -> None:
    """Compare networks: their published accuracy, and their cost at its clip and views.

    With --on their estimated time on a device too, and a chart of accuracy against it.
    """
    setting = one_setting(settings, "a comparison is on one")
    chart_width = width_of_files(width, out)
    if not point:
        model_words = [name for name, _ in options.words if name != "--dtype" or setting is None]
        if model_words:
            options.refuse("is for models of --point, and there is none", *model_words)
    from ..publishing.comparison_rows import PER, Point

    points = [Point.parse(text, options.spec, options.protocol.batch) for text in point or ()]
    with working("comparing") as say:
        from ..publishing.comparison import compare as compared

        comparison = compared(names or (), dataset=dataset, source=source, points=points, on=setting, progress=say)
        if out is not None:
            import matplotlib

            matplotlib.use("agg")  # files need no screen, and a broken one must not matter
            from ..publishing.pages.comparison import comparison_files

            command = _compare_command(names, dataset, per, source, point, options, width)
            files = comparison_files(comparison, command, [per.value] if per else PER, width=chart_width)
    if not comparison.rows:
        reasons = [("not plotted", f"{row.name}: {row.why}") for row in comparison.unplotted]
        raise InputError(f"nothing can be compared on {dataset}", reasons or [("fix", "name networks, or add a point")])
    if out is None and format == "json":
        write(comparison.to_json())
        return
    if out is None:
        show(comparison.table(), format)
        for row in comparison.unplotted if format == "csv" else ():
            typer.echo(f"not plotted: {row.name}: {row.why}", err=True)
        return
    write_files({out / path: content for path, content in files.items()}, folders=True)
    typer.echo(f"wrote {len(files)} file{'s' * (len(files) != 1)} below {out}", err=True)


def _compare_command(
    names: list[str] | None,
    dataset: str,
    per: Per | None,
    source: str | None,
    points: list[str] | None,
    options: ModelOptions,
    width: Width | None,
) -> str:
    """The command that makes the same page anywhere."""
    words = ["flopcount", "compare", *(names or ()), "--dataset", dataset]
    words += ["--per", per.value] if per else []
    words += ["--source", source] if source else []
    words += [word for text in points or () for word in ("--point", text)]
    words += [word for words in (*options.words, *options.device_words) for word in words]
    words += ["--width", width.value] if width else []
    return shlex.join([*words, "--out", "DIR"])
