"""A video-language model on one question about a video: its whole forward, by the rule of its family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from ....core.protocol import Clip
from ...library import LibraryModel
from ...visual_tokens import Family, VisualTokens, family_of, question_inputs

__all__ = ["PROMPT", "asked"]

PROMPT = 64  # tokens of a question that nobody gave


def asked(model_class: Any, config: Any, video: Clip) -> LibraryModel:
    """The model with a video of this size and a question of PROMPT tokens.

    Raises:
        InputError: the family's rule refuses the video.
        UnknownNameError: the family is unknown here.
    """
    family = family_of(model_class.__name__)
    visual = family.rule(config, video)
    _, how = visual.with_prompt(PROMPT)
    assumed = (
        f"a question of {PROMPT} tokens about the video: {how}",
        "the logits of all tokens are computed; flopcount generate computes the last, and the answer token by token",
        *visual.notes,
    )

    def build() -> nn.Module:
        module: nn.Module = model_class(config)
        family.ready(module)
        return module

    return LibraryModel(build, _Question(family, config, visual), video, assumed=assumed, in_pixels=False)


@dataclass(frozen=True, slots=True)
class _Question:
    """Makes the keyword arguments of the forward for a batch of videos, each with its question."""

    family: Family
    config: Any
    visual: VisualTokens

    def __call__(self, module: nn.Module, batch: int) -> Any:
        dtype = str(module.dtype).removeprefix("torch.")
        return question_inputs(self.family, self.config, self.visual, prompt=PROMPT, batch=batch, dtype=dtype)
