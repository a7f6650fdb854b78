"""A count leaves no trace: what a forward pass may change is put back, also after an exception."""

from __future__ import annotations

import random
import sys
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import nn

__all__ = ["preserved"]

_CONTAINERS = (dict, OrderedDict, list, set, deque)


@contextmanager
def preserved(module: nn.Module, *, buffers: bool) -> Iterator[None]:
    """Keep the module and the process as they are.

    Restores attributes, parameters, buffers and submodules of every module (the objects, and the contents of plain
    lists, dicts and sets), version counters, gradients, random states and torch's attention fast path. With
    `buffers` (real arithmetic) their values too.
    """
    attributes = [(part, dict(part.__dict__), _contents(part.__dict__)) for part in module.modules()]
    tensors = [t for t in chain(module.parameters(), module.buffers()) if not t.is_inference()]
    versions = [t._version for t in tensors]
    gradients = [(p, p.grad) for p in module.parameters()]
    values = [(b, b.clone()) for b in module.buffers() if not b.is_meta] if buffers else []
    states = _random_states()
    fast_path = torch.backends.mha.get_fastpath_enabled()
    # the fused kernels take other roads on other devices and in training: the plain road is the same everywhere
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        for setter, state in states:
            setter(state)
        for part, before, contents in attributes:
            part.__dict__.clear()
            part.__dict__.update(before)
            for container, copy in contents:
                _refill(container, copy)
        for parameter, gradient in gradients:
            if parameter.grad is not gradient:
                parameter.grad = gradient
        with torch.inference_mode():
            for buffer, value in values:
                buffer.copy_(value)
        moved = [(t, version) for t, version in zip(tensors, versions, strict=True) if t._version != version]
        if moved:
            torch._C._autograd._unsafe_set_version_counter(*zip(*moved, strict=True))


def _contents(attributes: dict[str, Any]) -> list[tuple[Any, Any]]:
    return [(value, value.copy()) for value in attributes.values() if type(value) in _CONTAINERS]


def _refill(container: Any, copy: Any) -> None:
    """Put back what a container held; untouched ones (nearly all) are only looked at."""
    if len(container) == len(copy) and all(a is b for a, b in zip(_items(container), _items(copy), strict=True)):
        return
    container.clear()
    container.extend(copy) if isinstance(container, (list, deque)) else container.update(copy)


def _items(container: Any) -> Iterator[Any]:
    return chain(container, container.values()) if isinstance(container, dict) else iter(container)


def _random_states() -> list[tuple[Any, Any]]:
    states: list[tuple[Any, Any]] = [
        (torch.set_rng_state, torch.get_rng_state()),
        (random.setstate, random.getstate()),
    ]
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        states.append((numpy.random.set_state, numpy.random.get_state()))
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states.append((torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all()))
    return states
