"""Which module the operations of a block of code belong to: modules that run, and in a backward pass those that did.

The modules are not known before they run. Each that runs outside of all others, or has parameters of its own, becomes a
root, named by its class or as the caller says. Modules are not kept alive: what is known of one that is gone is its
tree as it was after its first call.
"""

from __future__ import annotations

import sys
import warnings
import weakref
from bisect import bisect_right
from collections.abc import Mapping
from contextlib import suppress
from threading import get_ident
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from ..core.ops import ModuleCall
from ..core.result import ModuleInfo
from .attribution import ModulePath, shapes_of
from .control_flow import as_python
from .torch_private import (
    COMPILED_UNDER_HOOKS,
    DYNAMO,
    class_name,
    compiled_code_paths,
    current_node,
    hooks_with_kwargs,
    is_compiled,
    next_node_number,
    number_of_node,
)
from .walk import Inventory, named_modules

__all__ = ["OPTIMIZER", "BlockPath"]

OPTIMIZER = "(optimizer)"
"""The path of operations within the step of an optimizer."""

_RAISING = object()  # torch passes no result if the call raises


class _Known(NamedTuple):
    """A module with its path, whether its calls are noted, and the name of its root."""

    module: weakref.ref[nn.Module]
    path: str
    called: bool
    root: str


class _Parameter(NamedTuple):
    """A parameter: a number of its own, its elements, and whether it is trained."""

    serial: int
    numel: int
    trainable: bool


class _Part(NamedTuple):
    path: str
    type: str
    parameters: tuple[_Parameter, ...]


