"""The kernels that a device runs for a count: what each computes, moves and launches, in one precision.

Shares say how much of a kernel's time belongs to each of its operators, so that times add up over layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from math import prod
from typing import NamedTuple

from ..core.dataflow import Storage
from ..core.ops import CostedOp, Kind, Signature, TensorSpec
from .least import least_bytes, skipped_flops
from .moved import Moved
from .precision import Precision

__all__ = ["CONTRACTING", "Family", "Kernel", "OneRun", "family_of", "kernel_of_op", "peak_of", "shared_out"]


class Family(Enum):
    """Kernels that a device runs alike; each has constants of its own."""

    LINEAR = "linear"
    CONV1 = "1×1 convolution"
    CONV = "convolution"
    CONV3D = "3D convolution"
    GROUPED = "grouped convolution"
    DEPTHWISE = "depthwise convolution"
    DEPTHWISE3D = "depthwise 3D convolution"
    CONV_BACKWARD = "convolution, backward"
    GROUPED_BACKWARD = "grouped convolution, backward"
    DEPTHWISE_BACKWARD = "depthwise convolution, backward"
    MATMUL = "matmul"
    ATTENTION = "attention"
    RECURRENT = "recurrent"
    BATCH_NORM = "batch norm"
    LAYER_NORM = "layer norm"
    SOFTMAX = "softmax"
    POOL = "pool"
    ELEMENTWISE = "elementwise"
    COPY = "copy"
    OTHER = "other"
    NARROW = "linear, few rows"


CONTRACTING = (
    *(Family.LINEAR, Family.CONV1, Family.CONV, Family.CONV3D, Family.GROUPED, Family.DEPTHWISE, Family.DEPTHWISE3D),
    *(Family.CONV_BACKWARD, Family.GROUPED_BACKWARD, Family.DEPTHWISE_BACKWARD),
    *(Family.MATMUL, Family.ATTENTION, Family.RECURRENT, Family.NARROW),
)
"""Families that have MACs."""


class Kernel(NamedTuple):
    """One kernel, or several that run as one.

    `positions` are its operators in the trace, `shares` their parts of its time. `flops` are 2 per MAC, `padded` the
    same with the sizes that tiles are padded to, without what a causal mask hides. `nbytes` is what it moves, `ideal`
    what it would at least, if all that passes over data were fused into it. `peak` names the datasheet's rate for it,
    and `skipped` are those of the FLOPs that it may leave out, since a mask hides their result.
    """

    family: Family
    positions: tuple[int, ...]
    shares: tuple[float, ...]
    flops: float
    padded: float
    nbytes: float
    ideal: float
    launches: float
    peak: str
    skipped: float = 0.0


class OneRun(NamedTuple):
    """What all kernels of a run share: storages, which of them are weights and which hold scores, and how it runs."""

    storages: Sequence[Storage]
    weights: Sequence[bool]
    scores: frozenset[int]
    precision: Precision
    cpu: bool


_BY_KIND = {
    Kind.LINEAR: Family.LINEAR,
    Kind.MATMUL: Family.MATMUL,
    Kind.ATTENTION: Family.ATTENTION,
    Kind.RECURRENT: Family.RECURRENT,
    Kind.SOFTMAX: Family.SOFTMAX,
    Kind.POOL: Family.POOL,
    Kind.INTERPOLATE: Family.COPY,
    Kind.ACTIVATION: Family.ELEMENTWISE,
    Kind.ELEMENTWISE: Family.ELEMENTWISE,
    Kind.REDUCE: Family.ELEMENTWISE,
    Kind.RANDOM: Family.ELEMENTWISE,
    Kind.MOVEMENT: Family.COPY,
    Kind.EMBEDDING: Family.COPY,
}


_BACKWARD = {
    Family.CONV1: Family.CONV_BACKWARD,
    Family.CONV: Family.CONV_BACKWARD,
    Family.CONV3D: Family.CONV_BACKWARD,
    Family.GROUPED: Family.GROUPED_BACKWARD,
    Family.DEPTHWISE: Family.DEPTHWISE_BACKWARD,
    Family.DEPTHWISE3D: Family.DEPTHWISE_BACKWARD,
}


def family_of(costed: CostedOp, by_weight: bool = False) -> Family:
    """The family of an operator's kernel; `by_weight`: one of its inputs is a parameter."""
    if costed.kind is Kind.CONV:
        family = _convolution(costed.op.signature)
        return _BACKWARD[family] if costed.name == "aten.convolution_backward" else family
    if costed.kind is Kind.NORM:
        return Family.BATCH_NORM if "batch_norm" in costed.name else Family.LAYER_NORM
    if costed.kind is Kind.MATMUL and by_weight:
        return Family.LINEAR
    return _BY_KIND.get(costed.kind, Family.OTHER)


def _convolution(signature: Signature) -> Family:
    weight, groups = signature.arguments.get("weight"), signature.arguments.get("groups", 1)
    if not isinstance(weight, TensorSpec) or weight.ndim < 3:
        return Family.CONV
    three = weight.ndim == 5 and weight.shape[2] > 1
    if groups > 1:
        if weight.shape[1] == 1:
            return Family.DEPTHWISE3D if three else Family.DEPTHWISE
        return Family.GROUPED
    if prod(weight.shape[2:]) == 1:
        return Family.CONV1
    return Family.CONV3D if three else Family.CONV


