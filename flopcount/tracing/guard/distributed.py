"""Modules wrapped for several processes or devices: counted without the wrapping, or refused before anything runs.

`DataParallel` and `DistributedDataParallel` run the wrapped module on a part of the batch, so a count runs only that
module, on the whole batch. Sharded modules are refused: each process has a part of each parameter of FSDP and of tensor
parallel layers, and their hooks communicate with other processes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn

from ...core.errors import InputError
from ..torch_private import SHARDED
from ..walk import Inventory

__all__ = ["refuse_shards", "without_replicas"]


def refuse_shards(module: nn.Module, owned: Inventory, tensors: Sequence[Any], *, of_parts: bool) -> None:
    """Raise if one of these tensors, or (if `of_parts`) a part of the module, belongs to several processes.

    Raises:
        InputError: one of them does.
    """
    kinds = tuple(getattr(sys.modules[name], kind) for name, kind in SHARDED if hasattr(sys.modules.get(name), kind))
    if not kinds:  # a class whose module is not loaded has no instances
        return
    parts = owned.modules if of_parts else []
    sharded = frozenset(kinds)
    if all(sharded.isdisjoint(kind.__mro__) for kind in {*map(type, tensors), *[type(part) for _, part in parts]}):
        return  # thousands of tensors have few classes
    for path, part in parts:
        if isinstance(part, kinds):
            _refuse(module, f"{path or 'the model itself'} is sharded by FSDP")
    for tensor in tensors:
        if isinstance(tensor, kinds):
            name = owned.name_of(tensor) or "an input or attribute"
            _refuse(module, f"{name} is a DTensor, sharded by FSDP or for tensor parallel layers")


def _refuse(module: nn.Module, why: str) -> None:
    fix = "count the module before sharding, which gives the cost of all processes together"
    raise InputError(f"{type(module).__name__} is distributed over processes: {why}", [("fix", fix)])


_REPLICATED = (nn.DataParallel, nn.parallel.DistributedDataParallel)
_FORWARDS = tuple(kind.forward for kind in _REPLICATED)


def without_replicas(parts: Iterable[nn.Module]) -> None:
    """Make every data-parallel module run the module that it wraps, until its attributes are restored."""
    parts = list(parts)
    if not any(issubclass(kind, _REPLICATED) for kind in set(map(type, parts))):
        return
    for part in parts:
        # a user's subclass keeps its own forward, which may call torch's
        if isinstance(part, _REPLICATED) and type(part).forward in _FORWARDS:
            part.__dict__["forward"] = part._modules["module"]
