"""Arguments of an operator as fvcore's handles read them: like the values of a torch.jit graph, made from shapes.

A handle asks `value.isCompleteTensor()`, `value.type().sizes()`, `value.toIValue()` and, of a list,
`value.node().inputs()`; so handles written for fvcore run as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..core.ops import CostedOp, Kind, TensorSpec

__all__ = ["Value", "handle_names", "values_of"]

_CONVOLUTION = (
    *("input", "weight", "bias"),
    *("stride", "padding", "dilation", "transposed", "output_padding", "groups"),
)
_FLAGS = {"benchmark": False, "deterministic": False, "cudnn_enabled": True, "allow_tf32": True}  # of _convolution


@dataclass(frozen=True, slots=True)
class Value:
    """One argument or output; it is its own type and its own node."""

    value: Any

    def isCompleteTensor(self) -> bool:
        """Whether it is a tensor."""
        return isinstance(self.value, TensorSpec)

    def type(self) -> Value:
        """The object that has its sizes."""
        return self

    def sizes(self) -> list[int] | None:
        """The sizes of a tensor."""
        return list(self.value.shape) if isinstance(self.value, TensorSpec) else None

    def dim(self) -> int | None:
        """The number of axes of a tensor."""
        return len(self.value.shape) if isinstance(self.value, TensorSpec) else None

    def toIValue(self) -> Any:
        """A constant; nothing for a tensor, as in a graph."""
        if isinstance(self.value, TensorSpec):
            return None
        return list(self.value) if isinstance(self.value, tuple) else self.value

    def node(self) -> Value:
        """The object that has its inputs."""
        return self

    def inputs(self) -> list[Value]:
        """The elements of a list."""
        return [Value(item) for item in self.value] if isinstance(self.value, tuple) else []


def values_of(costed: CostedOp, name: str) -> tuple[list[Value], list[Value]]:
    """Inputs and outputs of a call in the order of the schema of `name`, a convolution in that of aten::convolution."""
    signature = costed.op.signature
    arguments = signature.arguments
    if name in ("aten::_convolution", "aten::convolution"):
        by_name = {"transposed": "transpose" in signature.op, **arguments}
        arguments = {key: by_name.get(key) for key in _CONVOLUTION} | (_FLAGS if name == "aten::_convolution" else {})
    return [Value(value) for value in arguments.values()], [Value(output) for output in signature.outputs]


def handle_names(costed: CostedOp) -> tuple[str, ...]:
    """What a handle for this call may be registered as: torch's own name, ours, and what torch.jit sees of it."""
    names = [costed.op.signature.op, costed.name]
    if costed.kind is Kind.CONV:
        names += ["aten._convolution", "aten.convolution"]
    return tuple(dict.fromkeys(name.replace(".", "::", 1) for name in names))
