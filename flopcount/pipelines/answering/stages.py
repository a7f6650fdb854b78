"""The stages of an answer, each counted on the real model: vision, prefill, and one token of decoding.

Vision is the tower with its projector. Prefill is the model's own forward pass on the tokens of the prompt with the
tower's results already there, so that vision is not counted twice. Decoding is the same pass on one token over a cache
of a given length. No weights and no pixels are needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from inspect import signature
from typing import Any

import torch
from torch import nn

from ...core.ops import ModuleInfo, TensorSpec
from ...core.protocol import Protocol
from ...core.result import Result
from ...count import count
from ...models.visual_tokens import Family, VisualTokens, question_tokens
from ...tracing.literal import literal
from .cache import KVCache, filled

__all__ = ["Answering"]


@dataclass(frozen=True, slots=True, eq=False)
class Answering:
    """A model that answers: what its stages need.

    Arguments:
        module: the whole model, without weights.
        family: that of its class.
        visual: the visual tokens of each video.
        tokens: of each sequence after prefill.
        cache: what it keeps.
        all_logits: whether prefill computes logits of all tokens.
        dataflow: whether results have the data of every operation.
        fps: frames per second of the video, where they are known.
    """

    module: nn.Module
    family: Family
    visual: VisualTokens
    tokens: int
    cache: KVCache
    all_logits: bool
    dataflow: bool
    fps: float | None

    @property
    def config(self) -> Any:
        """The configuration of the whole model."""
        return self.module.config

    @property
    def dtype(self) -> torch.dtype:
        """Of weights and tensors."""
        dtype: torch.dtype = self.module.dtype  # type: ignore[assignment]
        return dtype

    def vision(self) -> Result:
        """The vision tower and its projector, with the parameters of both."""
        name = str(self.dtype).removeprefix("torch.")
        inputs = self.family.frames(self.config, self.visual, self.cache.batch, name)
        return self._of_part(self._count(partial(self.family.encode, self.module), dict(inputs)), language=False)

    def prefill(self) -> Result:
        """The language model on all tokens of the prompt, with its parameters."""
        batch, name = self.cache.batch, str(self.dtype).removeprefix("torch.")
        ids = question_tokens(self.visual, self._placeholder, self.tokens, batch)
        inputs = {
            "input_ids": literal(ids),
            "mm_encoder_outputs": dict(self.family.encoded(self.config, self.visual, batch, name)),
            **self.family.beside(self.visual, batch, ids == self._placeholder),
            "logits_to_keep": literal(0 if self.all_logits else 1),
            "use_cache": True,
        }
        return self._of_part(self._count(self.module, inputs), language=True)

    def decode(self, step: int) -> Result:
        """The token of a step, from 0, over what prefill and the earlier steps left."""
        inputs = {
            "input_ids": TensorSpec((self.cache.batch, 1), "int64"),
            "past_key_values": filled(self.config.get_text_config(), self.cache, self.tokens + step, self.dtype),
            "logits_to_keep": literal(1),
            "use_cache": True,
        }
        return self._of_part(self._count(self.module, inputs), language=True)

    @property
    def chooses_logits(self) -> bool:
        """Whether the class can compute the logits of some tokens alone; generate() asks it for the last, if so."""
        return "logits_to_keep" in signature(self.module.forward).parameters

    def _count(self, target: Callable[..., Any], inputs: dict[str, Any]) -> Result:
        protocol = Protocol(fps=self.fps, batch=self.cache.batch)
        return count(target, inputs, protocol, dataflow=self.dataflow, saving=False)

    @property
    def _placeholder(self) -> int:
        placeholder: int = getattr(self.config, self.family.token_id)
        return placeholder

    def _of_part(self, result: Result, *, language: bool) -> Result:
        """The result with the parameters of the language model alone, or of all else; what holds it stays, bare."""
        parts = (self.module.get_decoder(), self.module.get_output_embeddings())  # type: ignore[operator]
        paths = [path for path, module in self.module.named_modules() if any(module is part for part in parts)]
        within = tuple(f"{path}." for path in paths)
        tree = []
        for info in result.tree:
            place = f"{info.path}." if info.path else ""
            if place.startswith(within) is language:
                tree.append(info)
            elif not place.startswith(within) and any(path.startswith(place) for path in within):
                tree.append(ModuleInfo(info.path, info.type, 0, 0))
        return replace(result, model=type(self.module).__name__, tree=tuple(tree))
