"""The Python state of a network before a count: attributes, containers, objects, arrays and random generators.

What enters are its modules; `restore` puts back everything that differs, the same objects in the same order. A large
network has ten thousand attributes. Nearly all are plain numbers, and nearly none change, so all are first compared at
once. Only objects that can hold others are walked through, to any depth.
"""

from __future__ import annotations

import random
import sys
from array import array
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, ValuesView
from enum import Enum
from functools import partial
from itertools import chain, filterfalse
from operator import is_
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import nn

from ..slots import slots_of
from ..torch_private import ScriptModule, scripted_attributes
from .keeper import put_back

__all__ = ["Held"]

_MOST = 100_000  # objects to walk through; more of them belong to the program around the network

_TENSORS = frozenset((torch.Tensor, nn.Parameter))
_PLAIN = frozenset(
    {type(None), bool, int, float, complex, str, bytes, type, range, slice}
    | {torch.Size, torch.dtype, torch.device, torch.memory_format, torch.layout}
    | {BuiltinFunctionType, ModuleType}
)
_EXACT = frozenset((dict, OrderedDict, list, set, deque))
_LOADED = _EXACT | {tuple}
_SEQUENCES = frozenset((list, set, deque))
_SETTLED = _PLAIN | _LOADED
_TORCHS = ("_modules", "_parameters", "_buffers")  # other files restore the contents of these tables
_FIRST = list(nn.Module().__dict__)  # the attributes of every new module, before its own
_SIZE = len(_FIRST)
_TABLES = [_FIRST.index(name) for name in _TORCHS]
_CONTAINERS = (dict, list, set, deque, bytearray, array)
_OURS = __name__.partition(".")[0]
_BESIDE = frozenset((_OURS, "threading", "_thread", "logging", "multiprocessing", "concurrent", "asyncio", "weakref"))
"""Packages whose objects belong to other threads and change with them; those of flopcount do not change."""

_plain_tuples: set[Any] = set()  # tuples of only numbers and names; a network has few distinct ones


