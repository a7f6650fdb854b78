"""Tensors that a forward pass did not make and writes to all the same: kept before the first write, put back after.

What enters is a tensor about to change; nothing is copied of one that nobody writes to. Values are kept by storage,
so that every view of it is covered; shape, strides and the storage itself by an alias.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from ...core.errors import FlopcountError
from ..torch_private import TensorBase, out_of_sight, set_version, storage_id

__all__ = ["Keeper", "put_back", "swap_back"]

_DATA: Any = TensorBase.data  # not the attribute of torch.Tensor, which is another one during a count


class Keeper:
    """What tensors held before they were written to; `restore` puts it back, the last change first."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], object]] = []
        self._storages: dict[int, Any] = {}  # kept alive, so that no other storage gets its address
        self._versions: dict[int, torch.Tensor] = {}
        self._aliases: dict[int, torch.Tensor] = {}
        self._sizes: dict[int, Any] = {}
        self._generators: dict[int, torch.Generator] = {}

    def values(self, tensor: torch.Tensor) -> None:
        """The values of a tensor, and its version, before an operator writes to it."""
        self.version(tensor)
        storage = tensor.untyped_storage()
        if storage_id(storage) in self._storages:
            return
        self._storages[storage_id(storage)] = storage
        if storage.device.type == "meta" or not storage.nbytes():
            return
        with out_of_sight(), torch.inference_mode():
            whole = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
            before = whole.clone()
        self._undo.append(lambda: _write_back(whole, before))

    def version(self, tensor: torch.Tensor) -> None:
        """The version counter of a tensor; one that was made in inference mode has none."""
        if tensor.is_inference() or id(tensor) in self._versions:
            return
        self._versions[id(tensor)] = tensor
        version = tensor._version
        self._undo.append(lambda: set_version(tensor, version))

    def layout(self, tensor: torch.Tensor) -> None:
        """Shape, strides and storage of a tensor, before it is given others."""
        if id(tensor) in self._aliases:
            return
        self.version(tensor)
        with out_of_sight(), torch.inference_mode():
            alias = self._aliases[id(tensor)] = _DATA.__get__(tensor)
        self._undo.append(lambda: _DATA.__set__(tensor, alias))

    def size(self, tensor: torch.Tensor) -> None:
        """The bytes of a tensor's storage, which may be resized; before its values, which need that room."""
        storage = tensor.untyped_storage()
        if storage_id(storage) not in self._sizes and storage.resizable():
            self._sizes[storage_id(storage)] = storage
            self._undo.append(partial(_size_back, storage, storage.nbytes()))

    def generator(self, generator: torch.Generator) -> None:
        """The state of a random generator, before it is drawn from."""
        if id(generator) not in self._generators:
            self._generators[id(generator)] = generator
            state = generator.get_state()
            self._undo.append(lambda: generator.set_state(state))

    def then(self, undo: Callable[[], object]) -> None:
        """Something else to do when all is put back."""
        self._undo.append(undo)

    def restore(self) -> None:
        """All as it was."""
        with out_of_sight(), torch.inference_mode():
            undo, self._undo = self._undo[::-1], []
            put_back(*undo)


def put_back(*steps: Callable[[], object]) -> None:
    """Take every one of these steps, whichever of them raises.

    Raises:
        FlopcountError: one did, so that something is not as it was before the count.
    """
    failed: Exception | None = None
    for step in steps:
        try:
            step()
        except Exception as error:
            failed = failed or error
    if isinstance(failed, FlopcountError):
        raise failed
    if failed is not None:
        fix = "make the module anew: a part of it is not as it was before this count; all the rest is"
        what = f"what the forward pass changed could not all be put back: {type(failed).__name__}: {failed}"
        raise FlopcountError(what, [("fix", fix)]) from failed


def _write_back(whole: torch.Tensor, before: torch.Tensor) -> None:
    if whole.untyped_storage().nbytes() == before.numel():  # otherwise somebody freed it, and wanted to
        whole.copy_(before)


def _size_back(storage: torch.UntypedStorage, size: int) -> None:
    if storage.nbytes() != size:
        storage.resize_(size)


def swap_back(one: torch.Tensor, other: torch.Tensor) -> None:
    """Undo `torch.utils.swap_tensors`, by doing it again."""
    with torch.inference_mode(False):
        torch.utils.swap_tensors(one, other)
