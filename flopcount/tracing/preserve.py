"""A count leaves no trace: what a forward pass may change is put back, also after an exception."""

from __future__ import annotations

import gc
import random
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, filterfalse
from operator import is_
from typing import Any

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import _disable_current_modes

from .autocast import cacheless
from .walk import Inventory

__all__ = ["TURN", "collected", "preserved", "uncollected"]

TURN = threading.RLock()
"""One count at a time: what it sets aside belongs to the whole process."""

_CONTAINERS = frozenset((dict, OrderedDict, list, set, deque))


_collecting: list[bool] = []  # of each `uncollected` under way, outermost first: whether Python collected before


@contextmanager
def uncollected() -> Iterator[None]:
    """Put off Python's cyclic garbage collection, which otherwise runs through all of torch's objects several times.

    That takes longer than counting does. Nothing large is made meanwhile, except within `collected`.
    """
    _collecting.append(gc.isenabled())
    gc.disable()
    try:
        yield
    finally:
        if _collecting.pop():
            gc.enable()


@contextmanager
def collected() -> Iterator[None]:
    """Within `uncollected`, collect as the caller does: where tensors may have data they must not pile up."""
    if any(_collecting):
        gc.enable()
    try:
        yield
    finally:
        if _collecting:
            gc.disable()


@contextmanager
def preserved(module: nn.Module, *, buffers: bool, owned: Inventory | None = None) -> Iterator[dict[int, Any]]:
    """Keep the module and the process as they are.

    Restores attributes, parameters, buffers and submodules of every module (the objects, and the contents of plain
    lists, dicts and sets), version counters, gradients, random states and torch's attention fast path. With
    `buffers` (real arithmetic) their values too. Also the default dtype and autocast. Lazy modules stay lazy; what
    stands in for their parameters is given, by id. `owned` is what the module is made of, where that is at hand.
    """
    owned = owned or Inventory.of(module)
    parts = [part for _, part in owned.modules]
    attributes = _Attributes(parts)
    tensors = [t for t in (*owned.parameters, *owned.buffers) if id(t) not in owned.lazy and not t.is_inference()]
    versions = [t._version for t in tensors]
    gradients = [(p, p.grad, p.requires_grad) for p in owned.parameters]
    values = [(b, b.clone()) for b in owned.buffers if not (b.is_meta or id(b) in owned.lazy)] if buffers else []
    roads = _compiled_roads()
    states = _random_states()
    dtype = torch.get_default_dtype()
    fast_path = torch.backends.mha.get_fastpath_enabled()
    # the fused kernels take other roads on other devices and in training: the plain road is the same everywhere
    torch.backends.mha.set_fastpath_enabled(False)
    for owner, name, _, plain in roads:
        setattr(owner, name, plain)
    try:
        with cacheless(), _lazy_for_now(parts if owned.lazy else [], None if buffers else "meta") as lazy:
            yield lazy
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        torch.set_default_dtype(dtype)
        for owner, name, compiled, _ in roads:
            setattr(owner, name, compiled)
        for setter, state in states:
            setter(state)
        attributes.restore()
        for parameter, gradient, wanted in gradients:
            if parameter.grad is not gradient:
                parameter.grad = gradient
            if parameter.requires_grad is not wanted:
                parameter.requires_grad_(wanted)
        with torch.inference_mode():
            for buffer, value in values:
                buffer.copy_(value)
        moved = [(t, version) for t, version in zip(tensors, versions, strict=True) if t._version != version]
        if moved:
            torch._C._autograd._unsafe_set_version_counter(*zip(*moved, strict=True))


@contextmanager
def _lazy_for_now(parts: list[nn.Module], device: str | None) -> Iterator[dict[int, Any]]:
    """Lazy parameters take a shape for good when they run; copies of them do so here (on `device`, if given)."""
    copies: dict[int, Any] = {}
    for part in parts:
        for owned in (part._parameters, part._buffers):
            for name, tensor in owned.items():
                if tensor is not None and is_lazy(tensor):
                    if id(tensor) not in copies:
                        kind: Any = type(tensor)
                        where = device or tensor.device
                        copies[id(tensor)] = kind(tensor.requires_grad, device=where, dtype=tensor.dtype)
                    owned[name] = copies[id(tensor)]
    hook = register_module_forward_pre_hook(_settle) if copies else None
    try:
        yield {id(copy): copy for copy in copies.values()}
    finally:
        if hook is not None:
            hook.remove()


