"""The modules and parameters that a function uses: in closures, globals, defaults, bound arguments and attributes.

What enters is any callable; what leaves are its modules by the names of the variables that hold them. Nothing is run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import nn

from .torch_private import original_function
from .walk import named_modules

__all__ = ["Group", "Place", "Variables", "globals_of", "variables_of"]

_DEEPEST = 5  # containers, objects and functions within each other
_MOST = 1000  # items of a container; longer ones hold data
_PLAIN = (str, bytes, int, float, complex, bool, type(None), range, BuiltinFunctionType, torch.Tensor)
_TORCHS = frozenset(("torch", "numpy", "functools", *sys.stdlib_module_names)) - {"__main__"}


class Group(nn.Module):
    """Modules in a list, a dictionary or an object, which is no module itself."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a function finds a parameter that it uses, and how to give it another one there."""

    parameter: nn.Parameter
    put: Callable[[Any], object]


@dataclass(slots=True)
class Variables:
    """What a callable uses: modules and bare parameters by the name of their variable, and where parameters are."""

    modules: dict[str, nn.Module] = field(default_factory=dict)
    parameters: dict[str, nn.Parameter] = field(default_factory=dict)
    places: list[Place] = field(default_factory=list)


def variables_of(target: Any) -> Variables:
    """The modules and parameters that a callable can reach, each module under the first name that it has.

    A module within another one that is reached too is not named again.
    """
    found = Variables()
    _Search(found).function(target, _DEEPEST)
    within = {id(part) for module in found.modules.values() for _, part in named_modules(module)[1:]}
    found.modules = {name: module for name, module in found.modules.items() if id(module) not in within}
    theirs = {id(p) for module in found.modules.values() for p in module.parameters()}
    found.parameters = {name: p for name, p in found.parameters.items() if id(p) not in theirs}
    return found


class _Search:
    """One walk over a callable, which visits every object once."""

    def __init__(self, found: Variables) -> None:
        self.found = found
        self.seen: dict[int, Any] = {}  # kept alive, so that no id is reused

    def function(self, target: Any, depth: int) -> None:
        """Take what the code of a callable names."""
        if depth < 0 or id(target) in self.seen:
            return
        if not isinstance(target, nn.Module):
            self.seen[id(target)] = target
        original = original_function(target)
        if original is not None:
            self.function(original, depth)
        elif isinstance(target, nn.Module):
            self.take(_name_of_class(target), target, depth)
        elif isinstance(target, partial):
            self._partial(target, depth)
        elif isinstance(target, MethodType):
            self._method(target, depth)
        elif isinstance(target, FunctionType):
            self._code(target, depth)
        elif not isinstance(target, (type, *_PLAIN)):
            self._attributes(target, depth)
            call = type(target).__call__
            if isinstance(call, FunctionType):
                self._code(call, depth)

    def take(self, name: str, value: Any, depth: int, put: Callable[[Any], object] | None = None) -> None:
        """Take what a variable holds."""
        if isinstance(value, nn.Parameter):
            self.found.parameters.setdefault(_free(name, self.found.parameters, value), value)
            if put is not None:
                self.found.places.append(Place(value, put))
        elif isinstance(value, nn.Module):
            self.found.modules[_free(name, self.found.modules, value)] = value
        elif _is_function(value):
            if not _is_torchs(value):
                self.function(value, depth - 1)
        else:
            group = self.group(value, depth)
            if group is not None:
                self.found.modules[_free(name, self.found.modules, group)] = group

    def group(self, value: Any, depth: int) -> nn.Module | None:
        """The modules in a container or an object, or None; parameters in it are taken too."""
        if depth <= 0 or id(value) in self.seen or isinstance(value, (type, ModuleType, *_PLAIN)):
            return None
        items = _items(value)
        if items is None:
            return None
        self.seen[id(value)] = value
        group = _group_like(value)
        for key, item, put in items:
            name = str(key).replace(".", "_") or "_"
            if isinstance(item, nn.Parameter):
                self.take(name, item, depth, put)
            elif isinstance(item, nn.Module):
                group._modules[name] = item
            elif _is_function(item):
                self.take(name, item, depth)
            else:
                inner = self.group(item, depth - 1)
                if inner is not None:
                    group._modules[name] = inner
        return group if group._modules else None

    def _partial(self, target: partial[Any], depth: int) -> None:
        self.function(target.func, depth)
        try:
            bound = signature(target.func).bind_partial(*target.args, **target.keywords).arguments
        except (TypeError, ValueError):  # no signature, or arguments that it does not take
            bound = {**{f"argument_{i}": value for i, value in enumerate(target.args)}, **target.keywords}
        for name, value in bound.items():
            self.take(name, value, depth)

    def _method(self, target: MethodType, depth: int) -> None:
        owner = target.__self__
        if isinstance(owner, nn.Module):
            self.take(_name_of_class(owner), owner, depth)
        elif isinstance(owner, type):
            for name, value in vars(owner).items():
                if not _is_function(value):
                    self.take(name, value, depth)
        else:
            self._attributes(owner, depth)
        self.function(target.__func__, depth)

    def _attributes(self, owner: Any, depth: int) -> None:
        """Take the attributes of an object that does the work, by their own names."""
        if id(owner) in self.seen and not callable(owner):
            return
        self.seen[id(owner)] = owner
        table = getattr(owner, "__dict__", {})
        for name, value in list(table.items()):
            self.take(name, value, depth, partial(table.__setitem__, name))

    def _code(self, function: FunctionType, depth: int) -> None:
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None and wrapped is not function:
            self.function(wrapped, depth)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                value = cell.cell_contents
            except ValueError:  # not set yet
                continue
            if not (_is_torchs(function) and isinstance(value, nn.Module)):
                self.take(name, value, depth, partial(setattr, cell, "cell_contents"))
            else:  # a variable of torch's own wrapper says nothing
                self.take(_name_of_class(value), value, depth)
        if not _is_torchs(function):
            for name, value in globals_of(function).items():
                self.take(name, value, depth, partial(function.__globals__.__setitem__, name))
        names = function.__code__.co_varnames[: function.__code__.co_argcount]
        defaults = function.__defaults__ or ()
        for name, value in zip(names[len(names) - len(defaults) :], defaults, strict=True):
            self.take(name, value, depth)
        for name, value in (function.__kwdefaults__ or {}).items():
            self.take(name, value, depth)


