"""What a generation does: what was asked for, with the model's own defaults for the rest, and how its denoiser runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

from ...core.errors import InputError
from ...core.one_line import OneLine
from ...core.protocol import Clip
from ...facts.model_sizes import ModelSizes
from ...models.generator_inputs import (
    autoencoder_of,
    complete_config,
    denoiser_of,
    latent_channels,
    latent_clip,
    latent_factors,
)
from ...models.generator_inputs.denoising import Denoiser
from ..requests import VideoRequest

__all__ = ["Settings", "embeds_guidance", "running_lines", "settings_of", "source_lines"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settings(OneLine):
    """What one generation does, with nothing left open.

    Arguments:
        sizes: the model.
        denoiser: what is known of its denoiser's class.
        config: the denoiser's configuration, defaults of its class included.
        video: frames, height and width in pixels.
        latents: the same of the latents.
        factors: (temporal, spatial) pixels that a latent stands for along each axis.
        latent_channels: of the VAE; None without one.
        steps: denoising steps.
        guided: whether each step also runs without the prompt.
        text_tokens: that the denoiser gets.
        fps: frames per second of the video, where the model has a rate of its own.
        batch: videos at once.
        dtype: of weights and tensors; None for float32.
        reuse: the share of steps that a cache skips.
        density: the share of pairs of tokens that sparse attention computes.
        assumed: the defaults that were taken, in words.
    """

    sizes: ModelSizes
    denoiser: Denoiser
    config: Mapping[str, Any]
    video: Clip
    latents: Clip
    factors: tuple[int, int]
    latent_channels: int | None
    steps: int
    guided: bool
    text_tokens: int
    fps: float | None
    batch: int
    dtype: str | None
    reuse: Fraction | None
    density: Fraction | None
    assumed: tuple[str, ...]

    @property
    def embeds_guidance(self) -> bool:
        """Whether guidance is an input of the one pass of a step."""
        return embeds_guidance(self.config)

    @property
    def joins_passes(self) -> bool:
        """Whether the pass with the prompt and the one without are one pass of twice the batch."""
        return self.guided and self.denoiser.joins_guidance

    @property
    def channels_of_condition(self) -> int:
        """Input channels of the denoiser that are none of the latents': an image's latents, and perhaps a mask."""
        return 0 if self.latent_channels is None else self.config["in_channels"] - self.latent_channels

    @property
    def pipeline(self) -> str:
        """The class of the pipeline, where a folder names one."""
        return str(self.sizes.other_defaults.get("pipeline", ""))

    @property
    def from_image(self) -> bool:
        """Whether the video starts from an image that the VAE encodes, into further channels or the first frame."""
        return self.channels_of_condition > 0 or "ImageToVideo" in self.pipeline

    @property
    def encodes_one_frame(self) -> bool:
        """Whether the image alone is encoded, and no clip of the video's length; so where it is the first frame."""
        return self.denoiser.one_frame or self.channels_of_condition == 0

    @property
    def step_per_token(self) -> bool:
        """Whether the denoiser embeds a step for each token; a folder says it in its model_index.json."""
        index = self.sizes.other_defaults.get("index", {})
        said = bool(isinstance(index, Mapping) and index.get("expand_timesteps"))
        of_image = self.from_image and self.denoiser.step_per_token_from_image
        return self.sizes.step_per_token or said or of_image

    @property
    def token_grid(self) -> tuple[int, int, int] | None:
        """Tokens along time, height and width; None for a UNet, whose frames have several sizes."""
        return None if self.denoiser.is_unet else self.denoiser.token_grid(self.config, self.latents)


def embeds_guidance(config: Mapping[str, Any]) -> bool:
    """Whether the denoiser of this configuration takes the guidance as an input."""
    return bool(config.get("guidance_embeds"))


