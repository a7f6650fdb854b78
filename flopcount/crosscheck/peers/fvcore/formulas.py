"""What fvcore counts for one operator of its trace: the formulas of fvcore/nn/jit_handles.py on our shapes.

What enters is one call as fvcore's trace has it; what leaves is the operator under fvcore's name, the amount of each
node it becomes there, and why that differs from our count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import broadcast_shapes

from ....core.ops import CostedOp, Signature, TensorSpec, tensors_in
from ....core.reason import Reason
from ....rules.charges import products
from ...reasons import COMPLEX, THREE_REAL, adds

__all__ = ["NORMS", "ExpectedNodes", "TracedCall", "expected_nodes", "norm_charge", "refusal"]


@dataclass(frozen=True, slots=True)
class TracedCall:
    """One operator of fvcore's trace: the call, and the operators of ours that it consists of (itself, or parts)."""

    signature: Signature
    parts: tuple[CostedOp, ...]

    @property
    def macs(self) -> int:
        """Our count."""
        return sum(part.work.macs for part in self.parts)

    @property
    def op(self) -> str:
        """The name that our tables show."""
        return self.parts[0].name if self.parts[0].op.signature is self.signature else self.signature.op


@dataclass(frozen=True, slots=True)
class ExpectedNodes:
    """What fvcore's trace has for a call: nodes of this kind and what each counts.

    `why` is the reason where that differs from our count. `ours` is what we should count by the shapes: anything else
    in our count is not a difference of fvcore's, and stays unexplained.
    """

    kind: str
    amounts: tuple[int, ...]
    ours: int
    why: Reason | None = None
    raises: bool = False


_Formula = Callable[[TracedCall], ExpectedNodes]

_MIN_AXES, _MAX_AXES = 2, 5
NORMS = ("aten.batch_norm", "aten.layer_norm", "aten.group_norm", "aten.instance_norm")
_BOUNDED = ("aten::layer_norm", "aten::group_norm", "aten::instance_norm")
_PRODUCTS = ("aten::matmul", "aten::mm")
_NOT_BROADCAST = Reason("does not broadcast the first operand")


def refusal(kind: str, shapes: Sequence[tuple[int, ...] | None]) -> Reason | None:
    """Why a handle raises on tensors of these shapes (None: no tensor), where it is known to."""
    first = shapes[0] if shapes else None
    if kind in _BOUNDED and first is not None and not _MIN_AXES <= len(first) <= _MAX_AXES:
        return Reason("raises on {} axes (its handle asserts {} to {}), taken as 0", (len(first), _MIN_AXES, _MAX_AXES))
    if kind in _PRODUCTS and len(shapes) > 2:
        return Reason("raises on out= (its handle asserts two operands), taken as 0")
    if kind in _PRODUCTS and shapes[1] is not None and len(shapes[1]) == 1:
        return Reason("raises on a vector (its handle looks for a second axis), taken as 0")
    return None


def expected_nodes(call: TracedCall) -> ExpectedNodes:
    """What fvcore makes of a call; what it has no handle for counts nothing."""
    formula = _FORMULAS.get(_ALIASES.get(call.signature.op, call.signature.op))
    if formula is not None and call.signature.overload != "padding":
        return formula(call)
    kind = (
        "aten::_convolution_mode" if call.signature.overload == "padding" else call.signature.op.replace(".", "::", 1)
    )
    ours = sum(part.work.macs for part in call.parts if part.kind.contracts)
    return ExpectedNodes(kind, (), ours, Reason("has no handle for {}", (kind,)))


_ALIASES = {"aten.linalg_matmul": "aten.matmul"}  # which torch's tracer writes for it


def _kind(call: TracedCall) -> str:
    return _ALIASES.get(call.signature.op, call.signature.op).replace(".", "::", 1)


def _input(call: TracedCall) -> TensorSpec:
    return call.signature.inputs[0]


