"""The kernels that a device runs for a count: what each computes, moves and launches, in one precision.

Shares say how much of a kernel's time belongs to each of its operators, so that times add up over layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from math import prod
from typing import NamedTuple

from ..core.dataflow import Access, Dataflow, Flow, Storage
from ..core.ops import CostedOp, Kind, Signature, TensorSpec, tensors_in
from .precision import Cast, Precision, cast_of, is_resized, weights_of, width_of

__all__ = ["CONTRACTING", "Family", "Kernel", "Moved", "family_of", "kernel_of_op", "moved_by", "peak_of", "shared_out"]


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


CONTRACTING = (
    *(Family.LINEAR, Family.CONV1, Family.CONV, Family.CONV3D, Family.GROUPED, Family.DEPTHWISE, Family.DEPTHWISE3D),
    *(Family.CONV_BACKWARD, Family.GROUPED_BACKWARD, Family.DEPTHWISE_BACKWARD),
    *(Family.MATMUL, Family.ATTENTION, Family.RECURRENT),
)
"""Families that have MACs."""


class Kernel(NamedTuple):
    """One kernel, or several that run as one.

    `positions` are its operators in the trace, `shares` their parts of its time. `flops` are 2 per MAC, `padded` the
    same with the sizes that tiles are padded to. `nbytes` is what it moves, `ideal` what it would at least, if all that
    passes over data were fused into it. `peak` names the datasheet's rate for it.
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


class Moved(NamedTuple):
    """What one operator moves: (storage, numbers, bytes of each) of what it reads and writes, and its casts."""

    reads: tuple[tuple[int, float, float], ...]
    writes: tuple[tuple[int, float, float], ...]
    casts: tuple[tuple[int, float, float, float], ...]  # storage, numbers, bytes before, bytes after

    @property
    def nbytes(self) -> float:
        """Bytes that its own kernel reads and writes."""
        return sum(n * width for _, n, width in self.reads) + sum(n * width for _, n, width in self.writes)


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


def moved_by(ops: Sequence[CostedOp], flow: Dataflow, precision: Precision) -> list[Moved | None]:
    """What each operator moves in this precision; None of a view, or of what does nothing."""
    widths: dict[int, float] = {}
    weights = weights_of(flow.storages)
    flows = [*flow.flows, *[Flow()] * (len(ops) - len(flow.flows))]
    return [
        _moved(costed, data, flow.storages, weights, widths, precision) for costed, data in zip(ops, flows, strict=True)
    ]


def _moved(
    costed: CostedOp,
    data: Flow,
    storages: Sequence[Storage],
    weights: Sequence[bool],
    widths: dict[int, float],
    precision: Precision,
) -> Moved | None:
    signature = costed.op.signature
    if signature.is_view or costed.kind is Kind.VIEW:
        return None
    if not data.reads and not data.writes:
        return _unfollowed(costed, precision)
    cast = cast_of(costed) if precision.autocast else None
    specs = signature.inputs
    aligned = specs if len(specs) == len(data.reads) else (None,) * len(data.reads)
    reads, casts, widest = [], [], 0.0
    for access, spec in zip(data.reads, aligned, strict=True):
        storage = storages[access.storage]
        width = widths.setdefault(access.storage, width_of(storage, precision))
        numbers = _numbers(access, storage, spec)
        if is_resized(storage.dtype):
            wanted = {Cast.LOWER: 2.0, Cast.FLOAT32: 4.0}.get(cast, width) if cast else width
            if "norm" in costed.name and weights[access.storage]:
                wanted = width
            if precision.quantized is not None and weights[access.storage] and costed.kind is Kind.LINEAR:
                width = wanted = precision.quantized
            if wanted != width:
                casts.append((access.storage, numbers, width, wanted))
                width = wanted
            if spec is None or spec.ndim:
                widest = max(widest, width) if not ("batch_norm" in costed.name and widest) else widest
        reads.append((access.storage, numbers, width))
    scale = _part_read(costed, reads, storages)
    if scale < 1:
        reads = [(storage, numbers * scale, width) for storage, numbers, width in reads]
    made = {Cast.LOWER: 2.0, Cast.FLOAT32: 4.0}.get(cast, widest or 4.0) if cast else precision.width
    outputs = tensors_in(signature.outputs)
    shapes = outputs if len(outputs) == len(data.writes) else (None,) * len(data.writes)
    writes = []
    for access, spec in zip(data.writes, shapes, strict=True):
        storage = storages[access.storage]
        if access.storage not in widths:
            resized = is_resized(storage.dtype) and not precision.as_counted
            widths[access.storage] = made if resized else width_of(storage, precision)
        writes.append((access.storage, _numbers(access, storage, spec), widths[access.storage]))
    passes = _passes(costed)
    if passes:
        reads.append((-1, passes, made))
    if costed.kind is Kind.MATMUL and data.copied:
        reads.append((-1, 2 * data.copied / 4, made))
    return Moved(tuple(reads), tuple(writes), tuple(casts))


