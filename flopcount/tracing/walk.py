"""The modules of a network in torch's order, without its recursive generators, which take as long as counting does."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import torch
from torch import nn

__all__ = ["named_modules", "named_tensors"]


def named_modules(root: nn.Module) -> list[tuple[str, nn.Module]]:
    """As `list(root.named_modules())`: each module once, under its first name, before the modules it holds."""
    seen: set[int] = set()
    found: list[tuple[str, nn.Module]] = []

    def visit(path: str, module: nn.Module) -> None:
        if id(module) in seen:
            return
        seen.add(id(module))
        found.append((path, module))
        children = module._modules
        if children:
            prefix = f"{path}." if path else ""
            for name, child in children.items():
                if child is not None:
                    visit(prefix + name, child)

    visit("", root)
    return found


def named_tensors(root: nn.Module) -> Iterator[tuple[str, str, torch.Tensor]]:
    """Path of the module, name in it, and tensor: all parameters and buffers, shared ones wherever they are."""
    for path, module in named_modules(root):
        for name, tensor in chain(module._parameters.items(), module._buffers.items()):
            if tensor is not None:
                yield path, name, tensor
