"""Follows the data of a forward pass: which storages every op reads and writes, and when each is created and freed.

An address identifies a storage while it lives, and a weak reference says when that ends: views, attributes and
autograd's saved tensors keep it alive, as they would with real data. Only a trace with `dataflow` pays for this.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ..core.dataflow import Access, Dataflow, Flow, Role, Storage, region
from ..core.ops import Op, Signature
from ..rules import canonical_name
from .autocast import kept_cast, kept_casts
from .guard.writes import taken_and_written
from .inputs import map_tensors, tensors_of
from .layout import layout_of, like_channels_last
from .torch_private import is_shared, memory_id, storage_id
from .walk import named_modules

__all__ = ["DataflowRecorder"]


@dataclass(frozen=True, slots=True)
class _Place:
    """The storage of the memory at an address; `exact` unless it only replaces a view of real memory."""

    serial: int
    exact: bool
    reference: Any


class DataflowRecorder:
    """Watches a mode run its ops, whose list `ops` is the clock.

    `follow` wraps each handler of the mode. Of a composite op only the parts are followed.
    """

    def __init__(self, module: nn.Module, ops: list[Op]) -> None:
        self.ops = ops
        self.flows: list[Flow] = []
        self.storages: list[Storage] = []
        self._places: dict[int, _Place] = {}  # by address
        self.keeps_casts = False  # whether autocast keeps casts of weights, although the trace is in inference mode
        self.differentiates = False  # whether autograd itself calls the op, to compute a gradient
        attention = (nn.MultiheadAttention,)  # in eval mode torch runs it by one kernel, which folds its input
        self._fast = {path for path, part in named_modules(module) if isinstance(part, attention) and not part.training}
        self._whole = {  # layers in the kernel of a whole encoder layer, which takes views of their weights
            f"{path}.{name}"
            for path, part in named_modules(module)
            if isinstance(part, nn.TransformerEncoderLayer) and not part.training and part.self_attn.batch_first
            for name in ("linear1", "linear2")
        }
        self._holders: list[int] = []  # pieces of memory that stand for a storage
        for parameter in module.parameters():
            if not is_lazy(parameter):
                self._add(parameter, Role.PARAMETER if parameter.requires_grad else Role.FROZEN)
        for buffer in module.buffers():
            if not is_lazy(buffer):
                self._add(buffer, Role.BUFFER)

    def inputs(self, values: Any) -> None:
        """Note the tensors that the module gets."""
        map_tensors(lambda tensor: self._add(tensor, Role.INPUT), values)

    def gradient(self, tensor: torch.Tensor) -> None:
        """Note the gradient of a parameter, which exists before the step."""
        self._add(tensor, Role.GRADIENT)

    def beside(self, tensor: torch.Tensor) -> None:
        """Note a weight of the loss, which is no parameter of the module and there during the whole step."""
        self._add(tensor, Role.ACTIVATION, 0)

    def replaces(self, tensor: torch.Tensor, source: torch.Tensor) -> None:
        """Note that a tensor takes the place of another, which is let go."""
        self._stand_in(tensor, source, same=True)

    def arrived(self, result: Any, source: torch.Tensor | None) -> None:
        """Note what comes from other processes without a recorded op; `source` is what it is, if it has arrived."""
        for tensor in tensors_of(result):
            if source is not None:
                self._stand_in(tensor, source, same=True)
            elif memory_id(tensor) not in self._places:
                self._add(tensor, Role.ACTIVATION, max(len(self.ops) - 1, 0))

    def follow(self, handler: Callable[..., Any], func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run a handler, and note the data of the op that it records, if any."""
        result = handler(func, args, kwargs)
        if len(self.ops) > len(self.flows):
            self._pad(len(self.ops) - 1)
            lowered = self.keeps_casts and self._keep(func, args, result)
            flow = self._flow(func, args, kwargs, result)
            self.flows.append(replace(flow, lowered=True) if lowered else flow)
        return result

    def _keep(self, func: Any, args: Any, result: Any) -> bool:
        """Let the casts of weights live as long as autocast keeps them; whether the op casts them out of sight."""
        op = self.ops[-1]
        if op.signature.op in _RECURRENT:  # of a single tensor, or of packed sequences
            casts = kept_casts(args[2] if isinstance(args[3], bool) else args[3])
            for cast in casts:
                self._add(cast, Role.ACTIVATION, len(self.ops) - 1)
            return bool(casts)
        kept = kept_cast(func, args, result) if op.module not in self._whole else None
        if kept is not None and kept is not result:  # it is not cast twice
            self._stand_in(result, kept, same=True)
        return False

    def _pad(self, length: int) -> None:
        """Unseen work has no data to follow."""
        self.flows += [Flow()] * (length - len(self.flows))

    def dataflow(self) -> Dataflow:
        """The dataflow of the forward pass; storages that live now outlive it."""
        self._pad(len(self.ops))
        return Dataflow(tuple(self.flows), tuple(self.storages))

    def _flow(self, func: Any, args: Any, kwargs: dict[str, Any], result: Any) -> Flow:
        op = self.ops[-1].signature
        results = tensors_of(result)
        if op.is_view or op.op in _UNMARKED_VIEWS or _returns_input(op):
            source = next(iter(tensors_of(args)), None)
            for tensor in results:
                if source is not None:
                    self._stand_in(tensor, source, same=op.is_view)
            return Flow()
        if self.differentiates and op.op in _IN_PLACE_WITHOUT_MODES and _is_let_go(args[0]):
            self._stand_in(results[0], args[0], same=True)
        reads, written = taken_and_written(func, args, kwargs)
        accesses = tuple(map(self._access, reads))
        for tensor, target in zip(results, written, strict=False):
            self._stand_in(tensor, target, same=True)
        writes = [self._access(tensor) for tensor in written]
        for tensor in results:
            if memory_id(tensor) not in self._places:
                writes.append(Access(self._add(tensor, Role.ACTIVATION, len(self.ops) - 1)))
        if op.op.startswith("aten.conv") and reads[0].ndim in (3, 4, 5):
            backward = op.op == "aten.convolution_backward"
            channels_last = any(map(_has_channels_last, reads[1:3] if backward else reads[:1]))
            copied = sum(_unsuited(x, channels_last=channels_last) for x in reads[: 1 + backward])
            return Flow(accesses, tuple(writes), copied, channels_last)
        if op.op in _MATRIX_PRODUCTS:
            return Flow(accesses, tuple(writes), sum(map(_expanded, reads[-2:])))
        if (
            op.op in _FOLDED_PRODUCTS
            and len(reads) > 1
            and reads[1].ndim == 2
            and self.ops[-1].module not in self._fast
        ):
            flow = Flow(accesses, tuple(writes), _unfolded(*reads[:2]))
            return replace(flow, **_apart(reads[0])) if op.op == "aten.linear" else flow
        batched = op.op == "aten.matmul" and all(tensor.ndim > 2 for tensor in reads)
        return Flow(accesses, tuple(writes), sum(map(_scattered, reads)) if batched else 0)

    def _access(self, tensor: torch.Tensor) -> Access:
        place = self._places.get(memory_id(tensor))
        if place is None:  # no recorded op made it: a literal, or a tensor that the module keeps
            role = Role.PARAMETER if isinstance(tensor, nn.Parameter) else Role.CONSTANT
            return Access(self._add(tensor, role))
        if not place.exact:
            return Access(place.serial)
        nbytes = self.storages[place.serial].nbytes
        shape, stride, offset = tuple(tensor.shape), tensor.stride(), int(tensor.storage_offset())
        return region(place.serial, nbytes, shape, stride, offset, tensor.itemsize)

    def _add(self, tensor: torch.Tensor, role: Role, born: int = -1) -> int:
        """The number of a storage; a new storage gets the next number."""
        storage = tensor.untyped_storage()
        place = self._places.get(storage_id(storage))
        if place is None:
            serial = len(self.storages)
            self.storages.append(Storage(storage.nbytes(), str(tensor.dtype).removeprefix("torch."), role, born))
            self._holders.append(0)
            place = self._hold(tensor, serial, exact=True)
        return place.serial

    def _stand_in(self, tensor: torch.Tensor, source: torch.Tensor, *, same: bool) -> None:
        """Identify a view of real data with its source, although its memory here (meta or fake) may be another.

        `same` if its layout is the source's, without what lies before the source.
        """
        address = memory_id(source)
        if memory_id(tensor) not in self._places:
            serial = self._access(source).storage
            placed = self._places[address].exact and not source.storage_offset()
            self._hold(tensor, serial, exact=placed and (same or tensor.stride() == source.stride()))

    def _hold(self, tensor: torch.Tensor, serial: int, *, exact: bool) -> _Place:
        storage = tensor.untyped_storage()
        address = storage_id(storage)
        self._holders[serial] += 1
        place = _Place(serial, exact, weakref.ref(storage, lambda _: self._let_go(address, serial)))
        self._places[address] = place
        return place

    def _let_go(self, address: int, serial: int) -> None:
        del self._places[address]
        self._holders[serial] -= 1
        if not self._holders[serial] and self.storages[serial].role is Role.ACTIVATION:
            self.storages[serial] = replace(self.storages[serial], died=len(self.ops) - 1)


