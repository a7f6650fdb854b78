"""Many clips at once: a grid of them, and the largest ones within a budget."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..core.errors import InputError
from .application import EXIT_FAILED_CHECK, app
from .arguments import ClassesOpt, ClipOpt, NameArg, SetOpt, TableFormatOpt, arguments_of, views_of
from .output import progress, show, working
from .pictures import PlotOpt, require_picture, write_picture

__all__ = ["fit", "sweep"]

_RANGE = "Numbers with commas, or FROM:TO:STEP, the end included."


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount sweep x3d_m r3d_18 --frames 8:64:8 --size 112,160,224\n\n"
    "flopcount sweep swin3d_t --frames 16,32 --size 224:448:32 --format csv\n\n"
    "flopcount sweep x3d_m slowfast_r50_8x8 --frames 32 --size 128:256:32 --plot sizes.png"
)
def sweep(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Networks of the zoo, or models of your own.")],
    frames: Annotated[str, typer.Option(metavar="RANGE", help=f"Frames. {_RANGE}")],
    size: Annotated[str, typer.Option(metavar="RANGE", help=f"Height and width. {_RANGE}")],
    set: SetOpt = None,
    plot: PlotOpt = None,
    format: TableFormatOpt = "table",
) -> None:
    """Count models at every combination of frames and size (exit code 1 if one could not be counted)."""
    from ..core.parsing import parse_settings
    from ..models import require_known

    for name in names:
        require_known(name)
    clips = {"frames": numbers_of(frames, "--frames"), "size": numbers_of(size, "--size")}
    options = {key: [value] for key, value in parse_settings(set or ()).items()}
    grid: dict[str, list[Any]] = {"model": names, **clips, **options}
    if plot is not None:  # before minutes of counting
        require_picture(plot)
    with progress("counting", len(names) * len(clips["frames"]) * len(clips["size"])) as step:
        from ..analysis.sweep_rows import build_of_zoo
        from ..publishing.sweep import sweep as count_all

        result = count_all(build_of_zoo, grid, chunk=1, progress=lambda done, total: step(""))
    if plot is not None:
        x = max(("size", "frames"), key=lambda name: len({row.configuration[name] for row in result.rows}))
        write_picture(plot, lambda: result.plot(x))
    show(result.table(), format)
    if any(row.problem for row in result.rows):
        raise typer.Exit(EXIT_FAILED_CHECK)


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount fit x3d_m --budget 5GMACs\n\n"
    "flopcount fit slowfast_r50_8x8 --budget 2TFLOPs --views 10x3\n\n"
    "flopcount fit swin3d_t --budget 100GMACs --frames 16,32,64 --size 224:448:32"
)
def fit(
    name: NameArg,
    budget: Annotated[str, typer.Option(metavar="AMOUNT", help="What one video may cost: 25GMACs or 50GFLOPs.")],
    views: Annotated[str | None, typer.Option(metavar="CLIPSxCROPS", help="Views per video, such as 10x3.")] = None,
    frames: Annotated[str | None, typer.Option(metavar="RANGE", help=f"Frames to choose from. {_RANGE}")] = None,
    size: Annotated[str | None, typer.Option(metavar="RANGE", help=f"Sizes to choose from. {_RANGE}")] = None,
    clip: ClipOpt = None,
    num_classes: ClassesOpt = None,
    set: SetOpt = None,
    format: TableFormatOpt = "table",
) -> None:
    """Find the largest clips of a model within a budget, frames against size, from its closed form."""
    arguments = arguments_of(name, clip, 1, num_classes, set, None, None)
    del arguments["dtype"], arguments["inputs"]
    with working(f"counting {name}") as say:
        from ..analysis.largest_clip import Allowance, largest_clips
        from ..symbolic import closed_form_of

        amount, protocol = Allowance.parse(budget), views_of(views)
        choices = {
            "frames": numbers_of(frames, "--frames") if frames else None,
            "sizes": numbers_of(size, "--size") if size else None,
        }
        form = closed_form_of(**arguments, rebuild=True, progress=lambda at: say(f"counting {name} at {at}"))
        result = largest_clips(form, amount, views=protocol, **choices)
    show(result.table(), format)


def numbers_of(text: str, option: str) -> list[int]:
    """What "8:32:8" or "8,16,24,32" says.

    Raises:
        InputError: neither, or numbers below 1.
    """
    fix = [("fix", f"write {option} 8,16,32 or {option} 8:64:8")]
    try:
        if ":" in text:
            begin, end, step = (int(part) for part in (*text.split(":"), "1")[:3])
            numbers = list(range(begin, end + 1, step))
        else:
            numbers = [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"{option} {text!r} is no range of whole numbers", fix) from None
    if not numbers or min(numbers) < 1:
        raise InputError(f"{option} {text!r} has no number above 0, or one below", fix)
    return numbers
