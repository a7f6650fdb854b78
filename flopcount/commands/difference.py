"""What changed from one model, or one saved report, to another."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import InputError
from .application import EXIT_FAILED_CHECK, app
from .arguments import DepthOpt, ModelOptions, TableFormatOpt, takes_model
from .output import show, working
from .settings import Settings, one_setting

if TYPE_CHECKING:
    from ..analysis.difference import Counted

__all__ = ["diff"]

_HELP = "A model as in [cyan]flopcount model[/], NAME@TxHxW for a clip of its own, FILE.json, or a job in FILE.toml."
OldArg = Annotated[str, typer.Argument(metavar="OLD", help=_HELP)]
NewArg = Annotated[str, typer.Argument(metavar="NEW", help="Like OLD.")]


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount diff x3d_s x3d_m\n\n"
    "flopcount diff c3d@16x112x112 c3d@32x112x112\n\n"
    "flopcount diff x3d_s x3d_m --on rtx-4090 --dtype amp\n\n"
    "flopcount model nets.py:build --clip 16x112x112 --format json > before.json\n\n"
    "flopcount diff before.toml after.toml --depth 1\n\n"
    "flopcount diff before.json after.json --html difference.html\n\n"
    "flopcount diff before.json nets.py:build --clip 16x112x112 --exit-code"
)
@takes_model()
def diff(
    old: OldArg,
    new: NewArg,
    options: ModelOptions,
    settings: Settings,
    depth: DepthOpt = -1,
    format: TableFormatOpt = "table",
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 where a layer differs.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page with a picture of where it is too.")
    ] = None,
) -> None:
    """Show layer by layer what changed between two models or saved reports (flopcount model --format json).

    Layers are matched by path. The options apply to each side that is a model. With --on, as of reports that were saved
    with it, the difference of time, energy and money is shown too.
    """
    if html is not None:  # before minutes of counting
        from ..publishing.interactive.page_file import require_page

        require_page(html)
    setting = one_setting(settings, "a difference is of one")
    models = {side: options.named(*_clip_apart(side)) for side in (old, new) if not _is_file(side)}
    if not models:
        jobs = any(map(_is_job, (old, new)))
        priced = jobs and setting is not None  # then --dtype says how a job runs
        words = [name for name, _ in options.words if name != "--dtype" or not priced]
        if words:
            what = "neither side is one" if jobs else "both sides are saved reports"
            options.refuse(f"is for models, and {what}", *words)
        if setting is not None and not jobs:
            raise InputError("--on is for models, and both sides are saved reports", [("fix", "leave --on out")])
    with working(f"counting {old} and {new}") as say:
        from ..analysis.difference import diff as compared
        from ..count import count_named
        from ..output.report_json_reader import read_report
        from ..pipelines.pipeline_file import read_pipeline

        saved = {side: read_report(side) for side in (old, new) if side.endswith(".json")}  # before anything is counted

        def counted(side: str) -> Counted:
            say(f"counting {side}")
            if _is_job(side):
                job = read_pipeline(side, dataflow=setting is not None)
                return job.result if setting is None else job.cost_under(setting).result
            if side in saved:
                return saved[side]
            if setting is None:
                return count_named(models[side], options.protocol)
            return setting.cost(count_named(models[side], options.protocol, dataflow=True, saving=False)).result

        sides = {side: counted(side) for side in sorted({old, new}, key=_is_job, reverse=True)}  # a job is read first
        result = compared(sides[old], sides[new])
    if html is not None:
        from ..publishing.interactive.diff_page import diff_page
        from ..publishing.interactive.page_file import write_page

        write_page(html, diff_page(result, _command(old, new, options), (old, new)))
        typer.echo(f"wrote {html}, a page to open", err=True)
    show(result.table(depth), format)
    if exit_code and result.different:
        raise typer.Exit(EXIT_FAILED_CHECK)


def _command(old: str, new: str, options: ModelOptions) -> str:
    """The command that makes the same page anywhere."""
    typed = [word for words in (*options.words, *options.device_words) for word in words]
    return shlex.join(["flopcount", "diff", old, new, *typed, "--html", "FILE"])


def _is_file(side: str) -> bool:
    return side.endswith((".json", ".toml"))


def _is_job(side: str) -> bool:
    return side.endswith(".toml")


def _clip_apart(side: str) -> tuple[str, str | None]:
    """The name and the clip of "NAME@TxHxW"; any other @ is of the name."""
    name, at, clip = side.rpartition("@")
    return (name, clip) if at and re.fullmatch(r"[\dx×*]+", clip) else (side, None)
