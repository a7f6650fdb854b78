"""What a model takes on named devices: time, energy and money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

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
from .settings import Settings

if TYPE_CHECKING:
    from ..core.result import Result
    from ..core.table import Table
    from ..hardware.cost import Cost
    from ..training.training import Training

__all__ = ["cost"]


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount cost c3d --on rtx-4090\n\n"
    "flopcount cost x3d_m --on rtx-4090,a100-80gb-sxm,t4 --dtype amp --compile --views 10x3\n\n"
    "flopcount cost slowfast_r50_8x8 --on l4 --dtype amp --batch 8 --by kind\n\n"
    "flopcount cost mvitv2_s_16x4 --on h100-sxm --dtype bf16 --price 2.79 --fps 25 --format json\n\n"
    "flopcount cost r3d_18 --on rtx-3090 --dtype amp --batch 32 --train --epochs 45 --samples 240000\n\n"
    "flopcount cost x3d_m --on rtx-4090 --dtype amp --plot time.pdf --width 3.3in\n\n"
    "flopcount cost nets.py:build --clip 16x112x112 --on t4 --format csv"
)
@takes_model("views", "fps", "stride")
def cost(
    spec: ModelSpec,
    protocol: Protocol,
    settings: Settings,
    by: Annotated[
        By | None, typer.Option(help="Rows of the table; by default modules, and of several devices one row each.")
    ] = None,
    depth: DepthOpt = 2,
    plot: PlotOpt = None,
    width: WidthOpt = None,
    format: Annotated[str, format_option("json", help="Format of the output; json is the whole report.")] = "table",
    strict: StrictOpt = False,
    train: Annotated[bool, typer.Option("--train", help="Of a training step: loss and backward pass too.")] = False,
    optimizer: OptimizerOpt = None,
    freeze: FreezeOpt = None,
    loss: LossOpt = None,
    epochs: EpochsOpt = None,
    samples: SamplesOpt = None,
) -> None:
    """Predict time, energy and money on named devices: bound, estimate and range, and where the time goes."""
    training = training_arguments(train, optimizer, freeze, loss, epochs, samples)
    if not settings:
        raise InputError("no device is named", [("fix", "add --on rtx-4090; `flopcount devices` lists them")])
    picture = requested_picture(plot, width)
    if picture is not None and len(settings) > 1:
        raise InputError("--plot is of one device, and --on names several", [("fix", "name one, or leave --plot out")])
    for setting in settings if train else ():
        setting.choice(setting.conditions(training=True))  # no calibration is of a step, which is refused uncounted
    step: Training | None = None
    with working(f"counting {spec.name}"):
        if train:
            result, step, costs = _trained(spec, protocol, settings, strict, training, epochs, samples)
        else:
            from ..count import count_named

            result = count_named(spec, protocol, strict=strict, dataflow=True, saving=False)
            costs = [setting.cost(result) for setting in settings]
    if picture is not None:
        from ..publishing.figures import time_bars, time_data

        rows = by.value if by is not None else "module"
        data = time_data(costs[0], rows, depth)
        picture.write(lambda: time_bars(costs[0], rows, depth=depth, width=picture.width), data)
    if format == "json":
        from ..output.report_json import to_json

        write(to_json(result, training=step, costs=costs))
        return
    for number, table in enumerate(_tables(costs, by, depth, exact=format == "csv")):
        if number:
            write("")
        show(table, format)


def _trained(
    spec: ModelSpec,
    protocol: Protocol,
    settings: Settings,
    strict: bool,
    training: tuple[str, str | None, list[str], str | None],
    epochs: int | None,
    samples: int | None,
) -> tuple[Result, Training | None, list[Cost]]:
    from ..report import report_of_model

    report = report_of_model(spec, protocol, strict=strict, training=training)
    if report.training and epochs is not None and samples is not None:
        report = replace(report, training=report.training.over(epochs, samples))
    return report, report.training, [report.cost_under(setting) for setting in settings]


def _tables(costs: Sequence[Cost], by: By | None, depth: int, *, exact: bool) -> list[Table]:
    """Of one device its layers; of several a row for each, and the layers of each where they are asked for."""
    from ..hardware.device_comparison import device_comparison

    rows = by.value if by is not None else "module"
    if len(costs) == 1:
        return [costs[0].table(rows, depth)]
    if by is None:
        return [device_comparison(costs, exact=exact)]
    tables = [cost.table(rows, depth) for cost in costs]
    if not exact:
        return [device_comparison(costs), *tables]
    from ..hardware.cost_tables import with_devices

    return [with_devices(tables, [cost.conditions.device.name for cost in costs])]
