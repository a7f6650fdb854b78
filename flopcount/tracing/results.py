"""The result of a forward pass: its lazy parts are consumed, since only their consumer causes their work.

What enters is the result, of any type; what leaves is everything that its generators, maps and futures yield. Results
that cannot be consumed to the end (a coroutine, a function that does the work when called, an endless stream) are
refused.
"""

from __future__ import annotations

import inspect
import io
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cached_property, partial
from itertools import count, islice, repeat
from types import FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import nn

from ..core.errors import FlopcountError, InputError
from .slots import slots_of
from .uncountable import Uncountable, Unknown

__all__ = ["MOST_ITEMS", "contents_of", "drain", "leaves_of"]

MOST_ITEMS = 10_000
_MOST_SIZED = 1_000_000  # for a result with a length, such as an array of numbers
"""The most items that a lazy result may yield; a minute of video has fewer frames."""

_DEPTH = 100  # objects within objects
_PLAIN = frozenset((type(None), bool, int, float, complex, str, bytes, torch.Tensor, nn.Parameter, torch.Size, range))
_OPEN: tuple[Any, ...] = (list, tuple, set, frozenset, deque)
_WITHOUT_WORK = (io.IOBase, count, type, ModuleType, nn.Module, memoryview, bytearray)
_FIX = "return what it yields, such as a list of tensors, while it is counted: the amount of work does not change"


def drain(result: Any, model: str, done: Callable[[], int] | None = None) -> list[Any]:
    """Consume everything that is lazy in a result, to its end.

    Arguments:
        result: tensors, containers, dataclasses and other objects, generators and other iterators among them.
        model: the name of the model that returned it, for errors.
        done: returns the number of recorded operations; without it, a part that yields tensors counts as work.

    Raises:
        InputError: a part has no end, or does its work only when it is awaited or called.
    """
    if type(result) is torch.Tensor:
        return []
    return _Drain(model, done).all_of(result)


class _Drain:
    def __init__(self, model: str, done: Callable[[], int] | None) -> None:
        self.model = model
        self.taken: list[Any] = []
        self.tensors = 0  # number of consumed tensors
        self.done = done or (lambda: self.tensors)
        self.asks = False  # whether the value of a property is being visited
        self.seen: set[int] = set()
        self.alive: list[Any] = []  # so that no id is reused

    def all_of(self, value: Any) -> list[Any]:
        self._visit(value, 0)
        return self.taken

    def _visit(self, value: Any, depth: int, *, again: bool = True) -> None:
        """Consume what is lazy in a value; without `again` only one-time iterators, as the rest has been consumed."""
        if type(value) is repeat:
            value = next(value, None)
        if type(value) in _PLAIN or isinstance(value, (torch.Tensor, *_WITHOUT_WORK)) or depth > _DEPTH:
            return
        if id(value) in self.seen:
            return
        self.seen.add(id(value))
        self.alive.append(value)
        self._refuse_endless(value)
        if isinstance(value, (Future, torch.futures.Future)):
            if isinstance(value, torch.futures.Future) and not value.done():
                self._refuse(value, "it waits for an answer from elsewhere")
            self._take([value.result() if isinstance(value, Future) else value.wait()], depth)
        elif hasattr(type(value), "__next__"):
            self._take(self._items(value, value), depth)
        else:
            before = self.done()
            if again:
                self._try(value, depth)
            again = again and self.done() == before  # if it did work, it computes its items from its contents
            self._each(contents_of(value), depth, again=again)
        self._each(_attributes(value), depth, again=again)
        if again and not self.asks and _holds_modules(value):
            self._ask(value, depth)

    def _try(self, value: Any, depth: int) -> None:
        """Iterate over a value that has an iterator, although its author may not intend that."""
        with _unmeant():
            way = _way_through(value)
            if way is not None:
                self._take(self._items(way(), value), depth)

    def _ask(self, value: Any, depth: int) -> None:
        """Read the properties of a value, which may compute, but not those of their results."""
        self.asks = True
        for name in _computed(type(value)):
            with _unmeant():
                self._take([getattr(value, name)], depth)
        self.asks = False

    def _each(self, values: Iterable[Any], depth: int, *, again: bool = True) -> None:
        for value in list(values):
            self._visit(value, depth + 1, again=again)

    def _take(self, values: Iterable[Any], depth: int) -> None:
        for value in values:
            self.taken.append(value)
            self.tensors += isinstance(value, torch.Tensor)
            self._visit(value, depth + 1)

    def _items(self, values: Iterable[Any], source: Any) -> Iterator[Any]:
        sized = hasattr(type(source), "__len__")
        length = len(source) if sized and not hasattr(type(source), "__iter__") else None
        most = _MOST_SIZED if sized else MOST_ITEMS
        for number, item in enumerate(islice(iter(values), length)):
            if number >= most:
                getattr(source, "close", lambda: None)()
                self._refuse(source, f"it did not end within {most:,} items")
            yield item

    def _refuse_endless(self, value: Any) -> None:
        if inspect.isawaitable(value) and not isinstance(value, (Future, torch.futures.Future)):
            getattr(value, "close", lambda: None)()
            self._refuse(value, "its work happens only when it is awaited")
        if hasattr(type(value), "__aiter__"):
            self._refuse(value, "its work happens only when it is awaited")
        if callable(value) and not isinstance(value, (type, nn.Module)) and _holds_work(value):
            self._refuse(value, "its work happens only when it is called")

    def _refuse(self, value: Any, why: str) -> None:
        name = type(value).__name__
        raise InputError(f"{self.model} returns something lazy, of type {name}: {why}", [("fix", _FIX)])


