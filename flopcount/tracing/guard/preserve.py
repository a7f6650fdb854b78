"""The state of module and process that one count changes and restores, also after an exception."""

from __future__ import annotations

import gc
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from operator import is_
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.nn.parameter import is_lazy

from ..autocast import cacheless
from ..control_flow import as_python
from ..lazy import settle
from ..torch_private import blind_transforms, compiled_code_paths, set_version
from ..walk import Inventory
from .distributed import without_replicas
from .held import Held
from .keeper import put_back
from .writes import watched_writes

__all__ = ["collected", "preserved", "random_states_kept", "uncollected"]

_collecting: list[bool] = []  # for each active `uncollected`, outermost first: whether the collector was on before


@contextmanager
def uncollected() -> Iterator[None]:
    """Postpone Python's cyclic garbage collection, which would visit all of torch's objects several times.

    That takes longer than the count itself. Nothing large is created meanwhile, except within `collected`.
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
    """Within `uncollected`, turn collection on again, since tensors with data must not pile up."""
    if any(_collecting):
        gc.enable()
    try:
        yield
    finally:
        if _collecting:
            gc.disable()


@contextmanager
def preserved(
    module: nn.Module, *, real: bool, owned: Inventory | None = None, held: Held | None = None, watches: bool = True
) -> Iterator[dict[int, Any]]:
    """Keep the module and the process as they are.

    Restores attributes, parameters, buffers and submodules of every module (the same objects, with the contents of
    containers and objects), version counters, gradients, hooks of tensors, random states, torch's attention fast path,
    the default dtype and autocast. With `real` arithmetic and `watches`, it also restores the values of every tensor
    that the module writes to. Lazy modules stay lazy; it yields the replacements of their parameters, by id.
    Data-parallel modules become the modules that they wrap. `owned` and `held` spare a walk if the caller has them.
    """
    owned = owned or Inventory.of(module)
    parts = [part for _, part in owned.modules]
    held = held or Held(parts, (*owned.parameters, *owned.buffers))
    states = _TensorStates(owned, held)
    code_paths = [*compiled_code_paths(), *blind_transforms(), *as_python()]
    random_states = _random_states()
    dtype = torch.get_default_dtype()
    fast_path = torch.backends.mha.get_fastpath_enabled()
    # fused kernels take different code paths on other devices and in training; the plain one is the same everywhere
    torch.backends.mha.set_fastpath_enabled(False)
    for owner, name, _, plain in code_paths:
        setattr(owner, name, plain)
    writes = watched_writes(type(module).__name__, states.tensors) if real and watches else nullcontext()
    try:
        without_replicas(parts)
        with cacheless(), writes, _lazy_for_now(parts if owned.lazy else [], None if real else "meta") as lazy:
            yield lazy
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        torch.set_default_dtype(dtype)
        for owner, name, compiled, _ in code_paths:
            setattr(owner, name, compiled)
        put_back(*(partial(setter, state) for setter, state in random_states), held.restore, states.restore)


class _TensorStates:
    """Version counters, gradients and hooks of tensors before a count; those of lazy tensors do not matter.

    There are as many as the network has parameters, so each attribute is compared for all of them at once.
    """

    def __init__(self, owned: Inventory, held: Held) -> None:
        parameters: list[Any] = [p for p in owned.parameters if id(p) not in owned.lazy]
        buffers = [b for b in owned.buffers if id(b) not in owned.lazy]
        self.tensors = [*parameters, *buffers, *held.tensors]
        self.versioned = self.tensors
        try:
            self.versions = [t._version for t in self.tensors]
        except RuntimeError:  # tensors made in inference mode have no version
            self.versioned = [t for t in self.tensors if not t.is_inference()]
            self.versions = [t._version for t in self.versioned]
        self.wanted = [t.requires_grad for t in self.tensors]
        self.leaves: list[Any] = [*parameters, *(t for t in held.tensors if t.is_leaf)]
        self.gradients = [leaf.grad for leaf in self.leaves]
        self.hooked = [(leaf, leaf._backward_hooks.copy()) for leaf in self.leaves if leaf._backward_hooks]

    def restore(self) -> None:
        """Restore all of them."""
        put_back(self._wishes_back, self._gradients_back, self._hooks_back, self._versions_back)

    def _wishes_back(self) -> None:
        if [t.requires_grad for t in self.tensors] != self.wanted:
            for tensor, wanted in zip(self.tensors, self.wanted, strict=True):
                if tensor.requires_grad is not wanted:
                    _want_gradient(tensor, wanted)

    def _gradients_back(self) -> None:
        if not all(map(is_, [leaf.grad for leaf in self.leaves], self.gradients)):
            for leaf, gradient in zip(self.leaves, self.gradients, strict=True):
                leaf.grad = gradient

    def _hooks_back(self) -> None:
        hooked = {id(leaf): hooks for leaf, hooks in self.hooked}
        for leaf in self.leaves:
            if leaf._backward_hooks:
                _put_hooks_back(leaf, hooked.get(id(leaf)))

    def _versions_back(self) -> None:
        if [t._version for t in self.versioned] != self.versions:
            for tensor, version in zip(self.versioned, self.versions, strict=True):
                if tensor._version != version:
                    set_version(tensor, version)


def _want_gradient(tensor: torch.Tensor, wanted: bool) -> None:
    """Set `requires_grad`; a tensor that was written to under autograd becomes a leaf again."""
    if not tensor.is_leaf:
        tensor.detach_()
    tensor.requires_grad_(wanted)


def _put_hooks_back(leaf: Any, hooks: dict[int, Any] | None) -> None:
    """Restore hooks in the same dictionary, since torch holds on to it."""
    if leaf._backward_hooks != hooks:
        leaf._backward_hooks.clear()
        if hooks is None:
            leaf._backward_hooks = None
        else:
            leaf._backward_hooks.update(hooks)


@contextmanager
def _lazy_for_now(parts: list[nn.Module], device: str | None) -> Iterator[dict[int, Any]]:
    """Replace lazy parameters by copies (on `device`, if given), since a run gives them a shape for good."""
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
    hook = register_module_forward_pre_hook(settle) if copies else None
    try:
        yield {id(copy): copy for copy in copies.values()}
    finally:
        if hook is not None:
            hook.remove()


@contextmanager
def random_states_kept() -> Iterator[None]:
    """Restore the state of every random generator of the process, also after an exception."""
    states = _random_states()
    try:
        yield
    finally:
        put_back(*(partial(setter, state) for setter, state in states))


def _random_states() -> list[tuple[Any, Any]]:
    states: list[tuple[Any, Any]] = [
        (torch.set_rng_state, torch.get_rng_state()),
        (random.setstate, random.getstate()),
    ]
    numpy_random = sys.modules.get("numpy.random")  # numpy loads it at first use, so there may be no state yet
    if numpy_random is not None:
        states.append((numpy_random.set_state, numpy_random.get_state()))
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states.append((torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all()))
    return states
