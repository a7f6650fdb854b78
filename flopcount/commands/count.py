"""Counting a model, and explaining a layer of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from ..core.errors import InputError
from .application import app
from .arguments import (
    BatchOpt,
    By,
    ClassesOpt,
    ClipOpt,
    DtypeOpt,
    InputOpt,
    NameArg,
    SetOpt,
    arguments_of,
    format_option,
    training_arguments,
    views_of,
)
from .output import show, working, write
from .pictures import PlotOpt, require_picture, write_picture

__all__ = ["explain", "model"]


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount model c3d --clip 16x112x112\n\n"
    "flopcount model c3d --clip 32x112x112 --views 10x1 --fps 25 --stride 2\n\n"
    "flopcount model c3d --by operator --format json\n\n"
    "flopcount model slow_fusion --receptive-field\n\n"
    "flopcount model slowfast_r50_8x8 --plot layers.pdf\n\n"
    "flopcount model cnn_lstm --train --freeze cnn --optimizer adamw --epochs 10 --samples 9537\n\n"
    "flopcount model nets.py:build --set depth=18 --input video:1x3x8x64x64:float32"
)
def model(
    name: NameArg,
    clip: ClipOpt = None,
    batch: BatchOpt = 1,
    views: Annotated[str | None, typer.Option(metavar="CLIPSxCROPS", help="Views per video, such as 10x3.")] = None,
    fps: Annotated[float | None, typer.Option(metavar="F", help="Frames per second of the video.")] = None,
    stride: Annotated[int | None, typer.Option(metavar="S", help="Every how many frames the clip was sampled.")] = None,
    dtype: DtypeOpt = None,
    input: InputOpt = None,
    num_classes: ClassesOpt = None,
    set: SetOpt = None,
    depth: Annotated[int, typer.Option(metavar="N", help="Levels of modules shown; -1 for all.")] = 2,
    by: Annotated[By, typer.Option(help="Rows of the table.")] = By.module,
    format: Annotated[str, format_option("json", help="How to write it; json is the whole report.")] = "table",
    strict: Annotated[bool, typer.Option("--strict", help="Fail where an operator has no rule (exit code 3).")] = False,
    plot: PlotOpt = None,
    train: Annotated[bool, typer.Option("--train", help="Count a training step: loss and backward too.")] = False,
    optimizer: Annotated[str | None, typer.Option(metavar="NAME", help="sgd, adam or adamw: its step too.")] = None,
    freeze: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Layers or parameters that are not trained; repeatable.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="With --samples: the whole training run.")] = None,
    samples: Annotated[
        int | None, typer.Option(metavar="N", help="Clips of the data set, each seen once an epoch.")
    ] = None,
    receptive_field: Annotated[
        bool, typer.Option("--receptive-field", help="Show what each layer sees of the clip, T×H×W.")
    ] = False,
) -> None:
    """Count what one forward pass of a model costs, layer by layer; with --train what a training step does."""
    arguments = arguments_of(name, clip, batch, num_classes, set, input, dtype)
    views_per_video = views_of(views)
    training = training_arguments(train, optimizer, freeze, epochs, samples)
    if receptive_field and (train or by is not By.module):
        raise InputError("a receptive field is shown by layer", [("fix", "leave out --train and --by")])
    if plot is not None:
        require_picture(plot)
    with working(f"counting {name}"):
        from ..models.by_name import with_model
        from ..report import Report, count_flops

        def count(module: Any, input: Any) -> Report:
            protocol: dict[str, Any] = {"views": views_per_video, "fps": fps, "stride": stride}
            report = count_flops(module, input, **protocol, strict=strict, **training)
            return report.with_receptive_field() if receptive_field else report

        report = with_model(use=count, **arguments)
        if report.training and epochs is not None and samples is not None:
            report = replace(report, training=report.training.over(epochs, samples))
    if plot is not None:
        write_picture(plot, lambda: report.plot(by.value, depth=depth))
    if format == "json":
        write(report.to_json())
        return
    show(report.table_by(by.value, depth), format)


@app.command(
    epilog="[bold]Examples[/]\n\nflopcount explain c3d conv2\n\nflopcount explain c3d fc6 --set pool5_padding=false"
)
def explain(
    name: NameArg,
    layer: Annotated[str, typer.Argument(metavar="LAYER", help="Dotted path of a layer, as in named_modules().")],
    clip: ClipOpt = None,
    batch: BatchOpt = 1,
    dtype: DtypeOpt = None,
    input: InputOpt = None,
    num_classes: ClassesOpt = None,
    set: SetOpt = None,
) -> None:
    """Show the formula behind every number of a layer, with the numbers put in and its source."""
    arguments = arguments_of(name, clip, batch, num_classes, set, input, dtype)
    with working(f"counting {name}"):
        from ..report import count_model

        explanation = count_model(**arguments).explain(layer)
    write(str(explanation))
