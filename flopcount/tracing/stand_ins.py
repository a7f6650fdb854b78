"""An engine's own tensors in place of the module's, so that autograd reaches none of the module's gradients or hooks.

The replacements stay until `preserved` restores the module's attributes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from .kernels import meta_like
from .walk import named_modules

__all__ = ["stand_in"]


def stand_in(
    module: nn.Module,
    engine: str,
    make: Callable[[Any], Any],
    told: Callable[[torch.Tensor, str], object] = lambda leaf, owner: None,
) -> None:
    """Replace the module's parameters by leaves, which `make` makes if the engine has tensors of its own.

    Shared parameters stay shared. Aliases replace buffers and other tensors of the module, since autograd adds tensors
    that are written to to its graph. `told` is called with each leaf and the path of the module that owns it.
    """
    to_leaf: dict[str, Callable[[Any], Any]] = {"meta": meta_like, "real": torch.Tensor.detach}
    stand_ins: dict[int, torch.Tensor] = {}
    for path, part in named_modules(module):
        for parameter in part.parameters(recurse=False):
            if is_lazy(parameter) or id(parameter) in stand_ins:
                continue
            if isinstance(part, torch.jit.ScriptModule):  # it holds the parameters, whose state is restored
                stand_ins[id(parameter)], parameter.grad = parameter, None
            else:
                tensor = to_leaf.get(engine, make)(parameter)
                stand_ins[id(parameter)] = nn.Parameter(tensor, parameter.requires_grad)
            told(stand_ins[id(parameter)], path)
    for _, part in named_modules(module):
        if not isinstance(part, torch.jit.ScriptModule):
            _replace(part, stand_ins)


def _replace(part: nn.Module, stand_ins: dict[int, torch.Tensor]) -> None:
    owners: tuple[dict[str, Any], ...] = (part._parameters, part._buffers, part.__dict__)
    for owned in owners:
        for name, tensor in owned.items():
            if isinstance(tensor, torch.Tensor) and not is_lazy(tensor):
                if id(tensor) not in stand_ins:
                    stand_ins[id(tensor)] = tensor.detach()
                owned[name] = stand_ins[id(tensor)]