def _settle(module: nn.Module, args: Any) -> None:
    """Initialise a lazy module before torch does, out of sight of the mode that writes down."""
    if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():
        with _disable_current_modes(), torch.inference_mode(False), torch.no_grad():
            module.initialize_parameters(*args)


def _compiled_roads() -> list[tuple[Any, str, Any, Any]]:
    """Where torch compiles a higher-order operator (`cond`, flex attention) although it could call it."""
    places = (
        ("torch._higher_order_ops.utils", "_hop_compile_and_call", _call),
        ("torch.nn.attention.flex_attention", "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True),
    )
    loaded = [(sys.modules[owner], name, plain) for owner, name, plain in places if owner in sys.modules]
    return [(owner, name, getattr(owner, name), plain) for owner, name, plain in loaded if hasattr(owner, name)]


def _call(function: Any, args: Any, kwargs: Any = None) -> Any:
    return function(*args, **(kwargs or {}))


class _Attributes:
    """Attributes of modules as they were: the objects, and what their plain containers (most of them empty) held.

    Large networks have ten thousand, nearly all as before in the end, and looking at all of them at once takes least.
    """

    def __init__(self, modules: list[nn.Module]) -> None:
        self.modules = modules
        self.kinds = [type(module) for module in modules]
        self.copies: list[dict[str, Any]] = [module.__dict__.copy() for module in modules]
        containers = [value for value in _values(self.copies) if type(value) in _CONTAINERS]
        self.empty = list(filterfalse(None, containers))
        filled = list(filter(None, containers))
        self.dicts = [container for container in filled if isinstance(container, dict)]
        self.copies += [container.copy() for container in self.dicts]
        self.others = [(container, container.copy()) for container in filled if not isinstance(container, dict)]

    def restore(self) -> None:
        """Put back what differs; nearly always that is nothing, and looking is all."""
        for module, kind in zip(self.modules, self.kinds, strict=True):
            if type(module) is not kind:  # a lazy module that settled
                module.__class__ = kind
        tables = [module.__dict__ for module in self.modules] + self.dicts
        if not _are_the_same(tables, self.copies):
            for table, copy in zip(tables, self.copies, strict=True):
                _restore(table, copy)
        if any(self.empty):
            for container in self.empty:
                container.clear()
        for container, copy in self.others:
            _restore(container, copy)


def _values(tables: list[dict[str, Any]]) -> Iterator[Any]:
    return chain.from_iterable([table.values() for table in tables])


def _are_the_same(tables: list[dict[str, Any]], copies: list[dict[str, Any]]) -> bool:
    """Whether the same objects stand under the same names in the same order."""
    return (
        list(map(len, tables)) == list(map(len, copies))
        and all(map(is_, _values(tables), _values(copies)))
        and list(chain.from_iterable(tables)) == list(chain.from_iterable(copies))
    )


def _restore(container: Any, copy: Any) -> None:
    """Put back what a container held, the very objects in their order."""
    same = len(container) == len(copy) and all(map(is_, container, copy))
    if same and (not isinstance(container, dict) or all(map(is_, container.values(), copy.values()))):
        return
    container.clear()
    container.extend(copy) if isinstance(container, (list, deque)) else container.update(copy)


def _random_states() -> list[tuple[Any, Any]]:
    states: list[tuple[Any, Any]] = [
        (torch.set_rng_state, torch.get_rng_state()),
        (random.setstate, random.getstate()),
    ]
    numpy_random = sys.modules.get("numpy.random")  # numpy loads it when first used, and so it may not have a state yet
    if numpy_random is not None:
        states.append((numpy_random.set_state, numpy_random.get_state()))
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states.append((torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all()))
    return states
