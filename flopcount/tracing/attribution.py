"""Which module is running: the path that every op belongs to, and the shapes of every module call."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from threading import get_ident
from typing import Any, ClassVar
from weakref import ref

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from ..core.ops import ModuleCall
from .lazy import settle
from .results import contents_of
from .torch_private import hooks_with_kwargs
from .walk import Inventory, named_modules

__all__ = ["ModulePath", "shapes_of"]

_RAISING = object()  # torch passes no fourth argument if the call raises


class ModulePath:
    """Follows one forward pass through global module hooks, which this context manager removes at the end.

    `path` is the dotted name of the innermost running module of `root`, also of one that the forward pass has made. The
    ops of a module that `root` does not own, or that is called through `.forward`, belong to the module that runs it. A
    shared module has its first name. Of nested counts only the innermost follows.
    """

    _running: ClassVar[list[ModulePath]] = []

    def __init__(self, root: nn.Module, owned: Inventory | None = None) -> None:
        self.root = root
        self.owned = owned or Inventory.of(root)
        self.names = {id(module): name for name, module in self.owned.modules}
        self.silent = self.owned.wrappers  # their calls are those of the module in them
        same_place = getattr(type(root), "same_place", ())  # of a method: its owner, whose own call is another one
        if same_place:
            self.names |= {id(module): "" for module in same_place}
            self.silent |= {id(same_place[0])}
        self.path = ""
        self.calls: list[ModuleCall] = []
        self.failure: tuple[str, nn.Module, tuple[Any, ...]] | None = None
        self._outer: list[str] = []
        self._raised: BaseException | None = None
        self._thread = get_ident()
        self._hooks: list[Any] = []
        self._built: list[nn.Module] = []  # kept alive, so that no other module gets its id
        self._strangers: dict[int, Any] = {}  # modules outside of `root`, by id
        self._single: dict[torch.Size, tuple[tuple[int, ...]]] = {}

    def __enter__(self) -> ModulePath:
        self._hooks = [
            register_module_forward_pre_hook(self._enter_module),
            # with always_call an exception reaches the hook too, but then without the keyword arguments
            register_module_forward_hook(self._leave_module, with_kwargs=True, always_call=True),
        ]
        self._running.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._running.remove(self)
        for hook in self._hooks:
            hook.remove()
            hooks_with_kwargs.pop(hook.id, None)  # torch's remove() forgets these

    @classmethod
    def counts(cls) -> list[ModulePath]:
        """The paths of the counts that run in this thread, outermost first."""
        return [path for path in cls._running if path._thread == get_ident()]

    def let_go(self) -> None:
        """Drop an error and where it was raised: its frames hold the module."""
        self._raised = self.failure = None
        self._built.clear()

    def _enter_module(self, module: nn.Module, args: Any) -> None:
        if get_ident() == self._thread and self._running[-1] is self:
            self._outer.append(self.path)
            name = self.names.get(id(module))
            self.path = name if name is not None else self._name_of_new(module, args)

    def _name_of_new(self, module: nn.Module, args: Any) -> str:
        """The name of a module that the forward pass has built into `root`, else that of the module that runs it."""
        settle(module, args)
        stranger = self._strangers.get(id(module))
        if stranger is None or stranger() is not module:
            name = next((name for name, part in named_modules(self.root) if part is module), None)
            if name is not None:
                self.names[id(module)] = name
                self._built.append(module)
                return name
            self._strangers[id(module)] = ref(module)
        return self.path

    def _leave_module(self, module: nn.Module, args: Any, kwargs: Any, result: Any = _RAISING) -> None:
        if get_ident() != self._thread or self._running[-1] is not self:
            return
        if result is _RAISING:  # the exception comes from the first module that sees it
            raised = sys.exc_info()[1]
            if raised is not self._raised:
                self._raised, self.failure = raised, (self.path, module, args)
        elif id(module) in self.names and id(module) not in self.silent:
            inputs = (args, kwargs) if kwargs else args
            self.calls.append(ModuleCall(self.path, self._shapes(inputs), self._shapes(result)))
        if self._outer:  # a hook before this one raised, so this module was not entered
            self.path = self._outer.pop()

    def _shapes(self, value: Any) -> tuple[tuple[int, ...], ...]:
        """Shapes of all tensors in nested containers; most modules take and return one, of few distinct shapes."""
        kind = type(value)
        if kind is tuple and len(value) == 1:
            value = value[0]
            kind = type(value)
        if kind is not torch.Tensor and not isinstance(value, torch.Tensor):
            return tuple(_nested_shapes(value))
        shape = value.shape
        shapes = self._single.get(shape)
        if shapes is None:
            shapes = self._single[shape] = (tuple(shape),)
        return shapes


def shapes_of(value: Any) -> tuple[tuple[int, ...], ...]:
    """Shapes of all tensors in nested containers."""
    return tuple(_nested_shapes(value))


def _nested_shapes(value: Any, within: tuple[int, ...] = ()) -> list[tuple[int, ...]]:
    """The same as `ModulePath._shapes`, with dataclass-like outputs of transformers.

    `within` are the enclosing containers, since a module may return one that contains itself.
    """
    if isinstance(value, torch.Tensor):
        return [tuple(value.shape)]
    if not isinstance(value, (tuple, list, Mapping)) or id(value) in within:
        return []
    inside = (*within, id(value))
    return [shape for item in contents_of(value) for shape in _nested_shapes(item, inside)]
