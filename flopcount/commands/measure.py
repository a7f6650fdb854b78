"""The real forward pass of a model, beside what is predicted of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.duration import parse_duration
from ..core.errors import InputError
from ..core.model_spec import ModelSpec
from ..core.protocol import Protocol
from .application import app
from .arguments import FormatOpt, ThreadsOpt, takes_model
from .output import show, working, write
from .settings import Running

if TYPE_CHECKING:
    from ..core.result import Result
    from ..hardware.cost import Cost
    from ..hardware.measurement import Measurement
    from ..hardware.setting import Setting

__all__ = ["measure"]

_WARMUP, _REPEATS = 3, 10


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount measure x3d_s\n\n"
    "flopcount measure r3d_18 --clip 16x112x112 --threads 1 --layers\n\n"
    "flopcount measure slowfast_r50_4x16 --device cuda --dtype amp --batch 8 --on rtx-4090\n\n"
    "flopcount measure c3d --on here.json --format json\n\n"
    "flopcount measure timesformer_b --batch 8 --measured 92ms --on a100-80gb-sxm --dtype amp"
)
@takes_model()
def measure(
    spec: ModelSpec,
    protocol: Protocol,
    running: Running,
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where it runs: cpu, cuda or cuda:1; cpu by default.")
    ] = None,
    warmup: Annotated[
        int | None, typer.Option(metavar="N", help=f"Calls before, which do not count; {_WARMUP} by default.")
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(metavar="N", help=f"Calls that are timed; {_REPEATS} by default.")
    ] = None,
    threads: ThreadsOpt = None,
    layers: Annotated[bool, typer.Option("--layers", help="Time every layer too.")] = False,
    measured: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="A time from elsewhere, such as 1883s, 12ms or 2.5min: nothing runs here."),
    ] = None,
    passes: Annotated[
        int | None, typer.Option(metavar="N", help="Forward passes in the time of --measured; 1 by default.")
    ] = None,
    format: FormatOpt = "table",
) -> None:
    """Run the real forward pass with random weights, and show its time beside the prediction, and the FLOP/s reached.

    Without --on the prediction is that of here.json (flopcount calibrate), if the current folder has one.
    """
    here = {"--device": device, "--warmup": warmup, "--repeats": repeats, "--threads": threads, "--layers": layers}
    if measured is not None:
        for option, value in here.items():
            if value not in (None, False):
                raise InputError(f"{option} is for a run, and --measured has none", [("fix", "leave one of them out")])
        if passes is not None and passes < 1:
            raise InputError(f"--passes is {passes}", [("fix", "give a whole number above 0")])
        _elsewhere(spec, protocol, running, parse_duration(measured), passes or 1, format)
        return
    if passes is not None:
        raise InputError("--passes needs --measured", [("fix", "add --measured, or leave --passes out")])
    if layers and running.compile:
        raise InputError("a compiled module has no layers to time", [("fix", "leave out --layers or --compile")])
    for option, value, least in (("--warmup", warmup, 0), ("--repeats", repeats, 1), ("--threads", threads, 1)):
        if value is not None and value < least:
            raise InputError(f"{option} is {value}", [("fix", f"give a whole number from {least} upwards")])
    setting = _named(running)
    clocks = {
        "warmup": _WARMUP if warmup is None else warmup,
        "repeats": _REPEATS if repeats is None else repeats,
        "threads": threads,
        "layers": layers,
    }
    with working(f"counting {spec.name}") as say:
        measurement, why = _run(spec, protocol, running, setting, device or "cpu", clocks, say)
    measurement = replace(measurement, notes=_otherwise(running, measurement))
    _show(measurement, why, ("weights and values of the input are random",), format)


def _named(running: Running) -> Setting | None:
    """The device that the user names, refused before anything is built."""
    if running.on is None:
        return None
    from ..hardware.setting import Setting

    return Setting.of(running.on, running.dtype, running.compile, running.layout)


def _run(
    spec: ModelSpec,
    protocol: Protocol,
    running: Running,
    setting: Setting | None,
    device: str,
    clocks: dict[str, Any],
    say: Callable[[str], object],
) -> tuple[Measurement, str]:
    """The measurement, and why nothing was predicted."""
    from ..analysis.memory import memory_of
    from ..count import count_named
    from ..hardware.execution_setup import Execution
    from ..hardware.machine import require_same_kind
    from ..hardware.measurement import measure_named
    from ..hardware.room import require_memory
    from ..hardware.this_machine import device_here

    place = device_here(device)
    execution = Execution(place, running.dtype, running.compile, running.layout)
    kind = "gpu" if place.type == "cuda" else "cpu"
    if setting is not None:
        require_same_kind(kind, setting.device.kind, setting.device.name)
    result = count_named(spec, protocol, dataflow=True, saving=False)
    require_memory(result.model, memory_of(result, kernels="none").inference, place)
    predicted, why = _predicted(result, running, setting, kind)
    say(f"building {spec.name}")

    def tell(text: str) -> None:
        say(f"{spec.name}: {text}")

    return measure_named(spec, protocol, execution, result, predicted, say=tell, **clocks), why


def _predicted(result: Result, running: Running, setting: Setting | None, kind: str) -> tuple[Cost | None, str]:
    """What is predicted, on the device that was named or by the calibration of this folder; else why it is unknown."""
    from ..hardware.calibration_file import HERE
    from ..hardware.setting import Setting

    if setting is not None:
        return setting.cost(result), ""
    if not Path(f"{HERE}.json").is_file():
        return None, "no device is named; --on names one, and `flopcount calibrate` makes this one known"
    try:
        setting = Setting.of(HERE, running.dtype, running.compile, running.layout)
        if setting.device.kind != kind:
            return None, f"{HERE}.json is of a {setting.device.kind.upper()}"
        return setting.cost(result), ""
    except InputError as error:
        seen = "; ".join(text for label, text in error.details if label == "seen")
        return None, f"{error.message}; {seen}" if seen else error.message


def _elsewhere(spec: ModelSpec, protocol: Protocol, running: Running, seconds: float, passes: int, format: str) -> None:
    """A time of somebody else's beside the count."""
    setting = _named(running)
    with working(f"counting {spec.name}"):
        from ..count import count_named
        from ..hardware.achieved import Achieved
        from ..hardware.measurement_json import measurement_data
        from ..hardware.measurement_tables import achieved_rows, exact_table, summary_table

        result = count_named(spec, protocol, dataflow=setting is not None, saving=False)
        predicted = None if setting is None else setting.cost(result)
        achieved = Achieved(result.macs, seconds, predicted, passes)
    if format == "json":
        write(json.dumps(measurement_data(result, achieved), indent=2, ensure_ascii=False))
    elif format == "csv":
        show(exact_table(result, achieved), format)
    else:
        from ..core.units import si

        of = "" if passes == 1 else f": {si(seconds, 's')} for {passes} passes"
        rows = [("time", f"{si(achieved.per_pass, 's')}, measured elsewhere{of}")]
        notes = ("the time is as it was given: nothing ran here",)
        show(summary_table(result, rows + achieved_rows(achieved), notes), format)


