"""Whole jobs from a file: stages times repeats."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import InputError, UncostedError
from .application import app
from .arguments import DepthOpt, StrictOpt, format_option, takes_device
from .output import show, working, write
from .settings import Settings

if TYPE_CHECKING:
    from ..pipelines.job_cost import JobCost
    from ..pipelines.pipeline import Pipeline

__all__ = ["ByOpt", "FormulaOpt", "HtmlOpt", "JobBy", "pipeline", "require_costed", "require_showable", "show_job"]


class JobBy(StrEnum):
    """Rows of the table of a job."""

    stage = "stage"
    module = "module"
    operator = "operator"
    kind = "kind"


ParametersOpt = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Another value of a parameter of the file; repeatable."),
]
ByOpt = Annotated[JobBy, typer.Option(help="Rows of the table.")]
FormulaOpt = Annotated[
    bool, typer.Option("--formula", help="Show the totals as functions of the parameters instead of their values.")
]
HtmlOpt = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write a page with sliders for the parameters too.")
]


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount pipeline examples/pipelines/two_stream_tvl1.toml\n\n"
    "flopcount pipeline job.toml --set steps=20 --set clips=10\n\n"
    "flopcount pipeline job.toml --by module --depth 3\n\n"
    "flopcount pipeline job.toml --formula\n\n"
    "flopcount pipeline job.toml --on rtx-4090 --dtype amp --price 0.4\n\n"
    "flopcount pipeline job.toml --format json > saved.json\n\n"
    "flopcount pipeline saved.json --set steps=20 --html job.html"
)
@takes_device()
def pipeline(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .toml file of stages, or a saved .json file.")],
    set: ParametersOpt = None,
    by: ByOpt = JobBy.stage,
    depth: DepthOpt = 2,
    formula: FormulaOpt = False,
    html: HtmlOpt = None,
    strict: StrictOpt = False,
    settings: Settings,
    typed: str,
    format: Annotated[str, format_option("json", help="Format of the output; json is the whole job.")] = "table",
) -> None:
    """Count a whole job: named stages times repeats, from a file; with --on what it takes on devices."""
    parameters = _parameters(set)
    require_showable(html, formula=formula, settings=settings)
    with working(f"counting {file}") as say:
        from ..pipelines.pipeline_file import read_pipeline

        job = read_pipeline(file, parameters=parameters, dataflow=bool(settings), progress=say)
        require_costed(job, strict=strict)
        costs = [job.cost_under(setting) for setting in settings]
    show_job(job, costs, by=by, depth=depth, formula=formula, html=html, format=format, typed=typed)


def _parameters(texts: Sequence[str] | None) -> dict[str, object]:
    """Values of parameters from "key=value" texts.

    Raises:
        InputError: a text is not key=value, or a key is given twice.
    """
    values: dict[str, object] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key or not value:
            raise InputError(f"setting {text!r} is not key=value", [("fix", "write --set steps=20, one --set each")])
        if key in values:
            raise InputError(f"setting {key} is given twice", [("seen", text)])
        values[key] = value
    return values


def require_showable(html: Path | None, *, formula: bool, settings: Settings) -> None:
    """Refuse, before a job is counted, a page that could not be written, and a formula of what a device spends.

    Raises:
        InputError: either.
    """
    if formula and settings:
        fix = "leave out --on, or --formula; the page of --html has both"
        raise InputError("--formula says nothing of a device", [("fix", fix)])
    if html is not None:
        from ..publishing.interactive.page_file import require_page

        require_page(html)


def require_costed(job: Pipeline, *, strict: bool) -> None:
    """Refuse, where `strict`, a job with an operator that has no rule.

    Raises:
        UncostedError: it has one.
    """
    missing = job.result.uncosted if strict else ()
    if missing:
        places = [("in", f"{row.modules[0]}: {row.op}") for row in missing if row.modules]
        names = ", ".join(row.op for row in missing)
        raise UncostedError(
            f"no cost rule for {names}", [*places, ("fix", "leave out --strict to list it as uncosted")]
        )


def show_job(
    job: Pipeline,
    costs: Sequence[JobCost],
    *,
    by: JobBy,
    depth: int,
    formula: bool,
    html: Path | None,
    format: str,
    typed: str,
) -> None:
    """Print a job as it was asked for, and write its page, which shows the command that was `typed`."""
    if html is not None:
        from ..publishing.interactive.job_page import job_page
        from ..publishing.interactive.page_file import write_page

        write_page(html, job_page(job, costs, f"{typed} --html FILE"))
        typer.echo(f"wrote {html}, a page to open", err=True)
    if format == "json":
        from ..pipelines.pipeline_json import pipeline_json

        write(pipeline_json(job, costs))
    elif formula:
        from ..pipelines.formula_table import formula_table

        show(formula_table(job), format)
    elif not costs:
        show(job.table_by(by.value, depth), format)
    elif len(costs) == 1:
        show(costs[0].table(by.value, depth), format)
    else:
        from ..hardware.device_comparison import device_comparison

        show(device_comparison(costs, exact=format == "csv"), format)
