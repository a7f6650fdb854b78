"""The models of measured times, built without weights, with the input of one forward, and their count.

A part of measured_parts.json needs its library: `diffusers` or `transformers`. Every count is of float32 tensors; the
dtype that was measured is for whoever predicts a time from the count.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import cache
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from flopcount.core.errors import InputError, UnknownNameError
from flopcount.core.model_spec import ModelSpec
from flopcount.core.ops import TensorSpec
from flopcount.core.protocol import Clip, Protocol
from flopcount.core.result import Result
from flopcount.count import count, count_named
from flopcount.facts.measured_mapping import MeasuredRun, OtherPart
from flopcount.facts.measured_parts import MeasuredPart, measured_part
from flopcount.models.by_name import with_model
from flopcount.models.torchvision_operators import ready_torchvision
from flopcount.tracing.building import lightest
from flopcount.tracing.literal import literal

__all__ = ["VAEHalf", "count_others", "count_part", "count_run", "latent_clip", "part_builder", "part_inputs"]

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


class VAEHalf(nn.Module):
    """One half of a VAE: clips (B, 3, T, H, W) to the likeliest latents, or latents (B, C, t, h, w) to clips."""

    def __init__(self, vae: nn.Module, method: str) -> None:
        super().__init__()
        self.vae = vae
        self.method = method

    def forward(self, x: Tensor) -> Tensor:
        """What the encoder or the decoder makes of `x`."""
        (made,) = getattr(self.vae, self.method)(x, return_dict=False)
        return made.mode() if self.method == "encode" else made


def part_builder(part: MeasuredPart) -> Callable[[], nn.Module]:
    """A callable that builds the class with its configuration.

    Raises:
        InputError: its library is not installed.
    """
    ready_torchvision()  # both libraries import it
    try:
        library = importlib.import_module(part.library)
    except ModuleNotFoundError as error:
        fix = f"pip install {error.name}"
        raise InputError(f"{part.name} needs {error.name}, which is not installed", [("fix", fix)]) from error
    kind = getattr(library, part.class_name)
    if part.library == "transformers":
        configuration = kind.config_class(**part.config)
        if hasattr(configuration, "use_cache"):
            configuration.use_cache = False  # the count is of one forward, and none comes after it
        return lambda: kind(configuration)
    if part.method:
        return lambda: VAEHalf(kind(**part.config), part.method)
    return lambda: kind(**part.config)


def part_inputs(part: MeasuredPart, clip: Clip | None, tokens: int | None, batch: int) -> Inputs:
    """The keyword arguments of one forward, as shapes; errors as `count_part`."""
    if part.library == "transformers":
        return _of_transformers(part, tokens, batch)
    if clip is None:
        raise InputError(f"{part.name} takes a clip", [("fix", "give frames, height and width in pixels")])
    if part.method == "encode":
        return {"x": TensorSpec((batch, 3, *clip.sizes), "float32")}
    latents = latent_clip(part, clip)
    if part.method == "decode":
        channels = part.config.get("z_dim") or part.config["latent_channels"]
        return {"x": TensorSpec((batch, channels, *latents.sizes), "float32")}
    if part.class_name not in _DENOISERS:
        raise UnknownNameError("class of a part", part.class_name, _DENOISERS, "add its input to measured_models.py")
    return _DENOISERS[part.class_name](part, latents, batch)


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


def latent_clip(part: MeasuredPart, clip: Clip) -> Clip:
    """Frames, height and width of the latents of a clip of pixels; the first frame has a latent of its own.

    Raises:
        InputError: the clip does not divide into latents, or the latents into patches.
    """
    assert part.latent is not None
    temporal, spatial = part.latent
    latents = Clip((clip.frames - 1) // temporal + 1, clip.height // spatial, clip.width // spatial)
    patch = part.config.get("patch_size", 1)
    _, high, wide = (1, patch, patch) if isinstance(patch, int) else patch
    whole = ((clip.frames - 1) % temporal, clip.height % spatial, clip.width % spatial)
    if any(whole) or latents.height % high or latents.width % wide:
        seen = f"a latent is of {temporal}x{spatial}x{spatial} pixels, a patch of {high}x{wide} latents"
        raise InputError(f"{part.name} does not divide a clip of {clip}", [("seen", seen)])
    return latents


def _text(part: MeasuredPart, batch: int, width: str) -> TensorSpec:
    assert part.text_tokens is not None
    return TensorSpec((batch, part.text_tokens, part.config[width]), "float32")


def _wan(part: MeasuredPart, latents: Clip, batch: int) -> Inputs:
    """Latents (B, C, T, H, W), one step per sample, text by cross-attention, and the image's tokens if it has one."""
    inputs = {
        "hidden_states": TensorSpec((batch, part.config["in_channels"], *latents.sizes), "float32"),
        "timestep": TensorSpec((batch,), "int64"),
        "encoder_hidden_states": _text(part, batch, "text_dim"),
    }
    if part.image_tokens is not None:
        shape = (batch, part.image_tokens, part.config["image_dim"])
        inputs["encoder_hidden_states_image"] = TensorSpec(shape, "float32")
    return inputs


def _cogvideox(part: MeasuredPart, latents: Clip, batch: int) -> Inputs:
    """Latents (B, T, C, H, W) with T filled up to whole patches, text in one sequence with them, rotary positions."""
    config = part.config
    patch, in_time = config["patch_size"], config["patch_size_t"] or 1
    frames = latents.frames + -latents.frames % in_time
    inputs: Inputs = {
        "hidden_states": TensorSpec((batch, frames, config["in_channels"], latents.height, latents.width), "float32"),
        "encoder_hidden_states": _text(part, batch, "text_embed_dim"),
        "timestep": TensorSpec((batch,), "int64"),
    }
    if config["use_rotary_positional_embeddings"]:
        tokens = frames // in_time * (latents.height // patch) * (latents.width // patch)
        angles = TensorSpec((tokens, config["attention_head_dim"]), "float32")
        inputs["image_rotary_emb"] = (angles, angles)
    if config.get("ofs_embed_dim"):
        inputs["ofs"] = TensorSpec((1,), "float32")
    return inputs


def _cosmos(part: MeasuredPart, latents: Clip, batch: int) -> Inputs:
    """Latents (B, C, T, H, W), masks of the frames that are given and of the padding, a step per frame."""
    config, spatial = part.config, part.latent[1] if part.latent else 1
    pixels = (latents.height * spatial, latents.width * spatial)
    return {
        "hidden_states": TensorSpec((batch, config["in_channels"] - 1, *latents.sizes), "float32"),
        "condition_mask": TensorSpec((batch, 1, *latents.sizes), "float32"),
        "padding_mask": TensorSpec((1, 1, *pixels), "float32"),
        "timestep": TensorSpec((batch, 1, latents.frames, 1, 1), "float32"),
        "encoder_hidden_states": _text(part, batch, "text_embed_dim"),
    }


_DENOISERS: Mapping[str, Callable[[MeasuredPart, Clip, int], Inputs]] = {
    "WanTransformer3DModel": _wan,
    "CogVideoXTransformer3DModel": _cogvideox,
    "CosmosTransformer3DModel": _cosmos,
}
