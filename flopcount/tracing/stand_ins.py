"""An engine's own tensors in place of the module's and the caller's, so that autograd reaches none of their gradients.

Replacements of parameters stay until `preserved` restores the module's attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from .kernels import meta_like
from .walk import named_modules

__all__ = ["gradients_kept", "leaves_by", "stand_in", "with_dense_gradients"]

Then: TypeAlias = Callable[[Callable[[], object]], object]
"""Takes what is to be undone at the end."""


def leaves_by(make: Callable[[Any], Any], then: Then) -> Callable[[Any], Any]:
    """As `make`, an engine's own tensors for the caller's, but one that requires a gradient is a leaf that gets one.

    Its hooks run too; `then` is as for `stand_in`.
    """

    def leaf(value: Any) -> Any:
        tensor = make(value)
        if not (isinstance(value, torch.Tensor) and value.requires_grad):
            return tensor
        tensor = (tensor.detach() if tensor is value else tensor).requires_grad_()
        _hook(value, tensor, then)
        return tensor

    return leaf


def with_dense_gradients(module: nn.Module) -> bool:
    """Let sparse embeddings of a module have dense gradients, and tell whether there are any."""
    sparse = [part for _, part in named_modules(module) if isinstance(part, _EMBEDDINGS) and part.sparse]
    for part in sparse:
        part.sparse = False
    return bool(sparse)


_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)


def stand_in(
    module: nn.Module,
    engine: str,
    make: Callable[[Any], Any],
    then: Then,
    told: Callable[[torch.Tensor, str], object] = lambda leaf, owner: None,
) -> None:
    """Replace the module's parameters by leaves, which `make` makes if the engine has tensors of its own.

    Shared parameters stay shared, and hooks of gradients run. Aliases replace buffers and other tensors of the module,
    since autograd adds tensors that are written to to its graph. `then` is called with what is to be undone at the end,
    `told` with each leaf and the path of the module that owns it.
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
                leaf = stand_ins[id(parameter)] = nn.Parameter(tensor, parameter.requires_grad)
                if parameter.requires_grad:
                    _hook(parameter, leaf, then)
            told(stand_ins[id(parameter)], path)
    for _, part in named_modules(module):
        if not isinstance(part, torch.jit.ScriptModule):
            _replace(part, stand_ins)


def _hook(original: Any, leaf: torch.Tensor, then: Then) -> None:
    """Register the hooks of a tensor's gradient at its stand-in; one that removes itself comes back at the end."""
    kinds: tuple[tuple[dict[int, Any] | None, Callable[[Any], object]], ...] = (
        (original._backward_hooks, leaf.register_hook),
        (original._post_accumulate_grad_hooks, leaf.register_post_accumulate_grad_hook),
    )
    for hooks, register in kinds:
        if hooks:
            for hook in hooks.values():
                register(hook)
            then(partial(_put_back, hooks, hooks.copy()))


def _put_back(hooks: dict[int, Any], before: dict[int, Any]) -> None:
    hooks.clear()
    hooks.update(before)


@contextmanager
def gradients_kept(losses: Iterable[torch.Tensor], module: nn.Module) -> Iterator[None]:
    """Restore the gradients of leaves that are no parameters of the module, such as a weight of the caller's loss."""
    own = {id(parameter) for parameter in module.parameters()}
    others = [leaf for leaf in _leaves_of(losses) if id(leaf) not in own]
    before = [leaf.grad for leaf in others]
    try:
        yield
    finally:
        for leaf, gradient in zip(others, before, strict=True):
            leaf.grad = gradient


def _leaves_of(losses: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """The leaves of an autograd graph."""
    nodes: dict[Any, None] = dict.fromkeys(loss.grad_fn for loss in losses)  # it also keeps them alive
    leaves = [loss for loss in losses if loss.is_leaf]
    waiting = [*nodes]
    while waiting:
        node = waiting.pop()
        if node is None or isinstance(getattr(node, "variable", None), torch.Tensor):
            leaves += [] if node is None else [node.variable]
            continue
        for further, _ in node.next_functions:
            if further not in nodes:
                nodes[further] = None
                waiting.append(further)
    return leaves


def _replace(part: nn.Module, stand_ins: dict[int, torch.Tensor]) -> None:
    owners: tuple[dict[str, Any], ...] = (part._parameters, part._buffers, part.__dict__)
    for owned in owners:
        for name, tensor in owned.items():
            if isinstance(tensor, torch.Tensor) and not is_lazy(tensor):
                if id(tensor) not in stand_ins:
                    stand_ins[id(tensor)] = tensor.detach()
                owned[name] = stand_ins[id(tensor)]