def settings_of(sizes: ModelSizes, request: VideoRequest) -> Settings:
    """What a request asks of a model, and the model's defaults for the rest.

    Raises:
        InputError: the model generates no videos, lacks a default that nobody gave, does not divide the video into
            latents, or has no such guidance or text.
        UnknownNameError: nothing is known of the class of its denoiser or VAE.
    """
    if "denoiser" not in sizes.parts:
        fix = "see `flopcount list --task generation`"
        raise InputError(f"{sizes.name} has no denoiser", [("seen", f"parts: {', '.join(sizes.parts)}"), ("fix", fix)])
    part, vae = sizes.part("denoiser"), sizes.parts.get("vae")
    denoiser, config = denoiser_of(part), complete_config(part)
    defaults = sizes.defaults
    taken: list[str] = []
    missing: list[str] = []

    def settled(given: T | None, default: T | None, what: str, option: str) -> T | None:
        if given is None and default is not None:
            taken.append(what)
        if given is None and default is None:
            missing.append(option)
        return default if given is None else given

    own = None
    if defaults.frames is not None and defaults.height is not None and defaults.width is not None:
        own = Clip(defaults.frames, defaults.height, defaults.width)
    video = settled(request.video, own, f"{own}" if own else "", "--video 81x480x832")
    steps = settled(request.steps, defaults.steps, f"{defaults.steps} steps", "--steps 50")
    guided = _guided(sizes, config, request, taken)
    text_tokens = _text_tokens(sizes, denoiser, request, taken)
    if video is None or steps is None:
        raise InputError(f"{sizes.name} has no default for {' and '.join(missing)}", [("fix", "say it")])
    factors = latent_factors(vae) if vae else None
    latents = latent_clip(part, video, vae, factors)
    return Settings(
        sizes=sizes,
        denoiser=denoiser,
        config=config,
        video=video,
        latents=latents,
        factors=factors or (1, video.height // latents.height),
        latent_channels=latent_channels(vae) if vae else None,
        steps=steps,
        guided=guided,
        text_tokens=text_tokens,
        fps=defaults.fps,
        batch=request.batch,
        dtype=request.dtype,
        reuse=request.reuse,
        density=request.density,
        assumed=tuple(_assumed(sizes, taken)),
    )


def _guided(sizes: ModelSizes, config: Mapping[str, Any], request: VideoRequest, taken: list[str]) -> bool:
    if embeds_guidance(config):
        if request.guidance:
            seen = "its guidance is an input of the one pass of a step"
            fix = (
                "leave out --guidance; a second pass would be true guidance with a negative prompt (true_cfg_scale > 1)"
            )
            raise InputError(f"{sizes.name} has no second pass for guidance", [("seen", seen), ("fix", fix)])
        return False
    if request.guidance is None:
        taken.append("guidance" if sizes.defaults.guidance else "no guidance")
        return sizes.defaults.guidance
    return request.guidance


def _text_tokens(sizes: ModelSizes, denoiser: Denoiser, request: VideoRequest, taken: list[str]) -> int:
    if denoiser.is_unet and "text_encoder" not in sizes.parts:
        if request.text_tokens is not None:
            fix = "leave out --text-tokens"
            raise InputError(f"{sizes.name} takes an image and no text", [("fix", fix)])
        return 1  # the image's embedding, in the place of text
    if request.text_tokens is not None:
        return request.text_tokens
    tokens = sizes.defaults.text_tokens or denoiser.text_tokens
    taken.append(f"{tokens} text tokens")
    return tokens


def _assumed(sizes: ModelSizes, taken: list[str]) -> list[str]:
    """The defaults in one line; a video is named by its frames and size."""
    if not taken:
        return []
    return [f"{', '.join(taken)}: the defaults of {sizes.name}"]


def running_lines(settings: Settings) -> list[str]:
    """What a reader has to know of how a generation runs."""
    sizes = settings.sizes
    notes = []
    if settings.joins_passes:
        notes.append("guidance: a step is one pass of twice the batch, with and without the prompt")
    if settings.embeds_guidance:
        notes.append("guidance is an input of the denoiser: a step is one pass")
    if settings.denoiser.note:
        notes.append(f"the denoiser {settings.denoiser.note}")
    if "vae" in sizes.parts and (note := autoencoder_of(sizes.part("vae")).note):
        notes.append(f"the VAE {note}")
    if settings.pipeline and settings.pipeline not in settings.denoiser.pipelines:
        made = "an image" if settings.from_image else "text"
        notes.append(f"counted is a video made from {made}; what {settings.pipeline} does besides is not in the job")
    if "text_encoder" in sizes.parts and "vision_config" in sizes.part("text_encoder").config:
        notes.append("the text encoder also sees the image: its vision tower and the image's tokens are not in the job")
    return notes


def source_lines(settings: Settings) -> list[str]:
    """What a reader has to know of the model's sources."""
    sizes = settings.sizes
    notes = []
    if sizes.assembled:
        notes.append(f"the sizes of {sizes.name} are put together from several sources; none has the released file")
    notes += [f"sources disagree: {text}" for text in sizes.conflicts]
    notes += [f"no source was read for: {text}" for text in sizes.not_read]
    notes.append("not in the job, without MACs: the scheduler's and guidance's own arithmetic, on latents alone")
    return notes
