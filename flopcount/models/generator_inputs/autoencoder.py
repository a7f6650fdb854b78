"""VAEs of generators: the factors of their latents, and each half as a module of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any

from torch import Tensor, nn

from ...core.ops import TensorSpec
from ...core.protocol import Clip

__all__ = [
    "HALVES",
    "Autoencoder",
    "Latents",
    "each_frame",
    "even_or_odd",
    "first_frame_apart",
    "half_of",
    "powers_of_two",
]

HALVES = ("encode", "decode")
"""Clips to the likeliest latents, and latents to clips."""


def first_frame_apart(frames: int, temporal: int) -> int | None:
    """Latent frames of a causal VAE, whose first frame has a latent of its own; None where frames are left over."""
    return (frames - 1) // temporal + 1 if (frames - 1) % temporal == 0 else None


def even_or_odd(frames: int, temporal: int) -> int | None:
    """Latent frames by the pipeline of Allegro: an odd number of frames has its first apart, what is over is filled."""
    return ceil(frames / temporal) if frames % 2 == 0 else ceil((frames - 1) / temporal) + 1


def each_frame(frames: int, temporal: int) -> int | None:
    """A latent for each frame."""
    return frames


def powers_of_two(config: Mapping[str, Any]) -> int:
    """Pixels per latent along height and width, where every block but the last halves both."""
    return int(2 ** (len(config["block_out_channels"]) - 1))


@dataclass(frozen=True, slots=True)
class Latents:
    """The latents of one clip for a VAE: their frames, height and width, their channels, and how many clips."""

    config: Mapping[str, Any]
    clip: Clip
    channels: int
    batch: int
    dtype: str

    def spec(self) -> TensorSpec:
        """(B, C, T, H, W)."""
        return TensorSpec((self.batch, self.channels, *self.clip.sizes), self.dtype)


def _whole(latents: Latents) -> dict[str, Any]:
    return {"x": latents.spec()}


def _video(clip: Clip, batch: int, dtype: str) -> TensorSpec:
    """(B, 3, T, H, W)."""
    return TensorSpec((batch, 3, *clip.sizes), dtype)


def _decoded(vae: Any, x: Tensor, *more: Any) -> Tensor:
    (made,) = vae.decode(x, *more, return_dict=False)
    return made  # type: ignore[no-any-return]


def _ready(vae: Any) -> None:
    """Nothing has to be switched on."""


@dataclass(frozen=True, slots=True)
class Autoencoder:
    """A class of VAEs.

    Arguments:
        class_name: the class of diffusers.
        factors: (temporal, spatial) pixels that a latent stands for along each axis, from a configuration.
        channels: the name of the latents' channels in the configuration.
        latent_frames: of so many frames and the temporal factor; None where they do not divide.
        pixels: what is encoded, from a clip, a batch and a dtype.
        latents: the arguments of `decode`, from latents.
        decode: from a VAE and these arguments to clips, as the pipeline calls it.
        ready: what the pipeline's user has to switch on before.
        note: what a reader has to know of how it runs.
    """

    class_name: str
    factors: Callable[[Mapping[str, Any]], tuple[int, int]]
    channels: str = "latent_channels"
    latent_frames: Callable[[int, int], int | None] = first_frame_apart
    pixels: Callable[[Clip, int, str], TensorSpec] = _video
    latents: Callable[[Latents], dict[str, Any]] = _whole
    decode: Callable[..., Tensor] = _decoded
    ready: Callable[[Any], None] = _ready
    note: str = ""


def half_of(autoencoder: Autoencoder, vae: nn.Module, half: str) -> nn.Module:
    """The VAE itself, whose forward is one half of it from now on: `encode` (x) or `decode` (x, ...)."""
    autoencoder.ready(vae)
    module: Any = vae
    module.forward = partial(autoencoder.decode if half == "decode" else _encoded, vae)
    return vae


def _encoded(vae: Any, x: Tensor) -> Tensor:
    """The likeliest latents of `x`."""
    (distribution,) = vae.encode(x, return_dict=False)
    return distribution.mode()  # type: ignore[no-any-return]
