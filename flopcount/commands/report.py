"""Cost reports."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import FlopcountError, InputError
from ..core.model_spec import ModelSpec
from ..core.protocol import Protocol
from ..output.atomic_files import require_folder, write_files
from .application import EXIT_FAILED_CHECK, app
from .arguments import DepthOpt, ModelOptions, takes_model
from .output import say_written, working
from .pictures import Width, WidthOpt
from .points import PointOpt, parse_points
from .settings import Settings, one_setting

if TYPE_CHECKING:
    from ..hardware.setting import Setting
    from ..publishing.comparison import Comparison
    from ..publishing.comparison_rows import Point
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
    "flopcount report x3d_m mvit_b_16x4 --point 'Ours=my.py:Net@78.9@16x224x224@10x3' --format html --out DIR\n\n"
    "flopcount report x3d_m --on rtx-4090 --dtype amp --format html --out DIR\n\n"
    "flopcount report nets.py:build --clip 16x112x112 --set depth=18 --no-check --out DIR\n\n"
    "flopcount report nets.py:TwoStream --input rgb:1x3x8x64x64 --input flow:1x2x8x64x64 --dtype bfloat16 --out DIR"
)
@takes_model("views")
def report(
    specs: list[ModelSpec],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for pages, charts and data; all are written or none.")
    ],
    options: ModelOptions,
    settings: Settings,
    depth: DepthOpt = 2,
    dataset: Annotated[
        str, typer.Option(metavar="NAME", help="Data set of the accuracy that several models are compared by.")
    ] = "kinetics400",
    point: PointOpt = None,
    check: Annotated[bool, typer.Option(help="Run each model for real under fvcore's and torch's counters.")] = True,
    width: WidthOpt = None,
    format: Annotated[PageFormat, typer.Option(help="Markdown pages, or one HTML page.")] = PageFormat.markdown,
) -> None:
    """Write a self-contained page of what a model costs; for several models also an index and a comparison.

    With --point your own models are on the chart of the comparison, beside the networks of the zoo that are named, or
    beside all with an accuracy where none is. With --on a page has the estimated time on a device too, which the
    sliders of the HTML page move.

    A page has layers, closed form, videos, charts, the cross-check of the real model (exit code 1 if a difference is
    unexplained) and what papers print about the model, with verdicts. The HTML page also has time, training, memory,
    span and receptive field of each model, and begins with the comparison where there are several.
    """
    from ..publishing.candidates import find_benchmark, require_compared

    setting = one_setting(settings, "a page is of one")
    if width is not None and format is PageFormat.html:
        raise InputError("--width is of the charts of markdown pages", [("fix", "leave --width or --format html out")])
    specs = list(dict.fromkeys(specs))
    names = [spec.name for spec in specs]
    dataset = find_benchmark(dataset)
    if len(names) > 1:
        require_compared(dataset)
    require_folder(out)
    if format is PageFormat.html:
        from ..publishing.interactive import require_page

        require_page()
    points = parse_points(point, options)
    command = _command(names, options, depth, dataset, point or (), check, format, width)
    with working(f"counting {names[0]}") as say:
        parts = {"with_check": check, "with_readings": format is PageFormat.html}
        costs = []
        for number, spec in enumerate(specs, 1):
            tell = partial(_tell, say, f" ({number} of {len(specs)})" if len(specs) > 1 else "")
            costs.append(_cost(spec, options.protocol, parts, setting, tell))
        comparison = _comparison(names, points, dataset, setting, say)
        say("drawing")
        files = _files(costs, comparison, command, depth, format, width)
    write_files({out / path: content for path, content in files.items()}, folders=True)
    say_written(out, files)
    wrong = [cost.name for cost in costs if cost.check is not None and not cost.check.agrees]
    if wrong:
        typer.echo(f"not every difference from other counters is explained: {', '.join(wrong)}", err=True)
        raise typer.Exit(EXIT_FAILED_CHECK)


def _tell(say: Callable[[str], None], behind: str, text: str) -> None:
    say(f"{text}{behind}")


def _cost(
    spec: ModelSpec, protocol: Protocol, parts: dict[str, bool], setting: Setting | None, say: Callable[[str], None]
) -> CostReport:
    from ..publishing.cost_report import cost_report

    try:
        return cost_report(spec, protocol, **parts, on=setting, progress=say)
    except FlopcountError as error:  # says which of several
        raise InputError(f"{spec.name}: {error.message}", error.details) from error


def _comparison(
    names: Sequence[str], points: Sequence[Point], dataset: str, setting: Setting | None, say: Callable[[str], None]
) -> Comparison | None:
    """A comparison of the networks of the zoo and the user's own points, where at least one has an accuracy.

    Points are beside those networks of the zoo that have a page, or beside all where none has.
    """
    from ..models import CARDS
    from ..publishing.comparison import compare

    of_zoo = [name for name in names if name in CARDS]
    if not points and (len(names) < 2 or not of_zoo):
        return None
    comparison = compare(of_zoo, dataset=dataset, points=points, on=setting, progress=say)
    return comparison if comparison.rows else None


def _files(
    costs: Sequence[CostReport],
    comparison: Comparison | None,
    command: str,
    depth: int,
    form: PageFormat,
    width: Width | None,
) -> dict[str, bytes]:
    if form is PageFormat.html:
        from ..publishing.interactive import page

        return {"index.html": page(costs, comparison, command, depth=depth).encode()}
    import matplotlib

    matplotlib.use("agg")  # files need no screen, and a broken one must not matter
    from ..publishing.pages import report_files

    return report_files(costs, command, comparison, depth=depth, width=None if width is None else width.value)


def _command(
    names: Sequence[str],
    options: ModelOptions,
    depth: int,
    dataset: str,
    points: Sequence[str],
    check: bool,
    form: PageFormat,
    width: Width | None,
) -> str:
    """The command that makes the same pages anywhere."""
    typed = (*options.words, *options.device_words)
    words = ["flopcount", "report", *names, *(word for words in typed for word in words)]
    words += ["--depth", str(depth)] if depth != 2 else []
    words += ["--dataset", dataset] if len(names) > 1 or points else []
    words += [word for text in points for word in ("--point", text)]
    words += [] if check else ["--no-check"]
    words += ["--format", form.value] if form is not PageFormat.markdown else []
    words += ["--width", width.value] if width is not None else []
    return shlex.join([*words, "--out", "DIR"])