_UNMARKED_VIEWS = frozenset(f"aten.{name}" for name in ("_unsafe_view", "unsafe_split", "unsafe_split_with_sizes"))
"""Operators whose schema hides that they return views."""


_IN_PLACE_WITHOUT_MODES = frozenset(
    f"aten.{name}" for name in ("add", "index_put", "scatter_add", "scatter", "index_add", "masked_fill")
)
"""Operators that autograd calls in place, on memory that nothing else holds, unless a mode watches it."""


_RECURRENT = frozenset(f"aten.{name}" for name in ("lstm", "gru", "rnn_tanh", "rnn_relu"))


def _is_let_go(tensor: torch.Tensor) -> bool:
    """Whether autograd writes into a tensor: new zeros, or a sum of gradients that nothing else needs.

    Source: torch/csrc/autograd/input_buffer.cpp, can_accumulate_inplace
    """
    whole = tensor.numel() * tensor.itemsize == tensor.untyped_storage().nbytes() and 0 not in tensor.stride()
    return whole and not is_shared(tensor)


def _returns_input(signature: Signature) -> bool:
    """Dropout in eval mode is its input, whatever tensor the engine returns; native_dropout also returns a mask."""
    if len(signature.outputs) > 1 or canonical_name(signature.op, signature.overload) != "aten.dropout":
        return False
    return signature.arguments["train"] is False or signature.arguments["p"] == 0


