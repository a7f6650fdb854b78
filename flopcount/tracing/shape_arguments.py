"""Whole numbers among arguments: which are a shape, which stay numbers, and which may be either."""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Mapping, MutableMapping
from enum import Enum
from math import prod
from numbers import Integral, Number, Real
from types import BuiltinFunctionType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

import torch
from torch import nn

from ..core.errors import InputError, UnknownNameError
from ..core.ops import TensorSpec
from .holders import tensors_within
from .literal import Literal

__all__ = ["Reader", "is_shape", "refuse_fractions", "refuse_meaningless", "spec_of_shape", "with_specs"]

_ADDRESSABLE = 2**63 - 1  # bytes
_MOST_AXES = 64  # of a torch tensor
_LONGEST = 40  # characters of a value in a note
_DTYPES = tuple(
    name
    for name, value in vars(torch).items()
    if isinstance(value, torch.dtype) and str(value) == f"torch.{name}" and value.itemsize
)
_WHOLE = {int}  # what nearly all shapes consist of
_FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodType)
_NOTHING = (type(None), type, ModuleType, nn.Module, torch.dtype, torch.device, *_FUNCTIONS)
_TEXT = (Number, str, bytes, type(None))
_MEANINGLESS = (Number, str, bytes, bytearray, Enum, range, slice, *_NOTHING)


class Reader:
    """Reads the arguments of one call; shapes get the dtype of the module."""

    def __init__(self, module: nn.Module, values: dict[str, Any]) -> None:
        """`values` are all arguments by place: a tensor among them makes whole numbers beside it ambiguous."""
        self.dtype = _dtype_of(module)
        self.beside_tensor = _has_data(values)
        self.found: list[str] = []  # whole numbers that the last reading took for shapes, with their places
        self.in_records = False  # whether records within arguments hold shapes: if nothing else is a tensor
        if not self.beside_tensor:
            readings = [self._read(value, place, True) for place, value in values.items()]
            self.in_records = not tensors_within(readings)

    def shapes(self, value: Any, place: str) -> Any:
        """One argument in which all whole numbers are shapes."""
        return self._read(value, place, True)

    def choices(self, value: Any, place: str) -> list[tuple[Any, str]]:
        """The ways to read one argument, the likeliest first, each with what it assumes in words.

        Raises:
            InputError: no tensor has that shape or dtype.
        """
        if inspect.isgenerator(value):
            fix = "give a list: each attempt to count needs all of them"
            raise InputError(f"{place} is a generator, which can be read only once", [("fix", fix)])
        numbers = self._read(value, place, False)
        for spec in tensors_within(numbers):
            if isinstance(spec, TensorSpec):
                possible(spec, place)
        self.found = []
        shapes = self._read(value, place, True)
        if not self.found:
            return [(numbers, "")]
        one, *others = self.found
        subject = f"{one}, and the like are" if others else f"{one}, is"
        if self.beside_tensor:
            return [
                (numbers, f"{subject} taken for numbers, not for a shape"),
                (shapes, f"{subject} taken for a shape, since the module raises on numbers there"),
            ]
        likely = shapes, ""
        unlikely = numbers, f"{subject} taken for numbers, since the module raises on a tensor there"
        return [likely, unlikely] if isinstance(value, Mapping) or self.in_records else [likely]

    def _read(self, value: Any, place: str, shapes: bool, inside: bool = False) -> Any:
        """The argument with a TensorSpec for every shape, or the same object if there is none.

        `inside`: it is an element of an argument, where a mapping is metadata, whose numbers stay numbers.
        """
        if isinstance(value, TensorSpec):
            return possible(value, place)
        if shapes and is_shape(value):
            spec = TensorSpec(tuple(map(int, value)), self.dtype)
            if self.beside_tensor and not _is_possible(spec):
                return value
            self.found.append(f"{place}, {_shown(value)}")
            return possible(spec, place)
        if isinstance(value, (tuple, list)):
            items = [self._read(item, f"{place}[{i}]", shapes, True) for i, item in enumerate(value)]
            return value if all(a is b for a, b in zip(items, value, strict=True)) else _with_items(value, items)
        if isinstance(value, Mapping):
            shapes = shapes and (self.in_records or not inside)
            table = {key: self._read(item, f"{place}[{key!r}]", shapes, True) for key, item in value.items()}
            return value if all(table[key] is item for key, item in value.items()) else _with_values(value, table)
        if self.in_records and dataclasses.is_dataclass(value) and not isinstance(value, type):
            values = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
            table = {name: self._read(item, f"{place}.{name}", shapes, True) for name, item in values.items()}
            changed = {name: item for name, item in table.items() if item is not values[name]}
            return _with_fields(value, changed) if changed else value
        return value