def _convolution(call: TracedCall) -> ExpectedNodes:
    """`conv_flop_jit`: ours; a complex one is three nodes."""
    if products(_input(call)) == 1:
        return ExpectedNodes("aten::_convolution", (call.macs,), call.macs)
    return ExpectedNodes("aten::_convolution", (call.macs // 4,) * 3, call.macs, THREE_REAL)


def _product(call: TracedCall) -> ExpectedNodes:
    """`linear_flop_jit`, `addmm_flop_jit`, `bmm_flop_jit`: ours, in real numbers."""
    real = products(_input(call))
    return ExpectedNodes(_kind(call), (call.macs // real,), call.macs, COMPLEX if real > 1 else None)


def _cell(call: TracedCall) -> ExpectedNodes:
    """Recurrent cells are traced as two linear layers: of the input and of the state."""
    arguments = call.signature.arguments
    x, w_ih, w_hh = arguments["input"], arguments["w_ih"], arguments["w_hh"]
    rows = prod(x.shape[:-1])
    return ExpectedNodes("aten::linear", (rows * w_ih.numel, rows * w_hh.numel), rows * (w_ih.numel + w_hh.numel))


def _matmul(call: TracedCall) -> ExpectedNodes:
    """`matmul_flop_jit`: elements of the first operand times the last size of the second."""
    first, second = (tuple(spec.shape) for spec in call.signature.inputs[:2])
    objection = refusal(_kind(call), [first, second, ()] if call.signature.overload == "out" else [first, second])
    if objection:
        return ExpectedNodes(_kind(call), (0,), call.macs, objection, raises=True)
    batches = prod(broadcast_shapes(first[:-2], second[:-2]))
    if batches == prod(first[:-2]):
        return _product(call)
    ours = batches * prod(first[-2:]) * second[-1] * products(_input(call))
    return ExpectedNodes(_kind(call), (prod(first) * second[-1],), ours, _NOT_BROADCAST)


_EXACT_EINSUMS = {"abc,abd->acd": -1, "abc,adc->adb": 1}  # equation -> axis of the last operand in the product


def _einsum(call: TracedCall) -> ExpectedNodes:
    """`einsum_flop_jit`: two equations by hand, else half of numpy's estimate, which it reads from a printed text."""
    from numpy import broadcast_to, einsum_path

    arguments: Any = call.signature.arguments
    shapes = [tuple(spec.shape) for spec in tensors_in(arguments["tensors"])]
    equation = arguments["equation"].replace(" ", "")
    letters = dict.fromkeys(letter for letter in equation if letter.isalpha())
    renamed = equation.translate({ord(letter): ord("a") + i for i, letter in enumerate(letters)})
    axis = _EXACT_EINSUMS.get(renamed)
    if axis is not None:
        return ExpectedNodes("aten::einsum", (prod(shapes[0]) * shapes[-1][axis],), call.macs, _NOT_BROADCAST)
    text = einsum_path(renamed, *(broadcast_to(0.0, shape) for shape in shapes), optimize="optimal")[1]
    flops = next(line for line in text.splitlines() if "optimized flop" in line.lower()).split(":")[-1]
    order = "in numpy's order" if len(shapes) > 2 else "by numpy"
    why = Reason("halves FLOPs estimated {} and printed with 4 digits", (order,))
    return ExpectedNodes("aten::einsum", (int(float(flops) // 2),), call.macs, why)


def _norm(call: TracedCall) -> ExpectedNodes:
    spec, arguments = _input(call), call.signature.arguments
    objection = refusal(_kind(call), [tuple(spec.shape)])
    if objection:
        return ExpectedNodes(_kind(call), (0,), 0, objection, raises=True)
    per_element = norm_charge(call.signature.op, call.signature, training=bool(arguments.get("training")))
    return ExpectedNodes(_kind(call), (spec.numel * per_element,), 0, adds(per_element, "element"))


def norm_charge(op: str, signature: Signature, *, training: bool) -> int:
    """Per element: `norm_flop_counter` 5 with an affine weight, 4 without; `batchnorm_flop_jit` in eval mode 2, 1."""
    affine = signature.arguments.get("weight") is not None
    return (1 if op == "aten.batch_norm" and not training else 4) + affine


def _per_input(call: TracedCall) -> ExpectedNodes:
    """`elementwise_flop_counter(1, 0)`."""
    return ExpectedNodes(_kind(call), (_input(call).numel,), 0, adds(1, "input element"))


def _per_output(scale: int) -> _Formula:
    """`elementwise_flop_counter(0, scale)`."""

    def count(call: TracedCall) -> ExpectedNodes:
        (out,) = call.signature.outputs
        return ExpectedNodes(_kind(call), (out.numel * scale,), 0, adds(scale, "output element"))

    return count


_FORMULAS: dict[str, _Formula] = {
    **dict.fromkeys(("aten.convolution", "aten._convolution"), _convolution),
    **dict.fromkeys(("aten.conv1d", "aten.conv2d", "aten.conv3d"), _convolution),
    **dict.fromkeys(("aten.conv_transpose1d", "aten.conv_transpose2d", "aten.conv_transpose3d"), _convolution),
    **dict.fromkeys(("aten.linear", "aten.addmm", "aten.bmm"), _product),
    **dict.fromkeys(("aten.lstm_cell", "aten.gru_cell", "aten.rnn_tanh_cell", "aten.rnn_relu_cell"), _cell),
    **dict.fromkeys(("aten.matmul", "aten.mm"), _matmul),
    "aten.einsum": _einsum,
    **dict.fromkeys(NORMS, _norm),
    "aten.adaptive_avg_pool2d": _per_input,
    "aten.upsample_nearest2d": _per_output(1),
    "aten.upsample_bilinear2d": _per_output(4),
    "aten.grid_sampler": _per_output(4),
}  # fmt: skip
