"""The engine that lets torch run every operator: on fake tensors, or on real ones."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

from .attribution import ModulePath
from .communication import is_communication, kept_random_numbers
from .guard.exits import LOOKS, whole_of
from .guard.keeper import Keeper
from .guard.writes import changes_layout, may_write, refuse_resizing, values_read, written
from .inputs import tensors_of
from .misfits import refuse_misfit
from .mode import MAKE_DUAL, RecordingMode, has_layout_of
from .origin import first_line, says_that_data_is_missing
from .packed_sequences import is_on_packed_sequences, pairs_of
from .packed_weights import has_packed_weight, result_of, unpacked
from .results import leaves_of
from .signatures import SILENT, call_key, is_composite, is_constant, is_empty, is_view_of, make_signature
from .sources import Sources
from .torch_private import OpOverload, has_kernel, storage_id
from .uncountable import NoKernel, Unknown

__all__ = ["NativeMode"]

_LITERAL = torch.ops.aten.lift_fresh.default
_DETACH = torch.ops.aten.detach_.default


class NativeMode(RecordingMode):
    """Lets torch run every operator, below this mode: on fake tensors under FakeTensorMode, or on real ones.

    `prepare` turns each tensor argument into one of the engine below; without it tensors are real.
    """

    def __init__(
        self, path: ModulePath, prepare: Callable[[Any], Any] | None = None, keeper: Keeper | None = None
    ) -> None:
        super().__init__(path, keeper)
        self.prepare = prepare
        self.sources = Sources(path, self.record_unseen, self._is_ours)

    @property
    def is_real(self) -> bool:
        """Whether tensors have data."""
        return self.prepare is None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.follower is not None:
            return self.follower.follow(self._run, func, args, kwargs or {})
        return self._run(func, args, kwargs or {})

    def _run(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if getattr(func, "namespace", "") in SILENT:
            return func(*args, **kwargs)
        if func is MAKE_DUAL:
            self.require_autograd()
        if self.decomposes(func):
            if self.is_real:
                self.invented.ran(func, args, kwargs, None, (), self.path.path)
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        is_set: set[int] = set()  # parameters that this writes to, which is no use of their layers
        if func is _LITERAL:  # a fake tensor remembers it
            self.sources.literal(args[0])
        elif self.prepare is not None:
            writes = written(func, args, kwargs)
            is_set.update(set(map(id, writes)) - self.used)
            self.used.update(id(t) for t in tensors_of(args, kwargs) if isinstance(t, nn.Parameter))  # fake ones too
            for tensor in writes:  # torch counts a write to a tensor without fake data
                self.keeper.version(tensor)
            args, kwargs = self.prepare((args, kwargs))
        read, targets = values_read(func, args, kwargs)
        self.sources.read(read)
        if self.is_real:
            self._keep(func, args, kwargs)
        with kept_random_numbers() if is_communication(func) else nullcontext():
            result = self._call(func, args, kwargs)
        self.sources.written(targets)
        self.sources.made(tensors_of(result), of=tensors_of(args, kwargs), empty=is_empty(func))
        if self.is_real:
            self.invented.ran(func, args, kwargs, result, targets, self.path.path)
            if is_constant(func):
                self.sources.filled(result)
        if is_communication(func):
            self.used.update(id(tensor) for tensor in read if type(tensor) is nn.Parameter)
            self.leave_out(func, args, result)
            return result
        view = is_view_of(func, result, args)
        is_set.update(set(map(id, targets)) - self.used)
        made = result if result is not None else tuple(targets)  # what an operator that returns nothing writes to
        if has_packed_weight(func):
            args, kwargs = unpacked(func, args, kwargs)
        packed = is_on_packed_sequences(func)
        pairs = pairs_of(self, func, args, kwargs, self.knows) if packed else None
        key = pairs, call_key(func, (*args, made), kwargs, self.used)  # real values may determine the size of a result
        self.used -= is_set
        signature = self.signatures.get(key)
        if signature is None:
            signature = self.signatures[key] = make_signature(func, args, kwargs, made, is_view=view, pairs=pairs)
        self.record(signature)
        return result

    def _call(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if self.is_real:
            try:
                return func(*args, **kwargs)
            except Exception as error:
                self.invented.ran(func, args, kwargs, None, (), self.path.path)  # it may refuse an invented value
                if isinstance(error, NotImplementedError):
                    _refuse_missing(error, func, args, kwargs)
                raise
        if has_packed_weight(func):
            (x, weight), _ = unpacked(func, args, kwargs)
            return result_of(func, x, weight)
        if func is _DETACH:  # it does nothing below autograd, but in torch 2.9 a fake tensor forgets its number
            return args[0]
        refuse_misfit(func, args)
        try:
            return func(*args, **kwargs)
        except Exception as error:
            # the author of an operator that is not torch's own may not have considered tensors without data
            if says_that_data_is_missing(error) or getattr(func, "namespace", "aten") != "aten":
                raise Unknown(f"{type(error).__name__}: {first_line(error)}") from error
            raise

    def _keep(self, func: Any, args: Any, kwargs: dict[str, Any]) -> None:
        """Keep the module's own tensors that an operator is about to write to."""
        for tensor in may_write(func, args, kwargs):
            if not self.sources.is_made_here(tensor):
                out = any(tensor is value for value in kwargs.values())  # its size may change
                if out or changes_layout(func):
                    self.keeper.layout(tensor)
                self.keeper.values(tensor)
                if out:
                    self.keeper.size(tensor)
        for value in kwargs.values():
            if isinstance(value, torch.Generator):
                self.keeper.generator(value)

    def _is_ours(self, tensor: torch.Tensor) -> bool:
        if not self.is_real:
            return True
        if self.inference:
            return not self.is_theirs(tensor)
        return not tensor.untyped_storage().resizable()  # another library owns the memory

    def leaves(self, tensor: torch.Tensor, way: str) -> None:
        """Follow real data; a fake tensor has no data, although it may remember a number."""
        if self.is_real:
            super().leaves(tensor, way)
            if way in LOOKS and not self.sources.is_made_here(tensor):
                self.keeper.values(tensor)
            self.sources.left(tensor, way)
        elif way in LOOKS or way in ("__format__", "untyped_storage"):
            if tensor.is_meta or type(tensor) not in (torch.Tensor, nn.Parameter):
                raise Unknown(f"{way} asks for the values of a tensor")
            self.leaves_the_module(tensor, way)

    def assigns(self, tensor: torch.Tensor, value: Any) -> bool:
        """Real data is assigned until the end; a real tensor neither can nor need get fake data."""
        if not isinstance(value, torch.Tensor):
            return True
        if self.is_real or type(tensor) is type(value) not in (torch.Tensor, nn.Parameter):
            if self.is_real and not self.sources.is_made_here(tensor):
                self.keeper.layout(tensor)
            return True
        if not has_layout_of(tensor, value):
            raise Unknown("a tensor gets data of another shape, strides or dtype")
        return False

    def resizes(self, storage: torch.UntypedStorage) -> bool:
        """Resize only memory of this trace, since the module's own could not be restored."""
        if storage_id(storage) in self.sources:
            return True
        if self.is_real:
            refuse_resizing(type(self.path.root).__name__)
        return False

    def fills(self, storage: torch.UntypedStorage) -> bool:
        """Write on real tensors only, and undo it for memory from outside of this trace."""
        if self.is_real:
            if storage_id(storage) not in self.sources:
                self.keeper.values(whole_of(storage))
            self.sources.written([whole_of(storage)])
        return self.is_real

    def given(self, values: Any) -> None:
        """The input counts as made in this trace."""
        self.sources.made(tensors_of(values))

    def returned(self, result: Any) -> None:
        """The caller reads the returned tensors."""
        for leaf in leaves_of(result):
            if not isinstance(leaf, torch.Tensor):
                self.sources.array(leaf)
            elif leaf.layout == torch.strided:
                self.sources.read([leaf])

    def aside(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run an operator unrecorded, after keeping the tensors that it writes to."""
        if self.prepare is not None:
            args, kwargs = self.prepare((args, kwargs))
        else:
            self._keep(func, args, kwargs)
        return func(*args, **kwargs)

    def suspects(self, refuse: Callable[[], object]) -> None:
        """Watch fake tensors: all are made in this trace, so any other is of another thread."""
        if not self.is_real:
            self.sources.strangers = refuse

    def let_go(self) -> None:
        """Drop what follows the data too, since it calls this."""
        super().let_go()
        del self.sources
        self.prepare = None


def _refuse_missing(error: NotImplementedError, func: Any, args: Any, kwargs: dict[str, Any]) -> None:
    """Raise if an operator has no kernel for the device of its tensors.

    Raises:
        NoKernel: it has none.
    """
    device = next((tensor.device.type for tensor in tensors_of(args, kwargs)), "cpu")
    if isinstance(func, OpOverload) and not is_composite(func) and not has_kernel(func, device.upper()):
        raise NoKernel(error, str(func.overloadpacket), device) from error
