"""The modules, parameters and buffers of a network in one walk; torch's recursive generators are slow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from .torch_private import loaded_wrappers, wrapped_module

__all__ = ["Inventory", "named_modules"]


def named_modules(root: nn.Module) -> list[tuple[str, nn.Module]]:
    """The same as `list(root.named_modules())`: each module once, under its first name, before its children.

    A wrapper that changes only how a module runs (compiled, checkpointed) has the name of that module, and precedes it.
    """
    modules: list[tuple[str, nn.Module]] = []
    _visit("", root, set(), modules, loaded_wrappers())
    return modules


# not within the other: a function there that calls itself is a circle, and keeps the network until Python looks for it
def _visit(
    path: str, module: nn.Module, seen: set[int], modules: list[tuple[str, nn.Module]], wrappers: tuple[type, ...]
) -> None:
    if id(module) in seen:
        return
    seen.add(id(module))
    modules.append((path, module))
    children = module._modules
    if wrappers and isinstance(module, wrappers):
        _visit(path, wrapped_module(module), seen, modules, wrappers)
    elif children:
        prefix = f"{path}." if path else ""
        for name, child in children.items():
            if child is not None:
                _visit(prefix + name, child, seen, modules, wrappers)


@dataclass(frozen=True, slots=True)
class Inventory:
    """Modules with their paths, parameters and buffers of a network, each once and in torch's order.

    `lazy` has the ids of those parameters and buffers that have no shape yet, `wrappers` those of modules that have the
    same name as the module in them.
    """

    modules: list[tuple[str, nn.Module]]
    parameters: list[nn.Parameter]
    buffers: list[torch.Tensor]
    lazy: frozenset[int]
    wrappers: frozenset[int] = frozenset()

    @classmethod
    def of(cls, root: nn.Module) -> Inventory:
        """The inventory of a network in its current state."""
        modules = named_modules(root)
        parameters = _distinct([module._parameters for _, module in modules])
        buffers = _distinct([module._buffers for _, module in modules])
        lazy = [id(t) for t in (*parameters, *buffers) if type(t) not in _SETTLED and is_lazy(t)]
        kinds = loaded_wrappers()
        wrappers = [id(module) for _, module in modules if isinstance(module, kinds)] if kinds else []
        return cls(modules, parameters, buffers, frozenset(lazy), frozenset(wrappers))

    def name_of(self, tensor: torch.Tensor) -> str:
        """The first name of a parameter or buffer."""
        for path, module in self.modules:
            for name, other in (*module._parameters.items(), *module._buffers.items()):
                if other is tensor:
                    return f"{path}.{name}" if path else name
        return ""


_SETTLED = frozenset((torch.Tensor, nn.Parameter))


def _distinct(tables: list[Mapping[str, Any]]) -> list[Any]:
    tensors: dict[int, Any] = {}
    for table in tables:
        if table:
            for tensor in table.values():
                if tensor is not None:
                    tensors.setdefault(id(tensor), tensor)
    return list(tensors.values())
