"""Counting whole libraries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import InputError
from ..core.registries import PREFIXES, any_of
from ..output.atomic_files import require_writable, write_files
from .application import EXIT_FAILED_CHECK, app
from .arguments import TableFormatOpt
from .output import progress, show

if TYPE_CHECKING:
    from ..analysis.survey import Survey, SurveyRow

__all__ = ["survey"]


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount survey zoo\n\n"
    "flopcount survey 'timm:resnet*'\n\n"
    "flopcount survey torchvision pytorchvideo --format csv\n\n"
    "flopcount survey timm --format csv --write timm.csv --summary timm.md\n\n"
    "flopcount survey zoo --into reports/survey.csv --summary reports/survey.md"
)
def survey(
    what: Annotated[
        list[str],
        typer.Argument(metavar="LIBRARY[:GLOB]...", help=f"{any_of(('zoo', *PREFIXES))}, or part of one."),
    ],
    format: TableFormatOpt = "table",
    summary: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write a summary in markdown: how many models were counted, and why others were not."
        ),
    ] = None,
    write: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the table to a file, whole or not at all.")
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A survey written as csv: whole libraries named here are renewed in it, the others stay as they are.",
        ),
    ] = None,
) -> None:
    """Count every model of a library, also after failures (exit code 1 if a model fails or has uncosted operators)."""
    from ..analysis.survey import named_models, renewed
    from ..analysis.survey import survey as count_all
    from ..output import render

    earlier = _earlier(into, what, write)
    models = [model for part in what for model in named_models(part)]
    require_writable(*(path for path in (summary, write, into) if path is not None))  # before minutes of counting
    with progress("counting", len(models)) as step:
        result = count_all(models, ", ".join(what), step)
    if into is not None:
        result, write, format = renewed(earlier, result), into, "csv"
    table = result.table()
    files = {summary: _page(result)} if summary is not None else {}
    if write is not None:
        files[write] = render(table, format) + "\n"
    write_files({path: text.encode() for path, text in files.items()})
    if files:
        typer.echo(f"wrote {' and '.join(map(str, files))}", err=True)
    if write is None:
        show(table, format)
    for note in table.notes if write is not None or format == "csv" else ():
        typer.echo(note, err=True)
    if not result.complete:
        raise typer.Exit(EXIT_FAILED_CHECK)


def _earlier(into: Path | None, what: list[str], write: Path | None) -> tuple[SurveyRow, ...]:
    """The rows of the survey that is renewed; what cannot be is refused before anything is counted."""
    if into is None:
        return ()
    if write is not None:
        raise InputError("--into and --write both name the file of the table", [("fix", "leave one out")])
    part = next((each for each in what if ":" in each), None)
    if part is not None:
        library = part.partition(":")[0]
        raise InputError(f"{part} is part of a library", [("fix", f"--into renews all of one: write {library}")])
    from ..analysis.survey import survey_of_csv

    try:
        text = into.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{into} cannot be read: {error}", [("fix", "write a survey there first, by --write")]
        ) from None
    return survey_of_csv(text, str(into))


def _page(result: Survey) -> str:
    """The summary, and how it was made."""
    from ..core.made_by import made_by
    from ..output import render

    origin = made_by(f"flopcount survey {result.what.replace(',', '')}")
    return f"# Survey\n\n{origin} Counted models have no uncosted operator.\n\n{render(result.summary(), 'markdown')}\n"
