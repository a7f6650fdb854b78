"""The models of measured times, built without weights, with the input of one forward, and their count.

A part of measured_parts.json needs its library: `diffusers` or `transformers`. Every count is of float32 tensors; the
dtype that was measured is for whoever predicts a time from the count.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from inspect import signature
from typing import Any

import torch
from torch import nn

from flopcount.core.errors import InputError
from flopcount.core.model_spec import ModelSpec
from flopcount.core.ops import TensorSpec
from flopcount.core.protocol import Clip, Protocol
from flopcount.core.result import Result
from flopcount.count import count, count_named
from flopcount.facts.measured_mapping import MeasuredRun, OtherPart
from flopcount.facts.measured_parts import MeasuredPart, measured_part
from flopcount.models.by_name import with_model
from flopcount.models.generator_inputs import denoiser_inputs, latent_clip, vae_half, vae_half_inputs
from flopcount.models.part import part_class
from flopcount.tracing.building import lightest
from flopcount.tracing.literal import literal

__all__ = ["count_others", "count_part", "count_run", "part_builder", "part_inputs"]

Inputs = dict[str, Any]


def count_run(run: MeasuredRun) -> Result:
    """One forward of what runs, its batch included; runs that differ in device or dtype alone share a count.

    Raises:
        InputError: the model cannot be built, or takes another clip; as for `count_model` and `count_part`.
    """
    sizes = run.clip, run.tokens, run.num_classes, run.batch
    return _counted(run.model, *sizes, tuple(run.arguments.items()), _DTYPES.get(run.dtype))


def count_others(run: MeasuredRun) -> tuple[tuple[OtherPart, Result], ...]:
    """One forward of each other part that the time includes, its batch included; errors as `count_run`."""
    dtype = _DTYPES.get(run.dtype)
    return tuple((other, _counted(other.part, run.clip, None, None, other.batch, (), dtype)) for other in run.others)


_DTYPES = {"bf16": "bfloat16", "fp16": "float16"}
"""A part in half precision is counted in it, since it casts some of its tensors to float32 and back."""


@cache
def _counted(
    model: str,
    clip: Clip | None,
    tokens: int | None,
    num_classes: int | None,
    batch: int,
    arguments: tuple[tuple[str, Any], ...],
    dtype: str | None = None,
) -> Result:
    if "/" in model:
        return count_part(measured_part(model), clip, tokens, batch, dtype)
    spec = ModelSpec(model, clip, num_classes)
    if not arguments:
        return count_named(spec, Protocol(batch=batch), dataflow=True, saving=False)
    extra = {name: literal(value) for name, value in arguments}

    def use(module: nn.Module, input: Any, protocol: Protocol) -> Result:
        named = dict(zip(signature(module.forward).parameters, input, strict=False))
        return count(module, {**named, **extra}, protocol, dataflow=True, saving=False)

    return with_model(spec, Protocol(batch=batch), use)


def count_part(
    part: MeasuredPart,
    clip: Clip | None = None,
    tokens: int | None = None,
    batch: int = 1,
    dtype: str | None = None,
) -> Result:
    """One forward of a part: a denoiser on the latents of a clip of pixels, or a language model on tokens.

    With `dtype` the part and its floating-point inputs are in it, without what its class keeps in float32; rotary
    positions stay in float32.

    Raises:
        InputError: the clip or the tokens are missing, the clip does not divide into latents and patches, or the
            library is not installed.
        UnknownNameError: nothing is known about the input of the part's class.
    """
    inputs = {name: _in(dtype, value) for name, value in part_inputs(part, clip, tokens, batch).items()}
    how: dict[str, Any] = {"dataflow": True, "saving": False}

    def use(module: nn.Module) -> Result:
        if dtype is not None:
            _cast(module, getattr(torch, dtype))
        return count(module.eval(), inputs, Protocol(batch=batch), **how)

    return lightest(part_builder(part), use)


def _cast(module: nn.Module, dtype: torch.dtype) -> None:
    """Weights in a dtype, but for those that the class loads in float32 whatever is asked for."""
    kept = set(getattr(module, "_keep_in_fp32_modules", None) or ())
    for name, parameter in module.named_parameters():
        if parameter.is_floating_point() and not kept & {*name.split(".")}:
            parameter.data = parameter.data.to(dtype)


def _in(dtype: str | None, value: Any) -> Any:
    is_floating = isinstance(value, TensorSpec) and value.is_floating
    return TensorSpec(value.shape, dtype) if dtype is not None and is_floating else value


def part_builder(part: MeasuredPart) -> Callable[[], nn.Module]:
    """A callable that builds the class with its configuration, one half of it where it is measured.

    Raises:
        InputError: its library is not installed.
    """
    if part.library == "transformers":
        kind = part_class(part)
        configuration = kind.config_class(**part.config)
        if hasattr(configuration, "use_cache"):
            configuration.use_cache = False  # the count is of one forward, and none comes after it
        return lambda: kind(configuration)
    kind = part_class(part)
    if part.method:
        return lambda: vae_half(part, kind(**part.config), part.method)
    return lambda: kind(**part.config)


def part_inputs(part: MeasuredPart, clip: Clip | None, tokens: int | None, batch: int) -> Inputs:
    """The keyword arguments of one forward, as shapes; errors as `count_part`."""
    if part.library == "transformers":
        return _of_transformers(part, tokens, batch)
    if clip is None:
        raise InputError(f"{part.name} takes a clip", [("fix", "give frames, height and width in pixels")])
    if part.method:
        return vae_half_inputs(part, part.method, clip, batch=batch)
    return denoiser_inputs(
        part,
        latent_clip(part, clip, factors=part.latent),
        batch=batch,
        text_tokens=part.text_tokens,
        image_tokens=part.image_tokens,
        factors=part.latent,
    )


def _of_transformers(part: MeasuredPart, tokens: int | None, batch: int) -> Inputs:
    """One image (B, 3, H, W), or tokens (B, L): those of the part where it has a number of its own."""
    if "image_size" in part.config:
        side = part.config["image_size"]
        return {"pixel_values": TensorSpec((batch, 3, side, side), "float32")}
    length = part.text_tokens or tokens
    if length is None:
        raise InputError(f"{part.name} takes tokens", [("fix", "say how many")])
    inputs: Inputs = {"input_ids": TensorSpec((batch, length), "int64")}
    if part.class_name.endswith("ForCausalLM"):
        inputs["logits_to_keep"] = literal(1)  # of the last token, which decides the next
    return inputs
