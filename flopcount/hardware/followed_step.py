"""The operators of a training step whose data were followed, with their costs.

Autograd runs a few operators there that no count lists, since a count has the layer as a whole: an LSTM runs as one
kernel per layer. A GRU or a plain RNN runs step by step on a CPU, and as one kernel on a GPU.
"""

from __future__ import annotations

from math import prod

from ..core.ops import CostedOp, Kind, Trace, Workload
from ..rules.costing import cost

__all__ = ["RECURRENT_STEPS", "costed_step", "is_stepwise"]

RECURRENT_STEPS = ("aten.mkldnn_rnn_layer", "aten.mkldnn_rnn_layer_backward")
"""A layer of an LSTM on tensors (T, B, D), whatever its module says of the batch; and its two gradients."""

_STEP_BY_STEP = ("aten.gru", "aten.rnn_tanh", "aten.rnn_relu")


def costed_step(trace: Trace) -> tuple[CostedOp, ...]:
    """Every operator of the step with its cost."""
    return tuple(_whole_layer(op) if op.name in RECURRENT_STEPS else op for op in cost(trace.ops))


def _whole_layer(op: CostedOp) -> CostedOp:
    """Both weight matrices once per step and sample, and twice that for the gradients of data and of weights."""
    first, *others = op.op.signature.inputs
    weights = [spec.numel for spec in others if spec.ndim == 2][:2]
    macs = prod(first.shape[:-1]) * sum(weights) * (2 if op.name.endswith("_backward") else 1)
    read = sum(spec.nbytes for spec in op.op.signature.inputs)
    return op._replace(kind=Kind.RECURRENT, work=Workload(macs=macs, bytes_read=read))


def is_stepwise(op: CostedOp) -> bool:
    """Whether a layer of a count runs step by step where its training is followed."""
    return op.name.removesuffix(".data") in _STEP_BY_STEP
