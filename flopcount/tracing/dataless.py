"""What is known of tensors without data, and what is noticed about them: the part of the first engine that runs none.

Small real tensors that are no weights have values, until something unknown is written there. Memory that nobody fills,
data that leaves torch and data that is exchanged are asked about here (`guard.exits`), and answered without touching
what the module holds.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import nn

from .attribution import ModulePath
from .guard.keeper import Keeper
from .guard.writes import values_read
from .inputs import tensor_spec
from .mode import RecordingMode, Unknown, has_layout_of
from .results import leaves_of
from .sources import Scope, scope, unseen
from .torch_private import memory_id, storage_id

__all__ = ["DatalessMode", "Handler"]

Handler: TypeAlias = Callable[[Any, Any, dict[str, Any]], Any]


class DatalessMode(RecordingMode):
    """Tensors of up to `known_limit` elements may have values; all others have a shape and no data."""

    def __init__(self, path: ModulePath, known_limit: int, keeper: Keeper | None = None) -> None:
        super().__init__(path, keeper)
        self.known_limit = known_limit
        self._handlers: dict[int, Handler] = {}  # by identity of the operator
        self._unknown: dict[int, Any] = {}  # small tensors that were overwritten with unknown values, by storage
        self._unwritten: dict[int, tuple[Any, Scope]] = {}  # memory without values, and where it was taken
        self._strangers: Callable[[], object] | None = None

    def let_go(self) -> None:
        """Nor of the handlers, which are methods of this."""
        super().let_go()
        self._handlers.clear()

    # Work out of sight

    @property
    def _watches(self) -> bool:
        """Whether every tensor that is read is looked at; nearly always there is nothing to look for."""
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
        """Whoever filled memory without an operator, or made this tensor in another thread, did so out of sight."""
        _, taken_in = self._unwritten.pop(memory_id(tensor), (None, None))
        if taken_in is not None:
            self.record_unseen(unseen(taken_in.name, taken_in.given, tensor_spec(tensor)), taken_in.path)
        elif self._strangers is not None and self.inference and self._is_strange(tensor):
            self._strangers()

    def _is_strange(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor without data was neither made by this trace nor is the module's."""
        ours = not tensor.is_meta or tensor.is_inference() or isinstance(tensor, nn.Parameter)
        return not ours and memory_id(tensor) not in self.theirs

    def _has_no_values(self, tensor: torch.Tensor) -> None:
        """Remember memory that was just taken, until an operator writes to it."""
        storage = tensor.untyped_storage()
        address = storage_id(storage)
        reference = weakref.ref(storage, lambda _: self._unwritten.pop(address, None))
        if not self._watches:
            self._handlers.clear()
        self._unwritten[storage_id(storage)] = reference, scope(self.path.path)

    def returned(self, result: Any) -> None:
        """What is returned is read by the caller."""
        if self._watches:
            for leaf in leaves_of(result):
                if isinstance(leaf, torch.Tensor) and leaf.layout == torch.strided:
                    self._look(leaf)

    def suspects(self, refuse: Callable[[], object]) -> None:
        """Tensors of another thread are told by not having been made in inference mode."""
        self._strangers = refuse
        self._handlers.clear()

    def leaves(self, tensor: torch.Tensor, way: str) -> None:
        """Most tensors have no data."""
        if tensor.is_meta:
            raise Unknown(f"{way} asks for the values of a tensor")
        self.leaves_the_module(tensor, way)

    def assigns(self, tensor: torch.Tensor, value: Any) -> bool:
        """A real tensor keeps its data, of which only shape, strides and dtype count."""
        if not isinstance(value, torch.Tensor):
            return True
        if tensor.is_meta == value.is_meta and not (self.is_theirs(tensor) and not tensor.is_meta):
            if self.is_theirs(tensor):
                self.keeper.layout(tensor)
            return True
        if not has_layout_of(tensor, value):
            raise Unknown("a tensor gets data of another shape")
        self._unknown[memory_id(tensor)] = tensor
        return False

    def resizes(self, storage: torch.UntypedStorage) -> bool:
        """Nothing is let go or taken; what was there is no longer known."""
        if storage.device.type != "meta":
            self._unknown[storage_id(storage)] = torch.empty(0)
            self.keeper.then(lambda: storage)  # kept alive, so that no other storage gets its address
        return False

    def fills(self, storage: torch.UntypedStorage) -> bool:
        """Nothing is written; what was there is no longer known."""
        self._unwritten.pop(storage_id(storage), None)
        return self.resizes(storage)

    def aside(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """What an operator gives, which is not written down."""
        kind: Any = type(self)
        mode = kind(self.path, self.known_limit, {}, self.keeper)
        mode._unknown = self._unknown
        return mode.__torch_dispatch__(func, (), args, kwargs)

    # What is known

    def knows(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor's values may be computed with: real, small, in memory, and no weight."""
        return (
            not tensor.is_meta
            and tensor.numel() <= self.known_limit
            and not isinstance(tensor, nn.Parameter)
            and (not self._unknown or memory_id(tensor) not in self._unknown)
            and (tensor.untyped_storage().nbytes() > 0 or not tensor.numel())
        )

    def _keep(self, tensor: torch.Tensor) -> None:
        """A tensor that this trace did not make is written to all the same, since it may be read again."""
        if not tensor.is_inference() or self.is_theirs(tensor):
            self.keeper.values(tensor)

    def _keep_version(self, tensor: torch.Tensor) -> None:
        """Of a tensor that nothing is written to here: torch counts a write all the same."""
        if not tensor.is_meta or self.is_theirs(tensor):
            self.keeper.version(tensor)

    def _keep_generator(self, kwargs: dict[str, Any]) -> None:
        """The state of a random generator that is drawn from for real."""
        generator = kwargs.get("generator")
        if generator is not None:
            self.keeper.generator(generator)

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
