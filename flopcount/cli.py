"""The command: parse, call one library function, render. `--help` and `list` answer without importing torch.

Exit codes: 0 all well, 1 a check found something unexplained, 2 bad input, 3 uncosted operators under --strict.
"""

from __future__ import annotations

import gc
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from ._version import __version__
from .errors import FlopcountError, InputError, UncostedError
from .writing import write_files

if TYPE_CHECKING:
    from .clip import Clip
    from .tables import Table

__all__ = ["app", "main"]

GC_THRESHOLD = 200_000  # objects made before the collector looks; Python's own 700 suits programs that make few
EXIT_FAILED_CHECK = 1
EXIT_BAD_INPUT = 2
EXIT_UNCOSTED = 3


class _Group(TyperGroup):
    """Turns our errors into one clear message and an exit code; anything else is a bug and keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except FlopcountError as error:
            console = Console(stderr=True, highlight=False, soft_wrap=True)
            console.print("error: ", style="bold red", end="")
            console.print(str(error), markup=False)
            raise typer.Exit(EXIT_UNCOSTED if isinstance(error, UncostedError) else EXIT_BAD_INPUT) from None


app = typer.Typer(
    cls=_Group,
    name="flopcount",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Tells what a video network costs, exactly and with reasons, before anyone runs it.",
)


class By(StrEnum):
    """Rows of the table."""

    module = "module"
    operator = "operator"
    kind = "kind"


class Per(StrEnum):
    """What the cost of a chart is of."""

    view = "view"
    video = "video"


class Format(StrEnum):
    """How a table is written."""

    table = "table"
    markdown = "markdown"
    latex = "latex"
    csv = "csv"
    json = "json"


class TableFormat(StrEnum):
    """How a table that is no report is written."""

    table = "table"
    markdown = "markdown"
    latex = "latex"
    csv = "csv"


NameArg = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="A network of the zoo, [cyan]package.module:callable[/] or [cyan]file.py:callable[/]."
    ),
]
ClipOpt = Annotated[str | None, typer.Option("--clip", metavar="TxHxW", help="Frames, height, width.")]
BatchOpt = Annotated[int, typer.Option("--batch", metavar="N", help="Clips in one pass.")]
ClassesOpt = Annotated[int | None, typer.Option("--num-classes", metavar="N", help="Classes of the last layer.")]
SetOpt = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An argument of the model's builder; repeatable.")
]
InputOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--input", metavar="NAME:SHAPE:DTYPE", help="An input of a model that takes no single clip; repeatable."
    ),
]
DtypeOpt = Annotated[str | None, typer.Option("--dtype", help="float32, float16, bfloat16 or float64.")]


@app.callback(invoke_without_command=True)
def flopcount(
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.", is_eager=True)] = False,
) -> None:
    """Tells what a video network costs, exactly and with reasons, before anyone runs it."""
    if version:
        typer.echo(f"flopcount {__version__}")
        raise typer.Exit


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount model c3d --clip 16x112x112\n\n"
    "flopcount model c3d --clip 32x112x112 --views 10x1 --fps 25 --stride 2\n\n"
    "flopcount model c3d --by operator --format json\n\n"
    "flopcount model nets.py:build --set depth=18 --input video:1x3x8x64x64:float32"
)
def model(
    name: NameArg,
    clip: ClipOpt = None,
    batch: BatchOpt = 1,
    views: Annotated[str | None, typer.Option(metavar="CLIPSxCROPS", help="Views per video, such as 10x3.")] = None,
    fps: Annotated[float | None, typer.Option(metavar="F", help="Frames per second of the video.")] = None,
    stride: Annotated[int | None, typer.Option(metavar="S", help="Every how many frames the clip was sampled.")] = None,
    dtype: DtypeOpt = None,
    input: InputOpt = None,
    num_classes: ClassesOpt = None,
    set: SetOpt = None,
    depth: Annotated[int, typer.Option(metavar="N", help="Levels of modules shown; -1 for all.")] = 2,
    by: Annotated[By, typer.Option(help="Rows of the table.")] = By.module,
    format: Annotated[Format, typer.Option(help="How to write it; json is the whole report.")] = Format.table,
    strict: Annotated[bool, typer.Option("--strict", help="Fail where an operator has no rule (exit code 3).")] = False,
) -> None:
    """Count what one forward pass of a model costs, layer by layer."""
    arguments = _arguments(name, clip, batch, num_classes, set, input, dtype)
    protocol = _views(views)
    with _working(f"counting {name}"):
        from .counting import count_model

        report = count_model(**arguments, views=protocol, fps=fps, stride=stride, strict=strict)
    if format is Format.json:
        _write(report.to_json())
        return
    from .tables import table_by

    _show(table_by(report, by.value, depth), format.value)


@app.command(
    epilog="[bold]Examples[/]\n\nflopcount explain c3d conv2\n\nflopcount explain c3d fc6 --set pool5_padding=false"
)
def explain(
    name: NameArg,
    layer: Annotated[str, typer.Argument(metavar="LAYER", help="Dotted path of a layer, as in named_modules().")],
    clip: ClipOpt = None,
    batch: BatchOpt = 1,
    dtype: DtypeOpt = None,
    input: InputOpt = None,
    num_classes: ClassesOpt = None,
    set: SetOpt = None,
) -> None:
    """Show the formula behind every number of a layer, with the numbers put in and its source."""
    arguments = _arguments(name, clip, batch, num_classes, set, input, dtype)
    with _working(f"counting {name}"):
        from .counting import count_model

        explanation = count_model(**arguments).explain(layer)
    _write(str(explanation))


@app.command(epilog="[bold]Examples[/]\n\nflopcount check c3d\n\nflopcount check c3d --clip 16x32x32 --device cuda")
def check(
    name: NameArg,
    clip: ClipOpt = None,
    batch: BatchOpt = 1,
    device: Annotated[str, typer.Option(help="Where the real module runs: cpu or cuda.")] = "cpu",
    dtype: DtypeOpt = None,
    input: InputOpt = None,
    num_classes: ClassesOpt = None,
    set: SetOpt = None,
    format: Annotated[TableFormat, typer.Option(help="How to write it.")] = TableFormat.table,
) -> None:
    """Run the real model under fvcore and torch's counter and explain every difference (exit code 1 if one is not)."""
    arguments = _arguments(name, clip, batch, num_classes, set, input, dtype)
    with _working(f"running {name} under fvcore and torch's counter on {device}"):
        from .crosscheck import check_model

        result = check_model(**arguments, device=device)
    _show(result.table(), format.value)
    if not result.agrees:
        raise typer.Exit(EXIT_FAILED_CHECK)


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount verify slow_r50_8x8 --printed 27.6 --params 32.5M\n\n"
    "flopcount verify c3d --printed 77.1 --clip 16x112x112\n\n"
    "flopcount verify lecture --write reports/lecture.md\n\n"
    "flopcount verify published --family x3d\n\n"
    "flopcount verify published --write reports/published.md"
)
def verify(
    what: Annotated[
        str,
        typer.Argument(metavar="NAME|lecture|published", help="A network, the lecture's slide, or what papers print."),
    ],
    printed: Annotated[
        str | None, typer.Option(metavar="COST", help="The cost claimed, in G unless it says k, M or T: 27.6, 1.97T.")
    ] = None,
    params: Annotated[
        str | None, typer.Option(metavar="N", help="The parameters claimed, in M: 34.5 or 34.5M.")
    ] = None,
    clip: ClipOpt = None,
    num_classes: ClassesOpt = None,
    set: SetOpt = None,
    family: Annotated[str | None, typer.Option(metavar="FAMILY", help="Published rows of one family only.")] = None,
    write: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write lecture or published there as a page of markdown; whole or not at all."
        ),
    ] = None,
    format: Annotated[TableFormat, typer.Option(help="How to write it.")] = TableFormat.table,
) -> None:
    """Compare printed numbers with counts: a claim about a network, the lecture's slide, or published tables.

    A claim is read in every way its digits allow: MACs or FLOPs, frames, crop, views, normalisation counted or not.
    Exit code 1 where no reading gives it.
    """
    from .facts import Printed

    given = {"--printed": printed, "--params": params, "--clip": clip, "--num-classes": num_classes, "--set": set}
    if what in ("lecture", "published"):
        _refuse(what, given)
        _refuse(what, {} if what == "published" else {"--family": family})
        with _working(f"counting for {what}") as say:
            from .verification import (
                lecture_page,
                lecture_table,
                published_report,
                verdicts_table,
                verify_lecture,
                verify_published,
            )

            if what == "published":
                verdicts = verify_published(family, progress=say)
                shown: Table | str = verdicts_table(verdicts) if write is None else published_report(verdicts)
            else:
                shown = lecture_table(verify_lecture()) if write is None else lecture_page(progress=say)
        if write is not None:
            write_files({write: str(shown).encode()})
            typer.echo(f"wrote {write}", err=True)
        else:
            assert not isinstance(shown, str)
            _show(shown, format.value)
        return
    _refuse(what, {"--family": family, "--write": write})
    arguments = _arguments(what, clip, 1, num_classes, set, None, None)
    if printed is None:
        raise InputError(f"no claim about {what}", [("fix", f"give --printed, such as verify {what} --printed 27.6")])
    cost, size = Printed.parse(printed), Printed.parse(params, "M") if params is not None else None
    with _working(f"reading {printed}") as say:
        from .verification import verify_claim

        options = {key: arguments[key] for key in ("name", "clip", "num_classes", "options")}
        verdict = verify_claim(printed=cost, params=size, progress=say, **options)
    _show(verdict.table(), format.value)
    if not verdict.holds:
        raise typer.Exit(EXIT_FAILED_CHECK)


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount compare x3d_m slowfast_r50_8x8 mvit_b_16x4 --dataset kinetics400\n\n"
    "flopcount compare --point 'Ours=my.py:Net@78.9@16x224x224@10x3' --out charts\n\n"
    "flopcount compare --out reports"
)
def compare(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="Networks of the zoo; all with an accuracy if none.")
    ] = None,
    dataset: Annotated[str, typer.Option(metavar="NAME", help="Whose accuracy.")] = "kinetics400",
    per: Annotated[Per | None, typer.Option(help="Charts per view or per video only; both without.")] = None,
    source: Annotated[
        str | None, typer.Option(metavar="URL", help="A part of the url the accuracy is to come from; else the paper.")
    ] = None,
    point: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL=MODEL@TOP1[@CLIP[@VIEWS]]", help="A model of your own, counted here; repeatable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write page, charts, CSV and LaTeX there; all or nothing.")
    ] = None,
    format: Annotated[TableFormat, typer.Option(help="How to write the table.")] = TableFormat.table,
) -> None:
    """Set networks side by side: cost at the clip and views of their published accuracy, and that accuracy."""
    with _working("comparing") as say:
        from .comparison import PER, Point
        from .comparison import compare as compared

        points = [Point.parse(text) for text in point or ()]
        comparison = compared(names or (), dataset=dataset, source=source, points=points, progress=say)
        if out is not None:
            import matplotlib

            matplotlib.use("agg")  # files need no screen, and a broken one must not matter
            from .figures import comparison_files

            files = comparison_files(
                comparison, _compare_command(names, dataset, per, source, point), [per.value] if per else PER
            )
    if out is None:
        _show(comparison.table(), format.value)
        return
    write_files({out / path: content for path, content in files.items()})
    typer.echo(f"wrote {len(files)} files below {out}", err=True)


