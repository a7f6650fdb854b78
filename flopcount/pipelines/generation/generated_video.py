"""A generated video as a job: text encoder, image encoder, denoiser × steps, VAE.

What enters is a model's sizes and what is asked of it; what leaves is a pipeline whose stages are each counted once, on
shapes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from ...core.protocol import Protocol
from ...core.result import Result
from ...count import count
from ...facts.model_sizes import ModelPart, ModelSizes
from ...models.generator_inputs import (
    denoiser_inputs,
    image_encoder_inputs,
    text_encoder_inputs,
    vae_half,
    vae_half_inputs,
)
from ...models.part import part_builder
from ...tracing.building import lightest
from ..pipeline import Pipeline
from ..requests import VideoRequest
from ..stage import Stage
from ..unit import Unit
from .experts import HIGH, Experts, experts_of
from .facts import fact_lines, facts_of
from .settings import Settings, running_lines, settings_of, source_lines

__all__ = ["generated_video"]


def generated_video(
    sizes: ModelSizes,
    request: VideoRequest,
    *,
    dataflow: bool = False,
    progress: Callable[[str], object] = lambda what: None,
) -> Pipeline:
    """The job of generating a video.

    Stages: `text` and `text_2` (encoders, once and once more for guidance), `image` and `encode` (of the image that a
    video starts from), `denoise` (or `denoise_high` and `denoise_low`, two experts), `vae` (the decoder).

    Arguments:
        sizes: of a known model or a folder.
        request: what is asked for; the rest are the model's own defaults, which the pipeline's `assumed` names.
        dataflow: whether the results have the data of every operation, for their cost on a device.
        progress: is told what is being counted.

    Raises:
        InputError, UnknownNameError: as `settings_of`, or the library of a part is missing or refuses it.
        TraceError: a part cannot be counted without its weights.
    """
    settings = settings_of(sizes, request)
    job = _Job(settings, dataflow, progress)
    stages = tuple(job.stages())
    facts = facts_of(settings, {stage.name: stage.report for stage in stages}, job.experts)
    return Pipeline(
        stages,
        name=sizes.name,
        units=tuple(_units(settings, job.experts)),
        parameters=job.parameters,
        assumed=settings.assumed,
        notes=(*fact_lines(facts), *running_lines(settings), *job.notes(), *source_lines(settings)),
        facts=facts,
        batch=settings.batch,
    )


@dataclass(frozen=True)
class _Job:
    settings: Settings
    dataflow: bool
    progress: Callable[[str], object]

    @property
    def experts(self) -> Experts | None:
        """How two denoisers divide the steps."""
        return experts_of(self.settings.sizes) if "denoiser_2" in self.settings.sizes.parts else None

    @property
    def parameters(self) -> dict[str, Any]:
        """The names in the times of the stages."""
        settings = self.settings
        values: dict[str, Any] = {"steps": settings.steps}
        if not settings.denoiser.joins_guidance:
            values["passes"] = 2 if settings.guided else 1
        if settings.reuse is not None:
            values["reuse"] = settings.reuse
        if self.experts is not None:
            values |= {"shift": self.experts.shift, "boundary": self.experts.boundary}
        return values

    @property
    def passes(self) -> str:
        """Passes of a step, and of the text; joined passes are one, of twice the batch."""
        return "1" if self.settings.denoiser.joins_guidance else "passes"

    def stages(self) -> Iterator[Stage]:
        """In the order in which they run."""
        yield from self._conditions()
        yield from self._denoising()
        if (vae := self._part("vae")) is not None:
            yield Stage("vae", self._half(vae, "decode"), 1, weights=self._weights("vae"))

    def notes(self) -> Iterator[str]:
        """What is not in the job, and how two denoisers divide it."""
        for role in ("text_encoder", "vae"):
            if role not in self.settings.sizes.parts and not (
                role == "text_encoder" and self.settings.denoiser.is_unet
            ):
                yield f"{self.settings.sizes.name} has no {role.replace('_', ' ')}: it is not in the job"
        if self.settings.reuse is not None:
            yield "a step that a cache skips counts nothing; what the cache itself computes is not known"
        if (experts := self.experts) is not None:
            yield (
                f"the first denoiser runs the steps with noise of at least {float(experts.boundary):g} of all, after a "
                f"shift of {float(experts.shift):g} ({experts.source})"
            )
            for name, shift in experts.others:
                said = f"shift={float(shift):g}"
                yield (
                    f"the shift of {name} is {float(shift):g}: with_parameters({said}), or --set {said} of the saved "
                    "job; both denoisers cost the same"
                )

    def _conditions(self) -> Iterator[Stage]:
        """Text and image, which a video is generated from."""
        settings = self.settings
        text_passes: int | str = (2 if settings.guided else 1) if settings.denoiser.joins_guidance else "passes"
        for role, name in (("text_encoder", "text"), ("text_encoder_2", "text_2")):
            if (part := self._part(role)) is not None:
                mask = settings.denoiser.text_mask and role == "text_encoder"
                inputs = text_encoder_inputs(part, self._text_tokens(part, role), batch=settings.batch, mask=mask)
                yield Stage(name, self._counted(part, inputs), text_passes, weights=self._weights(role))
        if (part := self._part("image_encoder")) is not None:
            inputs = image_encoder_inputs(part, batch=settings.batch, dtype=settings.dtype)
            yield Stage("image", self._counted(part, inputs), 1, weights=self._weights("image_encoder"))
        if (vae := self._part("vae")) is not None and settings.from_image:
            yield Stage("encode", self._half(vae, "encode"), 1, weights=self._weights("vae"))

    def _denoising(self) -> Iterator[Stage]:
        settings = self.settings
        first, second = self._part("denoiser"), self._part("denoiser_2")
        assert first is not None
        result = self._denoised(first)
        kept = "(steps - floor(reuse * steps))" if settings.reuse is not None else "steps"
        if second is None:
            yield Stage("denoise", result, self._times(kept), weights=self._weights("denoiser"))
            return
        high, low = HIGH, f"(steps - {HIGH})"
        if settings.reuse is not None:
            high = f"({HIGH} - floor(reuse * {HIGH}))"
            low = f"({kept} - {high})"
        same = (first.class_name, first.config) == (second.class_name, second.config)
        yield Stage("denoise_high", result, self._times(high), weights=self._weights("denoiser"))
        other = result if same else self._denoised(second)
        yield Stage("denoise_low", other, self._times(low), weights=self._weights("denoiser_2"))

    def _times(self, steps: str) -> str:
        return steps if self.passes == "1" else f"{self.passes} * {steps}"

    def _text_tokens(self, part: ModelPart, role: str) -> int:
        """A language model also gets the tokens of its template; a second encoder has a length of its own."""
        own, default = part.tokens, self.settings.sizes.defaults.text_tokens
        if own is None:
            return self.settings.text_tokens
        return own if role != "text_encoder" or default is None else own - default + self.settings.text_tokens

    def _denoised(self, part: ModelPart) -> Result:
        """One pass of a denoiser."""
        settings = self.settings
        image = self._part("image_encoder")
        inputs = denoiser_inputs(
            part,
            settings.latents,
            batch=settings.batch * (2 if settings.joins_passes else 1),
            text_tokens=settings.text_tokens,
            image_tokens=_image_tokens(image) if image is not None and not settings.denoiser.is_unet else None,
            factors=settings.factors,
            dtype=settings.dtype,
            step_per_token=settings.step_per_token,
            fps=settings.fps,
        )
        return self._counted(part, inputs)

    def _half(self, vae: ModelPart, half: str) -> Result:
        """One half of the VAE; an image-to-video pipeline may encode the image alone."""
        settings = self.settings
        clip = settings.video
        if half == "encode" and settings.encodes_one_frame:
            clip = replace(clip, frames=1)
        inputs = vae_half_inputs(vae, half, clip, batch=settings.batch, dtype=settings.dtype)
        result = self._counted(vae, inputs, lambda module: vae_half(vae, module, half))
        return replace(result, model=f"{result.model}.{half}")

    def _counted(
        self, part: ModelPart, inputs: dict[str, Any], use: Callable[[nn.Module], nn.Module] = lambda module: module
    ) -> Result:
        self.progress(f"{part.name.replace('_', ' ')} {part.class_name}")
        protocol = Protocol(batch=self.settings.batch)

        def counted(module: nn.Module) -> Result:
            return count(use(module), inputs, protocol, dataflow=self.dataflow, saving=False)

        return lightest(part_builder(part, self.settings.dtype), counted)

    def _part(self, role: str) -> ModelPart | None:
        return self.settings.sizes.parts.get(role)

    def _weights(self, role: str) -> str:
        return f"{self.settings.sizes.name}/{role}"


def _image_tokens(part: ModelPart) -> int:
    """Tokens of an image encoder: its patches and the class token, where nothing else says it."""
    return part.tokens or (part.config["image_size"] // part.config["patch_size"]) ** 2 + 1


def _units(settings: Settings, experts: Experts | None) -> Iterator[Unit]:
    frames = settings.video.frames * settings.batch
    yield Unit("video", settings.batch)
    if settings.fps is not None:
        yield Unit("second", f"{frames} / {settings.fps:g}")
    yield Unit("frame", frames)
    if experts is None:
        yield Unit("step", "steps", "denoise")
