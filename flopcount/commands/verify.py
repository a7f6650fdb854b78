"""Comparing printed numbers with counts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import InputError
from ..output.atomic_files import require_writable, write_files
from .application import EXIT_FAILED_CHECK, app
from .arguments import ModelOptions, TableFormatOpt, takes_model
from .output import show, working

if TYPE_CHECKING:
    from ..core.table import Table

__all__ = ["verify"]


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount verify slow_r50_8x8 --printed 27.6 --params 32.5M\n\n"
    "flopcount verify c3d --printed 77.1 --clip 16x112x112\n\n"
    "flopcount verify lecture --write reports/lecture.md\n\n"
    "flopcount verify published --family x3d\n\n"
    "flopcount verify published --write reports/published.md"
)
@takes_model()
def verify(
    *,
    what: Annotated[
        str,
        typer.Argument(metavar="NAME|lecture|published", help="A network, the lecture's slide, or what papers print."),
    ],
    printed: Annotated[
        str | None,
        typer.Option(metavar="COST", help="The cost claimed, in G unless it has another prefix: 27.6, 1.97T."),
    ] = None,
    params: Annotated[
        str | None, typer.Option(metavar="N", help="The parameters claimed, in M: 34.5 or 34.5M.")
    ] = None,
    options: ModelOptions,
    family: Annotated[str | None, typer.Option(metavar="FAMILY", help="Published rows of one family only.")] = None,
    write: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write lecture or published as a markdown page, whole or not at all."),
    ] = None,
    format: TableFormatOpt = "table",
) -> None:
    """Compare printed numbers with counts: a claim about a network, the lecture's slide, or published tables.

    A claim is read in every way its digits allow: MACs or FLOPs, frames, crop, views, normalisation counted or not.
    Exit code 1 where no reading gives the claim.
    """
    from ..facts import Printed

    if what in ("lecture", "published"):
        claim = {"--printed": printed, "--params": params, **dict(options.words)}
        _refuse(what, claim if what == "published" else {**claim, "--family": family})
        if write is None:
            show(_printed_table(what, family), format)
        else:
            require_writable(write)
            write_files({write: _printed_page(what, family).encode()})
            typer.echo(f"wrote {write}", err=True)
        return
    _refuse(what, {"--family": family, "--write": write})
    options.refuse("does not go with a claim, which is compared clip by clip", "--input", "--batch")
    spec = options.named(what)
    if printed is None:
        raise InputError(
            f"there is no claim about {what}", [("fix", f"give --printed, such as verify {what} --printed 27.6")]
        )
    cost, size = Printed.parse(printed), Printed.parse(params, "M") if params is not None else None
    with working(f"reading {printed}") as say:
        from ..verification import verify_claim

        verdict = verify_claim(spec, cost, params=size, progress=say)
    show(verdict.table(), format)
    if not verdict.holds:
        raise typer.Exit(EXIT_FAILED_CHECK)


def _printed_table(what: str, family: str | None) -> Table:
    """The lecture's slide, or what papers print, each number with its verdict."""
    with working(f"counting for {what}") as say:
        from ..verification import lecture_table, verdicts_table, verify_lecture, verify_published

        if what == "lecture":
            return lecture_table(verify_lecture())
        return verdicts_table(verify_published(family, progress=say))


def _printed_page(what: str, family: str | None) -> str:
    """The same as a markdown page."""
    with working(f"counting for {what}") as say:
        from ..verification import lecture_page, published_report, verify_published

        return (
            lecture_page(progress=say)
            if what == "lecture"
            else published_report(verify_published(family, progress=say))
        )


def _refuse(what: str, options: dict[str, Any]) -> None:
    for option, value in options.items():
        if value is not None:
            raise InputError(f"verify {what} takes no {option}", [("fix", "see flopcount verify --help")])
