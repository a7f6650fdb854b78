"""A model by name, built the lightest way and passed on with its input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from torch import nn

from ..core.errors import InputError
from ..core.model_spec import ModelSpec
from ..core.ops import TensorSpec
from ..core.protocol import Protocol
from ..tracing.arguments import Input
from ..tracing.building import lightest
from ..tracing.shape_arguments import with_specs
from .loading import find_model
from .recipe import recipe_of

__all__ = ["input_of", "with_model"]

T = TypeVar("T")


def with_model(
    spec: ModelSpec,
    protocol: Protocol,
    use: Callable[[nn.Module, Input, Protocol], T],
    *,
    max_params: int | None = None,
) -> T:
    """The result of `use` on a model in eval mode, its input, and the protocol with the batch that the input has.

    Where the spec has inputs, the batch is what the caller says of them, or None. The model is built without weights,
    or for real if `use` needs them (TraceError).

    Raises:
        InputError: as for `find_model` and `input_of`.
        TraceError: as for `lightest`.
    """

    def used(module: nn.Module) -> T:
        batch = protocol.batch if spec.inputs else protocol.batch or 1
        return use(module, input_of(module, spec, protocol.batch), replace(protocol, batch=batch))

    return lightest(find_model(spec), used, max_params=max_params)


def input_of(module: nn.Module, spec: ModelSpec, batch: int | None = None) -> Input:
    """The input of a model that is built by name: the spec's inputs, or the recipe's, or one clip.

    Raises:
        InputError: none of these is known, or the caller gives a batch that the inputs cannot have.
    """
    spec.require_batch(batch)
    if spec.inputs:
        keywords = {key: tensor for key, tensor in spec.inputs if key}
        return keywords or tuple(tensor for _, tensor in spec.inputs)
    batch, recipe = batch or 1, recipe_of(module)
    if recipe is not None:
        made = recipe.inputs(module, batch) if callable(recipe.inputs) else _batched(recipe.inputs, batch)
        return with_specs(made, module)
    if spec.clip is None:
        raise InputError(
            f"the input of {spec.name} is unknown", [("fix", "give --clip 16x112x112 or --input NAME:SHAPE:DTYPE")]
        )
    return (batch, 3, *spec.clip.sizes)


def _batched(inputs: Any, batch: int) -> Input:
    """Add the batch in front of every shape among the inputs."""
    if isinstance(inputs, dict):
        return {name: _batched(value, batch) for name, value in inputs.items()}
    if isinstance(inputs, TensorSpec):
        return TensorSpec((batch, *inputs.shape), inputs.dtype, inputs.values)
    if isinstance(inputs, tuple) and all(isinstance(size, int) for size in inputs):
        return (batch, *inputs)
    return type(inputs)(_batched(value, batch) for value in inputs)
