"""Ways past torch's operators: data that leaves or is exchanged, and memory that is written or resized directly.

Torch dispatches no operator for `.numpy()`, `.data_ptr()`, `.data = other` or `untyped_storage().resize_()`. While a
count runs, functions of this file replace them: they ask the engine that counts in this thread and then do what torch
does. Torch's own are restored afterwards. What compiled code does with a tensor that it gets cannot be seen.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, get_ident
from typing import Any, Protocol

import torch
import torch.utils.dlpack
from torch.nn.parameter import is_lazy

from ...core.errors import InputError
from ..torch_private import (
    READ_NUMBER,
    STORAGE_FILLS,
    STORAGE_HANDLES,
    SWAP,
    WRITE_NUMBER,
    TensorBase,
    out_of_sight,
)
from ..uncountable import noted

__all__ = ["LOOKS", "Doorkeeper", "leaving", "whole_of"]

_BY_ONE = ("apply_", "map_", "map2_")  # a Python function reads and writes the numbers one by one
LOOKS = frozenset(("numpy", "__dlpack__", "data_ptr", "const_data_ptr", *_BY_ONE))
"""The ways that give access to the memory itself, to read and write; `tolist` copies numbers."""


class Doorkeeper(Protocol):
    """The engine that decides before data leaves, before a tensor gets other data, and before memory is resized."""

    def leaves(self, tensor: torch.Tensor, way: str) -> None:
        """Data of a tensor is about to leave torch."""

    def assigns(self, tensor: torch.Tensor, value: Any) -> bool:
        """Whether torch shall execute `tensor.data = value`."""

    def swaps(self, one: torch.Tensor, other: torch.Tensor) -> None:
        """Two tensors are about to exchange their identities."""

    def resizes(self, storage: torch.UntypedStorage) -> bool:
        """Whether torch shall execute `storage.resize_()`."""

    def fills(self, storage: torch.UntypedStorage) -> bool:
        """Whether torch shall write bytes directly to a storage."""


_doorkeepers: dict[int, list[Doorkeeper]] = {}  # by thread; of nested counts the innermost decides
_lock = Lock()


@contextmanager
def leaving(doorkeeper: Doorkeeper) -> Iterator[None]:
    """Let this engine decide about what this thread does."""
    with _lock:
        if not _doorkeepers:
            _install()
        _doorkeepers.setdefault(get_ident(), []).append(doorkeeper)
    try:
        yield
    finally:
        with _lock:
            for thread in [*_doorkeepers]:  # also the threads that it started
                _forget(thread, doorkeeper)
            if not _doorkeepers:
                _uninstall()


@contextmanager
def looked_after(doorkeeper: Doorkeeper) -> Iterator[None]:
    """Let this engine also decide about this thread, as long as it does about its own."""
    with _lock:
        if any(doorkeeper in others for others in _doorkeepers.values()):
            _doorkeepers.setdefault(get_ident(), []).append(doorkeeper)
    try:
        yield
    finally:
        with _lock:
            _forget(get_ident(), doorkeeper)


def _forget(thread: int, doorkeeper: Doorkeeper) -> None:
    mine = _doorkeepers.get(thread, [])
    if doorkeeper in mine:
        mine.remove(doorkeeper)
        if not mine:
            del _doorkeepers[thread]


def _asked() -> Doorkeeper | None:
    mine = _doorkeepers.get(get_ident())
    return mine[-1] if mine else None


def _way_out(name: str) -> Callable[..., Any]:
    def way(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        doorkeeper = _asked()
        if doorkeeper is not None:
            doorkeeper.leaves(self, name)
            for other in args if name in _BY_ONE else ():
                if isinstance(other, torch.Tensor):
                    doorkeeper.leaves(other, name)
        return _torchs[torch.Tensor, name](self, *args, **kwargs)

    return way


def _format(self: torch.Tensor, spec: str) -> Any:
    """Only a single number with a format is formatted as a number; anything else is just shown."""
    doorkeeper = _asked() if spec and not self.dim() else None
    if doorkeeper is not None:
        doorkeeper.leaves(self, "__format__")
    return _torchs[torch.Tensor, "__format__"](self, spec)


def _assign(self: torch.Tensor, value: Any) -> None:
    doorkeeper = None if is_lazy(self) else _asked()
    if doorkeeper is None or doorkeeper.assigns(self, value):
        TensorBase.data.__set__(self, value)


def _resize(self: torch.UntypedStorage, size: int) -> Any:
    doorkeeper = _asked()
    if doorkeeper is None or doorkeeper.resizes(self):
        return _torchs[torch.UntypedStorage, "resize_"](self, size)
    return self


def _fill(kind: Any, name: str) -> Callable[..., Any]:
    """A write to a storage, untyped or typed; torch does it with operators on tensors that it makes itself."""

    def fill(self: Any, *args: Any, **kwargs: Any) -> Any:
        doorkeeper, torchs = _asked(), _torchs[kind, name]
        if doorkeeper is None:
            return torchs(self, *args, **kwargs)
        if not doorkeeper.fills(getattr(self, "_untyped_storage", self)):
            return self
        with out_of_sight(), torch.inference_mode():
            return torchs(self, *args, **kwargs)

    return fill


def _share(self: torch.UntypedStorage) -> Any:
    """Do nothing in a count: no other process reads the memory, and torch would move it."""
    return self if _asked() is not None else _torchs[torch.UntypedStorage, "share_memory_"](self)


def _handle(name: str) -> Callable[..., Any]:
    """A handle with which another process could open the same memory; a count refuses to make one."""

    def handle(self: torch.UntypedStorage, *args: Any, **kwargs: Any) -> Any:
        if _asked() is not None:
            fix = "let it do the same work in one process while it is counted: the amount does not change"
            what = "memory is passed to another process, which a count does not follow"
            raise noted(InputError(what, [("fix", fix)]))
        return _torchs[torch.UntypedStorage, name](self, *args, **kwargs)

    return handle


def _swap(one: torch.Tensor, other: torch.Tensor) -> None:
    doorkeeper = _asked()
    if doorkeeper is not None:
        doorkeeper.swaps(one, other)
    _torchs[SWAP](one, other)


def whole_of(storage: torch.UntypedStorage) -> torch.Tensor:
    """A storage as a tensor of bytes."""
    with out_of_sight(), torch.inference_mode(False):
        return torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)


def _address(self: torch.UntypedStorage) -> int:
    doorkeeper = _asked()
    if doorkeeper is not None:
        doorkeeper.leaves(whole_of(self), "data_ptr")
    return _torchs[torch.UntypedStorage, "data_ptr"](self)  # type: ignore[no-any-return]


def _device(self: torch.Tensor) -> Any:
    """The device for DLPack, which is read before `__dlpack__`; a meta tensor has none."""
    doorkeeper = _asked() if self.is_meta else None
    if doorkeeper is not None:
        doorkeeper.leaves(self, "__dlpack_device__")
    return _torchs[torch.Tensor, "__dlpack_device__"](self)


def _read(kind: Any, name: str) -> Callable[..., Any]:
    """The numbers of a storage, read one by one; a storage on meta has none."""

    def read(self: Any, *args: Any) -> Any:
        doorkeeper = _asked() if self.device.type == "meta" else None
        if doorkeeper is not None:
            doorkeeper.leaves(whole_of(getattr(self, "_untyped_storage", self)), "untyped_storage")
        return _torchs[kind, name](self, *args)

    return read


def _capsule(tensor: torch.Tensor) -> Any:
    doorkeeper = _asked()
    if doorkeeper is not None:
        doorkeeper.leaves(tensor, "__dlpack__")
    return _torchs[torch.utils.dlpack, "to_dlpack"](tensor)


_OURS: dict[tuple[Any, str], Any] = {
    # torch 2.12 and older have no const_data_ptr
    **{(torch.Tensor, name): _way_out(name) for name in sorted((*LOOKS, "tolist")) if hasattr(torch.Tensor, name)},
    (torch.Tensor, "__dlpack_device__"): _device,
    (torch.UntypedStorage, "__getitem__"): _read(torch.UntypedStorage, "__getitem__"),
    (torch.TypedStorage, READ_NUMBER): _read(torch.TypedStorage, READ_NUMBER),
    (torch.UntypedStorage, "data_ptr"): _address,
    (torch.utils.dlpack, "to_dlpack"): _capsule,
    (torch.Tensor, "__format__"): _format,
    (torch.Tensor, "data"): property(TensorBase.data.__get__, _assign, TensorBase.data.__delete__),
    (torch.UntypedStorage, "resize_"): _resize,
    (torch.UntypedStorage, "share_memory_"): _share,
    **{(torch.UntypedStorage, name): _handle(name) for name in STORAGE_HANDLES},
    **{(torch.UntypedStorage, name): _fill(torch.UntypedStorage, name) for name in STORAGE_FILLS},
    (torch.TypedStorage, WRITE_NUMBER): _fill(torch.TypedStorage, WRITE_NUMBER),
    SWAP: _swap,
}
_PLACES = [(*place, place, ours) for place, ours in _OURS.items()]
_torchs: dict[tuple[Any, str], Any] = {}  # the replaced functions: torch's, or those of another library
_inherited: set[tuple[Any, str]] = set()


def _install() -> None:
    for owner, name, place, ours in _PLACES:
        if name not in owner.__dict__:
            _inherited.add(place)
        _torchs[place] = getattr(owner, name)
        setattr(owner, name, ours)


def _uninstall() -> None:
    """Restore the functions but keep `_torchs`, since another thread may still be in one of ours and read it."""
    for place, torchs in _torchs.items():
        owner, name = place
        delattr(owner, name) if place in _inherited else setattr(owner, name, torchs)
    _inherited.clear()


def _in_child() -> None:
    """Restore everything in a process that is forked while a count runs, since it does not belong to the count."""
    if _doorkeepers:
        _doorkeepers.clear()
        _uninstall()


os.register_at_fork(after_in_child=_in_child)
