"""Many clips at once: a grid of them, and the largest ones within a budget."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import InputError
from ..core.model_spec import ModelSpec
from ..core.protocol import Protocol
from .application import EXIT_FAILED_CHECK, app
from .arguments import ModelOptions, TableFormatOpt, takes_model
from .output import progress, show, working
from .pictures import PlotOpt, WidthOpt, requested_picture
from .settings import Settings, one_setting

if TYPE_CHECKING:
    from ..core.result import Result

__all__ = ["fit", "sweep"]


class Height(StrEnum):
    """What the lines of a chart show."""

    macs = "macs"
    time = "time"


_RANGE = "Numbers separated by commas, or FROM:TO:STEP, which includes TO."


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount sweep x3d_m r3d_18 --frames 8:64:8 --size 112,160,224\n\n"
    "flopcount sweep swin3d_t --frames 16,32 --size 224:448:32 --format csv\n\n"
    "flopcount sweep x3d_m slowfast_r50_8x8 --frames 32 --size 128:256:32 --plot sizes.png --width slide\n\n"
    "flopcount sweep x3d_m --frames 8:32:8 --size 112,160 --on t4 --dtype amp --plot times.png --y time\n\n"
    "flopcount sweep nets.py:TwoStream --input rgb:1x3x8x64x64 --input flow:1x2x8x64x64 --frames 8,16 --size 64"
)
@takes_model()
def sweep(
    specs: list[ModelSpec],
    frames: Annotated[str, typer.Option(metavar="RANGE", help=f"Frames. {_RANGE}")],
    size: Annotated[str, typer.Option(metavar="RANGE", help=f"Height and width. {_RANGE}")],
    options: ModelOptions,
    settings: Settings,
    plot: PlotOpt = None,
    width: WidthOpt = None,
    y: Annotated[Height, typer.Option("--y", help="What --plot draws; time needs --on.")] = Height.macs,
    format: TableFormatOpt = "table",
) -> None:
    """Count models at every combination of frames and size (exit code 1 if one could not be counted).

    With --on each has its time, energy and money on a device too.
    """
    setting = one_setting(settings, "a sweep is on one")
    if y is Height.time and (setting is None or plot is None):
        missing = "--on rtx-4090" if setting is None else "--plot FILE"
        raise InputError("--y time draws the times of a device", [("fix", f"add {missing}, or leave --y out")])
    options.refuse("is set by --frames and --size", "--clip")
    names = [spec.name for spec in specs]
    clips = {"frames": numbers_of(frames, "--frames"), "size": numbers_of(size, "--size")}
    grid: dict[str, list[Any]] = {"model": names, **clips}
    grid |= {key: [value] for key, value in options.spec.options.items() if key not in grid}
    picture = requested_picture(plot, width)  # refused before minutes of counting
    with progress("counting", len(names) * len(clips["frames"]) * len(clips["size"])) as step:
        from ..analysis.sweep_rows import build_of_zoo, clip_axes
        from ..publishing.sweep import sweep as count_all

        if options.spec.inputs:
            clip_axes(options.spec)  # refused before anything is counted

        def build(**configuration: Any) -> Result:
            side = configuration["size"]
            step(f"{configuration['model']} at {configuration['frames']}×{side}×{side}")
            return build_of_zoo(options.spec, options.protocol, setting is not None, **configuration)

        result = count_all(build, grid, on=setting, chunk=1)
    if picture is not None:
        x = max(("size", "frames"), key=lambda name: len({row.configuration[name] for row in result.rows}))
        picture.write(lambda: result.plot(x, y=y.value, width=picture.width), result.table())
    table = result.table()
    elsewhere = {"--set", "--dtype"} if setting is not None else {"--set"}  # in columns and in the words of the device
    alike = " ".join(f"{name} {value}" for name, value in options.words if name not in elsewhere)
    show(replace(table, notes=(*table.notes, *([f"each with {alike}"] if alike else []))), format)
    if any(row.problem for row in result.rows):
        raise typer.Exit(EXIT_FAILED_CHECK)


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount fit x3d_m --budget 5GMACs\n\n"
    "flopcount fit slowfast_r50_8x8 --budget 2TFLOPs --views 10x3\n\n"
    "flopcount fit x3d_m --budget 33ms --on jetson-agx-orin-64gb\n\n"
    "flopcount fit swin3d_t --budget 100GMACs --frames 16,32,64 --size 224:448:32\n\n"
    "flopcount fit nets.py:TwoStream --input rgb:1x3x8x64x64 --input flow:1x2x8x64x64 --budget 5GMACs"
)
@takes_model("views")
def fit(
    *,
    spec: ModelSpec,
    budget: Annotated[
        str,
        typer.Option(metavar="AMOUNT", help="What one video may cost: 25GMACs or 50GFLOPs; with --on 33ms or 2J."),
    ],
    frames: Annotated[str | None, typer.Option(metavar="RANGE", help=f"Frames to choose from. {_RANGE}")] = None,
    size: Annotated[str | None, typer.Option(metavar="RANGE", help=f"Sizes to choose from. {_RANGE}")] = None,
    protocol: Protocol,
    settings: Settings,
    format: TableFormatOpt = "table",
) -> None:
    """Find the largest clips of a model within a budget, frames traded against size, from its closed form.

    Within a time or an energy on the device of --on they are found by counting.
    """
    from ..analysis.largest_clip import Allowance  # torch comes with it

    setting = one_setting(settings, "a budget is of one")
    amount = Allowance.parse(budget)
    if amount.quantity.pico != (setting is not None):
        why, fix = "is of the work", "leave --on out, or give a time such as 33ms"
        if amount.quantity.pico:
            why, fix = f"is of {amount.quantity.name}, and no device is named", "add --on rtx-4090"
        raise InputError(f"--budget {budget} {why}", [("fix", fix)])
    batch = spec.batch_of_inputs(protocol.batch) if spec.inputs else protocol.batch or 1
    if batch is None:
        why = "the inputs share no batch, so the cost of one clip is unknown"
        raise InputError(why, [("fix", "say how many samples they hold: --batch")])
    choices = {
        "frames": numbers_of(frames, "--frames") if frames else None,
        "sizes": numbers_of(size, "--size") if size else None,
    }
    if setting is not None:
        with working(f"counting {spec.name}") as say:
            from ..analysis.largest_clip_on_device import largest_clips_on

            def tell(at: str) -> None:
                say(f"counting {spec.name} at {at}")

            fitting = largest_clips_on(spec, amount, setting, protocol=protocol, progress=tell, **choices)
        show(fitting.table(), format)
        return
    with working(f"counting {spec.name}") as say:
        from ..analysis.largest_clip import largest_clips
        from ..symbolic import form_of_model

        form = form_of_model(
            spec,
            batch=protocol.batch,
            rebuild=not spec.inputs,  # one module takes inputs of every size
            progress=lambda at: say(f"counting {spec.name} at {at}"),
        )
        result = largest_clips(form, amount, views=protocol.views, batch=batch, **choices)
    show(result.table(), format)


def numbers_of(text: str, option: str) -> list[int]:
    """What "8:32:8" or "8,16,24,32" says.

    Raises:
        InputError: the text is neither, or a number is below 1.
    """
    fix = [("fix", f"write {option} 8,16,32 or {option} 8:64:8")]
    try:
        if ":" in text:
            begin, end, step = (int(part) for part in (*text.split(":"), "1")[:3])
            numbers = list(range(begin, end + 1, step))
        else:
            numbers = [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"{option} {text!r} is not a range of whole numbers", fix) from None
    if not numbers:
        raise InputError(f"{option} {text!r} begins behind its end", fix)
    if min(numbers) < 1:
        raise InputError(f"{option} {text!r} has a number below 1", fix)
    return numbers