def _compare_command(
    names: list[str] | None, dataset: str, per: Per | None, source: str | None, points: list[str] | None
) -> str:
    """The command that makes the same page anywhere."""
    words = ["flopcount", "compare", *(names or ()), "--dataset", dataset]
    words += ["--per", per.value] if per else []
    words += ["--source", source] if source else []
    words += [word for text in points or () for word in ("--point", text)]
    return shlex.join([*words, "--out", "DIR"])


@app.command("list", epilog='[bold]Examples[/]\n\nflopcount list --format markdown\n\nflopcount list --family "3D CNN"')
def list_(
    family: Annotated[str | None, typer.Option(metavar="FAMILY", help="Only one family of networks.")] = None,
    format: Annotated[TableFormat, typer.Option(help="How to write it.")] = TableFormat.table,
) -> None:
    """List the networks of the zoo."""
    from .catalogue import models_table

    _show(models_table(family), format.value)


@app.command(epilog="[bold]Example[/]\n\nflopcount rules --format markdown")
def rules(format: Annotated[TableFormat, typer.Option(help="How to write it.")] = TableFormat.table) -> None:
    """Show what every operator is charged, and by which source."""
    from .catalogue import rules_table

    _show(rules_table(), format.value)


def _arguments(
    name: str,
    clip: str | None,
    batch: int,
    num_classes: int | None,
    settings: list[str] | None,
    inputs: list[str] | None,
    dtype: str | None,
) -> dict[str, Any]:
    """What every command that builds a model passes on, parsed before torch is loaded."""
    from .models import require_known
    from .options import parse_dtype, parse_input, parse_settings

    require_known(name)
    kind = parse_dtype(dtype) if dtype else None
    return {
        "name": name,
        "clip": _clip(clip),
        "batch": batch,
        "num_classes": num_classes,
        "options": parse_settings(settings or ()),
        "inputs": [parse_input(text, kind or "float32") for text in inputs or ()],
        "dtype": kind,
    }


