"""Tensors and TensorSpecs in nested tuples, lists and dicts: what operators and layers take and return."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..core.ops import TensorSpec

__all__ = ["map_tensors", "specs_of", "tensor_spec", "tensors_of"]


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
