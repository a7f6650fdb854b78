"""A question about a video -> a pipeline of three stages: vision once, prefill once, and a token at a time.

An answer of n tokens takes n - 1 steps of decoding, since prefill gives the first token. Each step attends to one more
token than the one before; few are counted, and the rest follow exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from ...core.errors import InputError
from ...core.protocol import Clip
from ...core.result import Result
from ...facts.model_sizes import ModelPart, ModelSizes
from ...models.part import part_builder
from ...models.visual_tokens import family_of, visual_tokens, whole_of
from ...tracing.building import lightest
from ..expression import Expression
from ..growing import Growing
from ..pipeline import Pipeline
from ..requests import AnswerRequest
from ..stage import Stage
from ..unit import Unit
from .cache import bits_of, cache_of
from .facts import Facts
from .stages import Answering

__all__ = ["answered"]


def answered(
    sizes: ModelSizes,
    request: AnswerRequest,
    *,
    dataflow: bool = False,
    progress: Callable[[str], object] = lambda what: None,
) -> Pipeline:
    """What an answer to a question about a video costs: stages `vision`, `prefill` and `decode`.

    Arguments:
        sizes: the model; its part "whole" is built, without weights.
        request: the video, the length of question and answer, and how they run.
        dataflow: whether results have the data of every operation, as a cost on a device needs.
        progress: is told what is counted next.

    Raises:
        InputError: it is no video-language model, or something is not given that has no default.
        UnknownNameError: its family, or a dtype, is unknown.
    """
    part, video = whole_of(sizes), _video(sizes, request)
    prompt = _given("the question's length", request.prompt, "--prompt 64")
    new_tokens = _given("the answer's length", request.new_tokens, "--new-tokens 256")
    bits_of(request.kv_dtype or "float32")
    family = family_of(part.class_name)
    visual = visual_tokens(sizes, video)
    tokens, _ = visual.with_prompt(prompt)
    fps = request.fps or sizes.defaults.fps

    def counted(module: Any) -> tuple[Answering, Result, Result, Growing]:
        cache = cache_of(module.config.get_text_config(), str(module.dtype).removeprefix("torch."), request.batch)
        answering = Answering(module, family, visual, tokens, cache, request.all_logits, dataflow, fps)
        progress("vision")
        vision = answering.vision()
        progress("prefill")
        prefill = answering.prefill()
        progress("decode")
        decode = Growing(answering.decode)
        decode.at(0)  # whatever it needs is known now
        return answering, vision, prefill, decode

    answering, vision, prefill, decode = lightest(part_builder(part, _dtype(request, part)), counted)
    cache = answering.cache
    kept = replace(cache, dtype=request.kv_dtype or cache.dtype)
    steps = decode.summed(new_tokens - 1) if new_tokens > 1 else replace(prefill, ops=())
    facts = Facts.of(answering, request, kept, (vision, prefill, steps))
    return Pipeline(
        [
            Stage("vision", vision, weights="vision"),
            Stage("prefill", prefill, weights="language"),
            Stage("decode", decode, "new_tokens - 1", weights="language"),
        ],
        name=sizes.name,
        units=_units(video, fps, tokens, request.batch),
        parameters={"new_tokens": new_tokens},
        assumed=tuple(_assumed(sizes, request, video, fps)),
        notes=tuple(facts.notes(sizes, request, cache.dtype)),
        facts=facts.data(),
        batch=request.batch,
    )


def _video(sizes: ModelSizes, request: AnswerRequest) -> Clip:
    if request.video is not None:
        return request.video
    own = sizes.defaults
    if own.frames and own.height and own.width:
        return Clip(own.frames, own.height, own.width)
    fix = "give frames, height and width in pixels: --video 32x448x448"
    raise InputError(f"{sizes.name} has no frames of its own: the video decides", [("fix", fix)])


def _given(what: str, value: int | None, example: str) -> int:
    if value is None:
        raise InputError(f"{what} is not given, and no model has a default for it", [("fix", f"add {example}")])
    return value


def _dtype(request: AnswerRequest, part: ModelPart) -> str | None:
    """The dtype that is asked for, or that the configuration names; None for the class's own."""
    said = request.dtype or part.config.get("dtype") or part.config.get("torch_dtype")
    return str(said).removeprefix("torch.") if said else None


def _units(video: Clip, fps: float | None, tokens: int, batch: int) -> tuple[Unit, ...]:
    seconds = (Unit("second", Expression.of(batch * video.frames / Fraction(str(fps)))),) if fps else ()
    of_each = f"{batch} * " if batch > 1 else ""
    return (
        Unit("video", batch),
        *seconds,
        Unit("new token", f"{of_each}new_tokens"),
        Unit("input token", batch * tokens, "prefill"),
        Unit("token", f"{batch} * (new_tokens - 1)" if batch > 1 else "new_tokens - 1", "decode"),
    )


def _assumed(sizes: ModelSizes, request: AnswerRequest, video: Clip, fps: float | None) -> list[str]:
    said: list[str] = []
    if request.video is None:
        said.append(f"the video is {video}, the model's own default")
    if request.fps is None and fps is not None:
        said.append(f"the video has {fps:g} frames per second, the model's own default")
    return said