def _passes(costed: CostedOp) -> float:
    """Numbers that attention off the fused path reads and writes besides its inputs: its scores, several times.

    Torch fuses attention whose inputs have four axes and at most 256 channels per head; otherwise it writes the scores,
    reads and writes them in the softmax and reads them again, and a mask adds two passes.
    Source: ATen/native/transformers/sdp_utils_cpp.h, check_tensor_shapes and check_head_dim_size
    """
    tensors = [spec for spec in costed.op.signature.inputs if spec.is_floating]
    if costed.name != "aten.scaled_dot_product_attention" or len(tensors) < 3:
        return 0.0
    query, key = tensors[:2]
    if query.ndim == key.ndim == 4 and query.shape[-1] <= 256:
        return 0.0
    scores = prod(query.shape[:-1]) * key.shape[-2]
    return float(scores * (6 if len(tensors) > 3 else 4))


def _unfollowed(costed: CostedOp, precision: Precision) -> Moved | None:
    """What an operator moves whose data nobody followed, such as an optimizer's step: by its rule."""
    read, written = costed.work.bytes_read, costed.work.bytes_written
    if not (read or written or costed.work.macs):
        return None
    width = 4.0 if precision.autocast else precision.width
    return Moved(((-1, read / 4, width),), ((-1, written / 4, width),), ())


def _numbers(access: Access, storage: Storage, spec: TensorSpec | None) -> float:
    """Numbers in a region: no more than the tensor has, nor than its memory holds."""
    itemsize = TensorSpec((1,), storage.dtype).itemsize
    held = prod(size for _, size in access.axes) if access.axes else storage.nbytes
    return min(held / itemsize, float(spec.numel)) if spec is not None else held / itemsize


def _part_read(costed: CostedOp, reads: Sequence[tuple[int, float, float]], storages: Sequence[Storage]) -> float:
    """The part of its inputs that an operator reads by its rule, as a lookup in a table does; 1 for most."""
    whole = sum(n * TensorSpec((1,), storages[storage].dtype).itemsize for storage, n, _ in reads)
    return min(costed.work.bytes_read / whole, 1.0) if whole and costed.kind is Kind.EMBEDDING else 1.0


def kernel_of_op(
    position: int, costed: CostedOp, data: Moved, weights: Sequence[bool], precision: Precision, cpu: bool
) -> Kernel:
    """The kernel of one operator that is not fused."""
    by_weight = any(storage >= 0 and weights[storage] for storage, _, _ in data.reads)
    family = family_of(costed, by_weight)
    flops = 2.0 * costed.work.macs
    steps = _steps(costed) if family is Family.RECURRENT else 1.0
    backward = costed.name == "aten.convolution_backward"
    return Kernel(
        family,
        (position,),
        (1.0,),
        flops,
        flops * _padding(costed, family, cpu) if flops else 0.0,
        data.nbytes,
        data.nbytes if costed.kind.contracts else 0.0,
        2.0 if backward else steps,
        peak_of(family, precision, cpu),
    )


_ON_TENSOR_CORES = (
    *(Family.CONV1, Family.CONV, Family.CONV3D, Family.GROUPED),
    *(Family.CONV_BACKWARD, Family.GROUPED_BACKWARD),
)


def peak_of(family: Family, precision: Precision, cpu: bool) -> str:
    """The datasheet's rate for a family: tensor cores, or vector units for what they cannot do."""
    if family in _ON_TENSOR_CORES:
        return precision.convolution
    if family in (Family.LINEAR, Family.MATMUL, Family.RECURRENT):
        return precision.contraction if family is not Family.MATMUL else precision.attention
    if family is Family.ATTENTION:
        return precision.attention
    return "fp32"


def _steps(costed: CostedOp) -> float:
    """Steps of a recurrent layer that cannot run at once: frames, per layer."""
    first = next((spec for spec in costed.op.signature.inputs if spec.ndim == 3), None)
    if first is None:
        return 1.0
    frames = first.shape[1] if costed.op.signature.arguments.get("batch_first") else first.shape[0]
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
