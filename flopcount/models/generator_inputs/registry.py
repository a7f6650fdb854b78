"""Inputs of the parts of a generator, by the class of a part: clips of pixels -> latents -> arguments of a forward."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from torch import nn

from ...core.errors import InputError, UnknownNameError
from ...core.protocol import Clip
from ..part import Part, part_class
from . import allegro, cogvideox, cosmos, hunyuan_video, hunyuan_video_15, ltx, mochi, stable_video_diffusion, wan
from .autoencoder import HALVES, Autoencoder, Latents, half_of
from .denoising import Denoiser, Denoising, Inputs

__all__ = [
    "AUTOENCODERS",
    "DENOISERS",
    "autoencoder_of",
    "complete_config",
    "denoiser_inputs",
    "denoiser_of",
    "latent_channels",
    "latent_clip",
    "latent_factors",
    "vae_half",
    "vae_half_inputs",
]

_FAMILIES = (wan, cogvideox, hunyuan_video, hunyuan_video_15, ltx, allegro, mochi, stable_video_diffusion)
DENOISERS: Mapping[str, Denoiser] = {each.DENOISER.class_name: each.DENOISER for each in (*_FAMILIES, cosmos)}
AUTOENCODERS: Mapping[str, Autoencoder] = {each.AUTOENCODER.class_name: each.AUTOENCODER for each in _FAMILIES}


def denoiser_of(part: Part) -> Denoiser:
    """What is known of the class of a denoiser.

    Raises:
        UnknownNameError: nothing is.
    """
    if part.class_name not in DENOISERS:
        fix = f"the denoisers are {', '.join(DENOISERS)}; of others give the inputs of the forward"
        raise UnknownNameError("denoiser", part.class_name, DENOISERS, fix)
    return DENOISERS[part.class_name]


def autoencoder_of(part: Part) -> Autoencoder:
    """What is known of the class of a VAE; errors as `denoiser_of`."""
    if part.class_name not in AUTOENCODERS:
        fix = f"the VAEs are {', '.join(AUTOENCODERS)}; of others give the inputs of the forward"
        raise UnknownNameError("VAE", part.class_name, AUTOENCODERS, fix)
    return AUTOENCODERS[part.class_name]


def complete_config(part: Part) -> Mapping[str, Any]:
    """The configuration of a part with the defaults of its class; errors as `part_class`."""
    return {**_defaults(part_class(part)), **part.config}


@cache
def _defaults(kind: Callable[..., nn.Module]) -> Mapping[str, Any]:
    parameters = inspect.signature(kind).parameters.values()
    return {each.name: each.default for each in parameters if each.default is not each.empty}


def latent_factors(vae: Part) -> tuple[int, int]:
    """(temporal, spatial) pixels that a latent stands for along each axis; errors as `complete_config`."""
    return autoencoder_of(vae).factors(complete_config(vae))


def latent_channels(vae: Part) -> int:
    """Channels of a latent; errors as `complete_config`."""
    return int(complete_config(vae)[autoencoder_of(vae).channels])


def latent_clip(part: Part, clip: Clip, vae: Part | None = None, factors: tuple[int, int] | None = None) -> Clip:
    """Frames, height and width of the latents of a clip of pixels.

    Arguments:
        part: a denoiser, into whose patches the latents have to divide, or a VAE.
        clip: frames, height and width in pixels.
        vae: the VAE beside a denoiser; without it the one that its class was released with.
        factors: (temporal, spatial), where something else says them.

    Raises:
        InputError: the clip does not divide into latents, or the latents into patches.
        UnknownNameError: nothing is known of the class.
    """
    if part.class_name in AUTOENCODERS:
        vae, patch = part, (1, 1, 1)
    else:
        denoiser = denoiser_of(part)
        in_time, high, wide = denoiser.patch(complete_config(part))
        patch = 1 if denoiser.fills_frames else in_time, high, wide
    autoencoder = autoencoder_of(vae) if vae else AUTOENCODERS[denoiser_of(part).autoencoder]
    temporal, spatial = factors or (latent_factors(vae) if vae else _released_factors(part))

    def frames_of(frames: int) -> int | None:
        latents = autoencoder.latent_frames(frames, temporal)
        return None if latents is None or latents % patch[0] else latents

    frames = frames_of(clip.frames)
    steps = spatial * patch[1], spatial * patch[2]
    if frames is None or clip.height % steps[0] or clip.width % steps[1]:
        near = Clip(
            _nearest(clip.frames, lambda n: frames_of(n) is not None),
            _nearest(clip.height, lambda n: n % steps[0] == 0),
            _nearest(clip.width, lambda n: n % steps[1] == 0),
        )
        first = ", the first frame has one of its own" if temporal > 1 else ""
        seen = f"a latent is of {temporal}x{spatial}x{spatial} pixels{first}, a patch of {patch[1]}x{patch[2]} latents"
        fix = f"the nearest clip that it takes is {near.code}"
        raise InputError(f"{part.name} does not divide a clip of {clip}", [("seen", seen), ("fix", fix)])
    return Clip(frames, clip.height // spatial, clip.width // spatial)


def _nearest(number: int, works: Callable[[int], bool]) -> int:
    """The nearest whole number above 0 that works; of two the smaller."""
    away = 0
    while True:
        for candidate in (number - away, number + away):
            if candidate > 0 and works(candidate):
                return candidate
        away += 1


def _released_factors(part: Part) -> tuple[int, int]:
    """Those of the VAE that a denoiser's class was released with, by the defaults of its class."""
    name = denoiser_of(part).autoencoder
    return AUTOENCODERS[name].factors(_defaults(part_class(_Named(name, part.library))))