@contextmanager
def _unmeant() -> Iterator[None]:
    """Ignore what a user's code raises here, since the caller may never run it."""
    try:
        yield
    except (FlopcountError, Uncountable, Unknown):
        raise
    except Exception:
        return


def _way_through(value: Any) -> Callable[[], Iterable[Any]] | None:
    """The way to iterate over a value, unless it is a plain container, which has all its items."""
    kind, held = type(value), value
    if kind.__module__ == "numpy" or isinstance(value, (str, bytes)):
        return None
    if not isinstance(value, (Mapping, *_OPEN)):
        return partial(iter, value) if hasattr(kind, "__iter__") or hasattr(kind, "__getitem__") else None
    own = [
        name for name in ("values", "items", "__iter__", "__getitem__") if not _is_pythons(getattr(kind, name, None))
    ]
    if not own:
        return None
    if own[0] != "__getitem__" and not (own[0] == "__iter__" and "__getitem__" in own and isinstance(value, Mapping)):
        return getattr(value, own[0])  # type: ignore[no-any-return]
    places: Iterable[Any] = [*value] if isinstance(value, Mapping) else range(len(held))
    return partial(map, held.__getitem__, places)


def _is_pythons(method: Any) -> bool:
    """Whether a method of a container belongs to one of Python's own classes."""
    home = getattr(method, "__objclass__", None)
    module = getattr(method, "__module__", None) or getattr(home, "__module__", "builtins")
    return module in _PYTHONS


_PYTHONS = ("builtins", "collections", "collections.abc", "_collections_abc", "types")


def contents_of(value: Any) -> Iterable[Any]:
    """The contents of a container, keys included, by the methods of Python's own classes, not of a subclass."""
    if isinstance(value, dict):
        return (*dict.keys(value), *dict.values(value))
    for kind in _OPEN:
        if isinstance(value, kind):
            items: Iterable[Any] = kind.__iter__(value)
            return items
    if isinstance(value, Mapping) and _is_pythons(type(value).__getitem__):
        return value.values()
    if type(value).__module__ == "numpy" and str(getattr(value, "dtype", "")) == "object":
        return value.ravel().tolist()  # type: ignore[no-any-return]
    return ()


def _holds_modules(value: Any) -> bool:
    """Whether an object has modules among its attributes, and so may compute with them."""
    held = _attributes(value)
    return any(isinstance(item, nn.Module) for item in held)


def _computed(kind: type) -> list[str]:
    """The names of a class's properties."""
    names: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.partition(".")[0] not in (*sys.stdlib_module_names, "torch", "numpy"):
            names |= vars(base)
    return [name for name, member in names.items() if isinstance(member, (property, cached_property))]


def _attributes(value: Any) -> Iterable[Any]:
    """The values of an object's attributes; functions have none here."""
    if isinstance(value, (FunctionType, MethodType, partial)):
        return ()
    table = getattr(value, "__dict__", None)
    slots = [getattr(value, name, None) for name in slots_of(type(value))]
    return (*table.values(), *slots) if isinstance(table, dict) else slots


_WITHIN = 4  # levels of functions and containers within a function


def _holds_work(function: Any, depth: int = _WITHIN) -> bool:
    """Whether a returned function holds tensors or modules, and so may compute with them when it is called."""
    if isinstance(function, MethodType):
        held: Iterable[Any] = (function.__self__,)
    elif isinstance(function, partial):
        held = (function.func, *function.args, *function.keywords.values())
    elif isinstance(function, FunctionType):
        cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
        held = (*cells, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
    else:
        held = _attributes(function)
    return any(_is_work(value, depth - 1) for value in held)


def _is_work(value: Any, depth: int) -> bool:
    if isinstance(value, (torch.Tensor, nn.Module)):
        return True
    if depth <= 0 or isinstance(value, type):
        return False
    if isinstance(value, (list, tuple, dict)):
        return any(_is_work(item, depth - 1) for item in (value.values() if isinstance(value, dict) else value))
    return _holds_work(value, depth)


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def leaves_of(value: Any, depth: int = _DEPTH) -> Iterator[Any]:
    """Every tensor and every NumPy array in a result."""
    kind = type(value)
    if isinstance(value, torch.Tensor) or (kind.__module__ == "numpy" and hasattr(value, "shape")):
        yield value
    elif kind not in _PLAIN and depth and not isinstance(value, _WITHOUT_WORK):
        for item in (*contents_of(value), *_attributes(value)):
            yield from leaves_of(item, depth - 1)
