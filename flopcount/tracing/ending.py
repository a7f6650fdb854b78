"""What a forward pass leaves in a module, read before the module is restored.

Layers and parameters may be made in the first forward pass, lazy ones get their sizes, and of layers that are never
called some are used all the same: through `.forward()`, through their weights, or within TorchScript.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ..core.ops import ModuleInfo
from .attribution import ModulePath
from .guard.held import Held
from .walk import named_modules

__all__ = ["Ending"]


Modules: TypeAlias = list[tuple[str, nn.Module]]


@dataclass(frozen=True, slots=True)
class Ending:
    """The sizes of lazy parameters by name, the `made` modules and parameters, and the paths of `used` layers."""

    settled: Mapping[str, int]
    made: tuple[ModuleInfo, ...]
    used: tuple[str, ...]

    @classmethod
    def of(cls, path: ModulePath, used: Collection[int], lazy: Collection[int], before: Held) -> Ending:
        """The ending of a run.

        Arguments:
            path: the module and its calls.
            used: ids of the parameters that an operator took.
            lazy: ids of the parameters that were lazy before.
            before: the state of the modules before the run.
        """
        owned = path.owned.modules
        named = path.root.named_parameters() if lazy else ()
        settled = {name: p.numel() for name, p in named if id(p) in lazy and not is_lazy(p)}
        if before.has_same_parts:
            return cls(settled, (), _used(owned, path, used))
        modules = named_modules(path.root)
        return cls(settled, _made(owned, modules, before), _used(modules, path, used))


def _made(owned: Modules, modules: Modules, before: Held) -> tuple[ModuleInfo, ...]:
    """New modules, each with its parameters, and modules that have new parameters, with those."""
    paths = {path for path, _ in owned}
    old = {
        (path, name)
        for path, part in owned
        for name, parameter in before.table_before(part._parameters).items()
        if parameter is not None
    }
    held = [(path, name, p) for path, part in modules for name, p in part._parameters.items()]
    seen = {id(parameter) for path, name, parameter in held if (path, name) in old}
    rows = []
    for path, part in modules:
        if path in paths and isinstance(part, torch.jit.ScriptModule):  # it cannot get new ones
            continue
        fresh: dict[int, nn.Parameter] = {}
        for name, parameter in part._parameters.items():
            if parameter is not None and (path, name) not in old and id(parameter) not in seen:
                fresh[id(parameter)] = parameter
        seen.update(fresh)
        sizes = [(p.numel(), p.requires_grad) for p in fresh.values() if not is_lazy(p)]
        if fresh or path not in paths:
            trainable = sum(size for size, wanted in sizes if wanted)
            rows.append(ModuleInfo(path, type(part).__name__, sum(size for size, _ in sizes), trainable))
    return tuple(rows)


def _used(modules: Modules, path: ModulePath, used: Collection[int]) -> tuple[str, ...]:
    """Modules that were not called, although an operator took one of their parameters."""
    called = {call.module for call in path.calls}
    return tuple(
        name
        for name, part in modules
        if name not in called and any(id(parameter) in used for parameter in part._parameters.values())
    )