def kernel_of_op(position: int, costed: CostedOp, data: Moved, run: OneRun) -> Kernel:
    """The kernel of one operator that is not fused."""
    by_weight = any(part.storage >= 0 and run.weights[part.storage] for part in data.reads)
    family = family_of(costed, by_weight)
    if family is Family.LINEAR and _is_narrow(costed):
        family = Family.NARROW
    flops = 2.0 * costed.work.macs
    steps = _steps(costed) if family is Family.RECURRENT else 1.0
    skipped = skipped_flops(costed)
    hidden = skipped if skipped < flops else 0.0  # of a window nothing says how much of it a kernel leaves out
    backward = costed.name == "aten.convolution_backward"
    return Kernel(
        family,
        (position,),
        (1.0,),
        flops,
        flops * _padding(costed, family, run.cpu) - hidden if flops else 0.0,
        data.nbytes,
        least_bytes(costed, data, run.storages, run.scores) if costed.kind.contracts else 0.0,
        2.0 if backward else steps,
        peak_of(family, run.precision),
        skipped,
    )


_ON_TENSOR_CORES = (
    *(Family.CONV1, Family.CONV, Family.CONV3D, Family.GROUPED),
    *(Family.CONV_BACKWARD, Family.GROUPED_BACKWARD),
)


def peak_of(family: Family, precision: Precision) -> str:
    """The datasheet's rate for a family: tensor cores, or vector units for what they cannot do."""
    if family in _ON_TENSOR_CORES:
        return precision.convolution
    if family in (Family.LINEAR, Family.NARROW, Family.RECURRENT):
        return precision.contraction
    if family in (Family.MATMUL, Family.ATTENTION):  # neither has weights that could be quantized
        return precision.attention
    return "fp32"


_FEW_ROWS = 16
"""Rows of one tile: a product of no more streams its weights once, as a token of decoding does."""


def _is_narrow(costed: CostedOp) -> bool:
    """Whether a layer multiplies so few rows that reading its weights is all that it does.

    Products of many rows move their data again and again, which the constant of their traffic has in it; these do not.
    """
    sizes = _matrix(costed)
    return sizes is not None and sizes[0] <= _FEW_ROWS < min(sizes[1:])


def _steps(costed: CostedOp) -> float:
    """Steps of a recurrent layer that cannot run at once: frames, per layer."""
    first = next((spec for spec in costed.op.signature.inputs if spec.ndim == 3), None)
    if first is None:
        return 1.0
    batch_first = costed.op.signature.arguments.get("batch_first") and "mkldnn" not in costed.name
    frames = first.shape[1] if batch_first else first.shape[0]
    return float(frames * (costed.op.signature.arguments.get("num_layers") or 1))


_UNPADDED = (
    *(Family.DEPTHWISE, Family.DEPTHWISE3D, Family.DEPTHWISE_BACKWARD),
    *(Family.GROUPED, Family.GROUPED_BACKWARD),
)


def _padding(costed: CostedOp, family: Family, cpu: bool) -> float:
    """How much larger the sizes of a contraction are, padded to tiles: m, n and k of the matrix product that it is.

    A depthwise convolution runs on vector units, and a grouped one on tiles that suit its groups.
    """
    sizes = _matrix(costed)
    if sizes is None or family in _UNPADDED:
        return 1.0
    tiles = (1, 16, 1) if cpu else (16, 32, 16)
    return prod(-(-size // tile) * tile / size for size, tile in zip(sizes, tiles, strict=True) if size)


def _matrix(costed: CostedOp) -> tuple[int, int, int] | None:
    """m, n and k of one matrix product of a contraction; None if it is none."""
    arguments, inputs = costed.op.signature.arguments, costed.op.signature.inputs
    weight = arguments.get("weight")
    if costed.kind is Kind.CONV and isinstance(weight, TensorSpec) and weight.ndim > 2:
        groups = arguments.get("groups", 1)
        n, k = weight.shape[0] // groups, weight.shape[1] * prod(weight.shape[2:])
        if arguments.get("transposed"):
            n, k = weight.shape[1], weight.shape[0] // groups * prod(weight.shape[2:])
        return _with_rows(costed, n, k, groups)
    if costed.kind is Kind.LINEAR and isinstance(weight, TensorSpec) and weight.ndim == 2:
        return _with_rows(costed, *weight.shape)
    if costed.kind is Kind.MATMUL:
        matrices = [spec for spec in inputs if spec.ndim >= 2][-2:]
        if len(matrices) == 2:
            return matrices[0].shape[-2], matrices[1].shape[-1], matrices[0].shape[-1]
    return None


def _with_rows(costed: CostedOp, n: int, k: int, groups: int = 1) -> tuple[int, int, int]:
    return max(costed.work.macs // max(n * k * groups, 1), 1), n, k


def shared_out(sizes: Iterable[float]) -> tuple[float, ...]:
    """Shares that sum to 1, in proportion to sizes."""
    sizes = tuple(sizes)
    whole = sum(sizes)
    return tuple(size / whole for size in sizes) if whole else tuple(1 / len(sizes) for _ in sizes)
