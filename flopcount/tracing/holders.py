"""Tensors wherever a caller keeps them: in containers, records, mappings and objects of any class.

What enters are arguments; what leaves are the tensors in them, or copies of the arguments with other tensors in their
places. A copy has the class of its original, the same object twice is one copy twice, and the original never changes.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import BuiltinFunctionType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

import torch
from torch import nn

from ..core.errors import InputError
from ..core.ops import TensorSpec
from .literal import Literal
from .results import contents_of
from .slots import slots_of

__all__ = ["substituted", "tensors_within"]

_MOST = 100_000  # objects to look through within one argument
_PLAIN = frozenset(
    (type(None), bool, int, float, complex, str, bytes, range, slice, torch.Size, torch.dtype, torch.device)
)
_FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodType, partial)
_LEFT = (nn.Module, torch.Generator, type, *_FUNCTIONS, ModuleType, io.IOBase)
"""What the module gets itself: a count does not change it, or copying it would copy more than an argument."""


def tensors_within(*values: Any) -> list[Any]:
    """Every tensor and TensorSpec, in order; in an object each once."""
    tensors: list[Any] = []
    for value in values:
        kind = type(value)
        if isinstance(value, (torch.Tensor, TensorSpec)):
            tensors.append(value)
        elif kind is tuple or kind is list:
            tensors += tensors_within(*value)
        elif kind is dict:
            tensors += tensors_within(*value.values())
        elif kind not in _PLAIN:
            tensors += [item for item in _held(value) if isinstance(item, (torch.Tensor, TensorSpec))]
    return tensors


def substituted(function: Callable[[Any], Any], value: Any) -> Any:
    """A copy of nested arguments in which the result of `function` replaces every tensor and TensorSpec.

    It is called once for each tensor; a tensor that it makes keeps the class, the attributes and the `requires_grad` of
    the one that it replaces. A Literal is replaced by a copy of what it holds. What cannot be copied stays as it is.
    """
    return _Substitution(function).of(value)


class _Substitution:
    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function
        self.made: dict[int, Any] = {}  # by identity of the originals, which stay alive meanwhile

    def of(self, value: Any) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if isinstance(value, TensorSpec):
            return self.function(value)
        if id(value) in self.made:
            return self.made[id(value)]
        if isinstance(value, torch.Tensor):
            return self._tensor(value)
        if kind is tuple:
            return tuple([self.of(item) for item in value])
        if kind is list:
            items = self.made[id(value)] = []
            items.extend([self.of(item) for item in value])
            return items
        if kind is dict:
            table = self.made[id(value)] = {}
            table.update({key: self.of(item) for key, item in value.items()})
            return table
        if kind is MappingProxyType:
            return MappingProxyType(self.of({**value}))
        if kind is Literal:
            return _copied(value.value, {id(t): t.detach().clone() for t in _tensors(tensors_within(value.value))})
        return self._object(value)

    def _tensor(self, value: torch.Tensor) -> Any:
        made = self.function(value)
        if isinstance(made, torch.Tensor) and made is not value:
            made = _of_class(made, type(value))
            self.made[id(value)] = made
            for name, attribute in vars(value).items():
                made.__dict__.setdefault(name, self.of(attribute))
            if value.requires_grad and not made.requires_grad:
                made.requires_grad_()
        self.made[id(value)] = made
        return made

    def _object(self, value: Any) -> Any:
        if isinstance(value, _LEFT):
            return value
        made = dict(self.made)
        for item in _held(value):
            if id(item) not in made:
                made[id(item)] = item if isinstance(item, _LEFT) else self.of(item)
        copied = _copied(value, made)
        self.made = made
        copied = copied if copied is not value else self._by_attributes(value)
        if copied is value and hasattr(type(value), "__next__"):
            fix = "give a list: each attempt to count needs all of them"
            raise InputError(f"an argument is a {type(value).__name__}, which can be read only once", [("fix", fix)])
        return copied

    def _by_attributes(self, value: Any) -> Any:
        """A shallow copy with its attributes substituted one by one, for an object that has one which has no copy."""
        try:
            copied = copy.copy(value)
        except Exception:
            return value
        if copied is not value:
            self.made[id(value)] = copied
            for name, attribute in _attributes(value):
                object.__setattr__(copied, name, self.of(attribute))
        return copied


def _copied(value: Any, made: dict[int, Any]) -> Any:
    """A deep copy that has the objects of `made` in their places; the value itself if it cannot be copied."""
    try:
        return copy.deepcopy(value, made)
    except Exception:
        return value


def _of_class(tensor: torch.Tensor, kind: Any) -> Any:
    """A tensor as one of a caller's own class, unless the engine's tensors have a class themselves."""
    if kind in (torch.Tensor, nn.Parameter) or type(tensor) is not torch.Tensor:
        return tensor
    runs_itself = kind.__torch_dispatch__ is not torch.Tensor.__torch_dispatch__  # such as a fake tensor
    return tensor if runs_itself else tensor.as_subclass(kind)


def _tensors(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    return (value for value in values if isinstance(value, torch.Tensor))


def _held(value: Any) -> Iterator[Any]:
    """Each tensor, TensorSpec and thing that is not copied within an object, once."""
    seen: set[int] = set()
    waiting = [value]
    while waiting and len(seen) < _MOST:
        item = waiting.pop()
        if type(item) in _PLAIN or id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, (torch.Tensor, TensorSpec, *_LEFT)):
            yield item
        else:
            within = [*contents_of(item), *(attribute for _, attribute in _attributes(item))]
            waiting.extend(reversed(within))


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """The attributes of an object that have values, in its table and in its slots."""
    table = getattr(value, "__dict__", None)
    if isinstance(table, dict):
        yield from [*table.items()]
    for name in slots_of(type(value)):
        try:
            yield name, getattr(value, name)
        except AttributeError:
            continue
