"""How parallel a network is, and what it keeps in memory."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import InputError
from .application import app
from .arguments import BatchOpt, ClassesOpt, ClipOpt, DtypeOpt, InputOpt, NameArg, SetOpt, TableFormatOpt, arguments_of
from .output import progress, show, working

if TYPE_CHECKING:
    from ..analysis.largest_batch import BatchFit
    from ..core.protocol import Clip

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
    "flopcount span cnn_lstm c3d swin3d_t --frames 16,32,64"
)
def span(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            help="Networks of the zoo, [cyan]package.module:callable[/] or [cyan]file.py:callable[/].",
        ),
    ],
    clip: ClipOpt = None,
    frames: Annotated[
        str | None, typer.Option(metavar="T,T...", help="Each network at clips of these lengths, side by side.")
    ] = None,
    batch: BatchOpt = 1,
    dtype: DtypeOpt = None,
    input: InputOpt = None,
    num_classes: ClassesOpt = None,
    set: SetOpt = None,
    depth: Annotated[int, typer.Option(metavar="N", help="Levels of modules shown; -1 for all.")] = 2,
    format: TableFormatOpt = "table",
) -> None:
    """Show how parallel a network is: work, span, longest chain, sequential steps, and the critical path by module.

    Of several networks, or at several lengths, one row each.
    """
    runs = [
        arguments_of(name, None, batch, num_classes, set, input, dtype) | {"clip": at}
        for name in names
        for at in _clips(name, clip, frames)
    ]
    with progress("following", len(runs)) as step:
        from ..analysis.span import span_of, spans_table
        from ..counting import count_named

        spans = []
        for run in runs:
            step(run["name"])
            spans.append(span_of(count_named(**run, dataflow=True)))
    show(spans[0].table(depth) if len(spans) == 1 else spans_table(spans), format)


def _clips(name: str, clip: str | None, frames: str | None) -> list[Clip | None]:
    """The clips to follow a network at: what --clip says, with the lengths of --frames."""
    from ..core.protocol import Clip
    from ..models import CARDS

    own = Clip.parse(clip) if clip is not None else None
    if frames is None:
        return [own]
    card = CARDS.get(name)
    base = own or (card.clip if card is not None else None)
    if base is None:
        raise InputError(f"{name} does not say how large its frames are", [("fix", "give --clip 16x112x112 as well")])
    lengths = frames.split(",")
    if not all(length.strip().isdigit() and int(length) for length in lengths):
        raise InputError(f"frames {frames!r} are no lengths", [("fix", "write --frames 8,16,32")])
    return [Clip(int(length), base.height, base.width) for length in lengths]


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount memory c3d\n\n"
    "flopcount memory swin3d_t --dtype bfloat16 --batch 8 --optimizer sgd\n\n"
    "flopcount memory r3d_18 --memory 80GB"
)
def memory(
    name: NameArg,
    clip: ClipOpt = None,
    batch: BatchOpt = 1,
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Find the largest batch that fits: 80GB, 24GiB.")
    ] = None,
    optimizer: Annotated[OptimizerName, typer.Option(help="Whose state a training step keeps.")] = OptimizerName.adamw,
    kernels: Annotated[Kernels, typer.Option(help="Whose workspace is counted.")] = Kernels.cpu,
    dtype: DtypeOpt = None,
    input: InputOpt = None,
    num_classes: ClassesOpt = None,
    set: SetOpt = None,
    format: TableFormatOpt = "table",
) -> None:
    """Show what takes up memory at the peak of a forward pass, and of a training step."""
    arguments = arguments_of(name, clip, batch, num_classes, set, input, dtype)
    if memory is not None and input:
        raise InputError("--memory looks for a batch, and --input has one", [("fix", "give --clip instead of --input")])
    if memory is not None:
        from ..analysis.largest_batch import parse_bytes

        parse_bytes(memory)  # refused before anything is counted
    with working(f"following {name}") as say:
        from dataclasses import replace

        from ..analysis.memory import memory_of
        from ..counting import count_named

        usage = memory_of(count_named(**arguments, dataflow=True), kernels=kernels.value)
        table = usage.table(optimizer.value)
        if memory is not None:
            fits = _fits(arguments, memory, optimizer.value, kernels.value, say)
            lines = [f"largest batch in {memory}, {what}: {fit}" for what, fit in fits.items()]
            table = replace(table, notes=(*lines, *table.notes))
    show(table, format)


def _fits(arguments: dict[str, Any], memory: str, optimizer: str, kernels: str, say: Any) -> dict[str, BatchFit]:
    """The largest batch for inference and for training; no batch is counted twice."""
    from functools import cache

    from ..analysis.largest_batch import largest_batch
    from ..core.result import Result
    from ..counting import count_named

    @cache
    def count(batch: int) -> Result:
        say(f"counting {arguments['name']} with a batch of {batch}")
        return count_named(**(arguments | {"batch": batch}), dataflow=True)

    options: dict[str, Any] = {"memory": memory, "optimizer": optimizer, "kernels": kernels}
    return {
        "inference": largest_batch(count, **options),
        f"training with {optimizer}": largest_batch(count, training=True, **options),
    }
