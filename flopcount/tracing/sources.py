"""Where the data of every tensor comes from, in order to detect work that no operator did.

What enters are the operators as they run, and the ways by which data leaves torch (`exits`); what leaves is an
operation without a rule for each tensor with unseen data: another library, compiled code or another process made or
filled it. A table that is computed from sizes alone is a constant, since no data has left. The operation has the name
of the `autograd.Function`, or of the module, in which this happens, and the shapes of the tensors that leave and come
back.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from inspect import getargvalues
from typing import Any, NamedTuple

import torch

from ..core.ops import Signature, TensorSpec
from .attribution import ModulePath
from .guard.exits import LOOKS
from .inputs import specs_of, tensor_spec
from .torch_private import TensorBase, applied_code, call_module, function_with_forward, memory_id, out_of_sight

__all__ = ["Scope", "Sources", "scope", "unseen"]

_INDICES = frozenset((torch.bool, torch.int32, torch.int64))
_SMALL = 16_384  # elements; arithmetic on so few indices counts nothing elsewhere either


@dataclass(frozen=True, slots=True)
class Scope:
    """What is running: an `autograd.Function` or a module's class by name, its inputs, and the module's path."""

    name: str
    given: tuple[TensorSpec, ...]
    path: str


_APPLY = applied_code()
_CALL = call_module.__code__
_AMONG = 200  # frames


def scope(path: str) -> Scope:
    """The innermost `autograd.Function` or module that runs in this thread, according to Python's frames."""
    frame = sys._getframe(1)
    for _ in range(_AMONG):
        if frame.f_code in (_APPLY, _CALL):
            names = frame.f_locals
            owner = names["cls"] if frame.f_code is _APPLY else type(names["self"])
            return Scope(owner.__name__, specs_of(names["args"], names["kwargs"]), path)
        function = None if _APPLY else function_with_forward(frame.f_code)
        if function is not None:
            parameters, more, _, values = getargvalues(frame)
            inputs = [values.get(name) for name in (*parameters, more) if name]
            return Scope(function.__name__, specs_of(inputs), path)
        if frame.f_back is None:
            break
        frame = frame.f_back
    return Scope("forward", (), path)


def unseen(name: str, taken: Iterable[TensorSpec], result: TensorSpec) -> Signature:
    """Unseen work, as an operation without a rule."""
    return Signature(f"unknown.{name}", "", {f"left{i}": spec for i, spec in enumerate(taken)}, (result,))


class _Handed(NamedTuple):
    """A view whose memory `left` torch, or may have, with its values then; it does not keep the memory alive."""

    view: Callable[[Any], torch.Tensor]
    spec: TensorSpec
    start: int
    before: torch.Tensor
    left: bool


@dataclass(slots=True)
class _Place:
    """What is known about memory that was allocated during this trace."""

    reference: Any
    by_operator: bool = True  # False if no operator of this trace made it, as far as known
    made_in: Scope | None = None  # of memory without values, until an operator writes to it
    handed: list[_Handed] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Exit:
    spec: TensorSpec
    scope: Scope
    storage: int
    looks: bool


