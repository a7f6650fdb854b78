"""Calibrate this machine: time single layers and small networks, and fit the constants that predict them.

Peak and bandwidth of the machine are its fastest contraction and copy. Single layers, at these rates, give a prior of
each constant; since they run hot, networks first scale it as a whole and then move each constant, against a ridge. How
wrong the result is, networks tell whose family was left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ..core.errors import InputError
from ..core.protocol import ONE_VIEW
from ..core.result import Result
from ..count import count
from ..tracing.arguments import Input, settled
from ..tracing.building import weighted
from .calibration_file import BenchmarkRow, Calibration, NetworkRow
from .calibration_networks import NETWORKS, CalibrationNetwork
from .constants import Errors
from .execution import kernels_of
from .execution_setup import Execution, executable
from .fitting import PRIOR, Sample, errors_of, fit, predicted
from .kernels import Family, Kernel
from .micro_benchmarks import BENCHMARKS, COPIES, LAUNCH, PRODUCTS, Benchmark
from .precision import PRECISIONS, Precision
from .this_machine import machine_of, threads_set
from .time_model import Constants, Kernels
from .timing import Timing, timed

__all__ = ["calibrate", "fit_calibration", "leave_one_family_out", "steps_of"]

_RIDGE_LAYERS, _RIDGE = 1.0, 0.4
"""How much a prior counts; more of it keeps to single layers, which run hot, and predicts new families worse."""
_LAYER_SECONDS, _NETWORK_SECONDS = 0.6, 3.0  # after the first call; one repeat is always timed


@dataclass(frozen=True, slots=True)
class _Timed:
    """Something that ran: its kernels, MACs and shapes, and how long it took."""

    name: str
    family: str
    kernels: tuple[Kernel, ...]
    result: Result
    timing: Timing

    def sample(self, device: Any, precision: Precision, seconds: float) -> Sample:
        columns = Kernels.of(self.kernels, device, precision)
        return Sample(self.name, self.family, columns, seconds, self.result.input.batch or 1)


def steps_of(quick: bool = False) -> int:
    """How often `calibrate` says what comes next."""
    return 3 + len(_chosen(quick))


def calibrate(
    execution: Execution,
    *,
    threads: int | None = None,
    quick: bool = False,
    say: Callable[[str], object] = lambda text: None,
) -> Calibration:
    """Time this machine in one way to run.

    Arguments:
        execution: the device, precision (by default fp32), mode and layout.
        threads: of torch on the CPU meanwhile; by default as many as it has.
        quick: fewer networks and repeats; less sure.
        say: is told what comes next, `steps_of` times.

    Raises:
        InputError: a precision that the device cannot run, or nothing could be timed.
    """
    precision = PRECISIONS[execution.precision or "fp32"]
    execution = Execution(execution.device, precision.name, execution.compiled, execution.layout)
    with threads_set(threads):
        say("matrix products and copies")
        peaks = _peaks(execution, precision, quick)
        copies = _layers(COPIES, Execution(execution.device, "fp32"), PRECISIONS["fp32"], quick)  # in any way to run
        bandwidth = max(_moved(each) / each.timing.best for each in copies)
        say("single layers")
        layers = _layers(BENCHMARKS, execution, precision, quick)
        chain = _timed_layer(LAUNCH, execution, precision)
        _raise_peaks(peaks, layers)
        networks = [_network(each, execution, precision, quick, say) for each in _chosen(quick)]
        say("the fit")
        machine = machine_of(execution.device)
    bare = Calibration(
        *(machine, precision.name, execution.compiled, execution.layout, peaks, bandwidth),
        *(_memory(execution.device), PRIOR, PRIOR, Errors(0, 0, 0, 0, 0, 0, 0), (), ()),
    )
    prior = _prior(layers, chain, bare, precision)
    samples = [each.sample(bare.device, precision, each.timing.median) for each in networks]
    unseen = leave_one_family_out(samples, prior)
    families = {kernel.family for each in networks for kernel in each.kernels}
    return Calibration(
        *(machine, precision.name, execution.compiled, execution.layout, peaks, bandwidth, bare.memory),
        fit_calibration(samples, prior),
        prior,
        errors_of(samples, unseen),
        tuple(BenchmarkRow(each.name, each.timing.median, _flops(each), _moved(each)) for each in (*layers, chain)),
        tuple(
            NetworkRow(
                *(each.name, each.family, each.result.input.shapes, each.result.macs),
                *(each.timing.median, each.timing.low, each.timing.high, float(seconds)),
            )
            for each, seconds in zip(networks, unseen, strict=True)
        ),
        tuple(family.value for family in Family if family not in families),
    )


def fit_calibration(samples: Sequence[Sample], prior: Constants) -> Constants:
    """The constants of networks: the prior as a whole as slow as they are, and then each constant by itself."""
    measured = np.array([sample.seconds for sample in samples])
    slower = float(np.exp(np.median(np.log(measured / predicted(samples, prior)))))
    return fit(samples, Constants(tuple(value * slower for value in prior.values)), _RIDGE)


def leave_one_family_out(samples: Sequence[Sample], prior: Constants) -> Any:
    """Seconds of each network by constants that no network of its family was fitted on."""
    seconds = np.zeros(len(samples))
    for family in {sample.family for sample in samples}:
        places = [at for at, sample in enumerate(samples) if sample.family == family]
        inside = [sample for sample in samples if sample.family != family]
        constants = fit_calibration(inside, prior) if inside else prior
        seconds[places] = predicted([samples[at] for at in places], constants)
    return seconds


def _chosen(quick: bool) -> list[CalibrationNetwork]:
    return [network for network in NETWORKS if network.quick or not quick]


def _prior(layers: Sequence[_Timed], chain: _Timed, bare: Calibration, precision: Precision) -> Constants:
    """The constants by single layers; the launch is that of a chain of layers that do next to nothing."""
    launch = chain.timing.median / max(sum(kernel.launches for kernel in chain.kernels), 1)
    start = Constants((*PRIOR.values[:-1], min(max(launch, 1.01e-7), 0.99e-4)))
    samples = [each.sample(bare.device, precision, each.timing.median) for each in layers]
    return fit(samples, start, _RIDGE_LAYERS)


def _timed(
    name: str,
    family: str,
    built: tuple[nn.Module, Input],
    execution: Execution,
    precision: Precision,
    clock: dict[str, Any],
) -> _Timed:
    module, input = built
    arguments = settled(input, module)
    result = count(module, arguments, ONE_VIEW, dataflow=True, saving=False)
    assert result.dataflow is not None
    how = {"compiled": execution.compiled, "cpu": execution.device.type == "cpu"}
    kernels = kernels_of(result.ops, result.dataflow, precision, **how)
    with executable(module, arguments, execution) as run:
        timing = timed(run, execution.device, **clock)
    if execution.compiled:
        torch.compiler.reset()  # or the next network finds a cache that is full
    return _Timed(name, family, kernels, result, timing)


def _timed_layer(benchmark: Benchmark, execution: Execution, precision: Precision, quick: bool = False) -> _Timed:
    shapes = benchmark.shapes
    input: Input = shapes[0] if len(shapes) == 1 else shapes
    built = weighted(lambda: benchmark.build().eval())
    seconds = _LAYER_SECONDS / (4 if quick else 1)
    clock = {"warmup": 3, "repeats": 20, "most_seconds": seconds}
    return _timed(benchmark.name, "", (built, input), execution, precision, clock)


def _layers(benchmarks: Sequence[Benchmark], execution: Execution, precision: Precision, quick: bool) -> list[_Timed]:
    """What the device can run of these; some operators lack a kernel in half precision."""
    layers = []
    for benchmark in benchmarks:
        if benchmark.quick or not quick:
            try:
                layers.append(_timed_layer(benchmark, execution, precision, quick))
            except InputError:
                continue
    if not layers:
        raise InputError(f"nothing could be timed on {execution.device} in {precision.name}")
    return layers


def _network(
    network: CalibrationNetwork,
    execution: Execution,
    precision: Precision,
    quick: bool,
    say: Callable[[str], object],
) -> _Timed:
    say(network.name)
    clock = {"warmup": 2, "repeats": 5 if quick else 9, "most_seconds": _NETWORK_SECONDS / (3 if quick else 1)}
    return _timed(network.name, network.family, weighted(network.build), execution, precision, clock)


_OF_PEAK = {"fp32": "fp32", "tf32": "tf32", "fp16": "amp", "bf16": "amp_bf16"}
"""The precision in which a matrix product runs at each peak."""


def _peaks(execution: Execution, precision: Precision, quick: bool) -> dict[str, float]:
    """FLOP/s of the fastest matrix product at each peak that the precision uses; a CPU has no TF32."""
    names = dict.fromkeys(("fp32", precision.contraction, precision.convolution, precision.attention))
    peaks = {}
    for name in names:
        if name == "tf32" and execution.device.type == "cpu":
            continue
        plain = Execution(execution.device, _OF_PEAK[name])
        products = _layers(PRODUCTS, plain, PRECISIONS[_OF_PEAK[name]], quick)
        peaks[name] = max(_flops(each) / each.timing.best for each in products)
    return peaks


def _raise_peaks(peaks: dict[str, float], layers: Sequence[_Timed]) -> None:
    """A layer that is faster than every product is the peak, since nothing may be faster than that."""
    for each in layers:
        contracting = [kernel for kernel in each.kernels if kernel.flops]
        if len(contracting) == 1:
            name = contracting[0].peak if contracting[0].peak in peaks else "fp32"
            peaks[name] = max(peaks[name], contracting[0].flops / each.timing.best)


def _flops(each: _Timed) -> float:
    return sum(kernel.flops for kernel in each.kernels)


def _moved(each: _Timed) -> float:
    return sum(kernel.nbytes for kernel in each.kernels)


def _memory(device: torch.device) -> float | None:
    """Bytes of the device's memory; None where the system does not say."""
    if device.type == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory)
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return None
