"""Tensors from outside of a forward pass that it writes to: kept before the first write, restored afterwards.

What enters is a tensor that is about to change; tensors that nothing writes to are not copied. Values are kept by
storage, which covers all views; shape, strides and the storage itself are kept by an alias.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from ...core.errors import FlopcountError
from ..torch_private import TensorBase, out_of_sight, set_version, storage_id

__all__ = ["Keeper", "put_back", "swap_back"]

_DATA: Any = TensorBase.data  # not the attribute of torch.Tensor, which is replaced during a count


class Keeper:
    """The values of tensors before the first write; `restore` puts them back, the last change first."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], object]] = []
        self._storages: dict[int, Any] = {}  # kept alive, so that no other storage gets its address
        self._versions: dict[int, torch.Tensor] = {}
        self._aliases: dict[int, torch.Tensor] = {}
        self._sizes: dict[int, Any] = {}
        self._generators: dict[int, torch.Generator] = {}

    def values(self, tensor: torch.Tensor) -> None:
        """Keep the values of a tensor, and its version, before an operator writes to it."""
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
        """Keep the version counter of a tensor; a tensor made in inference mode has none."""
        if tensor.is_inference() or id(tensor) in self._versions:
            return
        self._versions[id(tensor)] = tensor
        version = tensor._version
        self._undo.append(lambda: set_version(tensor, version))

    def layout(self, tensor: torch.Tensor) -> None:
        """Keep shape, strides and storage of a tensor, before it gets others."""
        if id(tensor) in self._aliases:
            return
        self.version(tensor)
        with out_of_sight(), torch.inference_mode():
            alias = self._aliases[id(tensor)] = _DATA.__get__(tensor)
        self._undo.append(lambda: _DATA.__set__(tensor, alias))

    def size(self, tensor: torch.Tensor) -> None:
        """Keep the size of a tensor's storage, which may be resized; it is restored before the values."""
        storage = tensor.untyped_storage()
        if storage_id(storage) not in self._sizes and storage.resizable():
            self._sizes[storage_id(storage)] = storage
            self._undo.append(partial(_size_back, storage, storage.nbytes()))

    def generator(self, generator: torch.Generator) -> None:
        """Keep the state of a random generator, before it draws numbers."""
        if id(generator) not in self._generators:
            self._generators[id(generator)] = generator
            state = generator.get_state()
            self._undo.append(lambda: generator.set_state(state))

    def then(self, undo: Callable[[], object]) -> None:
        """Add another step to `restore`."""
        self._undo.append(undo)

    def restore(self) -> None:
        """Restore everything that was kept."""
        with out_of_sight(), torch.inference_mode():
            undo, self._undo = self._undo[::-1], []
            put_back(*undo)


def put_back(*steps: Callable[[], object]) -> None:
    """Run all these steps, even if some of them raise.

    Raises:
        FlopcountError: a step raised, so that something differs from before the count.
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
        fix = "build the module again: the count could not restore a part of it"
        what = f"a change of the forward pass could not be undone: {type(failed).__name__}: {failed}"
        raise FlopcountError(what, [("fix", fix)]) from failed


def _write_back(whole: torch.Tensor, before: torch.Tensor) -> None:
    if whole.untyped_storage().nbytes() == before.numel():  # otherwise somebody freed it on purpose
        whole.copy_(before)


def _size_back(storage: torch.UntypedStorage, size: int) -> None:
    if storage.nbytes() != size:
        storage.resize_(size)


def swap_back(one: torch.Tensor, other: torch.Tensor) -> None:
    """Undo `torch.utils.swap_tensors` by another swap."""
    with torch.inference_mode(False):
        torch.utils.swap_tensors(one, other)
