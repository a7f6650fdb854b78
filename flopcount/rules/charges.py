"""What one element costs: the vocabulary of the tables in elementwise, norm, reduce and movement.

One scalar operation of the textbook formula is one FLOP: an add, a multiply, a comparison, and also an exp, a log, a
square root or a tanh. Integer and boolean arithmetic is not floating-point arithmetic and counts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..core.ops import Dim, Kind, TensorSpec, Work, tensors_in
from .registry import rule

__all__ = ["Charge", "bias_adds", "first", "gathered", "is_floating", "parts", "products", "register_charges"]

_COMPLEX_FACTOR = {
    "aten.mul": 6,  # (a+bi)(c+di): 4 multiplies, 2 adds
    "aten.div": 11,  # the same with the conjugate, |c+di|² (3), 2 divisions
    "aten.abs": 4,  # two squares, add, square root
    "aten.angle": 1,
    "aten.polar": 1,
}


_PRIMS = frozenset(
    (
        *("abs", "neg", "sign", "signbit", "reciprocal", "mul", "div", "fmod", "remainder", "hypot", "isfinite"),
        *("exp", "exp2", "expm1", "log", "log10", "log1p", "log2", "pow", "sqrt", "rsqrt", "lgamma", "digamma"),
        *("sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh", "erf", "erfc"),
        *("floor", "ceil", "round", "trunc", "eq", "ne", "lt", "le", "gt", "ge", "maximum", "minimum", "fmax", "fmin"),
    )
)
"""Operators that torch's decompositions, as of tangents, call by another name with the same arguments."""


@dataclass(frozen=True, slots=True)
class Charge:
    """One row: these operators cost `flops` per element of their output (or input); `why` gives the reason."""

    ops: str
    flops: int
    why: str


def register_charges(kind: Kind, charges: Iterable[Charge], *, per: str = "output", source: str) -> None:
    """One rule per row; `ops` is a blank-separated list of ATen names."""
    for charge in charges:
        for op in charge.ops.split():
            name = f"aten.{op}"
            count = _per_output(name, charge.flops) if per == "output" else _per_input(charge.flops)
            count.__doc__ = f"{op}.\n\nCounts: {charge.flops} per {per} element ({charge.why})."
            count.__module__, count.__qualname__ = __name__, f"{kind.value}.{op}"
            rule(name, *([f"prims.{op}"] if op in _PRIMS else []), kind=kind, source=source)(count)


def _per_output(name: str, flops: int) -> Callable[..., Work]:
    def count(self: Any = None, input: Any = None, other: Any = None, *, out: Any) -> Work:
        spec = first(out)
        if not is_floating(self, input, other, out):
            return Work()
        numbers = max(map(parts, tensors_in((self, input, other, out))))
        return Work(other_flops=spec.numel * (flops * (_COMPLEX_FACTOR.get(name, 2) if numbers == 2 else 1)))

    return count


def _per_input(flops: int) -> Callable[..., Work]:
    def count(self: Any = None, input: Any = None, *, out: Any) -> Work:
        spec = first((self, input))
        return Work(other_flops=spec.numel * (flops * parts(spec)) if spec.is_floating else 0)

    return count


def first(value: Any) -> TensorSpec:
    """The first tensor of an argument or a result."""
    return tensors_in(value)[0]


def parts(spec: TensorSpec) -> int:
    """Real numbers in one element: 2 where it is complex."""
    return 2 if spec.dtype.startswith("complex") else 1


def products(spec: TensorSpec) -> Dim:
    """Real multiply-accumulates in one multiply-accumulate of this dtype: 4 for complex numbers, else 1."""
    return 4 if spec.dtype.startswith("complex") else 1


def bias_adds(out: TensorSpec, bias: object) -> Dim:
    """One add per output element where there is a bias; a complex one is two."""
    return out.numel * parts(out) if bias else 0


def is_floating(*values: Any) -> bool:
    """Whether any tensor among them holds floating-point numbers; Python scalars do not matter."""
    return any(spec.is_floating for value in values for spec in tensors_in(value))


def gathered(index: Any, out: Any) -> Dim:
    """Bytes that an indexed read moves: its result and the index, not the table it picks from."""
    return first(out).nbytes + sum(spec.nbytes for spec in tensors_in(index))
