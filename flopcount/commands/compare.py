"""Cost against accuracy."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import InputError
from ..output.atomic_files import require_folder, write_files
from .application import app
from .arguments import ModelOptions, format_option, takes_model
from .output import say_written, show, working, write
from .pictures import Width, WidthOpt, width_of_files
from .points import PointOpt, parse_points
from .settings import Settings, one_setting

if TYPE_CHECKING:
    from ..publishing.comparison import Comparison

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
    point: PointOpt = None,
    options: ModelOptions,
    settings: Settings,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write page, charts, CSV and LaTeX there too; all or nothing.")
    ] = None,
    width: WidthOpt = None,
    format: Annotated[str, format_option("json", help="Format of the table.")] = "table",
) -> None:
    """Compare networks: their published accuracy, and their cost at its clip and views.

    With --on their estimated time on a device too, and a chart of accuracy against it.
    """
    setting = one_setting(settings, "a comparison is on one")
    from ..publishing.comparison_rows import PER

    chart_width = width_of_files(width, out)
    points = parse_points(point, options)
    if all(one.saved for one in points):
        model_words = [name for name, _ in options.words if name != "--dtype" or setting is None]
        if model_words:
            what = "each is a saved report" if points else "there is none"
            options.refuse(f"is for models of --point, and {what}", *model_words)
    if out is not None:
        require_folder(out)
    from ..models import name_in_zoo
    from ..publishing.candidates import find_benchmark

    names = [name_in_zoo(name) for name in names or ()]
    dataset = find_benchmark(dataset)
    files: dict[str, bytes] = {}
    with working("comparing") as say:
        from ..publishing.comparison import compare as compared

        comparison = compared(names, dataset=dataset, source=source, points=points, on=setting, progress=say)
        if out is not None and comparison.rows:
            say("drawing")
            import matplotlib

            matplotlib.use("agg")  # files need no screen, and a broken one must not matter
            from ..publishing.pages.comparison import comparison_files

            command = _compare_command(names, dataset, per, source, point, options, width)
            files = comparison_files(comparison, command, [per.value] if per else PER, width=chart_width)
    if not comparison.rows:
        reasons = [("not plotted", f"{row.name}: {row.why}") for row in comparison.unplotted]
        fix = f"see `flopcount datasets {dataset}` for the networks on it, and `flopcount datasets` for others"
        raise InputError(f"nothing can be compared on {dataset}", [*reasons, ("fix", fix)])
    if out is not None:
        write_files({out / path: content for path, content in files.items()}, folders=True)
    if format == "json":
        write(comparison.to_json())
    else:
        table = comparison.table()
        show(table if format == "csv" else replace(table, notes=(*_sources(comparison), *table.notes)), format)
    for row in comparison.unplotted if format == "csv" else ():
        typer.echo(f"not plotted: {row.name}: {row.why}", err=True)
    if out is not None:
        say_written(out, files)


def _sources(comparison: Comparison) -> Iterable[str]:
    """A line for each source of accuracies with the networks that it is of, since a narrow table has no room for it."""
    of_source: dict[str, list[str]] = {}
    for row in comparison.rows:
        if not row.url:  # the user's own, which stands under its label
            continue
        of_source.setdefault(row.source, []).append(row.title)
    yield from (f"{comparison.metric.name} from {source}: {', '.join(of)}" for source, of in of_source.items())


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
