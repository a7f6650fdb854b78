"""Which values the first engine knows, and how it detects unseen work: its part that runs no operators.

Small real tensors other than weights have values, until something unknown is written to them. `guard.exits` reports
memory that no operator fills, data that leaves torch and data that is exchanged; this mode handles them and leaves the
module's own tensors alone.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import nn

from .attribution import ModulePath
from .communication import is_barrier, kept_random_numbers, values_stay
from .guard.keeper import Keeper
from .guard.writes import values_read, written
from .inputs import map_tensors, tensor_spec
from .invented import is_random
from .kernels import meta_like, on_cpu, run_kernel
from .mode import RecordingMode, has_layout_of
from .results import leaves_of
from .sources import Scope, scope, unseen
from .torch_private import memory_id, storage_id
from .uncountable import Unknown

__all__ = ["DatalessMode", "Handler"]

Handler: TypeAlias = Callable[[Any, Any, dict[str, Any]], Any]


class DatalessMode(RecordingMode):
    """Tensors of up to `known_limit` elements may have values; all others have a shape and no data."""

    def __init__(self, path: ModulePath, known_limit: int, keeper: Keeper | None = None) -> None:
        super().__init__(path, keeper)
        self.known_limit = known_limit
        self._handlers: dict[int, Handler] = {}  # by identity of the operator
        self._unknown: dict[int, Any] = {}  # small tensors whose values were overwritten by unknown ones, by storage
        self._unwritten: dict[int, tuple[Any, Scope]] = {}  # memory without values, and the scope that allocated it
        self._strangers: Callable[[], object] | None = None

    def let_go(self) -> None:
        """Drop the handlers too, which are methods of this."""
        super().let_go()
        self._handlers.clear()

    # Work out of sight

    @property
    def _watches(self) -> bool:
        """Whether every tensor that is read is examined; nearly always this is not needed."""
        return bool(self._unwritten) or self._strangers is not None

    def _watched(self, handler: Handler, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        read, targets = values_read(func, args, kwargs)
        for tensor in read:
            self._look(tensor)
        for tensor in targets:
            self._unwritten.pop(memory_id(tensor), None)
        if not self._watches:
            self._handlers.clear()
        return handler(func, args, kwargs)

    def _look(self, tensor: torch.Tensor) -> None:
        """Record unseen work if no operator filled this memory, or if another thread made this tensor."""
        _, taken_in = self._unwritten.pop(memory_id(tensor), (None, None))
        if taken_in is not None:
            self.record_unseen(unseen(taken_in.name, taken_in.given, tensor_spec(tensor)), taken_in.path)
        elif self._strangers is not None and self.inference and self._is_strange(tensor):
            self._strangers()

    def _is_strange(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor without data is neither made by this trace nor part of the module."""
        ours = not tensor.is_meta or tensor.is_inference() or isinstance(tensor, nn.Parameter)
        return not ours and memory_id(tensor) not in self.theirs

    def _has_no_values(self, tensor: torch.Tensor) -> None:
        """Remember newly allocated memory until an operator writes to it."""
        storage = tensor.untyped_storage()
        address = storage_id(storage)
        reference = weakref.ref(storage, lambda _: self._unwritten.pop(address, None))
        if not self._watches:
            self._handlers.clear()
        self._unwritten[storage_id(storage)] = reference, scope(self.path.path)

    def returned(self, result: Any) -> None:
        """The caller reads the returned tensors."""
        if self._watches:
            for leaf in leaves_of(result):
                if isinstance(leaf, torch.Tensor) and leaf.layout == torch.strided:
                    self._look(leaf)

    def suspects(self, refuse: Callable[[], object]) -> None:
        """Watch for tensors of another thread, which are not made in inference mode."""
        self._strangers = refuse
        self._handlers.clear()

    def leaves(self, tensor: torch.Tensor, way: str) -> None:
        """A meta tensor has no data that could leave."""
        if tensor.is_meta:
            raise Unknown(f"{way} asks for the values of a tensor")
        super().leaves(tensor, way)
        self.leaves_the_module(tensor, way)

    def assigns(self, tensor: torch.Tensor, value: Any) -> bool:
        """A real tensor keeps its data, since only its shape, strides and dtype matter."""
        if not isinstance(value, torch.Tensor):
            return True
        if tensor.is_meta == value.is_meta and not (self.is_theirs(tensor) and not tensor.is_meta):
            if self.is_theirs(tensor):
                self.keeper.layout(tensor)
            return True
        if not has_layout_of(tensor, value):
            raise Unknown("a tensor gets data of another shape, strides or dtype")
        self._unknown[memory_id(tensor)] = tensor
        return False

    def resizes(self, storage: torch.UntypedStorage) -> bool:
        """Nothing is freed or allocated; the old values become unknown."""
        if storage.device.type != "meta":
            self._unknown[storage_id(storage)] = torch.empty(0)
            self.keeper.then(lambda: storage)  # kept alive, so that no other storage gets its address
        return False

    def fills(self, storage: torch.UntypedStorage) -> bool:
        """Nothing is written; the old values become unknown."""
        self._unwritten.pop(storage_id(storage), None)
        return self.resizes(storage)

    def aside(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """The result of an operator, without recording it."""
        kind: Any = type(self)
        mode = kind(self.path, self.known_limit, {}, self.keeper)
        mode._unknown, mode.invented = self._unknown, self.invented
        return mode.__torch_dispatch__(func, (), args, kwargs)

    def _communicate(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """What goes between processes is left out; what it fills has values if this process alone knows all."""
        read, targets = values_read(func, args, kwargs)
        self.used.update(id(tensor) for tensor in read if type(tensor) is nn.Parameter)
        known = values_stay(func) and all(map(self.knows, (*read, *targets)))
        for tensor in targets:
            if known:
                self._keep(tensor)
            elif not tensor.is_meta and not is_barrier(func):
                self._keep_version(tensor)
                self._unknown[memory_id(tensor)] = tensor
        prepared = on_cpu if known else meta_like
        given = map_tensors(prepared, args)
        with kept_random_numbers():
            result = run_kernel(func, given, map_tensors(prepared, kwargs))
        if known:
            self._ran(func, args, kwargs, result, targets)
        if func._schema.returns and func._schema.returns[0].alias_info is not None:
            result = args[0] if written(func, args, {}) else targets[0]
        result = next((arg for arg, meta in zip(args, given, strict=True) if meta is result), result)
        self.leave_out(func, args, result)
        return result

    # What is known

    def knows(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor's values can be used: it is real, small, in memory, and no weight."""
        return (
            not tensor.is_meta
            and tensor.numel() <= self.known_limit
            and not isinstance(tensor, nn.Parameter)
            and (not self._unknown or memory_id(tensor) not in self._unknown)
            and (tensor.untyped_storage().nbytes() > 0 or not tensor.numel())
        )

    def _keep(self, tensor: torch.Tensor) -> None:
        """Keep the values of a tensor from outside of this trace: the write happens, since it may be read later."""
        if not tensor.is_inference() or self.is_theirs(tensor):
            self.keeper.values(tensor)

    def _keep_version(self, tensor: torch.Tensor) -> None:
        """Keep the version of a tensor: torch counts the write although it does not happen here."""
        if not tensor.is_meta or self.is_theirs(tensor):
            self.keeper.version(tensor)

    def _keep_generator(self, kwargs: dict[str, Any]) -> None:
        """Keep the state of a random generator that really draws numbers."""
        generator = kwargs.get("generator")
        if generator is not None:
            self.keeper.generator(generator)

    def _ran(self, func: Any, args: Any, kwargs: dict[str, Any], result: Any, written: Any = ()) -> None:
        """Follow invented values through an operator that ran on known ones."""
        if self.invented or is_random(func):
            self.invented.ran(func, args, kwargs, result, written, self.path.path)

    def _knows_all(self, args: Any, kwargs: dict[str, Any]) -> bool:
        """Whether there are tensors among the arguments and all are known."""
        some = False
        for value in (*args, *kwargs.values()) if kwargs else args:
            if isinstance(value, torch.Tensor):
                if value.is_meta or not self.knows(value):
                    return False
                some = True
            elif isinstance(value, (list, tuple)):
                for item in value:
                    if isinstance(item, torch.Tensor):
                        if not self.knows(item):
                            return False
                        some = True
        return some
