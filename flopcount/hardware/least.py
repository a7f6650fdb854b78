"""What a contraction needs at least: the numbers that it cannot do without, and the FLOPs that no kernel can skip.

A bound rests on it, which no measurement may beat: what a kernel reads twice or copies first is no part of it, nor are
pixels that a stride steps over, nor scores that a causal mask hides.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import prod
from typing import Any

from ..core.dataflow import Storage
from ..core.ops import CostedOp, Kind, Signature, TensorSpec
from .moved import Moved, region_bytes

__all__ = ["least_bytes", "scores_of", "skipped_flops"]


def least_bytes(costed: CostedOp, data: Moved, storages: Sequence[Storage], scores: frozenset[int]) -> float:
    """Bytes that a contraction reads and writes at least: each region once, and of its input what windows reach."""
    reads, writes = data.reads, data.writes
    if costed.kind is Kind.CONV and reads:
        reached = _reached(costed.op.signature)
        reads = (reads[0]._replace(numbers=reads[0].numbers * reached), *reads[1:])
    if costed.kind is Kind.MATMUL:
        reads, writes = (tuple(p for p in parts if p.storage not in scores) for parts in (reads, writes))
    return min(region_bytes(reads, storages) + region_bytes(writes, storages), data.nbytes)


def scores_of(ops: Sequence[CostedOp], moved: Sequence[Moved | None]) -> frozenset[int]:
    """Storages of scores in attention that is written out: a product, its softmax, and what another product reads.

    Fused attention never writes them, and torch.compile recognises several ways to write it.
    Source: torch/_inductor/fx_passes/fuse_attention.py
    """
    products: dict[int, frozenset[int]] = {}  # storage -> products that it was made of by passing over data
    weighed: dict[int, frozenset[int]] = {}  # the same behind a softmax
    found: set[int] = set()
    for costed, data in zip(ops, moved, strict=True):
        if data is None:
            continue
        reads, writes = ([part.storage for part in parts] for parts in (data.reads, data.writes))
        if costed.kind is Kind.MATMUL:
            for storage in reads:
                found |= {storage, *weighed[storage]} if storage in weighed else set()
            made, behind = frozenset(writes), frozenset[int]()
        elif costed.kind.contracts:
            made = behind = frozenset()
        else:
            made, behind = (frozenset().union(*(of.get(s, ()) for s in reads)) for of in (products, weighed))
            if costed.kind is Kind.SOFTMAX:
                made, behind = frozenset(), made
        for storage in writes:
            for of, sources in ((products, made), (weighed, behind)):
                of.pop(storage, None)
                if sources:
                    of[storage] = sources
    return frozenset(found)


def _reached(signature: Signature) -> float:
    """The part of its input that the windows of a convolution reach: a quarter if it is 1×1 with stride 2."""
    arguments = signature.arguments
    source, weight = arguments.get("input"), arguments.get("weight")
    if not isinstance(source, TensorSpec) or not isinstance(weight, TensorSpec) or arguments.get("transposed"):
        return 1.0
    outputs = signature.outputs
    if len(outputs) != 1 or not isinstance(outputs[0], TensorSpec) or signature.op == "aten.convolution_backward":
        return 1.0
    axes = weight.ndim - 2
    stride, dilation = (_each(arguments.get(name, 1), axes) for name in ("stride", "dilation"))
    padding = arguments.get("padding", 0)
    if stride is None or dilation is None or isinstance(padding, str) or axes < 1 or max(stride) == 1:
        return 1.0
    padding = _each(padding, axes)
    if padding is None:
        return 1.0
    sizes = zip(
        source.shape[-axes:], outputs[0].shape[-axes:], weight.shape[2:], stride, padding, dilation, strict=True
    )
    return prod(_reached_of_axis(*(int(size) for size in axis)) for axis in sizes)


def _each(value: Any, axes: int) -> tuple[int, ...] | None:
    values = (value,) * axes if isinstance(value, int) else tuple(value)
    values = values * axes if len(values) == 1 else values
    return values if len(values) == axes else None


@cache
def _reached_of_axis(size: int, windows: int, taps: int, stride: int, padding: int, dilation: int) -> float:
    if stride == 1 or not size:
        return 1.0
    places = {at * stride - padding + tap * dilation for at in range(windows) for tap in range(taps)}
    return sum(0 <= place < size for place in places) / size


_WINDOWS = ("window_size", "window_size_left", "window_size_right")


def skipped_flops(costed: CostedOp) -> float:
    """FLOPs of attention that a kernel may skip: those of scores that a causal mask hides.

    A window, or a mask by blocks, may hide nearly all of them.
    Source: PyTorch documentation of torch.nn.functional.scaled_dot_product_attention, is_causal
    """
    if costed.kind is not Kind.ATTENTION or not costed.work.macs:
        return 0.0
    flops, arguments = 2.0 * costed.work.macs, costed.op.signature.arguments
    if costed.name.startswith("higher_order.") or any(_is_window(arguments.get(name)) for name in _WINDOWS):
        return flops
    if arguments.get("is_causal") is not True and arguments.get("causal") is not True:
        return 0.0
    query, key = (arguments.get(name, arguments.get(name[0])) for name in ("query", "key"))
    axis = -2 if "scaled_dot_product" in costed.name else -3
    if not isinstance(query, TensorSpec) or not isinstance(key, TensorSpec) or arguments.get("pairs") is not None:
        return flops / 2  # of every sequence of a pack, a triangle, which has a little more than half of the square
    return flops * (1 - _seen(int(query.shape[axis]), int(key.shape[axis])))


def _is_window(value: Any) -> bool:
    sizes = value if isinstance(value, tuple) else (value,)
    return any(isinstance(size, int) and size >= 0 for size in sizes)


@cache
def _seen(queries: int, keys: int) -> float:
    """The part of the scores that a causal mask shows, aligned at the first or at the last, whichever shows fewer."""
    if not queries or not keys:
        return 1.0
    first = sum(min(at + 1, keys) for at in range(queries))
    last = sum(min(max(keys - queries + at + 1, 0), keys) for at in range(queries))
    return min(first, last) / (queries * keys)
