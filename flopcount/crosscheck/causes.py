"""Why another counter says something else: for each of our operators, what that tool counts for it, and the reason.

Every amount is computed from the operator's own shapes by the tool's published formula, never from the difference it is
to explain. What no entry here expects stays unexplained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from ..ops import CostedOp, TensorSpec
from .peers import PeerCount

__all__ = ["Cause", "expected"]


@dataclass(frozen=True, slots=True)
class Cause:
    """A tool's deviation on one operator, in MACs: `amount` is what it adds to (or leaves out of) ours."""

    tool: str
    op: str
    why: str
    amount: int


Expectation = tuple[int, str]
"""What a tool counts for an operator, in its own unit brought to MACs, and why that is not ours."""


def expected(tool: str, costed: CostedOp, peer: PeerCount) -> Cause | None:
    """The tool's deviation on one of our operators, or None where it counts the same."""
    amount, why = (_fvcore if tool == "fvcore" else _torch)(costed, peer)
    difference = amount - costed.work.macs
    return Cause(tool, costed.name, why, difference) if difference else None


def _argument(costed: CostedOp, name: str) -> Any:
    return costed.op.signature.arguments.get(name)


def _first_input(costed: CostedOp) -> TensorSpec:
    return costed.op.signature.inputs[0]


# fvcore: formulas of fvcore/nn/jit_handles.py, operators of fvcore/nn/flop_count.py


def _fvcore_norm(*affine: str) -> Callable[[CostedOp], Expectation]:
    """`norm_flop_counter`: 5 per element with an affine weight, 4 without."""

    def norm(costed: CostedOp) -> Expectation:
        per_element = 5 if _argument(costed, "weight") is not None else 4
        return _first_input(costed).numel * per_element, f"adds {per_element} per element"

    return norm


def _fvcore_batch_norm(costed: CostedOp) -> Expectation:
    """`batchnorm_flop_jit`: as other norms in training, else 2 per element with an affine weight, 1 without."""
    if _argument(costed, "training"):
        return _fvcore_norm()(costed)
    per_element = 2 if _argument(costed, "weight") is not None else 1
    return _first_input(costed).numel * per_element, f"adds {per_element} per element"


def _fvcore_scaled(input_scale: int, output_scale: int) -> Callable[[CostedOp], Expectation]:
    """`elementwise_flop_counter`."""

    def scaled(costed: CostedOp) -> Expectation:
        (out,) = costed.op.signature.outputs
        side = "input" if input_scale else "output"
        amount = _first_input(costed).numel * input_scale + out.numel * output_scale
        return amount, f"adds {input_scale or output_scale} per {side} element"

    return scaled


def _fvcore_matmul(costed: CostedOp) -> Expectation:
    """`matmul_flop_jit`: elements of the first operand times the last size of the second."""
    first, second = (tuple(spec.shape) for spec in costed.op.signature.inputs[:2])
    return prod(first) * second[-1], "does not broadcast the first operand"


_FVCORE: dict[str, Callable[[CostedOp], Expectation]] = {
    "aten.batch_norm": _fvcore_batch_norm,
    "aten.layer_norm": _fvcore_norm(),
    "aten.group_norm": _fvcore_norm(),
    "aten.instance_norm": _fvcore_norm(),
    "aten.adaptive_avg_pool2d": _fvcore_scaled(1, 0),
    "aten.upsample_nearest2d": _fvcore_scaled(0, 1),
    "aten.upsample_bilinear2d": _fvcore_scaled(0, 4),
    "aten.grid_sampler": _fvcore_scaled(0, 4),
}
_FVCORE_MATMULS = ("aten.matmul", "aten.mm")
_FVCORE_SAME = {
    *("aten.conv1d", "aten.conv2d", "aten.conv3d", "aten.convolution", "aten._convolution"),
    *("aten.conv_transpose1d", "aten.conv_transpose2d", "aten.conv_transpose3d"),
    *("aten.linear", "aten.bmm", "aten.addmm"),
    *("aten.lstm_cell", "aten.gru_cell", "aten.rnn_tanh_cell", "aten.rnn_relu_cell"),  # traced as their linear layers
}


def _fvcore(costed: CostedOp, peer: PeerCount) -> Expectation:
    signature = costed.op.signature
    if costed.name in _FVCORE:
        return _FVCORE[costed.name](costed)
    if signature.op in _FVCORE_MATMULS:
        return _real(costed, *_fvcore_matmul(costed))
    if signature.op in _FVCORE_SAME and signature.overload != "padding":
        return _real(costed, costed.work.macs, "")
    name = "aten::_convolution_mode" if signature.overload == "padding" else signature.op.replace(".", "::")
    return 0, f"has no handle for {name}"


def _real(costed: CostedOp, amount: int, why: str) -> Expectation:
    """Neither tool knows that a complex product is four real ones."""
    if _first_input(costed).dtype.startswith("complex") and amount == costed.work.macs:
        return amount // 4, "counts complex products as real ones"
    return amount, why


# torch: formulas of torch/utils/flop_counter.py on the parts that a composite operator is taken apart into

_TORCH_SILENT = {
    "aten.scaled_dot_product_attention": (
        "aten._scaled_dot_product_flash_attention_for_cpu",
        "aten._scaled_dot_product_fused_attention_overrideable",
    ),
    "aten.lstm": ("aten.mkldnn_rnn_layer", "aten._cudnn_rnn", "aten.miopen_rnn"),
    "aten.gru": ("aten._cudnn_rnn", "aten.miopen_rnn"),
    "aten.rnn_tanh": ("aten._cudnn_rnn", "aten.miopen_rnn"),
    "aten.matmul": ("aten.mv", "aten.dot", "aten.vdot"),
    "aten.addmv": ("aten.addmv",),
    "aten.addbmm": ("aten.addbmm",),
    "aten.bilinear": ("aten._trilinear",),
}


def _torch(costed: CostedOp, peer: PeerCount) -> Expectation:
    """What FlopCounterMode makes of an operator: nothing where a kernel without a formula served it."""
    if costed.work.macs == 0:
        return 0, ""
    seen: Mapping[str, int] = peer.without_formula.get(costed.op.module, {})
    kernel = next((kernel for kernel in _TORCH_SILENT.get(costed.name, ()) if seen.get(kernel)), None)
    if kernel is not None and not (costed.name == "aten.matmul" and _is_matrix_product(costed)):
        return 0, f"has no formula for {kernel}"
    return _real(costed, costed.work.macs, "")


def _is_matrix_product(costed: CostedOp) -> bool:
    """Both operands have two axes or more, so that no vector kernel served it."""
    return all(spec.ndim >= 2 for spec in costed.op.signature.inputs[:2])
