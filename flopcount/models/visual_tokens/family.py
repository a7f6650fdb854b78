"""What a family of video-language models has of its own: its rule for visual tokens, and the inputs of its stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any

from ...core.one_line import OneLine
from ...core.protocol import Clip
from ...core.table import Column, Table
from ...core.units import times

__all__ = ["Family", "VisualTokens", "resized"]


@dataclass(frozen=True, slots=True)
class VisualTokens(OneLine):
    """The visual tokens of one video, with their arithmetic.

    Arguments:
        clip: frames, height and width that come in.
        seen: what the vision tower gets, resized and with the last frame repeated where frames are taken in pairs.
        grid: patches along time, height and width.
        tokens: visual tokens that the text gets.
        delimiters: tokens of the text that enclose the video, beside the prompt.
        lines: what is worked out and its arithmetic: ("tokens", "16,384 / 4 = 4,096").
        notes: what the rule assumes, and what it leaves out.
    """

    clip: Clip
    seen: Clip
    grid: tuple[int, int, int]
    tokens: int
    delimiters: int
    lines: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()

    @property
    def patches(self) -> int:
        """Patches of the whole video."""
        return prod(self.grid)

    def with_prompt(self, prompt: int) -> tuple[int, str]:
        """Tokens that the language model gets with so many of a question, and their arithmetic."""
        whole = self.tokens + self.delimiters + prompt
        parts = f"{self.tokens:,} visual" + (f" + {self.delimiters} delimiters" if self.delimiters else "")
        return whole, f"{parts} + {prompt:,} of the prompt = {whole:,}"

    def pace(self, fps: float) -> tuple[str, str]:
        """The line that says how many tokens a second of video is, at so many frames per second."""
        seconds = Fraction(self.clip.frames) / Fraction(str(fps))
        how = f"{self.tokens:,} / ({self.clip.frames} / {fps:g} s) = {float(self.tokens / seconds):,g}"
        return "tokens per second", how

    def table(self, title: str, more: tuple[tuple[str, str], ...] = ()) -> Table:
        """What is worked out with its arithmetic, and `more` lines below."""
        columns = (Column("what", "text"), Column("arithmetic", "prose"))
        return Table(title, columns, (*self.lines, *more), None, self.notes)

    def data(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "video": self.clip.code,
            "seen": self.seen.code,
            "grid": list(self.grid),
            "patches": self.patches,
            "tokens": self.tokens,
            "delimiters": self.delimiters,
            "arithmetic": [f"{what}: {how}" for what, how in self.lines],
            "notes": list(self.notes),
        }


def resized(clip: Clip, seen: Clip, why: str) -> tuple[str, str]:
    """The line that says what becomes of a frame."""
    if (seen.height, seen.width) == (clip.height, clip.width):
        return "frame", f"{times((clip.height, clip.width))} stays, {why}"
    return "frame", f"{times((clip.height, clip.width))} → {times((seen.height, seen.width))}, {why}"


def _ready(module: Any) -> None:
    """The model is as it is."""


@dataclass(frozen=True, slots=True)
class Family:
    """A family: everything here takes the configuration of the whole model, as its class has it.

    Arguments:
        name: in words.
        classes: of whole models, in `transformers`.
        rule: (configuration, clip) -> VisualTokens.
        encode: (self, ...) -> visual tokens: the vision tower with its projector, as a method of the whole model.
        frames: (configuration, tokens, batch, dtype) -> arguments of `encode`.
        encoded: (configuration, tokens, batch, dtype) -> what the text gets of the tower, by modality, without values.
        beside: (tokens, batch, visual) -> further arguments of prefill, where `visual` says which tokens are visual.
        token_id: the name of the configuration's placeholder.
        ready: makes the forward of a whole model encode frames as `encode` does, where it would read their pixels.
    """

    name: str
    classes: tuple[str, ...]
    rule: Callable[[Any, Clip], VisualTokens]
    encode: Callable[..., Any]
    frames: Callable[[Any, VisualTokens, int, str], Mapping[str, Any]]
    encoded: Callable[[Any, VisualTokens, int, str], Mapping[str, Any]]
    beside: Callable[[VisualTokens, int, Any], Mapping[str, Any]]
    token_id: str
    ready: Callable[[Any], None] = _ready
