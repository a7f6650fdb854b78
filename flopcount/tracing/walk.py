"""The modules of a network in torch's order, without its recursive generators, which take as long as counting does."""

from __future__ import annotations

from torch import nn

__all__ = ["named_modules"]


def named_modules(root: nn.Module) -> list[tuple[str, nn.Module]]:
    """As `list(root.named_modules())`: each module once, under its first name, before the modules it holds."""
    seen: set[int] = set()
    found: list[tuple[str, nn.Module]] = []
    waiting: list[tuple[str, nn.Module]] = [("", root)]
    while waiting:
        path, module = waiting.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        found.append((path, module))
        prefix = f"{path}." if path else ""
        children = [(prefix + name, child) for name, child in module._modules.items() if child is not None]
        waiting.extend(reversed(children))
    return found