def _with_fields(value: Any, fields: dict[str, Any]) -> Any:
    """A record of the same class with other fields; its class sees no new one made."""
    copied = copy.copy(value)
    for name, item in fields.items():
        object.__setattr__(copied, name, item)
    return copied


def _with_items(value: Any, items: list[Any]) -> Any:
    """A sequence of the same class with other items."""
    if hasattr(value, "_make"):
        return value._make(items)
    try:
        return type(value)(items)
    except Exception:
        return value


def _with_values(value: Mapping[Any, Any], table: dict[Any, Any]) -> Any:
    """A mapping of the same class with other values."""
    if type(value) is dict:
        return table
    if isinstance(value, MappingProxyType):
        return MappingProxyType(table)
    try:
        copied: Any = copy.copy(value)
    except Exception:
        return value
    if isinstance(copied, MutableMapping):
        for key, item in table.items():
            if item is not copied[key]:
                copied[key] = item
    return copied


def _dtype_of(module: nn.Module) -> str:
    """The floating-point dtype of a module, or torch's default."""
    floating = (p.dtype for p in module.parameters() if p.is_floating_point() or p.is_complex())
    return str(next(floating, torch.get_default_dtype()))


def spec_of_shape(shape: tuple[Any, ...], module: nn.Module) -> TensorSpec:
    """The spec of an input that is one shape.

    Raises:
        InputError: no tensor has that shape.
    """
    return possible(TensorSpec(tuple(map(int, shape)), _dtype_of(module)), "input")


def with_specs(arguments: Any, module: nn.Module) -> Any:
    """Keyword arguments with a TensorSpec for every shape, where their maker means no numbers, beside tensors too."""
    if not isinstance(arguments, dict) or not _has_data(arguments):
        return arguments
    reader = Reader(module, {})
    return {name: reader.shapes(value, name) for name, value in arguments.items()}


def is_shape(value: Any) -> bool:
    """Whether a value is a shape, of whole numbers only; an empty tuple means no arguments, not a scalar."""
    if not isinstance(value, (tuple, list)) or not value:
        return False
    return {*map(type, value)} == _WHOLE or all(
        isinstance(size, Integral) and not isinstance(size, bool) for size in value
    )


def _has_data(value: Any) -> bool:
    """Whether an argument has tensors, or arrays of numbers; a Literal says what it is."""
    if isinstance(value, Literal):
        return False
    if isinstance(value, (tuple, list)):
        return any(map(_has_data, value))
    if isinstance(value, Mapping):
        return any(map(_has_data, value.values()))
    if any(isinstance(tensor, torch.Tensor) for tensor in tensors_within(value)):
        return True
    return type(value).__module__ == "numpy" and getattr(value, "ndim", 0) > 0


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def refuse_meaningless(value: Any) -> None:
    """Raise for a whole input that is neither a tensor nor a shape, and that no module takes alone.

    Raises:
        InputError: it is a number, a text, a type, a function or a module.
    """
    if isinstance(value, _MEANINGLESS):
        text = _shown(value) if isinstance(value, _TEXT) else f"a {type(value).__name__}"
        raise InputError(
            f"input is {text}, not a tensor or a shape",
            [("fix", "write a shape with its batch: (1, 3, 16, 112, 112)")],
        )


def refuse_fractions(values: tuple[Any, ...]) -> None:
    """Raise for a shape with a size that is no whole number, which would be a tuple of numbers as arguments.

    Raises:
        InputError: all are numbers, and some are no whole ones.
    """
    if values and all(isinstance(size, Real) and not isinstance(size, bool) for size in values):
        raise InputError(f"input has a size that is not an integer: {values}", [("fix", "give whole numbers")])


def possible(spec: TensorSpec, place: str) -> TensorSpec:
    """The spec of a tensor, if torch could make one.

    Raises:
        InputError: torch could not; the message gives the reason.
    """
    if not all(isinstance(size, Integral) and not isinstance(size, bool) for size in spec.shape):
        raise InputError(f"{place} has a size that is not an integer: {spec.shape}", [("fix", "give whole numbers")])
    if min(spec.shape, default=1) < 0:
        raise InputError(f"{place} has a negative size: {spec.shape}", [("fix", "give sizes of 0 or more")])
    if spec.dtype not in _DTYPES:
        raise UnknownNameError(f"dtype of {place}", spec.dtype, _DTYPES, "write it as torch does: float32, int64")
    if prod(size or 1 for size in spec.shape) * spec.itemsize > _ADDRESSABLE:
        raise InputError(
            f"{place} is larger than any tensor can be: {spec.shape}",
            [("fix", "give sizes whose bytes can be counted")],
        )
    return spec


def _is_possible(spec: TensorSpec) -> bool:
    sizes = prod(size or 1 for size in spec.shape)
    return min(spec.shape) >= 0 and len(spec.shape) <= _MOST_AXES and sizes * spec.itemsize <= _ADDRESSABLE