def globals_of(function: FunctionType) -> dict[str, Any]:
    """The global variables that the code of a function names, and those that it takes from modules and classes."""
    names = list(dict.fromkeys(_names(function.__code__)))
    values = {name: function.__globals__[name] for name in names if name in function.__globals__}
    for value in [*values.values()]:
        if isinstance(value, (ModuleType, type)) and not _is_torchs(value):
            values |= {name: vars(value)[name] for name in names if name in vars(value) and name not in values}
    return values


def _names(code: CodeType) -> Iterator[str]:
    """The names in a code and in the functions that it defines."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _is_function(value: Any) -> bool:
    return isinstance(value, (FunctionType, MethodType, partial))


def _is_torchs(value: Any) -> bool:
    """Whether a function, class or module belongs to torch, Python or a library of arrays, which hold no networks."""
    while isinstance(value, partial):
        value = value.func
    home = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) or ""
    return isinstance(home, str) and home.partition(".")[0] in _TORCHS


def _items(value: Any) -> list[tuple[Any, Any, Callable[[Any], object] | None]] | None:
    """The items of a container, or the attributes of an object, with how to put another one in their place."""
    if isinstance(value, Mapping):
        keys: Iterable[Any] = [*value] if len(value) <= _MOST else []
        put = getattr(value, "__setitem__", None)
        return [(key, value[key], partial(put, key) if put else None) for key in keys]
    if isinstance(value, (list, tuple, set, frozenset)):
        if len(value) > _MOST:
            return []
        put = getattr(value, "__setitem__", None)
        return [(i, item, partial(put, i) if put else None) for i, item in enumerate(value)]
    if type(value).__module__.partition(".")[0] in _TORCHS:
        return None
    table = getattr(value, "__dict__", None)
    if not isinstance(table, dict):
        return None
    return [(name, item, partial(table.__setitem__, name)) for name, item in table.items()]


def _group_like(value: Any) -> nn.Module:
    kind: type[nn.Module] = type(type(value).__name__, (Group,), {})
    return kind()


def _name_of_class(module: nn.Module) -> str:
    return type(module).__name__


def _free(name: str, taken: Mapping[str, Any], value: Any) -> str:
    """The name, numbered where another object has it."""
    number, free = 1, name
    while free in taken and taken[free] is not value:
        number += 1
        free = f"{name}_{number}"
    return free
