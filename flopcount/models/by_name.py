"""A model by name, built the lightest way and handed on with what it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import nn

from ..core.errors import InputError
from ..core.ops import TensorSpec
from ..core.protocol import Clip
from ..tracing.building import lightest
from ..tracing.inputs import Input
from .loading import find_model
from .recipe import recipe_of

__all__ = ["input_of", "with_model"]

T = TypeVar("T")


def with_model(
    name: str,
    use: Callable[[nn.Module, Input], T],
    *,
    clip: Clip | None = None,
    batch: int = 1,
    num_classes: int | None = None,
    options: dict[str, Any] | None = None,
    inputs: Sequence[tuple[str, TensorSpec]] = (),
    dtype: str | None = None,
    max_params: int | None = None,
) -> T:
    """What `use` makes of a model in eval mode and of its input; arguments as `count_model`.

    The model is built without weights; only where that does not serve (TraceError) it is built for real.

    Raises:
        InputError: a batch below 1, or as `find_model` and `input_of`.
        TraceError: as `lightest`.
    """
    if batch < 1:
        raise InputError(f"batch is {batch}", [("fix", "give at least one clip")])
    bare = find_model(name, clip=clip, num_classes=num_classes, options=options)

    def build() -> nn.Module:
        module = bare()
        module.eval()  # what a network costs is what it costs to use
        return module.to(getattr(torch, dtype)) if dtype else module

    def used(module: nn.Module) -> T:
        return use(module, input_of(module, name, clip, batch, inputs))

    return lightest(build, used, max_params=max_params)


def input_of(
    module: nn.Module, name: str, clip: Clip | None, batch: int, inputs: Sequence[tuple[str, TensorSpec]]
) -> Input:
    """What a model built by name is given: the inputs named, else what its recipe says, else one clip.

    Raises:
        InputError: neither is known.
    """
    if inputs:
        keywords = {key: spec for key, spec in inputs if key}
        positional = tuple(spec for key, spec in inputs if not key)
        if keywords and positional:
            raise InputError("inputs with and without a name do not mix", [("fix", "name them all, or none")])
        return keywords or positional
    recipe = recipe_of(module)
    if recipe is not None:
        return recipe.inputs(module, batch) if callable(recipe.inputs) else _batched(recipe.inputs, batch)
    if clip is None:
        raise InputError(
            f"{name} does not say what it takes", [("fix", "give --clip 16x112x112 or --input NAME:SHAPE:DTYPE")]
        )
    return (batch, 3, *clip.sizes)


def _batched(inputs: Any, batch: int) -> Input:
    """Every shape among the inputs with the batch in front."""
    if isinstance(inputs, dict):
        return {name: _batched(value, batch) for name, value in inputs.items()}
    if isinstance(inputs, TensorSpec):
        return TensorSpec((batch, *inputs.shape), inputs.dtype)
    if isinstance(inputs, tuple) and all(isinstance(size, int) for size in inputs):
        return (batch, *inputs)
    return type(inputs)(_batched(value, batch) for value in inputs)
