"""What one pass of a denoiser gets, and how a denoiser's class turns it into the arguments of its forward."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any, TypeAlias

from ...core.ops import TensorSpec
from ...core.protocol import Clip

__all__ = ["Denoiser", "Denoising", "Inputs"]

Inputs: TypeAlias = dict[str, Any]
"""Keyword arguments of one forward: TensorSpecs, literals and tuples of them."""


@dataclass(frozen=True, slots=True)
class Denoising:
    """One pass of a denoiser.

    Arguments:
        config: the configuration of its class, defaults included.
        latents: frames, height and width of the latents.
        factors: (temporal, spatial) pixels that a latent stands for along each axis.
        batch: samples at once, both halves of guidance among them where a pipeline joins them.
        text_tokens: tokens of the text, padding included.
        image_tokens: tokens of the image that the video starts from; None where it starts from none.
        dtype: of latents and embeddings; steps and positions have their own.
        step_per_token: whether each token has a step of its own, as where the first frame is given.
        fps: frames per second, for a network whose positions are in seconds.
    """

    config: Mapping[str, Any] = field(hash=False)
    latents: Clip
    factors: tuple[int, int]
    batch: int = 1
    text_tokens: int = 1
    image_tokens: int | None = None
    dtype: str = "float32"
    step_per_token: bool = False
    fps: float | None = None

    def floats(self, *shape: int) -> TensorSpec:
        """Latents or embeddings of this shape, the batch before it."""
        return TensorSpec((self.batch, *shape), self.dtype)

    def text(self, width: str) -> TensorSpec:
        """Embeddings of the text (B, L, C), whose width the configuration has under this name."""
        return self.floats(self.text_tokens, self.config[width])

    def mask(self, dtype: str) -> TensorSpec:
        """The mask of a text that fills all its tokens (B, L)."""
        return TensorSpec((self.batch, self.text_tokens), dtype, values=1)

    def step(self, dtype: str) -> TensorSpec:
        """A step per sample (B,)."""
        return TensorSpec((self.batch,), dtype)


@dataclass(frozen=True, slots=True)
class Denoiser:
    """A class of denoisers.

    Arguments:
        class_name: the class of diffusers.
        inputs: from a pass to the arguments of its forward.
        patch: (temporal, spatial, spatial) latents that a token stands for, from a configuration.
        fills_frames: whether its pipeline fills latent frames up to whole patches.
        is_unet: whether it has no sequence of tokens, but frames of several sizes.
        one_frame: whether an image-to-video pipeline encodes the image alone, not a clip of the video's length.
        step_per_token_from_image: whether an image-to-video pipeline embeds a step for each token.
        pipelines: those of diffusers whose whole call is counted; what others do besides is named.
        note: what a reader has to know of how it runs.
        autoencoder: the class of the VAE that it was released with, whose factors hold where no VAE is given.
        text_tokens: of the text where nobody says how many: its pipeline's default.
        text_mask: whether its pipeline gives the text encoder a mask.
        joins_guidance: whether its pipeline runs both halves of guidance in one pass of twice the batch.
        layouts: the names of the axes of an input by its name, where they are not in the usual order.
    """

    class_name: str
    inputs: Callable[[Denoising], Inputs]
    patch: Callable[[Mapping[str, Any]], tuple[int, int, int]]
    autoencoder: str
    text_tokens: int
    text_mask: bool = False
    joins_guidance: bool = False
    fills_frames: bool = False
    is_unet: bool = False
    one_frame: bool = False
    step_per_token_from_image: bool = False
    pipelines: tuple[str, ...] = ()
    note: str = ""
    layouts: Mapping[str, str] = field(default_factory=dict, hash=False)

    def token_grid(self, config: Mapping[str, Any], latents: Clip) -> tuple[int, int, int]:
        """Tokens along time, height and width."""
        sizes = zip(latents.sizes, self.patch(config), strict=True)
        frames, height, width = (ceil(size / patch) for size, patch in sizes)
        return frames, height, width
