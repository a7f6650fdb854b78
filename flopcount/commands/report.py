"""Cost reports."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import FlopcountError, InputError
from ..output.atomic_files import require_folder, write_files
from .application import EXIT_FAILED_CHECK, app
from .arguments import ClassesOpt, ClipOpt, SetOpt, arguments_of, views_of
from .output import working

if TYPE_CHECKING:
    from ..publishing.comparison import Comparison
    from ..publishing.cost_report import CostReport

__all__ = ["report"]


class PageFormat(StrEnum):
    """How a page is written."""

    markdown = "markdown"
    html = "html"


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount report c3d --clip 16x112x112 --views 10x1 --out reports\n\n"
    "flopcount report x3d_m slowfast_r50_8x8 mvit_b_16x4 --out DIR\n\n"
    "flopcount report r2plus1d_18 --clip 32x224x224 --format html --out DIR\n\n"
    "flopcount report nets.py:build --clip 16x112x112 --set depth=18 --no-check --out DIR"
)
def report(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Networks of the zoo, or models of your own.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Write pages, charts and data there; all or nothing.")],
    clip: ClipOpt = None,
    views: Annotated[str | None, typer.Option(metavar="CLIPSxCROPS", help="Views per video, such as 10x3.")] = None,
    num_classes: ClassesOpt = None,
    set: SetOpt = None,
    depth: Annotated[int, typer.Option(metavar="N", help="Levels of modules shown; -1 for all.")] = 2,
    dataset: Annotated[
        str, typer.Option(metavar="NAME", help="Of several models: whose accuracy they are compared by.")
    ] = "kinetics400",
    check: Annotated[bool, typer.Option(help="Run each model for real under fvcore's and torch's counters.")] = True,
    format: Annotated[PageFormat, typer.Option(help="Pages of markdown, or one of HTML.")] = PageFormat.markdown,
) -> None:
    """Write what a model costs as a page that stands on its own; of several models an index and a comparison too.

    Layers, closed form, videos, charts, the cross-check of the real model (exit code 1 if it finds a difference that
    nothing explains) and what papers print of it, with the verdict.
    """
    from ..facts import classes_of

    names = list(dict.fromkeys(names))
    for name in names:
        arguments = arguments_of(name, clip, 1, num_classes, set, None, None)
    model = {key: arguments[key] for key in ("clip", "num_classes", "options")} | {"views": views_of(views)}
    classes_of(dataset)
    require_folder(out)
    command = _command(names, clip, views, num_classes, set, depth, dataset, check, format)
    with working(f"counting {names[0]}") as say:
        costs = [_cost(name, say, model | {"with_check": check}) for name in names]
        comparison = _comparison(names, dataset, say)
        say("drawing")
        files = _files(costs, comparison, command, depth, format)
    write_files({out / path: content for path, content in files.items()}, folders=True)
    typer.echo(f"wrote {len(files)} files below {out}", err=True)
    wrong = [cost.name for cost in costs if cost.check is not None and not cost.check.agrees]
    if wrong:
        typer.echo(f"not every difference from other counters is explained: {', '.join(wrong)}", err=True)
        raise typer.Exit(EXIT_FAILED_CHECK)


def _cost(name: str, say: Callable[[str], None], model: dict[str, Any]) -> CostReport:
    from ..publishing.cost_report import cost_report

    try:
        return cost_report(name, progress=say, **model)
    except FlopcountError as error:  # of several, which
        raise InputError(f"{name}: {error.message}", error.details) from error


def _comparison(names: Sequence[str], dataset: str, say: Callable[[str], None]) -> Comparison | None:
    """Of the networks of the zoo, where at least one has an accuracy."""
    from ..models import CARDS
    from ..publishing.comparison import compare

    of_zoo = [name for name in names if name in CARDS]
    if len(names) < 2 or not of_zoo:
        return None
    comparison = compare(of_zoo, dataset=dataset, progress=say)
    return comparison if comparison.rows else None


def _files(
    costs: Sequence[CostReport], comparison: Comparison | None, command: str, depth: int, form: PageFormat
) -> dict[str, bytes]:
    if form is PageFormat.html:
        from ..publishing.interactive import page

        return {"index.html": page(costs, comparison, command).encode()}
    import matplotlib

    matplotlib.use("agg")  # files need no screen, and a broken one must not matter
    from ..publishing.pages import report_files

    return report_files(costs, command, comparison, depth=depth)


def _command(
    names: Sequence[str],
    clip: str | None,
    views: str | None,
    num_classes: int | None,
    settings: Sequence[str] | None,
    depth: int,
    dataset: str,
    check: bool,
    form: PageFormat,
) -> str:
    """The command that makes the same pages anywhere."""
    words = ["flopcount", "report", *names]
    options = {"--clip": clip, "--views": views, "--num-classes": num_classes}
    words += [word for option, value in options.items() if value is not None for word in (option, str(value))]
    words += [word for setting in settings or () for word in ("--set", setting)]
    words += ["--depth", str(depth)] if depth != 2 else []
    words += ["--dataset", dataset] if len(names) > 1 else []
    words += [] if check else ["--no-check"]
    words += ["--format", form.value] if form is not PageFormat.markdown else []
    return shlex.join([*words, "--out", "DIR"])
