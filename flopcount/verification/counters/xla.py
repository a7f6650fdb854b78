"""What XLA's own analysis counts besides the contractions, for a network written in JAX and flax.

`HloCostAnalysis` (xla/service/hlo_cost_analysis.cc) charges 2 FLOPs per multiply-accumulate and 1 per element of every
elementwise or reducing operation, but none for exp, tanh and the like, which it lists apart. Scenic prints half of it
(`compute_flops` of scenic/common_lib/debug_utils.py), which is 1 per multiply-accumulate and 1/2 per element.
"""

from __future__ import annotations

from ...core.ops import CostedOp, Kind
from ...core.result import Result
from ..counter import Counter, out_of, scores

__all__ = ["COUNTERS", "xla_elementwise"]

LAYER_NORM = 7  # flax's: square, two sums, less the mean, times the scale, times the input, plus the bias
SOFTMAX = 4  # maximum, its subtraction, sum, division by the sum
GELU = 8  # by tanh: x·x·x, times a constant, plus x, times a constant, plus 1, times 1/2, times x


def xla_elementwise(costed: CostedOp) -> int:
    """FLOPs of one operation besides its contractions."""
    signature = costed.op.signature
    if costed.kind in (Kind.LINEAR, Kind.CONV):
        return out_of(costed) if signature.arguments.get("bias") is not None else 0
    if costed.kind is Kind.ELEMENTWISE:
        return out_of(costed)
    if costed.kind is Kind.SOFTMAX:
        return SOFTMAX * out_of(costed)
    if costed.name == "aten.layer_norm":
        return LAYER_NORM * out_of(costed)
    if costed.name == "aten.gelu":
        return GELU * out_of(costed)
    if costed.kind is Kind.ATTENTION:  # flax divides the query by the root of its channels
        return costed.times * signature.inputs[0].numel + SOFTMAX * scores(costed)
    return 0


def _half(report: Result) -> int:
    return sum(map(xla_elementwise, report.ops)) // 2


COUNTERS = (
    Counter(
        "xla",
        "xla",
        "half of XLA's count, which adds every element of elementwise operations",
        _half,
        "https://github.com/google-research/scenic/blob/4a38d475ee89cb821078c0e2bf2065ee030e1535/scenic/common_lib/debug_utils.py",
        "compute_flops, with fuse_multiply_add",
    ),
)
