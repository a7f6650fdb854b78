"""Counting a model, and explaining a layer of it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from ..core.errors import InputError
from ..core.model_spec import ModelSpec
from ..core.protocol import Protocol
from .application import app
from .arguments import (
    By,
    DepthOpt,
    EpochsOpt,
    FreezeOpt,
    LossOpt,
    OptimizerOpt,
    SamplesOpt,
    StrictOpt,
    format_option,
    takes_model,
    training_arguments,
)
from .output import show, working, write
from .pictures import PlotOpt, WidthOpt, requested_picture

__all__ = ["explain", "model"]


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount model c3d --clip 16x112x112\n\n"
    "flopcount model c3d --clip 32x112x112 --views 10x1 --fps 25 --stride 2\n\n"
    "flopcount model c3d --by operator --format json\n\n"
    "flopcount model slow_fusion --receptive-field\n\n"
    "flopcount model slowfast_r50_8x8 --plot layers.pdf --width 3.3in\n\n"
    "flopcount model cnn_lstm --train --freeze cnn --optimizer adamw --epochs 10 --samples 9537\n\n"
    "flopcount model nets.py:build --set depth=18 --input video:1x3x8x64x64:float32"
)
@takes_model("views", "fps", "stride")
def model(
    spec: ModelSpec,
    protocol: Protocol,
    depth: DepthOpt = 2,
    by: Annotated[By, typer.Option(help="Rows of the table.")] = By.module,
    format: Annotated[str, format_option("json", help="Format of the output; json is the whole report.")] = "table",
    strict: StrictOpt = False,
    plot: PlotOpt = None,
    width: WidthOpt = None,
    train: Annotated[bool, typer.Option("--train", help="Count a training step: loss and backward pass too.")] = False,
    optimizer: OptimizerOpt = None,
    freeze: FreezeOpt = None,
    loss: LossOpt = None,
    epochs: EpochsOpt = None,
    samples: SamplesOpt = None,
    receptive_field: Annotated[
        bool, typer.Option("--receptive-field", help="Show what each layer sees of the clip, T×H×W.")
    ] = False,
) -> None:
    """Count what one forward pass of a model costs, layer by layer; with --train, a training step."""
    training = training_arguments(train, optimizer, freeze, loss, epochs, samples)
    if receptive_field and (train or by is not By.module):
        raise InputError("a receptive field is shown by layer", [("fix", "leave out --train and --by")])
    picture = requested_picture(plot, width)
    with working(f"counting {spec.name}"):
        from ..report import report_of_model

        readers = {"receptive_field": receptive_field}
        report = report_of_model(spec, protocol, strict=strict, training=training, readers=readers)
        if report.training and epochs is not None and samples is not None:
            report = replace(report, training=report.training.over(epochs, samples))
    if picture is not None:
        from ..publishing.figures import breakdown_data

        draw = partial(report.plot, by.value, depth=depth, width=picture.width)
        picture.write(draw, breakdown_data(report, by.value, depth))
    if format == "json":
        write(report.to_json())
        return
    show(report.table_by(by.value, depth), format)


@app.command(
    epilog="[bold]Examples[/]\n\nflopcount explain c3d conv2\n\nflopcount explain c3d fc6 --set pool5_padding=false"
)
@takes_model()
def explain(
    spec: ModelSpec,
    layer: Annotated[str, typer.Argument(metavar="LAYER", help="Dotted path of a layer, as in named_modules().")],
    protocol: Protocol,
) -> None:
    """Show the formula behind every number of a layer, with its numbers and its source."""
    with working(f"counting {spec.name}"):
        from ..analysis.explanation import explain as explained
        from ..count import count_named

        explanation = explained(count_named(spec, protocol), layer)
    write(str(explanation))
