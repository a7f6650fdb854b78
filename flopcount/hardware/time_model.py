"""Kernels on a device -> seconds: one formula, which a fit and an estimate share.

    t = sqrt((padded FLOPs * c / P)^2 + (bytes * m / BW)^2) + launches * l

per kernel, summed. P is the datasheet's peak for its dtype, BW the bandwidth; c, m and l are constants of a device and
a way to run on it, by family of kernel. They are collinear: what they are worth is what they predict, and they are no
measurements of a unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..core.one_line import OneLine
from ..facts.devices import Device
from .kernels import Family, Kernel
from .precision import Precision, peaks_of

__all__ = [
    *("COMPUTE", "CONSTANTS", "TRAFFIC", "Constants", "Kernels", "bound_of", "parts_of", "seconds_of", "slopes_of"),
]

COMPUTE: dict[Family, str] = {
    Family.LINEAR: "linear",
    Family.CONV1: "1×1 convolution",
    Family.CONV: "convolution",
    Family.CONV3D: "3D convolution",
    Family.GROUPED: "grouped convolution",
    Family.DEPTHWISE: "depthwise convolution",
    Family.DEPTHWISE3D: "depthwise 3D convolution",
    Family.CONV_BACKWARD: "convolution, backward",
    Family.GROUPED_BACKWARD: "grouped convolution, backward",
    Family.DEPTHWISE_BACKWARD: "depthwise convolution, backward",
    Family.MATMUL: "matmul",
    Family.ATTENTION: "attention",
    Family.RECURRENT: "recurrent",
    Family.NARROW: "linear",
}
"""The constant of arithmetic of each family that has MACs."""

TRAFFIC: dict[Family, str] = {
    Family.LINEAR: "linear",
    Family.CONV1: "convolution",
    Family.CONV: "convolution",
    Family.CONV3D: "convolution",
    Family.GROUPED: "convolution",
    Family.DEPTHWISE: "depthwise convolution",
    Family.DEPTHWISE3D: "depthwise convolution",
    Family.CONV_BACKWARD: "convolution",
    Family.GROUPED_BACKWARD: "convolution",
    Family.DEPTHWISE_BACKWARD: "depthwise convolution",
    Family.MATMUL: "matmul",
    Family.ATTENTION: "attention",
    Family.RECURRENT: "linear",
    Family.BATCH_NORM: "batch norm",
    Family.LAYER_NORM: "layer norm",
    Family.SOFTMAX: "softmax",
    Family.POOL: "pool",
    Family.ELEMENTWISE: "elementwise",
    Family.COPY: "copy",
    Family.OTHER: "elementwise",
    Family.NARROW: "elementwise",
}
"""The constant of data movement of each family."""

_COMPUTE_NAMES = tuple(dict.fromkeys(COMPUTE.values()))
_TRAFFIC_NAMES = tuple(dict.fromkeys(TRAFFIC.values()))
CONSTANTS: tuple[str, ...] = (
    *(f"compute: {name}" for name in _COMPUTE_NAMES),
    *(f"bytes: {name}" for name in _TRAFFIC_NAMES),
    "launch",
)
"""All constants by name, in the order of `Constants.values`; the launch is in seconds, the others are factors."""

_FAMILIES = tuple(Family)
_NARROW = _FAMILIES.index(Family.NARROW)
_TO_COMPUTE = np.array([_COMPUTE_NAMES.index(COMPUTE[family]) if family in COMPUTE else 0 for family in _FAMILIES])
_TO_TRAFFIC = np.array([len(_COMPUTE_NAMES) + _TRAFFIC_NAMES.index(TRAFFIC[family]) for family in _FAMILIES])


@dataclass(frozen=True, slots=True)
class Constants(OneLine):
    """A factor on the datasheet for each family's arithmetic and traffic, and seconds per launch, as in `CONSTANTS`."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.values) != len(CONSTANTS) or not all(value > 0 for value in self.values):
            raise InputError(
                f"{len(self.values)} constants of a time model", [("fix", f"give {len(CONSTANTS)}, above 0")]
            )

    def named(self) -> dict[str, float]:
        """Constants by name."""
        return dict(zip(CONSTANTS, self.values, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Kernels:
    """Kernels as columns: seconds at the datasheet's rates, and what multiplies them.

    Arguments:
        compute: of padded FLOPs at the peak.
        exact: of the FLOPs that it cannot skip, at the peak.
        traffic: of its bytes at the bandwidth.
        ideal: of the bytes that it moves at least, at the bandwidth.
        launches: how many.
        family: position in `Family`.
        times: how often this kernel runs.
        row: position of the network that it belongs to, where several are predicted at once.
    """

    compute: Any
    exact: Any
    traffic: Any
    ideal: Any
    launches: Any
    family: Any
    times: Any
    row: Any = None

    @classmethod
    def of(cls, kernels: Sequence[Kernel], device: Device, precision: Precision) -> Kernels:
        """Kernels on a device.

        Raises:
            InputError: the datasheet lacks a peak or the bandwidth.
        """
        peaks = peaks_of(device, precision)
        assert device.bandwidth is not None
        peak = np.array([peaks[kernel.peak] for kernel in kernels])
        columns = np.array(
            [(k.padded, k.flops - k.skipped, k.nbytes, k.ideal, k.launches) for k in kernels], dtype=np.float64
        ).reshape(-1, 5)
        family = np.array([_FAMILIES.index(kernel.family) for kernel in kernels], dtype=np.int64)
        bandwidth = device.bandwidth
        return cls(
            columns[:, 0] / peak if len(kernels) else columns[:, 0],
            columns[:, 1] / peak if len(kernels) else columns[:, 1],
            columns[:, 2] / bandwidth,
            columns[:, 3] / bandwidth,
            columns[:, 4],
            family,
            np.ones(len(kernels)),
        )


def parts_of(kernels: Kernels, constants: Any) -> tuple[Any, Any, Any]:
    """Seconds of arithmetic, of traffic and of launches of each kernel; `constants` in the order of `CONSTANTS`.

    Weights that few rows are multiplied by come from memory, at its bandwidth at best; what elementwise kernels read,
    whose constant they share, may still be in a cache.
    """
    values = np.asarray(constants)
    traffic = kernels.traffic * values[_TO_TRAFFIC][kernels.family]
    return (
        kernels.compute * values[_TO_COMPUTE][kernels.family],
        np.where(kernels.family == _NARROW, np.maximum(traffic, kernels.ideal), traffic),
        kernels.launches * values[-1],
    )


def seconds_of(kernels: Kernels, constants: Any) -> Any:
    """Seconds of each kernel."""
    compute, traffic, launch = parts_of(kernels, constants)
    return np.hypot(compute, traffic) + launch


def slopes_of(kernels: Kernels, constants: Any, rows: int) -> tuple[Any, Any]:
    """Seconds of each network, and their derivative by the logarithm of each constant, of shape (rows, constants)."""
    compute, traffic, launch = parts_of(kernels, constants)
    both = np.maximum(np.hypot(compute, traffic), 1e-30)
    width = len(CONSTANTS)
    base = kernels.row * width
    slopes = np.zeros(rows * width)
    by_constant = traffic == kernels.traffic * np.asarray(constants)[_TO_TRAFFIC][kernels.family]  # not held by memory
    parts = (_TO_COMPUTE[kernels.family], compute), (_TO_TRAFFIC[kernels.family], np.where(by_constant, traffic, 0.0))
    for place, part in parts:
        slopes += np.bincount(base + place, kernels.times * part * part / both, minlength=rows * width)
    slopes += np.bincount(base + width - 1, kernels.times * launch, minlength=rows * width)
    seconds = np.bincount(kernels.row, kernels.times * (both + launch), minlength=rows)
    return seconds, slopes.reshape(rows, width)


def bound_of(kernels: Kernels) -> float:
    """The least seconds that the datasheet allows: every contraction at its peak or at the bandwidth for its data.

    All else is taken to be fused into contractions, at no cost.
    """
    return float(np.sum(kernels.times * np.maximum(kernels.exact, kernels.ideal)))