def _clip(text: str | None) -> Clip | None:
    from .clip import Clip

    return Clip.parse(text) if text is not None else None


def _views(text: str | None) -> Any:
    from .clip import Views

    return Views.parse(text)


def _refuse(what: str, options: dict[str, Any]) -> None:
    for option, value in options.items():
        if value is not None:
            raise InputError(f"verify {what} takes no {option}", [("fix", "see flopcount verify --help")])


@contextmanager
def _working(what: str) -> Iterator[Callable[[str], None]]:
    """A spinner on stderr while a person waits, told how far it is; nothing where stderr is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: None
        return
    with console.status(f"{what} ...") as status:
        yield lambda text: status.update(f"{text} ...")


def _show(table: Table, form: str) -> None:
    """To a terminal in colour and its own width, to a pipe as plain text of 80 columns (or $COLUMNS)."""
    from .renderers import render
    from .renderers.terminal import PLAIN_WIDTH, renderable, terminal

    if form != "table":
        _write(render(table, form))
    elif sys.stdout.isatty():
        console = Console(highlight=False)
        console.print(renderable(table, console.width))
    else:
        columns = os.environ.get("COLUMNS", "")
        _write(terminal(table, int(columns) if columns.isdigit() else PLAIN_WIDTH))


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")


def main() -> None:
    """Entry point of the `flopcount` command."""
    # Importing torch makes half a million objects, which Python's collector would look through again and again: half
    # as long as the import itself. A count leaves little to collect, and what it does leave is still collected.
    gc.set_threshold(GC_THRESHOLD)
    app()
