"""The forms in which a caller may give an input, and the tensors that a forward pass gets for it.

The forms are a tensor; a shape with batch such as (1, 3, 16, 112, 112); a TensorSpec for another dtype; a tuple of
arguments; a list if the model takes a list; a dict of keyword arguments. Shapes and specs may replace any tensor.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from math import prod
from numbers import Integral
from typing import Any, TypeAlias

import torch
from torch import nn

from ..core.errors import InputError, UnknownNameError
from ..core.ops import TensorSpec

__all__ = ["Input", "arguments_of", "map_tensors", "specs_of", "tensor_spec", "tensors_of"]

Input: TypeAlias = Any
"""Tensor | shape | TensorSpec | tuple of arguments | list | dict of keyword arguments, nested."""

_ADDRESSABLE = 2**63 - 1  # bytes
_DTYPES = tuple(
    name
    for name, value in vars(torch).items()
    if isinstance(value, torch.dtype) and str(value) == f"torch.{name}" and value.itemsize
)


def arguments_of(input: Input, module: nn.Module) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments, with every shape turned into a TensorSpec of the module's dtype.

    Raises:
        InputError: a value is neither a tensor nor a shape; the message names its place.
    """
    dtype = next(
        (p.dtype for p in module.parameters() if p.is_floating_point() or p.is_complex()), torch.get_default_dtype()
    )

    def read(value: Any, place: str) -> Any:
        if isinstance(value, torch.Tensor) or value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, TensorSpec):
            return _possible(value, place)
        if _is_shape(value):
            return _possible(TensorSpec(tuple(map(int, value)), str(dtype)), place)
        if isinstance(value, (tuple, list)):
            return type(value)(read(item, f"{place}[{i}]") for i, item in enumerate(value))
        if isinstance(value, dict):
            return {key: read(item, f"{place}[{key!r}]") for key, item in value.items()}
        if _holds_tensors(value):
            return copy.deepcopy(value)  # such as a cache of keys and values, which the model extends
        raise InputError(
            f"{place} is a {type(value).__name__}, not a tensor or a shape",
            [("fix", "give a tensor, a shape such as (1, 3, 16, 112, 112), or a TensorSpec(shape, dtype)")],
        )

    try:
        if isinstance(input, dict):
            return (), {str(name): read(value, f"input {name!r}") for name, value in input.items()}
        if isinstance(input, tuple) and not _is_shape(input):
            return tuple(read(value, f"input {i}") for i, value in enumerate(input)), {}
        if isinstance(input, (bool, int, float, str)) or input is None:
            raise InputError(
                f"input is {input!r}, not a tensor or a shape",
                [("fix", "write a shape with its batch: (1, 3, 16, 112, 112)")],
            )
        return (read(input, "input"),), {}
    except RecursionError:
        raise InputError(
            "input is nested too deep, or contains itself", [("fix", "give tensors, shapes, or containers of them")]
        ) from None


def _possible(spec: TensorSpec, place: str) -> TensorSpec:
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


_DEEPEST = 4


def _holds_tensors(value: Any, depth: int = 0) -> bool:
    """Whether an object of some class has tensors among its attributes."""
    if isinstance(value, torch.Tensor):
        return True
    if isinstance(value, nn.Module) or depth > _DEEPEST:
        return False
    if isinstance(value, dict):
        return any(_holds_tensors(item, depth + 1) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(_holds_tensors(item, depth + 1) for item in value)
    return _holds_tensors(getattr(value, "__dict__", {}), depth + 1)


def _is_shape(value: Any) -> bool:
    """Whether a value is a shape, of whole numbers only; an empty tuple means no arguments, not a scalar."""
    return (
        isinstance(value, (tuple, list))
        and len(value) > 0
        and all(isinstance(size, Integral) and not isinstance(size, bool) for size in value)
    )


def map_tensors(function: Callable[[Any], Any], value: Any) -> Any:
    """Apply `function` to every tensor and TensorSpec in nested tuples, lists and dicts; other values stay."""
    kind = type(value)
    if value is None or kind in _SCALARS:
        return value
    if isinstance(value, (torch.Tensor, TensorSpec)):
        return function(value)
    if kind is tuple or kind is list:
        return kind([map_tensors(function, item) for item in value])
    if isinstance(value, dict):
        return {key: map_tensors(function, item) for key, item in value.items()}
    return value


_SCALARS = frozenset((int, float, bool, str))


def tensors_of(*values: Any) -> list[torch.Tensor]:
    """All tensors among the values, in order."""
    tensors: list[torch.Tensor] = []
    map_tensors(tensors.append, values)
    return tensors


def tensor_spec(tensor: torch.Tensor | TensorSpec) -> TensorSpec:
    """Shape and dtype of a tensor."""
    return tensor if isinstance(tensor, TensorSpec) else TensorSpec(tuple(tensor.shape), str(tensor.dtype))


def specs_of(*values: Any) -> tuple[TensorSpec, ...]:
    """Specs of all tensors among the arguments, in order."""
    specs: list[TensorSpec] = []
    map_tensors(lambda tensor: specs.append(tensor_spec(tensor)), values)
    return tuple(specs)
