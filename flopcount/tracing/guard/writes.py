"""Real runs that are not counts, as those of other counters: undoes the module's writes to its own tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ...core.errors import InputError
from ..communication import filled, is_communication
from ..inputs import map_tensors, tensors_of
from ..torch_private import OpOverload, memory_id, storage_id
from ..uncountable import noted
from .exits import leaving
from .keeper import Keeper, swap_back

__all__ = [
    "changes_layout",
    "may_write",
    "refuse_resizing",
    "taken_and_written",
    "values_read",
    "watched_writes",
    "written",
]


def written(func: Any, args: Any, kwargs: dict[str, Any]) -> list[torch.Tensor]:
    """Tensors that the operator writes to, by its schema."""
    if not isinstance(func, OpOverload):
        return []
    tensors: list[torch.Tensor] = []
    for position, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            map_tensors(tensors.append, kwargs.get(argument.name, args[position] if position < len(args) else None))
    return tensors


_STATISTICS = ("running_mean", "running_var")  # norms write to these, although their schemas do not say so


def may_write(func: Any, args: Any, kwargs: dict[str, Any]) -> list[torch.Tensor]:
    """Tensors that an operator may write to, whatever its schema says; one that is not torch's own may write to all."""
    tensors = written(func, args, kwargs)
    if not isinstance(func, OpOverload) or func.namespace != "aten":
        map_tensors(tensors.append, (args, kwargs))
        return tensors
    for position, argument in enumerate(func._schema.arguments):
        if argument.name in _STATISTICS:
            map_tensors(tensors.append, kwargs.get(argument.name, args[position] if position < len(args) else None))
    return tensors


def taken_and_written(func: Any, args: Any, kwargs: dict[str, Any]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Tensors whose values an operator reads, and those that it writes to; most in-place targets are both."""
    targets = written(func, args, kwargs)
    taken: list[torch.Tensor] = []
    map_tensors(taken.append, (args, kwargs))
    into = targets and any(target is value for target in targets for value in kwargs.values())
    if targets and (into or str(func.overloadpacket) in OVERWRITES or targets[0] is not next(iter(taken), None)):
        overwritten = set(map(id, targets))  # by fill_ and the like, or as an `out=`
        taken = [tensor for tensor in taken if id(tensor) not in overwritten]
    return taken, targets


OVERWRITES = frozenset(
    f"aten.{name}_"
    for name in ("copy", "fill", "zero", "normal", "uniform", "bernoulli", "random", "exponential", "log_normal")
) | {"aten.cauchy_", "aten.geometric_", "aten._foreach_copy_", "aten._foreach_zero_"}
"""Operators that do not read what they write to."""


def values_read(func: Any, args: Any, kwargs: dict[str, Any]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The same as `taken_and_written`, but a tensor that an operator partly overwrites does not count as read."""
    if is_communication(func):
        targets = filled(func, args, kwargs)
        ids = set(map(id, targets))
        return [tensor for tensor in tensors_of(args, kwargs) if id(tensor) not in ids], targets
    taken, targets = taken_and_written(func, args, kwargs)
    if reads_no_values(func):
        return [], targets
    if kwargs.get("beta") == 0:  # torch does not read a summand with factor 0
        taken = [tensor for tensor in taken if tensor is not args[0]]
    # of an operator that is not torch's own it is unknown whether it reads what it fills
    if targets and (func.namespace != "aten" or str(func.overloadpacket) in _FILLS_PARTS):
        ids = set(map(id, targets))
        return [tensor for tensor in taken if id(tensor) not in ids], targets
    return taken, targets


_FILLS_PARTS = frozenset(
    f"aten.{name}_"
    for name in ("index_put", "_index_put_impl", "index_copy", "index_fill", "masked_fill", "masked_scatter", "scatter")
) | {"aten.put_", "aten.fill_diagonal_"}


def reads_no_values(func: Any) -> bool:
    """Whether an operator reads only shape and dtype of its arguments."""
    if not isinstance(func, OpOverload):
        return False
    name = str(func.overloadpacket).removeprefix("aten.")
    return func.is_view or name.startswith("new_") or name.endswith("_like") or torch.Tag.inplace_view in func.tags


def changes_layout(func: Any) -> bool:
    """Whether an operator gives its first argument another shape, other strides or other memory."""
    return isinstance(func, OpOverload) and (torch.Tag.inplace_view in func.tags or func.overloadpacket in _NEW_MEMORY)


_NEW_MEMORY = (torch.ops.aten.set_, torch.ops.aten.resize_, torch.ops.aten.resize_as_)


def refuse_resizing(model: str) -> None:
    """Raise, since memory of the module itself would be freed and could not be restored.

    Raises:
        InputError: always.
    """
    what = "resizes the storage of one of its tensors (untyped_storage().resize_), which cannot be undone"
    raise noted(InputError(f"{model} {what}", [("fix", "count the module without the resize, which costs nothing")]))


class _Snapshot:
    """The tensors of a module, before another counter runs it for real."""

    def __init__(self, model: str, tensors: Iterable[torch.Tensor]) -> None:
        self.model = model
        self.keeper = Keeper()
        self.storages: set[int] = set()
        for tensor in tensors:
            if tensor.layout == torch.strided:
                self.storages.add(memory_id(tensor))
                self.keeper.values(tensor)

    def leaves(self, tensor: torch.Tensor, way: str) -> None:
        """Allowed: writes to the data are undone."""

    def assigns(self, tensor: torch.Tensor, value: Any) -> bool:
        """Allowed, and undone."""
        self.keeper.layout(tensor)
        return True

    def swaps(self, one: torch.Tensor, other: torch.Tensor) -> None:
        """Allowed, and undone."""
        self.keeper.then(lambda: swap_back(one, other))

    def resizes(self, storage: torch.UntypedStorage) -> bool:
        """Refused for the module's own tensors."""
        if storage_id(storage) in self.storages:
            refuse_resizing(self.model)
        return True

    def fills(self, storage: torch.UntypedStorage) -> bool:
        """Allowed, and undone."""
        return True


@contextmanager
def watched_writes(model: str, tensors: Iterable[torch.Tensor]) -> Iterator[None]:
    """Restore the `tensors` of a module after a run. This uses no mode, under which tracers would lose their graph."""
    before = _Snapshot(model, tensors)
    try:
        with leaving(before):
            yield
    finally:
        before.keeper.restore()
