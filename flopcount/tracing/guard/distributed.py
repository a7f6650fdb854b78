"""Modules wrapped for several processes or devices: counted without the wrapping, or refused before anything runs.

`DataParallel` and `DistributedDataParallel` run the module they hold on a part of the batch, so a count runs just that
module, on the whole batch. Shards are another matter: parameters of FSDP and of tensor parallel layers are parts of
themselves, and their hooks speak to other processes.
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
    """Raise where one of these tensors, or (if `of_parts`) a part of the module, belongs to several processes.

    Raises:
        InputError: one does.
    """
    kinds = tuple(getattr(sys.modules[name], kind) for name, kind in SHARDED if hasattr(sys.modules.get(name), kind))
    if not kinds:  # what is not loaded nobody has
        return
    parts = owned.modules if of_parts else []
    sharded = frozenset(kinds)
    if all(sharded.isdisjoint(kind.__mro__) for kind in {*map(type, tensors), *[type(part) for _, part in parts]}):
        return  # of thousands there are few classes
    for path, part in parts:
        if isinstance(part, kinds):
            _refuse(module, f"{path or 'the model itself'} is sharded by FSDP")
    for tensor in tensors:
        if isinstance(tensor, kinds):
            name = owned.name_of(tensor) or "an input or attribute"
            _refuse(module, f"{name} is a DTensor, sharded by FSDP or for tensor parallel layers")


def _refuse(module: nn.Module, why: str) -> None:
    fix = "count the module before it is sharded: that is the cost of all processes together"
    raise InputError(f"{type(module).__name__} is spread over processes: {why}", [("fix", fix)])


_REPLICATED = (nn.DataParallel, nn.parallel.DistributedDataParallel)
_FORWARDS = tuple(kind.forward for kind in _REPLICATED)


def without_replicas(parts: Iterable[nn.Module]) -> None:
    """Let every data-parallel module be the one it holds, until its attributes are put back."""
    parts = list(parts)
    if not any(issubclass(kind, _REPLICATED) for kind in set(map(type, parts))):
        return
    for part in parts:
        if type(part).forward in _FORWARDS:  # of a class of the user's own it is left, and may call torch's
            part.__dict__["forward"] = part._modules["module"]
