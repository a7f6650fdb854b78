"""A block of code that runs as it is, and every operation in it: forward, backward and optimizer.

What enters are operations as they run, on tensors of any kind; what leaves is how often each happens in which module.
Nothing about them changes. Fused kernels that forward or backward passes take on one device are noted as the composite
operators, or as the products, that `trace` and `trace_training` see everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from ..core.ops import Op, Signature, TensorSpec
from .block_path import BlockPath
from .communication import is_communication, is_passing
from .guard.writes import written
from .inputs import tensors_of
from .packed_weights import has_packed_weight, unpacked
from .signatures import SILENT, call_key, has_rule, is_composite, is_view_of, make_signature
from .torch_private import TorchDispatchMode, current_node, next_node_number
from .uncountable import are_countable

__all__ = ["BlockMode"]

_SIZES = ("size", "stride", "storage_offset", "numel", "is_contiguous")
_OTHERS = ("dim", "is_strides_like_format", "is_non_overlapping_and_dense")
_METADATA = frozenset(
    id(overload)
    for prefix, names in (("", (*_SIZES, *_OTHERS)), ("sym_", _SIZES))
    for name in names
    if (overload := getattr(getattr(torch.ops.aten, f"{prefix}{name}", None), "default", None)) is not None
)
"""Questions for sizes, which torch asks modes too where a tensor class answers them; some are no real operators."""


class BlockMode(TorchDispatchMode):
    """Runs every operation and notes it: `ops` has each with the number of its calls, in order of appearance."""

    supports_higher_order_operators = True

    def __init__(self, path: BlockPath) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.path = path
        self.ops: dict[tuple[int, str], tuple[Op, int]] = {}
        self.steps = 0
        self.communication: dict[str, None] = {}  # operators between processes, which are left out
        self._signatures: dict[Any, tuple[Signature, ...]] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # as RecordingMode

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if id(func) in _METADATA or any(kind.__name__ == "NestedTensor" for kind in types):
            return NotImplemented  # the tensor's own class answers, a jagged one by operators on its dense values
        namespace = getattr(func, "namespace", "")
        if namespace in SILENT:
            return func(*args, **kwargs)
        if is_communication(func):
            self.steps += 1
            if not is_passing(func):
                self.communication[str(func.overloadpacket)] = None
            return func(*args, **kwargs)
        if is_composite(func) and not has_rule(func):
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        place, number = self.path.place, next_node_number()
        result = func(*args, **kwargs)
        if place and current_node() is not None and torch.is_grad_enabled():
            self.path.mark(place, number)  # what it adds to the graph is differentiated for the same module
        if any(map(is_lazy, tensors_of(args, kwargs, result))):  # it has no size yet, so there is no work
            return result
        self.steps += 1
        for signature in self._signatures_of(func, args, kwargs, result):
            key = id(signature), place
            op, calls = self.ops.get(key, (None, 0))
            self.ops[key] = op or Op(signature, place), calls + 1
        return result

    def _signatures_of(self, func: Any, args: Any, kwargs: Any, result: Any) -> tuple[Signature, ...]:
        if has_packed_weight(func):
            args, kwargs = unpacked(func, args, kwargs)
        try:
            countable = are_countable(tensors_of(args, kwargs, result))
            made = result if result is not None else tuple(written(func, args, kwargs))  # of a void operator
            taken: set[int] = set()
            key = call_key(func, (*args, made), kwargs, taken) if countable else None
            if taken and not self.path.stepping and taken.isdisjoint(map(id, written(func, args, kwargs))):
                self.path.taken |= taken  # what sets or trains a parameter is no use of a layer
        except (RuntimeError, TypeError):  # a tensor class of somebody else's
            key = None
        if key is None:
            strange = _strange(func, args, kwargs, result)
            return self._signatures.setdefault(repr(strange), (strange,))
        signatures = self._signatures.get(key)
        if signatures is None:
            view = is_view_of(func, result, args)
            whole = make_signature(func, args, kwargs, made, is_view=view)
            signatures = self._signatures[key] = tuple(_everywhere(whole)) or (whole,)
        return signatures


def _strange(func: Any, args: Any, kwargs: Any, result: Any) -> Signature:
    """An operation on tensors that are not dense: it has no rule."""
    inputs = {f"arg{i}": spec for i, spec in enumerate(_sizes_of(tensors_of(args, kwargs)))}
    return Signature(f"unknown.{getattr(func, 'overloadpacket', func)}", "", inputs, _sizes_of(tensors_of(result)))


def _sizes_of(tensors: list[torch.Tensor]) -> tuple[TensorSpec, ...]:
    """The shape of each dense tensor, and the number of elements of each nested one."""
    sized = [t for t in tensors if t.is_nested or are_countable((t,))]
    return tuple(TensorSpec((t.numel(),) if t.is_nested else tuple(t.shape), str(t.dtype)) for t in sized)


# ---- kernels that fuse what others do in parts

_ATTENTION = frozenset(
    f"aten._scaled_dot_product_{kernel}_attention{suffix}_backward"
    for kernel in ("flash", "efficient", "cudnn", "fused")
    for suffix in ("", "_for_cpu", "_overrideable")
)
_RECURRENT = ("rnn_relu", "rnn_tanh", "lstm", "gru")  # by torch's number


def _everywhere(signature: Signature) -> Iterator[Signature]:
    """What a fused kernel does, as it is seen on other devices; nothing for any other operator."""
    name, arguments = signature.op, signature.arguments
    if name in _ATTENTION:
        yield from _products(arguments["query"], arguments["key"], arguments["value"])
    elif name.startswith("aten.mkldnn_rnn_layer"):
        first = [key for key in arguments if key.startswith("weight")]
        weights = tuple(arguments[key] for key in first)
        yield from _recurrent(signature, weights if arguments["has_biases"] else weights[:2], 1, False)
    elif name.startswith("aten._cudnn_rnn") and "flatten" not in name:
        yield from _recurrent(signature, arguments["weight"], arguments["num_layers"], arguments["bidirectional"])


def _products(query: TensorSpec, key: TensorSpec, value: TensorSpec) -> Iterator[Signature]:
    """The gradients of the two products of attention; the scores that the kernel computes again are not its work."""
    rows, width = query.shape[-2:]
    columns, depth = key.shape[-2], value.shape[-1]
    batch, dtype = prod(query.shape[:-2]), query.dtype
    for n, m, p in (
        (columns, rows, depth),  # of V
        (rows, depth, columns),  # of P
        (rows, columns, width),  # of Q
        (columns, rows, width),  # of K
    ):
        one, other, out = (TensorSpec((batch, *sizes), dtype) for sizes in ((n, m), (m, p), (n, p)))
        yield Signature("aten.bmm", "", {"self": one, "mat2": other}, (out,))
    scores = TensorSpec((batch, rows, columns), dtype)
    arguments = {"grad_output": scores, "output": scores, "dim": -1, "input_dtype": dtype}
    yield Signature("aten._softmax_backward_data", "", arguments, (scores,))


def _recurrent(signature: Signature, params: Any, layers: int, bidirectional: bool) -> Iterator[Signature]:
    """A recurrent layer; its backward is a layer by input and one by weight."""
    arguments = {
        "input": signature.arguments["input"],
        "params": params,
        "num_layers": layers,
        "bidirectional": bidirectional,
    }
    layer = Signature(f"aten.{_RECURRENT[signature.arguments['mode']]}", "input", arguments, signature.outputs[:1])
    for _ in range(2 if signature.op.endswith("_backward") else 1):
        yield layer