def _otherwise(running: Running, measurement: Measurement) -> tuple[str, ...]:
    """In what a calibration was made otherwise than this ran."""
    from ..hardware.calibration_file import HERE
    from ..hardware.named_device import calibration_named

    calibration = calibration_named(running.on or HERE) if measurement.predicted is not None else None
    return () if calibration is None else tuple(calibration.mismatches(measurement.machine))


def _show(measurement: Measurement, why: str, notes: tuple[str, ...], format: str) -> None:
    from ..hardware.measurement_json import measurement_data
    from ..hardware.measurement_tables import exact_table, layers_table

    result, layers = measurement.result, measurement.layers
    if format == "json":
        conditions = {name: getattr(measurement, name) for name in ("device", "dtype", "compiled", "layout")}
        data = measurement_data(
            *(result, measurement.achieved),
            timing=measurement.timing,
            machine=measurement.machine,
            conditions=conditions,
            layers=layers,
        )
        write(json.dumps(data, indent=2, ensure_ascii=False))
        return
    table = None if layers is None else layers_table(result, layers, measurement.predicted)
    if format == "csv":
        show(table or exact_table(result, measurement.achieved, measurement.timing, measurement.machine), format)
        return
    if table is not None:
        show(replace(table, notes=table.notes[:1]), format)
        write("")
    show(measurement.table(why, notes), format)
