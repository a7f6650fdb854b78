"""What every operator of a count moves in a precision: regions of memory, numbers of them, and how wide each is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import NamedTuple

from ..core.dataflow import Access, Dataflow, Flow, Role, Storage
from ..core.ops import CostedOp, Kind, TensorSpec, tensors_in
from .precision import Cast, Precision, cast_of, is_resized, weights_of, width_of

__all__ = ["Moved", "Part", "moved_by", "region_bytes"]


class Part(NamedTuple):
    """What an operator reads or writes of one storage: its number (-1: nobody followed it), numbers, bytes of each."""

    storage: int
    numbers: float
    width: float
    access: Access | None = None

    @property
    def nbytes(self) -> float:
        """Bytes."""
        return self.numbers * self.width


class Moved(NamedTuple):
    """What one operator moves: what it reads and writes, its casts, and bytes that its kernel passes over besides."""

    reads: tuple[Part, ...]
    writes: tuple[Part, ...]
    casts: tuple[tuple[int, float, float, float], ...] = ()  # storage, numbers, bytes before, bytes after
    passes: float = 0.0

    @property
    def nbytes(self) -> float:
        """Bytes that its own kernel reads and writes."""
        return sum(part.nbytes for part in self.reads) + sum(part.nbytes for part in self.writes) + self.passes


def region_bytes(parts: Iterable[Part], storages: Sequence[Storage]) -> float:
    """Bytes of distinct regions: one that several inputs share counts once, and no storage more than it holds."""
    regions: dict[int, dict[Access | int, float]] = {}
    widths: dict[int, float] = {}
    for at, part in enumerate(parts):
        sizes = regions.setdefault(part.storage, {})
        key = at if part.access is None else part.access
        sizes[key] = max(sizes.get(key, 0.0), part.nbytes)
        widths[part.storage] = max(widths.get(part.storage, 0.0), part.width)
    return sum(
        min(sum(sizes.values()), _held(storages[serial]) * widths[serial]) if serial >= 0 else sum(sizes.values())
        for serial, sizes in regions.items()
    )


def _held(storage: Storage) -> float:
    return storage.nbytes / TensorSpec((1,), storage.dtype).itemsize


def moved_by(ops: Sequence[CostedOp], flow: Dataflow, precision: Precision) -> list[Moved | None]:
    """What each operator moves in this precision; None of a view, or of what does nothing."""
    widths: dict[int, float] = {}
    weights = weights_of(flow.storages)
    flows = [*flow.flows, *[Flow()] * (len(ops) - len(flow.flows))]
    moved = [
        _moved(costed, data, flow.storages, weights, widths, precision) for costed, data in zip(ops, flows, strict=True)
    ]
    moved = _heads_merged(ops, moved)
    return _cast_once(moved, flow) if precision.autocast else moved


_MERGING = frozenset(f"aten.{name}" for name in ("reshape", "flatten", "clone", "contiguous"))


def _heads_merged(ops: Sequence[CostedOp], moved: Sequence[Moved | None]) -> list[Moved | None]:
    """Fused attention writes the heads of a token beside each other, so that nothing is copied to merge them.

    A count has its result row-major, whichever kernel runs, and then the reshape behind it copies.
    Source: ATen/native/transformers/attention.cpp and cuda/attention.cu, whose results are transposed views
    """
    heads: dict[int, TensorSpec] = {}
    same: dict[int, int] = {}  # what a copy would have made -> where it is
    merged: list[Moved | None] = []
    for costed, data in zip(ops, moved, strict=True):
        if data is not None and same:
            reads, writes = (
                tuple(part._replace(storage=same.get(part.storage, part.storage)) for part in parts)
                for parts in (data.reads, data.writes)
            )
            casts = tuple((same.get(cast[0], cast[0]), *cast[1:]) for cast in data.casts)
            data = data._replace(reads=reads, writes=writes, casts=casts)
        if data is not None and _is_fused(costed):
            heads |= {
                part.storage: spec
                for part, spec in zip(data.writes, tensors_in(costed.op.signature.outputs), strict=False)
            }
        elif data is not None and costed.name in _MERGING and len(data.reads) == len(data.writes) == 1:
            source = heads.get(data.reads[0].storage)
            if source is not None and _is_merge(source, tensors_in(costed.op.signature.outputs)[0]):
                same[data.writes[0].storage] = data.reads[0].storage
                data = None
        merged.append(data)
    return merged


def _is_merge(source: TensorSpec, result: TensorSpec) -> bool:
    """Whether a copy of (B, H, N, D) has D, or H·D, as its last axis, with the tokens before the heads."""
    _, heads, tokens, width = source.shape
    merges = result.shape[-1] == heads * width and heads > 1
    return source.numel == result.numel and (merges or result.shape[-3:] == (tokens, heads, width))


def _cast_once(moved: Sequence[Moved | None], flow: Dataflow) -> list[Moved | None]:
    """Autocast keeps the cast of a weight that is trained, so that layers that share it cast it once per forward pass.

    Backward reads the casts that the forward pass saved, and casts a gradient once for all that read it. Weights are
    cast again there: it stands for their gradients, which are cast back.
    Source: ATen/autocast_mode.cpp, cached_cast
    """
    end = len(moved) if flow.forward is None else flow.forward
    kept: set[int] = set()
    seen: set[int] = set()
    once: list[Moved | None] = []
    for position, data in enumerate(moved):
        if data is not None and data.casts:
            lowered = {storage for storage, _, before, after in data.casts if after < before}
            free = kept if position < end else seen
            data = data._replace(casts=tuple(cast for cast in data.casts if cast[0] not in free or cast[3] > cast[2]))
            trained = {storage for storage in lowered if flow.storages[storage].role is Role.PARAMETER}
            kept |= trained
            seen |= lowered - trained
        once.append(data)
    return once


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
    backward = costed.name.endswith("_backward")
    reads: list[Part] = []
    casts, widest = [], 0.0
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
                if not (backward and weights[access.storage]):  # the forward pass has saved its cast
                    casts.append((access.storage, numbers, width, wanted))
                width = wanted
            if spec is None or spec.ndim:
                widest = max(widest, width) if not ("batch_norm" in costed.name and widest) else widest
        reads.append(Part(access.storage, numbers, width, access))
    reads = _picked(costed, reads, storages)
    made = {Cast.LOWER: 2.0, Cast.FLOAT32: 4.0}.get(cast, widest or 4.0) if cast else precision.width
    outputs = tensors_in(signature.outputs)
    shapes = outputs if len(outputs) == len(data.writes) else (None,) * len(data.writes)
    writes = []
    for access, spec in zip(data.writes, shapes, strict=True):
        storage = storages[access.storage]
        if access.storage not in widths:
            resized = is_resized(storage.dtype) and not precision.as_counted
            widths[access.storage] = made if resized else width_of(storage, precision)
        writes.append(Part(access.storage, _numbers(access, storage, spec), widths[access.storage], access))
    if cast is Cast.LOWER and costed.name == "aten.convolution_backward":  # the gradients of its weights are cast back
        source = signature.arguments.get("input")
        for part, spec in zip(writes, shapes, strict=True):
            if spec is not None and isinstance(source, TensorSpec) and spec.shape != source.shape:
                casts.append((part.storage, part.numbers, part.width, 4.0))
                widths[part.storage] = 4.0
    passes = _passes(costed) * made
    if costed.kind is Kind.MATMUL and data.copied:
        passes += 2 * data.copied / _itemsize(costed) * made
    return Moved(tuple(reads), tuple(writes), tuple(casts), passes)


_ATTENTION = "aten.scaled_dot_product_attention"


def _is_fused(costed: CostedOp) -> bool:
    """Whether torch runs an attention as one kernel, which keeps its scores to itself."""
    tensors = [spec for spec in costed.op.signature.inputs if spec.is_floating]
    if costed.name != _ATTENTION or len(tensors) < 3:
        return False
    query, key = tensors[:2]
    return query.ndim == key.ndim == 4 and query.shape[-1] <= 256


def _passes(costed: CostedOp) -> float:
    """Numbers that attention off the fused path reads and writes besides its inputs: its scores, several times.

    Torch fuses attention whose inputs have four axes and at most 256 channels per head; otherwise it writes the scores,
    reads and writes them in the softmax and reads them again, and a mask adds two passes.
    Source: ATen/native/transformers/sdp_utils_cpp.h, check_tensor_shapes and check_head_dim_size
    """
    tensors = [spec for spec in costed.op.signature.inputs if spec.is_floating]
    if costed.name != _ATTENTION or len(tensors) < 3 or _is_fused(costed):
        return 0.0
    query, key = tensors[:2]
    scores = prod(query.shape[:-1]) * key.shape[-2]
    return float(scores * (6 if len(tensors) > 3 else 4))


def _unfollowed(costed: CostedOp, precision: Precision) -> Moved | None:
    """What an operator moves whose data nobody followed, such as an optimizer's step: by its rule."""
    read, written = costed.work.bytes_read, costed.work.bytes_written
    if not (read or written or costed.work.macs):
        return None
    counted = _itemsize(costed)
    width = counted if precision.as_counted else 4.0 if precision.autocast else precision.width
    return Moved((Part(-1, read / counted, width),), (Part(-1, written / counted, width),))


