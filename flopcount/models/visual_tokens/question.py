"""A question about a video as the arguments of a whole model's forward: the video, its visual tokens, and text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ...tracing.literal import literal
from .family import Family, VisualTokens

__all__ = ["question_inputs", "question_tokens"]


def question_tokens(visual: VisualTokens, placeholder: int, tokens: int, batch: int) -> torch.Tensor:
    """Tokens of a prompt (B, L): the video behind the first delimiter, or first of all, and text behind it."""
    ids = torch.full((batch, tokens), 0 if placeholder else 1)
    first = visual.delimiters // 2
    ids[:, first : first + visual.tokens] = placeholder
    return ids


def question_inputs(
    family: Family, config: Any, visual: VisualTokens, *, prompt: int, batch: int, dtype: str
) -> Mapping[str, Any]:
    """The keyword arguments of one forward of a whole model on videos with a question of so many tokens.

    Arguments:
        family: that of the class.
        config: that of the whole model.
        visual: the visual tokens of each video, by the family's rule.
        prompt: tokens of the question, without the delimiters of the video.
        batch: videos, each with its question.
        dtype: of the pixels.
    """
    tokens, _ = visual.with_prompt(prompt)
    placeholder = getattr(config, family.token_id)
    ids = question_tokens(visual, placeholder, tokens, batch)
    frames = family.frames(config, visual, batch, dtype)
    return {"input_ids": literal(ids), **frames, **family.beside(visual, batch, ids == placeholder)}
