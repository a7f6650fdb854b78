"""What fvcore counts for one operator of its trace: the formulas of fvcore/nn/jit_handles.py on our shapes.

What enters is one call as fvcore's trace has it; what leaves is the operator under fvcore's name, the amount of each
node it becomes there, and why that is not our count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import broadcast_shapes

from ...core.ops import CostedOp, Signature, TensorSpec, tensors_in
from ...rules.matmul import products
from ..peer import COMPLEX, CONTRACTIONS, THREE_REAL

__all__ = ["Reading", "Traced", "read", "refusal"]


@dataclass(frozen=True, slots=True)
class Traced:
    """One operator of fvcore's trace: the call, and the operators of ours that it consists of (itself, or parts)."""

    call: Signature
    parts: tuple[CostedOp, ...]

    @property
    def macs(self) -> int:
        """Our count."""
        return sum(part.work.macs for part in self.parts)

    @property
    def op(self) -> str:
        """The name that our tables show."""
        return self.parts[0].name if self.parts[0].op.signature is self.call else self.call.op


@dataclass(frozen=True, slots=True)
class Reading:
    """What fvcore's trace has for a call: nodes of this kind and what each counts.

    `why` names the reason where that is not our count, and `ours` what we ought to count by the shapes: what our rule
    says beyond that is no difference of fvcore's, and stays unexplained.
    """

    kind: str
    amounts: tuple[int, ...]
    ours: int
    why: str = ""
    raises: bool = False


Formula = Callable[[Traced], Reading]

_MIN_AXES, _MAX_AXES = 2, 5
_NORMS = ("aten::layer_norm", "aten::group_norm", "aten::instance_norm")
_PRODUCTS = ("aten::matmul", "aten::mm")


def refusal(kind: str, shapes: Sequence[tuple[int, ...] | None]) -> str | None:
    """Why a handle raises on tensors of these shapes (None: no tensor), where it is known to."""
    first = shapes[0] if shapes else None
    if kind in _NORMS and first is not None and not _MIN_AXES <= len(first) <= _MAX_AXES:
        return f"raises on {len(first)} axes (its handle asserts {_MIN_AXES} to {_MAX_AXES}), taken as 0"
    if kind in _PRODUCTS and len(shapes) > 2:
        return "raises on out= (its handle asserts two operands), taken as 0"
    if kind in _PRODUCTS and shapes[1] is not None and len(shapes[1]) == 1:
        return "raises on a vector (its handle looks for a second axis), taken as 0"
    return None


def read(traced: Traced) -> Reading:
    """What fvcore makes of a call; what it has no handle for counts nothing."""
    formula = _FORMULAS.get(_ALIASES.get(traced.call.op, traced.call.op))
    if formula is not None and traced.call.overload != "padding":
        return formula(traced)
    kind = "aten::_convolution_mode" if traced.call.overload == "padding" else traced.call.op.replace(".", "::", 1)
    ours = sum(part.work.macs for part in traced.parts if part.kind in CONTRACTIONS)
    return Reading(kind, (), ours, f"has no handle for {kind}")


_ALIASES = {"aten.linalg_matmul": "aten.matmul"}  # which torch's tracer writes for it


def _kind(traced: Traced) -> str:
    return _ALIASES.get(traced.call.op, traced.call.op).replace(".", "::", 1)


def _input(traced: Traced) -> TensorSpec:
    return traced.call.inputs[0]