def _itemsize(costed: CostedOp) -> int:
    """Bytes of a number as it was counted."""
    return next((spec.itemsize for spec in costed.op.signature.inputs if spec.is_floating), 4)


def _numbers(access: Access, storage: Storage, spec: TensorSpec | None) -> float:
    """Numbers in a region: no more than the tensor has, nor than its memory holds, which windows that overlap share."""
    held = min(prod(size for _, size in access.axes), storage.nbytes) if access.axes else storage.nbytes
    numbers = held / TensorSpec((1,), storage.dtype).itemsize
    return min(numbers, float(spec.numel)) if spec is not None else numbers


_PICKING = frozenset(f"aten.{name}" for name in ("index", "index_select", "gather", "take", "take_along_dim"))


def _picked(costed: CostedOp, reads: Sequence[Part], storages: Sequence[Storage]) -> list[Part]:
    """What an operator reads that picks from a table: its indices, and no more of the table than its rule says."""
    if costed.kind is not Kind.EMBEDDING and costed.name not in _PICKING:
        return list(reads)
    indices = sum(spec.nbytes for spec in costed.op.signature.inputs if not spec.is_floating)
    tables = [part for part in reads if TensorSpec((1,), storages[part.storage].dtype).is_floating]
    whole = indices + sum(spec.nbytes for spec in costed.op.signature.inputs if spec.is_floating)
    if not tables or costed.work.bytes_read >= whole:
        return list(reads)
    table = max(tables, key=lambda part: part.numbers)
    itemsize = TensorSpec((1,), storages[table.storage].dtype).itemsize
    picked = max((costed.work.bytes_read - indices) / itemsize, 0.0)
    return [part._replace(numbers=min(part.numbers, picked)) if part is table else part for part in reads]
