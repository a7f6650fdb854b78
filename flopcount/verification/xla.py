"""What XLA's own analysis counts besides the contractions, for a network written in JAX and flax.

`HloCostAnalysis` (xla/service/hlo_cost_analysis.cc) charges 2 FLOPs per multiply-accumulate and 1 per element of every
elementwise or reducing operation, but none for exp, tanh and the like, which it lists apart. Scenic prints half of it
(`compute_flops` of scenic/common_lib/debug_utils.py), which is 1 per multiply-accumulate and 1/2 per element.
"""

from __future__ import annotations

from math import prod

from ..core.ops import CostedOp, Kind, tensors_in

__all__ = ["xla_elementwise"]

LAYER_NORM = 7  # flax's: square, two sums, less the mean, times the scale, times the input, plus the bias
SOFTMAX = 4  # maximum, its subtraction, sum, division by the sum
GELU = 8  # by tanh: x·x·x, times a constant, plus x, times a constant, plus 1, times 1/2, times x


def xla_elementwise(costed: CostedOp) -> int:
    """FLOPs of one operation besides its contractions."""
    signature = costed.op.signature
    if costed.kind in (Kind.LINEAR, Kind.CONV):
        return _elements(costed) if signature.arguments.get("bias") is not None else 0
    if costed.kind is Kind.ELEMENTWISE:
        return _elements(costed)
    if costed.kind is Kind.SOFTMAX:
        return SOFTMAX * _elements(costed)
    if costed.name == "aten.layer_norm":
        return LAYER_NORM * _elements(costed)
    if costed.name == "aten.gelu":
        return GELU * _elements(costed)
    if costed.kind is Kind.ATTENTION:
        query, key = signature.inputs[:2]
        scores: int = prod(query.shape[:-1]) * key.shape[-2]
        return query.numel + SOFTMAX * scores  # flax divides the query by the root of its channels
    return 0


def _elements(costed: CostedOp) -> int:
    """Elements of the operation's outputs."""
    return sum(tensor.numel for tensor in tensors_in(costed.op.signature.outputs))
