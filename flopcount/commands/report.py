"""Cost reports that stand on their own."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..writing import write_files
from .application import app
from .arguments import ClassesOpt, ClipOpt, SetOpt, arguments_of, views_of
from .output import working

if TYPE_CHECKING:
    from ..comparison import Comparison
    from ..cost_report import CostReport

__all__ = ["report"]


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount report c3d --clip 16x112x112 --views 10x1 --out reports\n\n"
    "flopcount report r3d_18 x3d_m slowfast_r50_8x8 --out costs\n\n"
    "flopcount report nets.py:build --clip 16x112x112 --no-check --out costs"
)
def report(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Networks of the zoo, or models of your own.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Write the pages and pictures there; all or nothing.")],
    clip: ClipOpt = None,
    views: Annotated[str | None, typer.Option(metavar="CLIPSxCROPS", help="Views per video, such as 10x3.")] = None,
    num_classes: ClassesOpt = None,
    set: SetOpt = None,
    depth: Annotated[int, typer.Option(metavar="N", help="Levels of modules shown; -1 for all.")] = 2,
    check: Annotated[bool, typer.Option(help="Run each model for real under fvcore's and torch's counters.")] = True,
    dataset: Annotated[
        str, typer.Option(metavar="NAME", help="Whose accuracy several are compared by.")
    ] = "kinetics400",
) -> None:
    """Write what models cost: layers, closed form, charts, cross-check, and what papers print of them.

    Several models get an index, and a comparison with those whose accuracy is known.
    """
    protocol = views_of(views)
    models: list[dict[str, Any]] = []
    for name in dict.fromkeys(names):
        arguments = arguments_of(name, clip, 1, num_classes, set, None, None)
        models.append({key: arguments[key] for key in ("name", "clip", "num_classes", "options")})
    command = _command(names, clip, views, num_classes, set, depth, check, dataset)
    with working("counting") as say:
        from ..cost_report import cost_report

        reports = [cost_report(**model, views=protocol, with_check=check, progress=say) for model in models]
        comparison = _compared(reports, dataset)
        files = _files(reports, comparison, command, depth)
    write_files({out / path: content for path, content in files.items()}, folders=True)
    typer.echo(f"wrote {len(files)} file{'s' * (len(files) > 1)} below {out}", err=True)


def _compared(reports: list[CostReport], dataset: str) -> Comparison | None:
    """Those of the zoo with an accuracy on the data set, where there are several models."""
    from ..comparison import compare
    from ..models import CARDS

    known = [report.name for report in reports if report.name in CARDS]
    if len(reports) < 2 or not known:
        return None
    comparison = compare(known, dataset=dataset)
    return comparison if comparison.rows else None


def _files(reports: list[CostReport], comparison: Comparison | None, command: str, depth: int) -> dict[str, bytes]:
    import matplotlib

    matplotlib.use("agg")  # files need no screen, and a broken one must not matter
    from ..figures import reports_files

    return reports_files(reports, command, depth=depth, comparison=comparison)


def _command(
    names: list[str], clip: str | None, views: str | None, num_classes: int | None, settings: list[str] | None,
    depth: int, check: bool, dataset: str,
) -> str:  # fmt: skip
    """The command that makes the same pages anywhere."""
    words = ["flopcount", "report", *names]
    words += ["--clip", clip] if clip else []
    words += ["--views", views] if views else []
    words += ["--num-classes", str(num_classes)] if num_classes is not None else []
    words += [word for text in settings or () for word in ("--set", text)]
    words += ["--depth", str(depth)] if depth != 2 else []
    words += [] if check else ["--no-check"]
    words += ["--dataset", dataset] if dataset != "kinetics400" else []
    return shlex.join([*words, "--out", "DIR"])
