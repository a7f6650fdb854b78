"""A counter as a rule over our trace: what a named tool adds to the multiply-accumulates, or leaves out of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from ..core.ops import CostedOp, Kind, tensors_in
from ..core.result import Result

__all__ = ["Counter", "into", "means_and_pools", "out_of", "products_of_activations", "scores"]


@dataclass(frozen=True, slots=True)
class Counter:
    """`adds` is what a tool counts besides `per_mac` times our MACs (negative: leaves out); the rule is in `text`.

    `url` and `locator` are the place in the tool's code. One that is tried `everywhere` is tried for every source,
    any other only for sources for which the facts name its tool. `per_mac` is what a multiply-add counts there, and
    `shown` what the tool prints of its number, where it prints it rounded.
    """

    name: str
    tool: str
    text: str
    adds: Callable[[Result], int]
    url: str
    locator: str
    everywhere: bool = False
    per_mac: int = 1
    shown: Callable[[int], int] = int

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"<counter {self.name}>"


def into(costed: CostedOp) -> int:
    """Elements of the first tensor that an operation takes, in all of its calls."""
    return costed.times * costed.op.signature.inputs[0].numel


def out_of(costed: CostedOp) -> int:
    """Elements that an operation gives, in all of its calls."""
    return costed.times * sum(tensor.numel for tensor in tensors_in(costed.op.signature.outputs))


_PLACES = 4  # axes of a tensor from which a mean can be one over places: batch, channels, and at least two of them


def means_and_pools(report: Result) -> list[CostedOp]:
    """Pools, and means that give one number per channel or per token: official code writes these as pool modules."""
    return [costed for costed in report.ops if costed.kind is Kind.POOL or _is_global_pool(costed)]


def _is_global_pool(costed: CostedOp) -> bool:
    return costed.name == "aten.mean" and len(costed.op.signature.inputs[0].shape) >= _PLACES


def products_of_activations(report: Result) -> int:
    """MACs of products of two activations, of which attention consists."""
    return sum(costed.work.macs for costed in report.ops if costed.kind in (Kind.MATMUL, Kind.ATTENTION))


def scores(costed: CostedOp) -> int:
    """Attention scores of a fused attention."""
    query, key = costed.op.signature.inputs[:2]
    return costed.times * int(prod(query.shape[:-1]) * key.shape[-2])