class Held:
    """The attributes of modules before a count, and everything that they hold.

    `tensors` are the other tensors that the walk meets, neither parameters nor buffers of the modules: plain
    attributes, and tensors in containers and objects.
    """

    def __init__(self, modules: list[nn.Module], owned: Iterable[torch.Tensor] = ()) -> None:
        """`owned` are the parameters and buffers of the modules, which other files restore."""
        self.modules = modules
        self.kinds = list(map(type, modules))
        self._owned = owned
        self.tensors: list[torch.Tensor] = []
        self.has_optimizer = False
        self._undo: list[Callable[[], object]] = []
        tables: list[dict[Any, Any]] = [module.__dict__ for module in modules]
        copies = [table.copy() for table in tables]
        torchs, self.empty, values = _parted(copies)
        strange = {kind for kind in {*map(type, values)} - _SETTLED if not _is_beside(kind)}
        containers = [value for value in values if type(value) in _LOADED]
        self.empty += filterfalse(None, containers)
        filled = list(filter(None, containers))
        dicts = [container for container in filled if isinstance(container, dict)]
        self.tables = [*tables, *torchs, *dicts]
        self.copies = [*copies, *[table.copy() for table in (*torchs, *dicts)]]
        self._torchs = slice(len(tables), len(tables) + len(torchs))
        rest = [container for container in filled if type(container) in _SEQUENCES]
        self.others = [(container, container.copy()) for container in rest]
        contents = chain.from_iterable([*_each(dicts), *(copy for _, copy in self.others)])
        inside = [value for value in contents if type(value) not in _PLAIN]
        tuples = _not_plain([container for container in filled if type(container) is tuple])
        odd = [value for value in values if type(value) in strange] if strange else []
        self._walk([value for value in (*tuples, *odd, *inside) if _may_hold(value)])

    def restore(self) -> None:
        """Put back everything that differs; nearly always that is nothing, and a comparison is enough."""
        put_back(self._classes_back, self._tables_back, *self._undo)

    @property
    def has_same_parts(self) -> bool:
        """Whether all modules still have the same submodules, parameters and buffers; if in doubt, False."""
        return not any(self.empty) and _are_the_same(self.tables[self._torchs], self.copies[self._torchs])

    def table_before(self, table: dict[Any, Any]) -> dict[Any, Any]:
        """What a table held before the count."""
        return next((copy for other, copy in zip(self.tables, self.copies, strict=True) if other is table), {})

    def _classes_back(self) -> None:
        if list(map(type, self.modules)) != self.kinds:
            for module, kind in zip(self.modules, self.kinds, strict=True):
                if type(module) is not kind:  # a lazy module that became a plain one
                    module.__class__ = kind

    def _tables_back(self) -> None:
        tables = [module.__dict__ for module in self.modules] + self.tables[len(self.modules) :]
        if not _are_the_same(tables, self.copies):
            for table, copy in zip(tables, self.copies, strict=True):
                _restore(table, copy)
        if any(self.empty):
            for container in filter(None, self.empty):
                container.clear()
        for container, copy in self.others:
            _restore(container, copy)

    def _walk(self, todo: list[Any]) -> None:
        """Keep every object that is reachable from these, each once."""
        seen = {*map(id, self.modules), *map(id, self._owned)} if todo else set()
        alive: list[Any] = []  # so that no id is reused
        for value in todo:  # the loop appends to it
            if id(value) in seen or len(alive) > _MOST:
                continue
            seen.add(id(value))
            alive.append(value)
            if isinstance(value, torch.Tensor):
                self.tensors.append(value)
            else:
                todo.extend(item for item in self._keep(value) if _may_hold(item))

    def _keep(self, value: Any) -> Iterable[Any]:
        """Note how to restore one object, and return the objects that it holds."""
        if isinstance(value, tuple):
            return value
        if isinstance(value, (FunctionType, MethodType, partial)):
            return self._keep_function(value)
        if isinstance(value, ScriptModule):
            return self._keep_scripted(value)
        if isinstance(value, _CONTAINERS):
            return self._keep_container(value)
        if _keep_state(value, self._undo):
            return value.tolist() if str(getattr(value, "dtype", "")) == "object" else ()
        self.has_optimizer |= isinstance(value, torch.optim.Optimizer)
        inside: list[Any] = []
        table = getattr(value, "__dict__", None)
        if isinstance(table, dict):
            self.tables.append(table)
            self.copies.append(table.copy())
            inside += table.values()
        for name in slots_of(type(value)):
            try:
                item = getattr(value, name)
            except AttributeError:
                continue
            inside.append(item)
            self._undo.append(_slot_back(value, name, item))
        return inside

    def _keep_function(self, value: Any) -> Iterable[Any]:
        """Keep the variables of a closure, and the objects of a function, such as a list that a hook writes to."""
        if isinstance(value, MethodType):
            return (value.__self__, value.__func__)
        if isinstance(value, partial):
            return (value.func, *value.args, *value.keywords.values())
        inside = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
        for cell in value.__closure__ or ():
            try:
                inside.append(cell.cell_contents)
            except ValueError:  # not set yet
                continue
            self._undo.append(partial(setattr, cell, "cell_contents", cell.cell_contents))
        return inside

    def _keep_scripted(self, value: Any) -> Iterable[Any]:
        """Keep the attributes of a TorchScript module, which live in C++; each read of a container copies it."""
        inside = [(name, value.getattr(name)) for name in scripted_attributes(value)]
        self._undo.append(partial(_scripted_back, value, inside))
        return [item for _, item in inside]

    def _keep_container(self, value: Any) -> Iterable[Any]:
        if isinstance(value, dict):
            self.tables.append(value)
            self.copies.append(dict(dict.items(value)))
            return (*value.keys(), *value.values())
        copy = value[:] if isinstance(value, (list, bytearray, array)) else list(value)
        self.others.append((value, copy))
        return () if isinstance(value, (bytearray, array)) else copy


def _may_hold(value: Any) -> bool:
    """Whether an object, or one that it holds, may be written to."""
    kind = type(value)
    if kind in _PLAIN:
        return False
    if kind is tuple:
        return not _is_plain(value)
    if kind is FunctionType:
        return bool(value.__closure__ or value.__defaults__ or value.__kwdefaults__)
    if isinstance(value, (type, Enum)) or _is_beside(kind):
        return False
    return kind in _TENSORS or not callable(value) or isinstance(value, nn.Module) or hasattr(value, "__dict__")


def _is_beside(kind: type) -> bool:
    """Whether objects of a class belong to other threads, or to flopcount."""
    return kind.__module__.partition(".")[0] in _BESIDE


def _not_plain(tuples: list[Any]) -> list[Any]:
    """The tuples that are not yet known to hold only numbers and names."""
    try:
        return list({*tuples} - _plain_tuples)
    except TypeError:  # something in one of them can be written to
        return tuples


def _is_plain(value: tuple[Any, ...]) -> bool:
    """Whether a tuple holds only numbers and names."""
    try:
        if value in _plain_tuples:
            return True
    except TypeError:  # something in it can be written to
        return False
    plain = {*map(type, value)} <= _PLAIN
    if plain and len(_plain_tuples) < _MOST:
        _plain_tuples.add(value)
    return plain


