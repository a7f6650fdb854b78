"""Models of diffusers: denoisers, VAEs and their halves, by class name or by the folder of one.

`AutoencoderKLWan.decode` is a half of a VAE. The input is that of one pass for a video in pixels, turned into latents
by the factors of the VAE beside the denoiser, or else of that with which its class was released.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from ...core.errors import FlopcountError, InputError, UnknownNameError
from ...core.installation import Installation
from ...core.model_spec import ModelSpec
from ...core.protocol import Clip
from ...facts.model_sizes import ModelPart, ModelSizes
from ..configuration_file import is_path, real_path
from ..folder import most_alike, part_of_folder, vae_beside
from ..generator_inputs import (
    AUTOENCODERS,
    DENOISERS,
    denoiser_inputs,
    denoiser_of,
    latent_clip,
    latent_factors,
    vae_half,
    vae_half_inputs,
)
from ..library import Library, LibraryModel, error_text, options_text, ready_library, require_model_name
from ..options import with_options
from ..part import part_builder, part_class

__all__ = ["LIBRARY"]

_HALVES = ("encode", "decode")
_KINDS = ("Model", "Transformer", "UNet", "VAE", "Vae", "Autoencoder")
_PREFIX = "Autoencoder"


def _model(spec: ModelSpec) -> LibraryModel:
    name, half = _halved(spec.name)
    if is_path(name):
        part = part_of_folder(name, "diffusers")
        beside = vae_beside(real_path(name).parent if name.endswith(".json") else real_path(name))
        parts = {part.name: part} | ({"vae": beside} if beside is not None else {})
        sizes = ModelSizes(name, "", "generation", parts)
    else:
        require_model_name("diffusers", name, _class_names(), "name a model class such as WanTransformer3DModel")
        part = ModelPart("vae" if name.startswith(_PREFIX) else "denoiser", "diffusers", name, {})
        sizes = ModelSizes(name, "", "generation", {part.name: part})
    return _of_part(part, sizes, replace(spec, name=half))


def _halved(name: str) -> tuple[str, str]:
    """The name, and the half of a VAE that it ends with."""
    whole, dot, half = name.rpartition(".")
    if not dot or half not in _HALVES:
        if dot and not is_path(name):
            raise UnknownNameError(
                f"half of {whole}", half, _HALVES, f"the halves of a VAE are {' and '.join(_HALVES)}"
            )
        return name, ""
    return whole, half


def _class_names() -> list[str]:
    diffusers = ready_library(LIBRARY, "diffusers")
    return [name for name in dir(diffusers) if name.endswith(_KINDS) or name.startswith(_PREFIX)]


def _of_part(part: ModelPart, sizes: ModelSizes, spec: ModelSpec) -> LibraryModel:
    """The model of a part beside the others of its pipeline; the spec's name is that of a half."""
    kind = part_class(part)
    if not (inspect.isclass(kind) and issubclass(kind, nn.Module) and hasattr(kind, "from_config")):
        raise InputError(f"diffusers:{part.class_name} is not a model with a configuration", [("seen", str(kind))])
    part = replace(part, config=with_options(part.config, spec.options, _arguments(kind), part.class_name))
    if spec.num_classes is not None:
        raise InputError(f"{part.class_name} has no classes", [("fix", "leave out --num-classes")])
    if spec.clip is not None:
        why = f"{part.class_name} is asked for a video in pixels, not for a clip"
        raise InputError(why, [("fix", f"write --video {spec.clip.code}")])
    if spec.name and part.class_name not in AUTOENCODERS:
        names = [f"{name}.{half}" for name in AUTOENCODERS for half in _HALVES]
        raise UnknownNameError("half of a VAE", f"{part.class_name}.{spec.name}", names, "name one of these VAEs")
    try:
        return _asked(part, sizes, spec)
    except FlopcountError:
        raise
    except Exception as error:  # a configuration from a file may have any value
        text = f"diffusers:{part.class_name} cannot be sized: {error_text(error)}"
        raise InputError(text, [("given", options_text(part.config))]) from error


