"""The values of inputs that are given by their shapes: those that the caller says, or what every engine invents.

Invented are zeros for whole numbers and masks, and random numbers of a fixed seed for floating-point numbers. All
engines make the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from ..core.ops import TensorSpec
from ..core.spec_values import mask_row, values_text
from .holders import tensors_within
from .inputs import tensor_spec
from .torch_private import is_fake

__all__ = ["SEED", "described_values", "has_values", "made_tensor", "places_of"]

SEED = 0
"""The seed of everything random in a count: inputs, weights that a builder makes for it, what a forward pass draws."""


def has_values(value: torch.Tensor | TensorSpec) -> bool:
    """Whether the caller says the values of an input."""
    if isinstance(value, TensorSpec):
        return value.values is not None
    return not value.is_meta and not is_fake(value)


def made_tensor(value: torch.Tensor | TensorSpec, device: Any = "cpu") -> torch.Tensor:
    """A tensor with the values that a spec says, or with invented ones."""
    spec = tensor_spec(value)
    dtype = getattr(torch, spec.dtype)
    if spec.values is not None:
        return _said(spec, dtype).to(device)
    if not spec.is_floating:
        return torch.zeros(spec.shape, dtype=dtype, device=device)
    generator = torch.Generator().manual_seed(SEED)  # torch's own random state stays as it is
    return torch.randn(spec.shape, generator=generator, dtype=torch.float32).to(device, dtype)


def _said(spec: TensorSpec, dtype: torch.dtype) -> torch.Tensor:
    values = spec.values
    if isinstance(values, range):
        generator = torch.Generator().manual_seed(SEED)
        return torch.randint(values.start, values.stop, spec.shape, generator=generator).to(dtype)
    if isinstance(values, tuple):
        return torch.tensor(values, dtype=dtype).reshape(spec.shape)
    if spec.dtype == "bool" and isinstance(values, float):
        row = mask_row(values, spec.shape[-1] if spec.shape else 1)
        return torch.tensor(row, dtype=dtype).expand(spec.shape or (1,)).clone().reshape(spec.shape)
    assert values is not None
    return torch.full(spec.shape, values, dtype=dtype)


def places_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[tuple[str, torch.Tensor | TensorSpec]]:
    """Every tensor and spec among the arguments, in the order of `tensors_within`, and what to call it."""
    alone = len(args) == 1 and not kwargs and isinstance(args[0], (torch.Tensor, TensorSpec))
    for position, value in enumerate(args):
        yield from _within(value, "the input" if alone else f"input {position}")
    for name, value in kwargs.items():
        yield from _within(value, f"input {name!r}")


def _within(value: Any, place: str) -> Iterator[tuple[str, torch.Tensor | TensorSpec]]:
    if isinstance(value, (torch.Tensor, TensorSpec)):
        yield place, value
    elif type(value) in (tuple, list):
        for position, item in enumerate(value):
            yield from _within(item, f"{place}[{position}]")
    elif type(value) is dict:
        for key, item in value.items():
            yield from _within(item, f"{place}[{key!r}]")
    else:
        for tensor in tensors_within(value):
            yield place, tensor


def described_values(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, ...]:
    """The values that the caller's specs say, each with its input."""
    return tuple(
        f"{place}: {values_text(value.values, value.dtype)}"
        for place, value in places_of(args, kwargs)
        if isinstance(value, TensorSpec) and value.values is not None
    )