class Sources:
    """Follows where data comes from while operators run for real, or on fake tensors.

    `path` has the running module, and `record` takes an unseen operation and its module. `is_ours` says whether a new
    tensor was made during this trace; a tensor that existed before is a constant.
    """

    def __init__(
        self, path: ModulePath, record: Callable[[Signature, str], None], is_ours: Callable[[torch.Tensor], bool]
    ) -> None:
        self._path = path
        self._record = record
        self._is_ours = is_ours
        self._places: dict[int, _Place] = {}
        self._exits: list[_Exit] = []
        self._came_back = False
        self.strangers: Callable[[], object] | None = None
        """Called for a tensor that no operator of this trace made, if another thread may have made it."""

    def __contains__(self, address: int) -> bool:
        """Whether a storage was allocated during this trace."""
        return address in self._places

    def is_made_here(self, tensor: torch.Tensor) -> bool:
        """Whether an operator of this trace made the memory of a tensor."""
        if not _has_memory(tensor):
            return True
        place = self._places.get(memory_id(tensor))
        return place is not None and place.by_operator

    def made(
        self,
        tensors: Iterable[torch.Tensor],
        *,
        of: Iterable[torch.Tensor] = (),
        empty: bool = False,
        by_operator: bool = True,
    ) -> None:
        """Note tensors that come from a recorded operator, or are the input; `empty` tensors have no values yet.

        A view `of` an argument shares that argument's memory, which is already known.
        """
        taken = set(map(memory_id, filter(_has_memory, of)))
        for tensor in filter(_has_memory, tensors):
            address = memory_id(tensor)
            if address not in self._places and address not in taken:
                storage = tensor.untyped_storage()
                reference = weakref.ref(storage, partial(self._let_go, address))
                made_in = scope(self._path.path) if empty and tensor.numel() else None
                self._places[address] = _Place(reference, by_operator, made_in)

    def _let_go(self, address: int, _: object) -> None:
        self._places.pop(address, None)

    def left(self, tensor: torch.Tensor, way: str) -> None:
        """Note that data of a tensor left torch."""
        looks = way in LOOKS
        if not _has_memory(tensor):
            return
        if not looks and (tensor.dtype in _INDICES or tensor.numel() == 1):
            return
        if looks and tensor.dtype in _INDICES and tensor.numel() <= _SMALL:
            return
        here = scope(self._path.path)
        last = self._exits[-1].scope if self._exits else here
        if self._came_back and (last.name, last.path) != (here.name, here.path):  # another layer begins
            self._exits.clear()
        self._came_back = False
        leaving = _Exit(tensor_spec(tensor), here, memory_id(tensor), looks)
        if not any((exit.spec, exit.storage) == (leaving.spec, leaving.storage) for exit in self._exits):
            self._exits.append(leaving)
        place = self._places.get(memory_id(tensor))
        if looks and place is not None:
            place.handed.append(_handed(tensor, left=True))

    def read(self, tensors: Iterable[torch.Tensor]) -> None:
        """Check tensors that an operator is about to read, or that are the result."""
        for tensor in filter(_has_memory, tensors):
            address = memory_id(tensor)
            place = self._places.get(address)
            if place is None:
                if self._is_ours(tensor):
                    if self.strangers is not None:
                        self.strangers()
                    self.made((tensor,), by_operator=False)
                    if self._exits:
                        self._note(tensor_spec(tensor), address)
            elif place.made_in is not None:
                made_in, place.made_in = place.made_in, None
                _look_again(place, tensor)
                self._note(tensor_spec(tensor), address, made_in)
            elif place.handed:
                changed = [handed for handed in place.handed if not _is_as_before(handed, tensor)]
                if changed:
                    _look_again(place, tensor)
                    self._note(changed[0].spec, address)

    def filled(self, tensor: torch.Tensor) -> None:
        """Note a constant tensor, which unseen compiled code may fill instead of an operator."""
        place = self._places.get(memory_id(tensor)) if _has_memory(tensor) and tensor.numel() else None
        if place is not None:
            place.handed.append(_handed(tensor, left=False))

    def literal(self, tensor: torch.Tensor) -> None:
        """Note a tensor of Python numbers: it is a constant, unless numbers have left torch before."""
        self.made((tensor,))
        looked = any(exit.looks for exit in self._exits)  # a search by another library returns indices
        if self._exits and tensor.numel() > 1 and (looked or tensor.dtype not in _INDICES):
            self._note(tensor_spec(tensor), 0)

    def array(self, value: Any) -> None:
        """Record another library's array in the result as unseen work, unless it is the memory of a tensor."""
        spec = TensorSpec(tuple(value.shape), str(value.dtype))
        handed = [handed for place in self._places.values() for handed in place.handed]
        if self._exits and not any(_is_within(value, memory) for memory in handed):
            self._note(spec, 0)

    def written(self, tensors: Iterable[torch.Tensor]) -> None:
        """Note that an operator wrote to these tensors."""
        for tensor in filter(_has_memory, tensors):
            place = self._places.get(memory_id(tensor))
            if place is not None:
                place.made_in = None
                place.handed = [handed for handed in place.handed if handed.left]
                _look_again(place, tensor)

    def _note(self, result: TensorSpec, address: int, made_in: Scope | None = None) -> None:
        """Record that a tensor came back: from the tensors that left, or, if none did, from the inputs of the call."""
        self._came_back = True
        left = [exit for exit in self._exits if exit.storage != address]
        if left:
            where, specs = left[-1].scope, tuple(exit.spec for exit in left)
        else:
            where = made_in or (self._exits[-1].scope if self._exits else scope(self._path.path))
            specs = where.given
        self._record(unseen(where.name, specs, result), where.path)


def _has_memory(tensor: torch.Tensor) -> bool:
    """Whether a tensor is dense; other tensors are refused when they are recorded."""
    return tensor.layout is torch.strided and not tensor.is_nested


def _handed(tensor: torch.Tensor, *, left: bool) -> _Handed:
    geometry = tensor.storage_offset(), tensor.shape, tensor.stride()

    def view(storage: Any) -> torch.Tensor:
        return torch.empty(0, dtype=tensor_dtype, device=storage.device).set_(storage, *geometry)

    tensor_dtype = tensor.dtype
    with out_of_sight():
        start = TensorBase.data_ptr(tensor)
        return _Handed(view, tensor_spec(tensor), start, tensor.detach().clone(), left)


def _look_again(place: _Place, tensor: torch.Tensor) -> None:
    """Compare tensors that left with their current values from now on."""
    with out_of_sight():
        place.handed = [h._replace(before=h.view(tensor.untyped_storage()).clone()) for h in place.handed]


def _is_as_before(handed: _Handed, tensor: torch.Tensor) -> bool:
    """Whether the values are the same bit by bit, NaN included."""
    with out_of_sight():
        now = handed.view(tensor.untyped_storage())
        a, b = (t.reshape(-1).contiguous().view(torch.uint8) for t in (now, handed.before))
        return bool(torch.equal(a, b))


def _is_within(array: Any, handed: _Handed) -> bool:
    begin = array.__array_interface__["data"][0] if hasattr(array, "__array_interface__") else -1
    return bool(handed.start <= begin < handed.start + max(handed.spec.nbytes, 1))
