"""Modules wrapped for several processes or devices: counted without the wrapping, or refused before anything runs.

`DataParallel` and `DistributedDataParallel` run the wrapped module on a part of the batch, so a count runs only that
module, on the whole batch. Each process has a part of each parameter of FSDP2 and of tensor parallel layers, and their
hooks communicate with other processes: on shapes alone the parameters are whole and the hooks set aside; on other
engines, and with the flat parameters of the older FSDP, such modules are refused.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from typing import Any, cast

import torch
from torch import nn

from ...core.errors import InputError
from ..torch_private import SHARDED, SHARDING, class_name
from ..walk import Inventory

__all__ = ["ShardedError", "refuse_shards", "unsharded", "without_replicas"]


class ShardedError(InputError):
    """Several processes share the module, and this engine cannot make it whole."""


def refuse_shards(
    module: nn.Module, owned: Inventory, tensors: Iterable[Any], *, of_parts: bool, whole: bool = False
) -> None:
    """Raise if one of these tensors, or (if `of_parts`) a part of the module, belongs to several processes.

    With `whole`, what `unsharded` can replace is left out.

    Raises:
        InputError: one of them does.
    """
    kinds = _loaded()
    if not kinds:
        return
    suspects: list[Any] = list(tensors)
    parts = owned.modules if of_parts else []
    if whole:
        kinds = tuple(kind for kind in kinds if kind.__name__ != _BY_PARAMETER)
        theirs = {*map(id, owned.parameters), *map(id, owned.buffers)}
        by_fsdp = any(kind.__name__ == _BY_PARAMETER for _, part in parts for kind in type(part).__mro__)
        suspects = [] if by_fsdp else [t for t in suspects if id(t) not in theirs]  # FSDP keeps its shards
    sharded = frozenset(kinds)
    if all(sharded.isdisjoint(kind.__mro__) for kind in {*map(type, suspects), *[type(part) for _, part in parts]}):
        return  # thousands of tensors have few classes
    for path, part in parts:
        if isinstance(part, kinds):
            _refuse(module, f"{path or 'the model itself'} is sharded by FSDP")
    for tensor in suspects:
        if isinstance(tensor, kinds):
            name = owned.name_of(cast("torch.Tensor", tensor)) or "an input or attribute"
            _refuse(module, f"{name} is a DTensor, sharded by FSDP or for tensor parallel layers")


_BY_PARAMETER = "FSDPModule"


def _loaded() -> tuple[type, ...]:
    """The classes that belong to several processes; one whose module is not loaded has no instances."""
    return tuple(getattr(sys.modules[name], kind) for name, kind in SHARDED if hasattr(sys.modules.get(name), kind))


def unsharded(owned: Inventory) -> int:
    """Make a sharded module whole, on the meta device, until its attributes are restored.

    The hooks that gather parameters and split inputs are set aside. The result is the number of processes that share
    the work of one input; with FSDP alone each has its own.
    """
    kinds = frozenset(_loaded())
    parts = [part for _, part in owned.modules]
    present = {*map(type, owned.parameters), *map(type, owned.buffers), *map(type, parts)} if kinds else set()
    if all(kinds.isdisjoint(kind.__mro__) for kind in present):
        return 1
    by_fsdp = any(kind.__name__ == _BY_PARAMETER for part in parts for kind in type(part).__mro__)
    whole: dict[int, torch.Tensor] = {}
    processes = 1
    for part in parts:
        tables: tuple[dict[str, Any], ...] = (part._parameters, part._buffers)
        for table in tables:
            for name, tensor in table.items():
                if not kinds.isdisjoint(type(tensor).__mro__):
                    processes = max(processes, _sharing(tensor, by_fsdp=by_fsdp))
                    table[name] = whole.setdefault(id(tensor), _whole(tensor))
        hooked: tuple[dict[int, Any], ...] = (part._forward_pre_hooks, part._forward_hooks)
        for hooks in hooked:
            for number in [number for number, hook in hooks.items() if _shards(hook)]:
                del hooks[number]
    return processes


def _sharing(shard: Any, *, by_fsdp: bool) -> int:
    """The processes that share the work of one input; of FSDP each has its own, of copies of it too."""
    mesh, alone = shard.device_mesh, by_fsdp and (shard.device_mesh.ndim == 1 or shard.placements[0].is_replicate())
    return 1 if alone else int(mesh.size(-1) if by_fsdp else mesh.size())


def _whole(shard: torch.Tensor) -> torch.Tensor:
    tensor = torch.empty(shard.shape, dtype=shard.dtype, device="meta")
    return nn.Parameter(tensor, shard.requires_grad) if isinstance(shard, nn.Parameter) else tensor


def _shards(hook: Any) -> bool:
    """Whether a hook of a module is torch's own, to gather or split tensors."""
    while isinstance(hook, partial):
        hook = hook.func
    return str(getattr(hook, "__module__", "")).startswith(SHARDING)


def _refuse(module: nn.Module, why: str) -> None:
    fix = "count the module before sharding, which gives the cost of all processes together"
    raise ShardedError(f"{class_name(module)} is distributed over processes: {why}", [("fix", fix)])


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
