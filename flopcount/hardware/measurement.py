"""The real forward pass, timed, beside what its count says it takes: FLOP/s reached, utilisation, and the estimate."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from ..core.errors import InputError, TraceError
from ..core.model_spec import ModelSpec
from ..core.protocol import ONE_VIEW, Protocol
from ..core.result import Result
from ..core.shown_as_tables import ShownAsTable
from ..core.table import Table
from ..core.units import duration
from ..count import count
from ..models.by_name import input_of, with_model
from ..models.loading import find_model
from ..tracing import module_of
from ..tracing.arguments import Arguments, Input, settled
from ..tracing.building import require_room, weighted
from .achieved import Achieved
from .conditions import way_to_run
from .cost import Cost
from .execution_setup import Execution, copied, executable
from .layer_times import LayerTimes, timed_layers
from .machine import Machine, require_same_kind
from .measurement_tables import achieved_rows, layers_table, measured_rows, noise_notes, summary_table
from .named_device import calibration_named
from .precision import precision_of
from .setting import Setting
from .this_machine import device_here, machine_of, threads_set
from .timing import Timing, timed

__all__ = ["Measurement", "measure", "measure_named"]

_LAYERED = 5  # passes with clocks around the layers


@dataclass(frozen=True, slots=True)
class Measurement(ShownAsTable):
    """A forward pass as it ran, per pass of the input as given (batch included).

    Arguments:
        timing: seconds of every repeat.
        machine: what it ran on: the device by its own name, torch's version and threads, and the day.
        device: as torch calls it, such as "cpu" or "cuda:0".
        dtype: the precision, as in `--dtype`.
        compiled: whether torch.compile made it.
        layout: "nchw", or "nhwc" for channels last.
        result: what was counted of the same pass.
        predicted: what was expected of it on the device that was named, or None.
        layers: seconds by layer, where they were asked for.
        notes: in what a calibration that it is compared with was made otherwise.
    """

    timing: Timing
    machine: Machine
    device: str
    dtype: str
    compiled: bool
    layout: str
    result: Result = field(repr=False)
    predicted: Cost | None = field(default=None, repr=False)
    layers: LayerTimes | None = field(default=None, repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)

    @property
    def median(self) -> float:
        """Seconds of a pass: the middle one of the repeats."""
        return self.timing.median

    @property
    def low(self) -> float:
        """The first quartile of the repeats, in seconds."""
        return self.timing.low

    @property
    def high(self) -> float:
        """The third quartile, in seconds."""
        return self.timing.high

    @property
    def repeats(self) -> int:
        """How many passes were timed."""
        return self.timing.repeats

    @property
    def warmup(self) -> int:
        """How many passes ran before."""
        return self.timing.warmup

    @property
    def threads(self) -> int:
        """Torch's threads on the CPU meanwhile."""
        return self.machine.threads

    @property
    def batch(self) -> int | None:
        """Samples in one pass."""
        return self.result.input.batch

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one pass."""
        return self.result.macs

    @property
    def achieved(self) -> Achieved:
        """The median beside the count and the prediction."""
        return Achieved(self.macs, self.median, self.predicted)

    @property
    def flops_per_second(self) -> float:
        """FLOPs of contractions (2 per MAC) over the median."""
        return self.achieved.flops_per_second

    @property
    def utilisation(self) -> float | None:
        """FLOP/s over the peak that the prediction has for its kinds (MFU); None where no device was named."""
        return self.achieved.utilisation

    @property
    def conditions(self) -> str:
        """How it ran, in words."""
        return way_to_run(self.dtype, self.compiled, self.layout)

    def table(self, unpredicted: str = "", notes: Iterable[str] = ()) -> Table:
        """What was measured beside what was predicted; `unpredicted` says why nothing was."""
        rows = measured_rows(self.timing, self.machine, self.conditions, self.batch)
        notes = (*noise_notes(self.timing, self.machine), *self.notes, *notes)
        return summary_table(self.result, rows + achieved_rows(self.achieved, unpredicted), notes)

    def layers_table(self) -> Table:
        """What each layer took by itself.

        Raises:
            InputError: the layers were not timed.
        """
        if self.layers is None:
            raise InputError(f"the layers of {self.result.model} were not timed", [("fix", "measure with layers=True")])
        return layers_table(self.result, self.layers, self.predicted)

    def _headline(self) -> str:
        spread = f"{duration(self.low)} to {duration(self.high)}"
        return f"of {self.result.model} on {self.machine.name}, {self.conditions}: {duration(self.median)} ({spread})"


def measure(
    module: nn.Module,
    input: Input,
    *,
    device: str | torch.device = "cpu",
    dtype: str | None = None,
    compile: bool = False,
    layout: str = "nchw",
    warmup: int = 3,
    repeats: int = 10,
    threads: int | None = None,
    layers: bool = False,
    on: str | None = None,
) -> Measurement:
    """Run the forward pass of a module for real, and time it beside its count.

    A copy of the module runs, in eval mode and under `torch.inference_mode`: yours stays as it is.

    Arguments:
        module: with its weights, on any device.
        input: as `count_flops` takes it; of shapes the values are random.
        device: "cpu", "cuda" or "cuda:1".
        dtype: fp32, tf32, amp, amp_bf16, bf16 or fp16; by default as the module is.
        compile: run it by torch.compile; the first call of the warm-up compiles.
        layout: "nchw", or "nhwc" for channels last.
        warmup: calls that do not count.
        repeats: calls that do.
        threads: of torch on the CPU meanwhile; by default as many as it has.
        layers: also time every layer.
        on: a device as `flopcount devices` names it, or "here" after a calibration: what is expected on it.

    Raises:
        InputError, UnknownNameError: no such device, dtype or layout, or the module cannot be copied or run.
    """
    module = module_of(module, input, "auto")
    place = device_here(device)
    execution = Execution(place, dtype, compile, layout)
    setting = None if on is None else Setting.of(on, dtype, compile, layout)
    if setting is not None:
        require_same_kind("gpu" if place.type == "cuda" else "cpu", setting.device.kind, setting.device.name)
    mine = copied(module)
    arguments = settled(input, mine)
    result = count(mine, arguments, ONE_VIEW, dataflow=True, saving=False)
    predicted = None if setting is None else setting.cost(result)
    how: dict[str, Any] = {"warmup": warmup, "repeats": repeats, "threads": threads, "layers": layers}
    measurement = measured(mine, arguments, execution, result, predicted, **how)
    calibration = None if on is None else calibration_named(on)
    return replace(measurement, notes=tuple(calibration.mismatches(measurement.machine)) if calibration else ())


def measured(
    module: nn.Module,
    arguments: Arguments,
    execution: Execution,
    result: Result,
    predicted: Cost | None = None,
    *,
    warmup: int = 3,
    repeats: int = 10,
    threads: int | None = None,
    layers: bool = False,
    most_seconds: float = float("inf"),
    say: Callable[[str], object] = lambda text: None,
) -> Measurement:
    """Time a module that is the caller's to change.

    Raises:
        InputError: it raises, or there are too few repeats; or layers of a compiled module are asked for.
    """
    if layers and execution.compiled:
        raise InputError("a compiled module has no layers to time", [("fix", "leave out --layers or --compile")])
    by_layer = None
    with threads_set(threads), executable(module, arguments, execution) as run:
        clock: dict[str, Any] = {"most_seconds": most_seconds, "say": say}
        timing = timed(run, execution.device, warmup=warmup or int(execution.compiled), repeats=repeats, **clock)
        if layers:
            say("timing every layer")
            by_layer = timed_layers(module, run, execution.device, repeats=min(repeats, _LAYERED))
        machine = machine_of(execution.device)
    return Measurement(
        timing,
        machine,
        str(execution.device),
        execution.precision or precision_of(None, result.input.dtype).name,
        execution.compiled,
        execution.layout,
        replace(result, dataflow=None),
        predicted,
        by_layer,
    )


def measure_named(
    spec: ModelSpec,
    protocol: Protocol,
    execution: Execution,
    result: Result,
    predicted: Cost | None = None,
    **how: Any,
) -> Measurement:
    """Build a model by name with random weights, and time it; `result` is its count, `how` is as for `measured`.

    Raises:
        TraceError: its weights do not fit into memory.
        InputError: as `measured`.
    """
    with_model(spec, protocol, lambda bare, *_: require_room(bare, _no_room(spec)))
    module = weighted(find_model(spec))
    arguments = settled(input_of(module, spec, protocol.batch), module)
    return measured(module, arguments, execution, result, predicted, **how)


def _no_room(spec: ModelSpec) -> TraceError:
    return TraceError(f"{spec.name} cannot be built to be measured", [("fix", "")])