class BlockPath:
    """Follows all modules that run in one thread, through global module hooks."""

    def __init__(self, models: Mapping[str, nn.Module]) -> None:
        self.calls: dict[ModuleCall, int] = {}
        self.elsewhere: dict[str, None] = {}  # modules that ran in other threads
        self.optimizers: dict[str, None] = {}
        self.stepping = False
        self.taken: set[int] = set()  # parameters that an operator took, by identity, until their numbers are noted
        self._taken: set[int] = set()  # those numbers
        self._thread = get_ident()
        self._outer = tuple(ModulePath.counts())
        self._stack: list[str] = []
        self._hooks: list[Any] = []
        self._known: dict[int, _Known] = {}
        self._roots: dict[str, weakref.ref[nn.Module]] = {}
        self._trees: dict[str, tuple[_Part, ...]] = {}
        self._settled: set[str] = set()  # roots whose tree was looked at after a call
        self._owners: dict[int, tuple[weakref.ref[Any], int, str]] = {}  # of parameters
        self._starts, self._places = [0], [""]
        self._stance: Any = None
        self._plain: list[tuple[Any, str, Any, Any]] = []
        self._filter: Any = None
        self._serials = 0
        for name, model in models.items():
            self._grow(name, model)

    def __enter__(self) -> BlockPath:
        self._hooks = [
            register_module_forward_pre_hook(self._enter_module),
            register_module_forward_hook(self._leave_module, with_kwargs=True, always_call=True),
            register_optimizer_step_pre_hook(self._step),
            register_optimizer_step_post_hook(self._stepped),
        ]
        # uncompiled, torch's own control flow drops the gradients of what its bodies capture
        self._plain = [*compiled_code_paths(), *as_python(), (torch, "compile", torch.compile, self._compile)]
        for owner, name, _, plain in self._plain:
            setattr(owner, name, plain)
        self._uncompiled()
        self.mark("")
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()
            hooks_with_kwargs.pop(hook.id, None)  # torch's remove() forgets these
        for owner, name, own, _ in self._plain:
            setattr(owner, name, own)
        if self._stance is not None:
            self._stance.__exit__(None, None, None)
            with suppress(ValueError):  # the code has filters of its own since
                warnings.filters.remove(self._filter)  # type: ignore[attr-defined]
        for name, root in self._roots.items():
            module = root()
            if module is not None:
                self._grow(name, module)
        self._note_taken()
        self._known.clear()
        self._owners.clear()
        del self._starts[1:], self._places[1:]

    @property
    def tree(self) -> tuple[ModuleInfo, ...]:
        """Every module of every root; a shared parameter belongs to the first one that has it."""
        if self._known:
            for name, root in self._roots.items():
                module = root()
                if module is not None:
                    self._grow(name, module)
        seen: set[int] = set()
        infos = [ModuleInfo("", "", 0, 0)] if "" not in self._trees else []
        for name in sorted(self._trees, key=bool):  # the root of all first
            for part in self._trees[name]:
                own = {p.serial: p for p in part.parameters if p.serial not in seen}.values()
                seen.update(p.serial for p in own)
                trainable = sum(p.numel for p in own if p.trainable)
                infos.append(ModuleInfo(part.path, part.type, sum(p.numel for p in own), trainable))
        if self.optimizers:
            infos.append(ModuleInfo(OPTIMIZER, ", ".join(self.optimizers), 0, 0))
        return tuple(infos)

    @property
    def used(self) -> tuple[str, ...]:
        """The modules that were never called, but whose parameters an operator took."""
        self._note_taken()
        called = {call.module for call in self.calls}
        parts = [part for name in sorted(self._trees, key=bool) for part in self._trees[name]]
        taken = [part.path for part in parts if any(p.serial in self._taken for p in part.parameters)]
        return tuple(path for path in taken if path not in called)

    @property
    def place(self) -> str:
        """The module that an operation in this moment belongs to."""
        node = current_node()
        if node is not None and not (self._stack and torch.is_grad_enabled()):  # else it is recomputed in a module
            return self._place_of(node)
        if self._stack:
            return self._stack[-1]
        if self._places[-1]:
            self.mark("")
        return OPTIMIZER if self.stepping else ""

    def mark(self, place: str, number: int | None = None) -> None:
        """From here on (or from this one on) nodes of the autograd graph are of this module."""
        self._starts.append(max(next_node_number() if number is None else number, self._starts[-1]))
        self._places.append(place)

    def _place_of(self, node: Any) -> str:
        leaf = getattr(node, "variable", None)
        if leaf is None:
            return self._places[bisect_right(self._starts, number_of_node(node)) - 1]
        owner = self._owners.get(id(leaf))
        return owner[2] if owner is not None and owner[0]() is leaf else ""

    def _is_mine(self) -> bool:
        """Whether this thread is followed, or the one that runs its backward pass; not within another count."""
        if get_ident() != self._thread and current_node() is None:
            return False
        return not any(path not in self._outer for path in ModulePath.counts())

    def _enter_module(self, module: nn.Module, args: Any) -> None:
        if not self._is_mine():
            if get_ident() != self._thread and not ModulePath.counts():
                self.elsewhere[type(module).__name__] = None
            return
        if is_compiled(module):
            self._uncompiled()
        self._stack.append(self._find(module).path)
        self.mark(self._stack[-1])

    def _leave_module(self, module: nn.Module, args: Any, kwargs: Any, result: Any = _RAISING) -> None:
        if not self._stack or not self._is_mine():
            return
        path = self._stack.pop()
        known = self._known.get(id(module))
        if known is not None and known.module() is module and known.path == path:
            if known.called and result is not _RAISING:
                call = ModuleCall(path, _sizes((args, kwargs) if kwargs else args), _sizes(result))
                self.calls[call] = self.calls.get(call, 0) + 1
            if path == known.root and self.taken:
                self._note_taken()  # before it may be gone
            if path == known.root and path not in self._settled:  # lazy layers are settled now
                self._settled.add(path)
                self._grow(path, module)
        self.mark(self._stack[-1] if self._stack else "")

    def _find(self, module: nn.Module) -> _Known:
        """What is known of a module that is about to run; a new one is a root, or a part of the one that runs."""
        known = self._known.get(id(module))
        if known is not None and known.module() is module:
            return known
        if self._stack:
            root = next((k.root for k in self._known.values() if k.path == self._stack[-1]), "")
            grown = self._roots[root]() if root in self._roots else None
            if grown is not None:  # it may have got a layer since
                self._grow(root, grown)
            known = self._known.get(id(module))
            if known is not None and known.module() is module:
                return known
            if next(module.parameters(), None) is None:
                return _Known(weakref.ref(module), self._stack[-1], False, root)
        name = self._free_name(module)
        self._grow(name, module)
        return self._known[id(module)]

    def _free_name(self, module: nn.Module) -> str:
        """The class of a module, numbered; one that is made anew for each step keeps the name of the last."""
        parts = {id(part): part for part in (module, *(part for _, part in named_modules(module)))}
        root = next(part for part in parts.values() if id(part) not in Inventory.of(module).wrappers)
        kind, number = class_name(root), 1
        top = {part.path.partition(".")[0] for parts_of in self._trees.values() for part in parts_of}
        name = kind
        while name in top:
            gone = name in self._roots and self._roots[name]() is None
            if gone and len(self._trees[name]) == len(named_modules(module)):
                break
            number += 1
            name = f"{kind}_{number}"
        return name

    def _grow(self, name: str, root: nn.Module) -> None:
        """Note the parts of a root and their parameters as they are now."""
        owned = Inventory.of(root)
        self._roots[name] = weakref.ref(root)
        parts = []
        for inner, part in owned.modules:
            path = f"{name}.{inner}" if name and inner else name or inner
            known = self._known.get(id(part))
            if known is None or known.module() is not part:
                self._known[id(part)] = _Known(weakref.ref(part), path, id(part) not in owned.wrappers, name)
            elif known.root != name:  # a part of an earlier root
                continue
            if id(part) in owned.wrappers:
                continue
            own = [p for p in part._parameters.values() if p is not None and id(p) not in owned.lazy]
            numbers = tuple(_Parameter(self._serial(p, path), p.numel(), p.requires_grad) for p in own)
            parts.append(_Part(path, class_name(part), numbers))
        self._trees[name] = tuple(parts)

    def _serial(self, parameter: nn.Parameter, path: str) -> int:
        """A number of a parameter, which no other one gets when its memory is reused."""
        owner = self._owners.get(id(parameter))
        if owner is None or owner[0]() is not parameter:
            self._serials += 1
            owner = self._owners[id(parameter)] = weakref.ref(parameter), self._serials, path
        return owner[1]

    def _note_taken(self) -> None:
        """Note which parameters were taken by number, while they are alive; those of no known module are left out."""
        owners = [(key, self._owners.get(key)) for key in self.taken]
        self._taken.update(owner[1] for _, owner in owners if owner is not None and owner[0]() is not None)
        self.taken.difference_update(key for key, owner in owners if owner is not None)

    def _step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        if get_ident() == self._thread:
            self.optimizers[type(optimizer).__name__] = None
            self.stepping = True

    def _stepped(self, *_: Any) -> None:
        if get_ident() == self._thread:
            self.stepping = False

    def _compile(self, *args: Any, **kwargs: Any) -> Any:
        """`torch.compile`, which loads the compiler."""
        compiled = next(own for _, name, own, _ in self._plain if name == "compile")(*args, **kwargs)
        self._uncompiled()
        return compiled

    def _uncompiled(self) -> None:
        """Run compiled modules uncompiled: their kernels are out of sight."""
        if self._stance is None and DYNAMO in sys.modules:
            self._stance = torch.compiler.set_stance("force_eager")
            warnings.filterwarnings("ignore", message=COMPILED_UNDER_HOOKS)
            self._filter = warnings.filters[0]


def _sizes(value: Any) -> tuple[tuple[int, ...], ...]:
    """The shapes of tensors, without those that have none in whole numbers (nested ones)."""
    try:
        return tuple(shape for shape in shapes_of(value) if all(isinstance(size, int) for size in shape))
    except RuntimeError:
        return ()
