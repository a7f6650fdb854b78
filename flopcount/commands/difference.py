"""What changed from one model, or one saved report, to another."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import InputError
from .application import EXIT_FAILED_CHECK, app
from .arguments import BatchOpt, ClassesOpt, ClipOpt, DtypeOpt, InputOpt, SetOpt, TableFormatOpt, arguments_of
from .output import show, working

if TYPE_CHECKING:
    from ..analysis.difference import Counted

__all__ = ["diff"]

_HELP = "A model as in [cyan]flopcount model[/], NAME@TxHxW for a clip of its own, or FILE.json."
OldArg = Annotated[str, typer.Argument(metavar="OLD", help=_HELP)]
NewArg = Annotated[str, typer.Argument(metavar="NEW", help="The same.")]


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount diff x3d_s x3d_m\n\n"
    "flopcount diff c3d@16x112x112 c3d@32x112x112\n\n"
    "flopcount model nets.py:build --clip 16x112x112 --format json > before.json\n\n"
    "flopcount diff before.json nets.py:build --clip 16x112x112 --exit-code"
)
def diff(
    old: OldArg,
    new: NewArg,
    clip: ClipOpt = None,
    batch: BatchOpt = 1,
    dtype: DtypeOpt = None,
    input: InputOpt = None,
    num_classes: ClassesOpt = None,
    set: SetOpt = None,
    depth: Annotated[int, typer.Option(metavar="N", help="Levels of modules shown; -1 for all.")] = -1,
    format: TableFormatOpt = "table",
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 where a layer differs.")] = False,
) -> None:
    """Show layer by layer what changed between two models or saved reports (flopcount model --format json).

    Layers are matched by path. The options go to every side that is a model.
    """
    options = {"--clip": clip, "--dtype": dtype, "--input": input, "--num-classes": num_classes, "--set": set}
    names = [name for name, value in options.items() if value is not None] + ["--batch"] * (batch != 1)
    if _is_file(old) and _is_file(new) and names:
        raise InputError(f"{names[0]} is for models, and both sides are saved reports", [("fix", f"drop {names[0]}")])

    def arguments(side: str) -> dict[str, Any]:
        name, own = _clip_apart(side)
        return arguments_of(name, own or clip, batch, num_classes, set, input, dtype)

    models = {side: arguments(side) for side in (old, new) if not _is_file(side)}
    with working(f"counting {old} and {new}"):
        from ..analysis.difference import diff as compared
        from ..output.report_json_reader import read_report
        from ..report import count_model

        def counted(side: str) -> Counted:
            return count_model(**models[side]) if side in models else read_report(side)

        result = compared(counted(old), counted(new))
    show(result.table(depth), format)
    if exit_code and result.different:
        raise typer.Exit(EXIT_FAILED_CHECK)


def _is_file(side: str) -> bool:
    return side.endswith(".json")


def _clip_apart(side: str) -> tuple[str, str | None]:
    """The name and the clip of "NAME@TxHxW"; any other @ is of the name."""
    name, at, clip = side.rpartition("@")
    return (name, clip) if at and re.fullmatch(r"[\dx×*]+", clip) else (side, None)
