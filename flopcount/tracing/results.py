"""What a forward pass returns: the lazy parts of it are taken, since their work is done by whoever takes them.

What enters is the result, whatever it is; what leaves is all that its generators, maps and futures gave. What cannot be
taken to its end (a coroutine, a function that waits to be called, a stream without end) is refused.
"""

from __future__ import annotations

import inspect
import io
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from functools import partial
from itertools import count, islice, repeat
from types import FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import nn

from ..core.errors import FlopcountError, InputError
from .slots import slots_of
from .uncountable import Uncountable, Unknown

__all__ = ["MOST_ITEMS", "drain", "leaves_of"]

MOST_ITEMS = 10_000
"""Items that a lazy result may give; a minute of video has fewer frames."""

_DEPTH = 100  # objects within objects
_PLAIN = frozenset((type(None), bool, int, float, complex, str, bytes, torch.Tensor, nn.Parameter, torch.Size, range))
_OPEN = (list, tuple, set, frozenset, deque)
_WITHOUT_WORK = (io.IOBase, count, repeat, type, ModuleType, nn.Module, memoryview, bytearray)
_FIX = "return what it gives, a list of tensors for one, while it is counted: the amount of work does not change"


def drain(result: Any, model: str) -> list[Any]:
    """Take everything that is lazy in a result, to its end.

    Arguments:
        result: tensors, containers, dataclasses and other objects, generators and other iterators among them.
        model: what returned it, for errors.

    Raises:
        InputError: it has no end, or needs a caller who awaits it or calls it.
    """
    if type(result) is torch.Tensor:
        return []
    return _Drain(model).all_of(result)


class _Drain:
    def __init__(self, model: str) -> None:
        self.model = model
        self.taken: list[Any] = []
        self.seen: set[int] = set()
        self.alive: list[Any] = []  # so that no id is used again

    def all_of(self, value: Any) -> list[Any]:
        self._visit(value, 0)
        return self.taken

    def _visit(self, value: Any, depth: int) -> None:
        if type(value) in _PLAIN or isinstance(value, (torch.Tensor, *_WITHOUT_WORK)) or depth > _DEPTH:
            return
        if id(value) in self.seen:
            return
        self.seen.add(id(value))
        self.alive.append(value)
        self._refuse_endless(value)
        if isinstance(value, (Future, torch.futures.Future)):
            self._take([value.result() if isinstance(value, Future) else value.wait()], depth)
        elif isinstance(value, Mapping):
            self._each(value.values() if isinstance(value, dict) else self._items(value.values(), value), depth)
        elif isinstance(value, _OPEN):
            self._each(value, depth)
        elif hasattr(type(value), "__next__"):
            self._take(self._items(value, value), depth)
        elif _is_lazy(value):
            self._try(value, depth)
        self._each(_attributes(value), depth)

    def _try(self, value: Any, depth: int) -> None:
        """What can be gone through, but perhaps is not meant to be: nobody may ever do so."""
        try:
            self._take(self._items(value, value), depth)
        except (FlopcountError, Uncountable, Unknown):
            raise
        except Exception:
            return

    def _each(self, values: Iterable[Any], depth: int) -> None:
        for value in list(values):
            self._visit(value, depth + 1)

    def _take(self, values: Iterable[Any], depth: int) -> None:
        for value in values:
            self.taken.append(value)
            self._visit(value, depth + 1)

    def _items(self, values: Iterable[Any], source: Any) -> Iterator[Any]:
        sized = hasattr(type(source), "__len__")
        length = len(source) if sized and not hasattr(type(source), "__iter__") else None
        for number, item in enumerate(islice(iter(values), length)):
            if number >= MOST_ITEMS and not sized:
                getattr(source, "close", lambda: None)()
                self._refuse(source, f"it did not end within {MOST_ITEMS:,} items")
            yield item

    def _refuse_endless(self, value: Any) -> None:
        if inspect.isawaitable(value) and not isinstance(value, (Future, torch.futures.Future)):
            getattr(value, "close", lambda: None)()
            self._refuse(value, "its work is done when somebody awaits it")
        if hasattr(type(value), "__aiter__"):
            self._refuse(value, "its work is done when somebody awaits it")
        if callable(value) and not isinstance(value, (type, nn.Module)) and _holds_work(value):
            self._refuse(value, "its work is done when somebody calls it")

    def _refuse(self, value: Any, why: str) -> None:
        name = type(value).__name__
        raise InputError(f"{self.model} returns something lazy, a {name}: {why}", [("fix", _FIX)])


def _is_lazy(value: Any) -> bool:
    """Whether a value gives items one by one, and is none of the containers that have them all."""
    kind = type(value)
    if kind.__module__ == "numpy" or isinstance(value, (str, bytes)):
        return False
    return hasattr(kind, "__iter__") or (hasattr(kind, "__getitem__") and hasattr(kind, "__len__"))


def _attributes(value: Any) -> Iterable[Any]:
    """What an object of some class holds; functions and containers hold nothing else."""
    if isinstance(value, (FunctionType, MethodType, partial)):
        return ()
    table = getattr(value, "__dict__", None)
    slots = [getattr(value, name, None) for name in slots_of(type(value))]
    return (*table.values(), *slots) if isinstance(table, dict) else slots


_WITHIN = 4  # functions and containers in what a function holds


def _holds_work(function: Any, depth: int = _WITHIN) -> bool:
    """Whether what is returned to be called holds tensors or modules, and so waits to compute with them."""
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
    """Every tensor and every array of NumPy's in a result."""
    kind = type(value)
    if isinstance(value, torch.Tensor) or (kind.__module__ == "numpy" and hasattr(value, "shape")):
        yield value
    elif kind not in _PLAIN and depth and not isinstance(value, _WITHOUT_WORK):
        inside: Iterable[Any] = ()
        if isinstance(value, Mapping):
            inside = value.values()
        elif isinstance(value, _OPEN):
            inside = value
        for item in (*inside, *_attributes(value)):
            yield from leaves_of(item, depth - 1)