def _asked(part: ModelPart, sizes: ModelSizes, spec: ModelSpec) -> LibraryModel:
    """The model with the input that the spec asks for, in pixels."""
    build = part_builder(part)
    if spec.name:
        built = build
        build = lambda: vae_half(part, built(), spec.name)  # noqa: E731
    video, assumed = spec.video, []
    if spec.inputs:
        return LibraryModel(build, None, in_pixels=False)
    if video is None:
        video = _default_video(sizes)
        if video is None:
            return LibraryModel(build, _no_video(part), in_pixels=False)
        assumed.append(f"a video of {video}, the default of {sizes.name}")
    if part.class_name in AUTOENCODERS:
        if spec.name == "decode":
            latent_clip(part, video)  # refuse before building what does not divide
        if not spec.name:
            return LibraryModel(build, {"sample": (3, *video.sizes)}, video, assumed=tuple(assumed))
        inputs = _inputs(lambda batch, dtype: vae_half_inputs(part, spec.name, video, batch=batch, dtype=dtype))
        return LibraryModel(build, inputs, video, assumed=tuple(assumed), in_pixels=False)
    return _denoiser(part, sizes, build, video, assumed)


def _denoiser(
    part: ModelPart, sizes: ModelSizes, build: Callable[[], nn.Module], video: Clip, assumed: list[str]
) -> LibraryModel:
    """A denoiser with the input of one pass; what the pipeline beside it does not say is assumed, in words."""
    denoiser, vae = denoiser_of(part), sizes.parts.get("vae")
    if vae is None:
        temporal, spatial = latent_factors(ModelPart("vae", "diffusers", denoiser.autoencoder, {}))
        assumed.append(f"latents of {temporal}x{spatial}x{spatial} pixels, those of {denoiser.autoencoder} by default")
    factors = latent_factors(vae) if vae is not None else None
    latents = latent_clip(part, video, vae, factors)
    text = sizes.defaults.text_tokens
    if text is None:
        text = denoiser.text_tokens
        assumed.append(f"{text} tokens of text, the default of its pipeline")
    image = _image_tokens(part, sizes)
    steps = sizes.other_defaults.get("index", {}).get("expand_timesteps") or _steps_by_token(sizes)

    def made(batch: int, dtype: str) -> Any:
        return denoiser_inputs(
            part,
            latents,
            batch=batch,
            text_tokens=text,
            image_tokens=image,
            factors=factors,
            dtype=dtype,
            step_per_token=bool(steps),
            fps=sizes.defaults.fps,
        )

    return LibraryModel(build, _inputs(made), video, assumed=tuple(assumed), in_pixels=False, layouts=denoiser.layouts)


def _image_tokens(part: ModelPart, sizes: ModelSizes) -> int | None:
    """Tokens of the image that a video starts from, of its encoder or of that of the model most like it."""
    if part.config.get("image_dim") is None:
        return None
    like = most_alike(part)
    for each in (sizes, like):
        encoder = each.parts.get("image_encoder") if each is not None else None
        if encoder is not None and encoder.tokens is not None:
            return encoder.tokens
    return None


def _steps_by_token(sizes: ModelSizes) -> bool:
    return "expand_timesteps=True" in sizes.token_rule


def _inputs(made: Callable[[int, str], Any]) -> Callable[[nn.Module, int], Any]:
    """Inputs in the dtype of a module."""

    def inputs(module: nn.Module, batch: int) -> Any:
        floats = (parameter.dtype for parameter in module.parameters() if parameter.is_floating_point())
        return made(batch, str(next(floats, torch.float32)).removeprefix("torch."))

    return inputs


def _default_video(sizes: ModelSizes) -> Clip | None:
    frames, height, width = sizes.defaults.frames, sizes.defaults.height, sizes.defaults.width
    return None if frames is None or height is None or width is None else Clip(frames, height, width)


def _no_video(part: ModelPart) -> Callable[[nn.Module, int], Any]:
    def refuse(module: nn.Module, batch: int) -> Any:
        known = part.class_name in AUTOENCODERS or part.class_name in DENOISERS
        like = most_alike(part)
        video = (_default_video(like) if like is not None else None) or Clip(81, 480, 832)
        fix = f"give --video {video.code}, in frames and pixels, or --input NAME:SHAPE:DTYPE"
        why = f"the video that {part.class_name} works on is unknown"
        raise InputError(why, [("fix", fix if known else "give --input NAME:SHAPE:DTYPE for each of its inputs")])

    return refuse


def _arguments(kind: Any) -> list[str]:
    parameters = inspect.signature(kind).parameters.values()
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def _model_names() -> Iterable[str]:
    """Denoisers and VAEs, of which it is known what they take."""
    names = set(_class_names())
    halves = [f"{name}.{half}" for name in AUTOENCODERS if name in names for half in _HALVES]
    return [*(name for name in DENOISERS if name in names), *halves]


LIBRARY = Library(
    "diffusers",
    Installation("models", ("diffusers>=0.36",)),
    _model,
    _model_names,
    part=_of_part,
    takes_video=True,
)
