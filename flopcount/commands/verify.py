"""Comparing printed numbers with counts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import InputError, UnknownNameError
from ..output.atomic_files import require_writable, write_files
from .application import EXIT_FAILED_CHECK, app
from .arguments import ModelOptions, TableFormatOpt, takes_model
from .completion import completing, some
from .output import show, working

if TYPE_CHECKING:
    from ..core.table import Table

__all__ = ["verify"]

VERDICTS = ("match", "cause", "fits", "undecided", "unexplained", "not checkable")
"""What can become of a printed number, as flopcount.verification.Finding has it: known here before torch is loaded."""


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount verify slow_r50_8x8 --printed 27.6 --params 32.5M\n\n"
    "flopcount verify c3d --printed 77.1 --clip 16x112x112\n\n"
    "flopcount verify lecture --write slide.md\n\n"
    "flopcount verify published --family x3d --only unexplained\n\n"
    "flopcount verify published --placebo --within 5%\n\n"
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
    only: Annotated[
        str | None,
        typer.Option(
            metavar="VERDICT,...",
            help="Published rows with one of these verdicts only.",
            autocompletion=completing(some(*VERDICTS), several=True),
        ),
    ] = None,
    placebo: Annotated[
        bool, typer.Option("--placebo", help="Move every printed cost by chance, and show what is judged of that.")
    ] = False,
    draws: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="With --placebo, how often each is moved: 5.")
    ] = None,
    within: Annotated[
        str | None, typer.Option(metavar="SHARE", help="With --placebo, how far at most: 15%, 5% and 2% in turn.")
    ] = None,
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

    test = {"--placebo": placebo or None, "--draws": draws, "--within": within}
    rows = {"--family": family, "--only": only, **test}
    if what in ("lecture", "published"):
        claim = {"--printed": printed, "--params": params, **dict(options.words)}
        _refuse(what, claim if what == "published" else {**claim, **rows})
        if not placebo:
            _refuse(f"{what} without --placebo", {"--draws": draws, "--within": within})
        elif only or write:
            _refuse(f"{what} --placebo", {"--only": only, "--write": write})
        kinds, widths = _kinds(only), _widths(within)
        if write is None:
            show(_placebo(family, draws, widths) if placebo else _printed_table(what, family, kinds), format)
        else:
            require_writable(write)
            write_files({write: _printed_page(what, family, kinds).encode()})
            typer.echo(f"wrote {write}", err=True)
        return
    _refuse(what, {**rows, "--write": write})
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


def _printed_table(what: str, family: str | None, kinds: Sequence[str]) -> Table:
    """The lecture's slide, or what papers print, each number with its verdict."""
    with working(f"counting for {what}") as say:
        from ..verification import lecture_table, only, verdicts_table, verify_lecture, verify_published

        if what == "lecture":
            return lecture_table(verify_lecture())
        verdicts = verify_published(family, progress=say)
        return verdicts_table(only(verdicts, kinds) if kinds else verdicts)


def _placebo(family: str | None, draws: int | None, widths: Sequence[float]) -> Table:
    """What becomes of printed costs that are moved by chance."""
    with working("counting for published") as say:
        from ..verification import placebo, placebo_table, verify_published
        from ..verification.placebo import DRAWS, WIDTHS

        verdicts = verify_published(family, progress=say)
        return placebo_table(placebo(verdicts, draws=draws or DRAWS, widths=widths or WIDTHS, progress=say))


def _printed_page(what: str, family: str | None, kinds: Sequence[str]) -> str:
    """The same as a markdown page; the placebo test stands on that of all rows."""
    with working(f"counting for {what}") as say:
        from ..verification import lecture_page, only, placebo, published_report, verify_published

        if what == "lecture":
            return lecture_page()
        verdicts = verify_published(family, progress=say)
        parts = () if family or kinds else placebo(verdicts, progress=say)
        return published_report(only(verdicts, kinds) if kinds else verdicts, parts)


def _kinds(text: str | None) -> tuple[str, ...]:
    """Verdicts by name: "unexplained,fits"."""
    names = tuple(name.strip() for name in text.split(",")) if text else ()
    for name in names:
        if name not in VERDICTS:
            raise UnknownNameError("verdict", name, VERDICTS, f"choose {', '.join(VERDICTS)}")
    return names


def _widths(text: str | None) -> tuple[float, ...]:
    """A share such as "15%" or "0.15"."""
    if text is None:
        return ()
    try:
        width = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        width = 0.0
    if not 0 < width < 1:
        raise InputError(f"{text!r} is no share of a number", [("fix", "give one below 100%, such as --within 15%")])
    return (width,)


def _refuse(what: str, options: dict[str, Any]) -> None:
    for option, value in options.items():
        if value is not None:
            raise InputError(f"verify {what} takes no {option}", [("fix", "see flopcount verify --help")])