_MATRIX_PRODUCTS = frozenset(("aten.mm", "aten.addmm", "aten.bmm", "aten.baddbmm"))


def _expanded(x: torch.Tensor) -> int:
    """Bytes that a product copies of a matrix, neither of whose axes is dense, such as the gradient of a sum."""
    (rows, columns), (down, across) = x.shape[-2:], x.stride()[-2:]
    dense = (across == 1 and down >= max(1, columns)) or (down == 1 and across >= max(1, rows))
    return 0 if dense else x.nbytes


_FOLDED_PRODUCTS = frozenset(("aten.linear", "aten.matmul"))


def _unfolded(x: torch.Tensor, weight: torch.Tensor) -> int:
    """Bytes that a product in half precision copies if the rows of a batch are no single matrix.

    It is then a batched one, for which oneDNN wants the matrix of weights once per item.
    Source: ATen/native/LinearAlgebra.cpp, should_fold, without autograd
    """
    if x.itemsize != 2 or x.ndim < 3 or not _scattered(x, axes=1):
        return 0
    return x.nbytes + x.shape[:-2].numel() * weight.nbytes


def _apart(x: torch.Tensor) -> dict[str, Any]:
    """How a linear layer runs on an input that is not contiguous: by a product and a sum, on a copy where it must be.

    Source: ATen/native/Linear.cpp, linear, and LinearAlgebra.cpp, _matmul_impl
    """
    if x.ndim < 3 or x.is_contiguous():
        return {}
    return {"scattered": True, "gathered": _scattered(x, axes=1)}


def _has_channels_last(x: torch.Tensor) -> bool:
    return x.ndim in (4, 5) and not x.is_contiguous() and like_channels_last(layout_of(x))


def _unsuited(x: torch.Tensor, *, channels_last: bool) -> int:
    """Bytes that a convolution copies, since its input must be row-major or exactly channels-last."""
    exact = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.ndim) if channels_last else None
    return 0 if x.is_contiguous(memory_format=exact or torch.contiguous_format) else x.nbytes


def _scattered(x: torch.Tensor, axes: int = 2) -> int:
    """Bytes that a batched matrix product copies, if all axes but the last ones cannot merge into one."""
    merged = [(n, step) for n, step in zip(x.shape[:-axes], x.stride()[:-axes], strict=True) if n != 1]
    return 0 if all(step == n * inner for (_, step), (n, inner) in pairwise(merged)) else x.nbytes