def _keep_state(value: Any, undo: list[Callable[[], object]]) -> bool:
    """Keep the state of a random generator or NumPy array, which is not in attributes; False for other objects."""
    numpy = sys.modules.get("numpy")
    if isinstance(value, torch.Generator):
        state = value.get_state()
        undo.append(lambda: value.set_state(state))
    elif isinstance(value, random.SystemRandom):  # draws from the operating system, and has no state
        return True
    elif isinstance(value, random.Random):
        drawn = value.getstate()
        undo.append(lambda: value.setstate(drawn))
    elif numpy is not None and isinstance(value, numpy.ndarray):
        undo.append(partial(_array_back, value, value.copy(), value.strides, value.flags.writeable))
    elif numpy is not None and isinstance(value, numpy.random.RandomState):
        undo.append(partial(value.set_state, value.get_state(legacy=False)))
    elif numpy is not None and isinstance(value, (numpy.random.Generator, numpy.random.BitGenerator)):
        bits = getattr(value, "bit_generator", value)
        undo.append(partial(setattr, bits, "state", bits.state))
        _keep_state(getattr(bits, "seed_seq", None), undo)  # it counts the generators spawned from this one
    elif numpy is not None and isinstance(value, numpy.random.SeedSequence):
        undo.append(partial(value.__setstate__, value.__reduce__()[2]))
    else:
        return False
    return True


def _scripted_back(scripted: Any, attributes: list[tuple[str, Any]]) -> None:
    for name, item in attributes:
        now = scripted.getattr(name)
        if now is not item and (type(now) not in _PLAIN or now != item):
            scripted.setattr(name, item)


def _array_back(array: Any, before: Any, strides: tuple[int, ...], was_writable: bool) -> None:
    """Restore the numbers of a NumPy array, and its shape, strides and dtype, which can be set in place."""
    if (array.dtype, array.shape, array.flags.writeable) != (before.dtype, before.shape, was_writable):
        if array.dtype != before.dtype:
            array.dtype = before.dtype
        if array.size != before.size:
            array.resize(before.shape, refcheck=False)
        array.shape = before.shape
        array.flags.writeable = True
    if array.strides != strides:
        array.strides = strides
    if array.flags.writeable:
        array[...] = before
    array.flags.writeable = was_writable


def _slot_back(owner: Any, name: str, value: Any) -> Callable[[], object]:
    def back() -> None:
        if getattr(owner, name, None) is not value:
            object.__setattr__(owner, name, value)

    return back


def _parted(tables: list[dict[str, Any]]) -> tuple[list[Any], list[Any], list[Any]]:
    """The attributes of all modules: torch's tables with contents, empty initial attributes, and all others.

    Nearly every module begins with the same attributes; they are two thirds of all, and nearly all are empty.
    """
    first: list[Any] = []
    others: list[Any] = []
    torchs: list[Any] = []
    for table in tables:
        if [*table][:_SIZE] == _FIRST:
            values = [*table.values()]
            first += values[:_SIZE]
            others += values[_SIZE:]
        else:
            for name, value in table.items():
                (torchs if name in _TORCHS and value else others).append(value)
    for place in _TABLES:
        torchs += filter(None, first[place::_SIZE])
    tables_of_torch = [value for value in torchs if type(value) in _EXACT]
    ids = {*map(id, tables_of_torch)}
    others += [value for value in filter(None, chain(first, torchs)) if id(value) not in ids]
    return tables_of_torch, [*filterfalse(None, first)], others


def _each(tables: list[dict[Any, Any]]) -> list[ValuesView[Any]]:
    return [table.values() for table in tables]


def _values(tables: list[dict[Any, Any]]) -> Iterator[Any]:
    return chain.from_iterable(_each(tables))


def _are_the_same(tables: list[dict[Any, Any]], copies: list[dict[Any, Any]]) -> bool:
    """Whether the tables have the same objects under the same names in the same order."""
    return (
        list(map(len, tables)) == list(map(len, copies))
        and all(map(is_, _values(tables), _values(copies)))
        and list(chain.from_iterable(tables)) == list(chain.from_iterable(copies))
    )


def _restore(container: Any, copy: Any) -> None:
    """Restore a container's objects in their order, with the methods of its base class, not a subclass's own."""
    if isinstance(container, dict):
        same = len(container) == len(copy) and all(map(is_, dict.keys(container), copy))
        if not same or not all(map(is_, dict.values(container), copy.values())):
            base = OrderedDict if isinstance(container, OrderedDict) else dict
            base.clear(container)
            for key, value in copy.items():
                base.__setitem__(container, key, value)
    elif isinstance(container, (bytearray, array)):
        if container != copy:
            container[:] = copy
    elif len(container) != len(copy) or not all(map(is_, container, copy)):
        if isinstance(container, set):
            set.clear(container)
            set.update(container, copy)
        else:
            kind: Any = list if isinstance(container, list) else deque
            kind.clear(container)
            kind.extend(container, copy)
