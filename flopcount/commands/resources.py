"""How parallel a network is, and what it keeps in memory."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import InputError
from ..core.model_spec import ModelSpec
from ..core.protocol import Clip, Protocol
from .application import app
from .arguments import DepthOpt, TableFormatOpt, takes_model
from .output import progress, show, working
from .pictures import PlotOpt, WidthOpt, requested_picture

if TYPE_CHECKING:
    from ..analysis.largest_batch import BatchFit

__all__ = ["memory", "span"]


class OptimizerName(StrEnum):
    """Whose state a training step keeps."""

    adamw = "adamw"
    adam = "adam"
    sgd = "sgd"
    none = "none"


class Kernels(StrEnum):
    """Whose workspace is counted."""

    cpu = "cpu"
    none = "none"


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount span c3d\n\n"
    "flopcount span cnn_lstm c3d timesformer_b\n\n"
    "flopcount span cnn_lstm --plot path.pdf --width 3.3in\n\n"
    "flopcount span cnn_lstm c3d swin3d_t --frames 16,32,64"
)
@takes_model()
def span(
    specs: list[ModelSpec],
    protocol: Protocol,
    frames: Annotated[
        str | None, typer.Option(metavar="T,T...", help="Each network at clips of these lengths, side by side.")
    ] = None,
    depth: DepthOpt = 2,
    plot: PlotOpt = None,
    width: WidthOpt = None,
    format: TableFormatOpt = "table",
) -> None:
    """Show how parallel a network is: work, span, longest chain, sequential steps, and the critical path by module.

    Several networks, or several lengths, get one row each.
    """
    picture = requested_picture(plot, width)
    runs = [run for spec in specs for run in _at_lengths(spec, frames)]
    if picture is not None and len(runs) > 1:
        why = f"--plot draws the critical path of one network, and there are {len(runs)}"
        raise InputError(why, [("fix", "name one network and one length, or leave --plot out")])
    with progress("following", len(runs)) as step:
        from ..analysis.span import span_of, spans_table
        from ..count import count_named

        spans = []
        for run in runs:
            step(run.name)
            spans.append(span_of(count_named(run, protocol, dataflow=True)))
    if picture is not None:
        from ..publishing.figures import span_data, span_timeline

        draw = partial(span_timeline, spans[0], depth=depth, width=picture.width)
        picture.write(draw, span_data(spans[0], depth))
    show(spans[0].table(depth) if len(spans) == 1 else spans_table(spans), format)


def _at_lengths(spec: ModelSpec, frames: str | None) -> list[ModelSpec]:
    """A network at each of the lengths of --frames, or as it is."""
    from ..models import CARDS

    if frames is None:
        return [spec]
    if spec.inputs:
        raise InputError("--frames changes the clip, which --input fixes", [("fix", "leave one out")])
    base = spec.clip or (CARDS[spec.name].clip if spec.name in CARDS else None)
    if base is None:
        why = f"{spec.name} does not say how large its frames are"
        raise InputError(why, [("fix", "give --clip 16x112x112 as well")])
    lengths = frames.split(",")
    if not all(length.strip().isdigit() and int(length) for length in lengths):
        raise InputError(f"frames {frames!r} are not lengths", [("fix", "write --frames 8,16,32")])
    return [replace(spec, clip=Clip(int(length), base.height, base.width)) for length in lengths]


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount memory c3d\n\n"
    "flopcount memory swin3d_t --dtype bfloat16 --batch 8 --optimizer sgd\n\n"
    "flopcount memory r3d_18 --memory 80GB\n\n"
    "flopcount memory x3d_m --plot memory.pdf --width 7in"
)
@takes_model()
def memory(
    spec: ModelSpec,
    protocol: Protocol,
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Find the largest batch that fits: 80GB, 24GiB.")
    ] = None,
    optimizer: Annotated[
        OptimizerName, typer.Option(help="Optimizer whose state a training step keeps.")
    ] = OptimizerName.adamw,
    kernels: Annotated[Kernels, typer.Option(help="Kernels whose workspace is counted.")] = Kernels.cpu,
    plot: PlotOpt = None,
    width: WidthOpt = None,
    format: TableFormatOpt = "table",
) -> None:
    """Show what takes up memory at the peak of a forward pass, and of a training step."""
    if memory is not None and spec.inputs:
        raise InputError(
            "--memory searches for the batch, which --input fixes", [("fix", "give --clip instead of --input")]
        )
    if memory is not None:
        from ..analysis.largest_batch import parse_bytes

        parse_bytes(memory)  # refused before anything is counted
    picture = requested_picture(plot, width)
    with working(f"following {spec.name}") as say:
        from ..analysis.memory import memory_of
        from ..count import count_named

        result = count_named(spec, protocol, dataflow=True)
        usage = memory_of(result, kernels=kernels.value)
        table = usage.table(optimizer.value)
        if memory is not None:
            fits = _fits(spec, memory, optimizer.value, kernels.value, say)
            lines = [f"largest batch in {memory}, {what}: {fit}" for what, fit in fits.items()]
            table = replace(table, notes=(*lines, *table.notes))
    if picture is not None:
        from ..analysis.memory_profile import memory_profiles, profile_table
        from ..publishing.figures import memory_curve

        profiles = memory_profiles(result, kernels=kernels.value, optimizer=optimizer.value)
        picture.write(partial(memory_curve, profiles, width=picture.width), profile_table(profiles))
    show(table, format)


def _fits(spec: ModelSpec, memory: str, optimizer: str, kernels: str, say: Any) -> dict[str, BatchFit]:
    """The largest batch for inference and for training; no batch is counted twice."""
    from functools import cache

    from ..analysis.largest_batch import largest_batch
    from ..core.result import Result
    from ..count import count_named

    @cache
    def count(batch: int) -> Result:
        say(f"counting {spec.name} with a batch of {batch}")
        return count_named(spec, Protocol(batch=batch), dataflow=True)

    options: dict[str, Any] = {"memory": memory, "optimizer": optimizer, "kernels": kernels}
    return {
        "inference": largest_batch(count, **options),
        f"training with {optimizer}": largest_batch(count, training=True, **options),
    }