class _Named:
    """A class without a configuration of its own."""

    config: Mapping[str, Any] = {}

    def __init__(self, class_name: str, library: str) -> None:
        self.name = self.class_name = class_name
        self.library = library


def denoiser_inputs(
    part: Part,
    latents: Clip,
    *,
    batch: int = 1,
    text_tokens: int | None = None,
    image_tokens: int | None = None,
    factors: tuple[int, int] | None = None,
    dtype: str | None = None,
    step_per_token: bool = False,
    fps: float | None = None,
) -> Inputs:
    """The keyword arguments of one pass of a denoiser over latents; arguments as `Denoising`, errors as `latent_clip`.

    Without text tokens it gets those of its own pipeline.
    """
    denoiser = denoiser_of(part)
    return denoiser.inputs(
        Denoising(
            config=complete_config(part),
            latents=latents,
            factors=factors or _released_factors(part),
            batch=batch,
            text_tokens=text_tokens or denoiser.text_tokens,
            image_tokens=image_tokens,
            dtype=dtype or "float32",
            step_per_token=step_per_token,
            fps=fps,
        )
    )


def vae_half(part: Part, vae: nn.Module, half: str) -> nn.Module:
    """A built VAE as one of its halves: its forward is from now on `encode` or `decode`, as its pipeline calls it.

    Raises:
        UnknownNameError: it has no such half, or nothing is known of its class.
    """
    if half not in HALVES:
        raise UnknownNameError("half of a VAE", half, HALVES, f"the halves are {' and '.join(HALVES)}")
    return half_of(autoencoder_of(part), vae, half)


def vae_half_inputs(part: Part, half: str, clip: Clip, *, batch: int = 1, dtype: str | None = None) -> Inputs:
    """The keyword arguments of a half for a clip of pixels: the clip, or its latents; errors as `latent_clip`."""
    autoencoder = autoencoder_of(part)
    if half == "encode":
        return {"x": autoencoder.pixels(clip, batch, dtype or "float32")}
    latents = latent_clip(part, clip)
    config = complete_config(part)
    return autoencoder.latents(Latents(config, latents, latent_channels(part), batch, dtype or "float32"))
