"""What is asked of a generator or of a video-language model; None leaves a value to the model's own default."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ..core.errors import InputError
from ..core.one_line import OneLine
from ..core.protocol import Clip

__all__ = ["AnswerRequest", "VideoRequest"]


_SLOWEST, _FASTEST = 1e-9, 1e12
"""Frames per second; what is beyond is a slip, and exact fractions of it would be long."""


@dataclass(frozen=True, slots=True)
class VideoRequest(OneLine):
    """A video to generate.

    Arguments:
        video: frames, height and width in pixels.
        steps: denoising steps.
        guidance: whether each step has a second pass without the prompt.
        text_tokens: tokens of the prompt, padding included.
        reuse: the share of steps that a cache skips, from 0 up to but not 1.
        batch: videos at once.
        dtype: of weights and tensors, such as "bfloat16".
        density: the share of the pairs of tokens that sparse attention computes.

    Raises:
        InputError: a value is malformed.
    """

    video: Clip | None = None
    steps: int | None = None
    guidance: bool | None = None
    text_tokens: int | None = None
    reuse: Fraction | None = None
    batch: int = 1
    dtype: str | None = None
    density: Fraction | None = None

    def __post_init__(self) -> None:
        _above_zero(("steps", self.steps), ("text tokens", self.text_tokens), ("batch", self.batch))
        _share("density", self.density)
        _switch("guidance", self.guidance)
        if self.reuse is not None and not 0 <= self.reuse < 1:
            fix = "give the share of steps that a cache skips, such as --reuse 0.3"
            raise InputError(f"reuse is {float(self.reuse):g}", [("fix", fix)])


@dataclass(frozen=True, slots=True)
class AnswerRequest(OneLine):
    """A question about a video.

    Arguments:
        video: frames, height and width in pixels of what the model gets, before its own resizing.
        fps: frames per second at which it was sampled.
        prompt: tokens of the question, without the visual ones and their delimiters.
        new_tokens: tokens of the answer.
        batch: questions at once, each with a video.
        dtype: of weights and tensors.
        kv_dtype: of the cache, such as "fp8"; by default that of the tensors.
        all_logits: whether prefill computes the logits of every token, not only of the last.
        density: the share of the pairs of tokens that sparse attention computes.

    Raises:
        InputError: a value is malformed.
    """

    video: Clip | None = None
    fps: float | None = None
    prompt: int | None = None
    new_tokens: int | None = None
    batch: int = 1
    dtype: str | None = None
    kv_dtype: str | None = None
    all_logits: bool = False
    density: Fraction | None = None

    def __post_init__(self) -> None:
        _above_zero(("prompt", self.prompt), ("new tokens", self.new_tokens), ("batch", self.batch))
        _share("density", self.density)
        _switch("all logits", self.all_logits)
        if self.fps is not None and (isinstance(self.fps, bool) or not isinstance(self.fps, (int, float))):
            raise InputError(f"fps is {self.fps!r}", [("fix", "give a number")])
        if self.kv_dtype is not None and not isinstance(self.kv_dtype, str):
            raise InputError(f"kv dtype is {self.kv_dtype!r}", [("fix", "give its name, such as fp8")])
        if self.fps is not None and not _SLOWEST <= self.fps <= _FASTEST:
            fix = "give the frames per second of the video, above 0"
            raise InputError(f"fps is {self.fps!r}", [("fix", fix)])


def _above_zero(*values: tuple[str, int | None]) -> None:
    for name, value in values:
        if value is not None and (type(value) is not int or value < 1):
            raise InputError(f"{name} is {value!r}", [("fix", "give a whole number above 0")])


def _switch(name: str, value: bool | None) -> None:
    if value is not None and not isinstance(value, bool):
        raise InputError(f"{name} is {value!r}", [("fix", "give true or false")])


def _share(name: str, value: Fraction | None) -> None:
    if value is not None and not 0 < value <= 1:
        raise InputError(f"{name} is {float(value):g}", [("fix", f"give a {name} above 0, 1 at most")])
