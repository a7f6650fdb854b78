"""What an engine does not know, and what cannot be counted at all: sparse, nested and quantized tensors, MKL-DNN."""

from __future__ import annotations

from collections.abc import Sequence
from threading import get_ident
from typing import Any, ClassVar

import torch

from ..rules.matmul_packed import DYNAMIC_LINEAR

__all__ = [
    "AbsentDevice",
    "NoKernel",
    "Uncountable",
    "Unknown",
    "are_countable",
    "noted",
    "refuse_operator",
    "refuse_tensor",
]

_FIXES = {
    "sparse": "count it dense (tensor.to_dense()): how much a sparse tensor saves depends on its values",
    "nested": "pad it to one shape (torch.nested.to_padded_tensor), or run it within flopcount.counting()",
    "quantized": "count the model before it is quantized: it does the same multiply-accumulates",
    "mkldnn": "count the model before it is converted to that layout: it does the same multiply-accumulates",
}
_MKLDNN_OPERATORS = ("aten.to_mkldnn", "aten.mkldnn_", "aten._mkldnn", "mkldnn.")
_ON_PLAIN_TENSORS = ("aten.mkldnn_rnn_layer",)
_QUANTIZED_OPERATORS = ("quantized.", "_quantized.", "aten.quantize", "aten._empty_affine_quantized")
_DENSE = {torch.strided}


class Unknown(Exception):
    """The module needs a value, or an operator, that this engine does not have; the next engine may have it.

    `place` is the line of the caller's code that needs it, once an attempt has ended. `by_compiled_code`: compiled code
    that the module calls raised, and does not tell why; it may lack data, or a gradient. The module may catch it and go
    on. So `last` keeps the last one of each thread, and any other error that refuses a count from within the forward
    pass.
    """

    last: ClassVar[dict[int, Exception | None]] = {}
    by_compiled_code = False

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.place = ""
        noted(self)


class AbsentDevice(Unknown):
    """The module asks for an accelerator that this machine, or this torch, does not have."""

    def __init__(self, device: str, layer: str) -> None:
        self.device, self.layer = device, layer
        super().__init__(f"the module asks for {device}, which is not here")


def noted(error: Exception) -> Exception:
    """Note an error, so that it ends the count of this thread even if the module catches it."""
    Unknown.last[get_ident()] = error
    return error


class NoKernel(NotImplementedError):
    """Torch has no kernel of an operator for these tensors; the module may catch it as what torch raises."""

    def __init__(self, error: NotImplementedError, operator: str, device: str) -> None:
        self.operator, self.device = operator, device
        super().__init__(*error.args)


class Uncountable(Exception):
    """A tensor or operator that the trace refuses; the caller gets an InputError with its place."""

    def __init__(self, what: str, kind: str) -> None:
        self.what, self.fix = what, _FIXES[kind]
        super().__init__(what)
        noted(self)


def refuse_tensor(tensor: torch.Tensor, what: str) -> None:
    """Raise if a tensor has no dense floating-point or integer elements; `what` names it.

    Raises:
        Uncountable: it is sparse, nested, quantized or in MKL-DNN's layout.
    """
    kind = None if are_countable((tensor,)) else _kind_of(tensor)
    if kind is not None:
        raise Uncountable(f"{what} is a {kind} tensor", kind)


def are_countable(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether all tensors are dense and none is nested or quantized, which is nearly always so."""
    return (
        {t.layout for t in tensors} <= _DENSE
        and True not in [t.is_nested for t in tensors]
        and True not in [t.is_quantized for t in tensors]
    )


def _kind_of(tensor: torch.Tensor) -> str | None:
    if tensor.is_nested:
        return "nested"
    if tensor.is_quantized:
        return "quantized"
    if tensor.is_mkldnn:
        return "mkldnn"
    return "sparse" if str(tensor.layout).startswith("torch.sparse") else None


def refuse_operator(func: Any) -> None:
    """Raise for operators on quantized numbers or in another layout: their weights are packed and show no sizes.

    Raises:
        Uncountable: it is one of them.
    """
    name = str(getattr(func, "overloadpacket", func))
    if name.startswith(_QUANTIZED_OPERATORS) and name not in DYNAMIC_LINEAR:
        raise Uncountable(f"{name} computes with quantized numbers", "quantized")
    if name.startswith(_MKLDNN_OPERATORS) and not name.startswith(_ON_PLAIN_TENSORS):
        raise Uncountable(f"{name} computes in MKL-DNN's own layout", "mkldnn")