def _convolution(traced: Traced) -> Reading:
    """`conv_flop_jit`: ours; a complex one is three nodes."""
    if products(_input(traced)) == 1:
        return Reading("aten::_convolution", (traced.macs,), traced.macs)
    return Reading("aten::_convolution", (traced.macs // 4,) * 3, traced.macs, THREE_REAL)


def _product(traced: Traced) -> Reading:
    """`linear_flop_jit`, `addmm_flop_jit`, `bmm_flop_jit`: ours, in real numbers."""
    real = products(_input(traced))
    return Reading(_kind(traced), (traced.macs // real,), traced.macs, COMPLEX if real > 1 else "")


def _cell(traced: Traced) -> Reading:
    """Recurrent cells are traced as two linear layers: of the input and of the state."""
    arguments = traced.call.arguments
    x, w_ih, w_hh = arguments["input"], arguments["w_ih"], arguments["w_hh"]
    rows = prod(x.shape[:-1])
    return Reading("aten::linear", (rows * w_ih.numel, rows * w_hh.numel), rows * (w_ih.numel + w_hh.numel))


def _matmul(traced: Traced) -> Reading:
    """`matmul_flop_jit`: elements of the first operand times the last size of the second."""
    first, second = (tuple(spec.shape) for spec in traced.call.inputs[:2])
    refused = refusal(_kind(traced), [first, second, ()] if traced.call.overload == "out" else [first, second])
    if refused:
        return Reading(_kind(traced), (0,), traced.macs, refused, raises=True)
    batches = prod(broadcast_shapes(first[:-2], second[:-2]))
    if batches == prod(first[:-2]):
        return _product(traced)
    ours = batches * prod(first[-2:]) * second[-1] * products(_input(traced))
    return Reading(_kind(traced), (prod(first) * second[-1],), ours, "does not broadcast the first operand")


_EXACT_EINSUMS = {"abc,abd->acd": -1, "abc,adc->adb": 1}  # equation -> axis of the last operand in the product


def _einsum(traced: Traced) -> Reading:
    """`einsum_flop_jit`: two equations by hand, else half of numpy's estimate, which it reads from a printed text."""
    from numpy import broadcast_to, einsum_path

    arguments: Any = traced.call.arguments
    shapes = [tuple(spec.shape) for spec in tensors_in(arguments["tensors"])]
    equation = arguments["equation"].replace(" ", "")
    letters = dict.fromkeys(letter for letter in equation if letter.isalpha())
    renamed = equation.translate({ord(letter): ord("a") + i for i, letter in enumerate(letters)})
    axis = _EXACT_EINSUMS.get(renamed)
    if axis is not None:
        amount, why = prod(shapes[0]) * shapes[-1][axis], "does not broadcast the first operand"
        return Reading("aten::einsum", (amount,), traced.macs, why)
    text = einsum_path(renamed, *(broadcast_to(0.0, shape) for shape in shapes), optimize="optimal")[1]
    flops = next(line for line in text.splitlines() if "optimized flop" in line.lower()).split(":")[-1]
    order = "in numpy's order" if len(shapes) > 2 else "by numpy"
    why = f"halves FLOPs estimated {order} and printed with 4 digits"
    return Reading("aten::einsum", (int(float(flops) // 2),), traced.macs, why)


def _norm(traced: Traced) -> Reading:
    """`norm_flop_counter`: 5 per element with an affine weight, 4 without."""
    spec, weight = _input(traced), traced.call.arguments.get("weight")
    refused = refusal(_kind(traced), [tuple(spec.shape)])
    if refused:
        return Reading(_kind(traced), (0,), 0, refused, raises=True)
    per_element = 5 if weight is not None else 4
    return Reading(_kind(traced), (spec.numel * per_element,), 0, f"adds {per_element} per element")


def _batch_norm(traced: Traced) -> Reading:
    """`batchnorm_flop_jit`: as other norms in training, else 2 per element with an affine weight, 1 without."""
    if traced.call.arguments["training"]:
        return _norm(traced)
    per_element = 2 if traced.call.arguments["weight"] is not None else 1
    return Reading(_kind(traced), (_input(traced).numel * per_element,), 0, f"adds {per_element} per element")


def _per_input(traced: Traced) -> Reading:
    """`elementwise_flop_counter(1, 0)`."""
    return Reading(_kind(traced), (_input(traced).numel,), 0, "adds 1 per input element")


def _per_output(scale: int) -> Formula:
    """`elementwise_flop_counter(0, scale)`."""

    def count(traced: Traced) -> Reading:
        (out,) = traced.call.outputs
        return Reading(_kind(traced), (out.numel * scale,), 0, f"adds {scale} per output element")

    return count


_FORMULAS: dict[str, Formula] = {
    **dict.fromkeys(("aten.convolution", "aten._convolution"), _convolution),
    **dict.fromkeys(("aten.conv1d", "aten.conv2d", "aten.conv3d"), _convolution),
    **dict.fromkeys(("aten.conv_transpose1d", "aten.conv_transpose2d", "aten.conv_transpose3d"), _convolution),
    **dict.fromkeys(("aten.linear", "aten.addmm", "aten.bmm"), _product),
    **dict.fromkeys(("aten.lstm_cell", "aten.gru_cell", "aten.rnn_tanh_cell", "aten.rnn_relu_cell"), _cell),
    **dict.fromkeys(("aten.matmul", "aten.mm"), _matmul),
    "aten.einsum": _einsum,
    "aten.batch_norm": _batch_norm,
    **dict.fromkeys(("aten.layer_norm", "aten.group_norm", "aten.instance_norm"), _norm),
    "aten.adaptive_avg_pool2d": _per_input,
    "aten.upsample_nearest2d": _per_output(1),
    "aten.upsample_bilinear2d": _per_output(4),
    "aten.grid_sampler": _per_output(4),
}  # fmt: skip
