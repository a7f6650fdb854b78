"""Elementwise operators, reductions, and operators along one axis."""

from __future__ import annotations

from collections.abc import Sequence

from ..intervals import joined, reduced, running
from .call import Answer, Call, axes_of, dependence

__all__ = ["pointwise"]


@dependence("masked_fill", "where", "_to_copy", "clone", "contiguous", "to", "copy", "detach", "alias", "lift_fresh",
            "dropout", "bernoulli", "resolve_conj", "resolve_neg")  # fmt: skip
def pointwise(call: Call) -> Answer:
    """Each element of the result sees what the elements at its position see."""
    fits = all(_broadcasts(tensor.shape, call.out) for tensor in call.tensors() if call.see(tensor) is not None)
    return [joined(call.seen(), len(call.out))] * len(call.results) if fits else None


def _broadcasts(shape: Sequence[int], out: Sequence[int]) -> bool:
    behind = out[len(out) - len(shape) :]
    return len(shape) <= len(out) and all(n in (1, m) for n, m in zip(shape, behind, strict=True))


@dependence("softmax")
def along_one_axis(call: Call) -> Answer:
    """Each element sees all along one axis."""
    reach = call.reach()
    return [reduced(reach, [call["dim"]])] * len(call.results) if reach else None


@dependence("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp")
def cumulative(call: Call) -> Answer:
    """Each element sees itself and those before it."""
    reach = call.reach()
    return [running(reach, call["dim"])] * len(call.results) if reach else None


@dependence("sum", "mean", "aminmax", "var", "var_mean", "std", "std_mean", "logsumexp", "norm", "linalg_vector_norm",
            "frobenius_norm", "any", "all", "count_nonzero", "topk", "median", "mode")  # fmt: skip
def reduction(call: Call) -> Answer:
    """Axes that are reduced away, or kept with fewer elements."""
    reach, tensors = call.reach(), call.tensors()
    if reach is None or len(tensors) > 1:
        return pointwise(call)
    ndim = len(reach.shape)
    axes = axes_of(call.given.get("dim"), ndim)
    result = reduced(reach, axes)
    if len(call.out) == ndim:
        return [result] * len(call.results)
    kept = [axis for axis in range(ndim) if axis not in axes]
    gone = result.map(lambda x: x.squeeze(axes), [result.jumps[axis] for axis in kept])
    return [gone] * len(call.results)


@dependence("sort")
def ordered(call: Call) -> Answer:
    """Each element sees all along one axis; kthvalue removes the axis."""
    return reduction(call) if "k" in call.given else along_one_axis(call)
