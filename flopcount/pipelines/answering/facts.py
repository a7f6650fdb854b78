"""What else an answer is about: tokens, attention, the cache and active parameters, as plain data and in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ...core.one_line import OneLine
from ...core.result import Result
from ...core.units import si
from ...facts.model_sizes import ModelSizes
from ...models.visual_tokens import VisualTokens
from ..requests import AnswerRequest
from .attention import Attention, attention_of
from .cache import KVCache
from .stages import Answering

__all__ = ["Facts", "parameters_of"]


@dataclass(frozen=True, slots=True)
class Facts(OneLine):
    """What a question and its answer come to.

    Arguments:
        visual: the visual tokens of each video.
        prompt: tokens of the question.
        new_tokens: tokens of the answer.
        attention: by stage.
        cache: as it is kept.
        parameters: all, and those that a token uses.
        density: of sparse attention.
        positions: how many the language model was made for; None where its configuration does not say.
        chooses_logits: whether its class can compute the logits of the last token alone.
    """

    visual: VisualTokens
    prompt: int
    new_tokens: int
    attention: Mapping[str, Attention]
    cache: KVCache
    parameters: Mapping[str, int]
    density: Fraction | None
    positions: int | None
    chooses_logits: bool

    @classmethod
    def of(cls, answering: Answering, request: AnswerRequest, cache: KVCache, stages: tuple[Result, ...]) -> Facts:
        """From a model that answers, its cache as it is kept, and what vision, prefill and all of decoding cost."""
        visual, text = answering.visual, answering.config.get_text_config()
        assert request.prompt is not None
        assert request.new_tokens is not None
        ops = dict(zip(("vision", "prefill", "decode"), (stage.ops for stage in stages), strict=True))
        attention = attention_of(ops, visual.with_prompt(request.prompt)[0], cache.windows)
        return cls(
            visual=visual,
            prompt=request.prompt,
            new_tokens=request.new_tokens,
            attention=attention,
            cache=cache,
            parameters=parameters_of(text, stages[0], stages[1]),
            density=request.density,
            positions=getattr(text, "max_position_embeddings", None),
            chooses_logits=answering.chooses_logits,
        )

    def data(self) -> dict[str, Any]:
        """As plain data."""
        whole, arithmetic = self.visual.with_prompt(self.prompt)
        asked = {"prompt": self.prompt, "prefill": whole, "new_tokens": self.new_tokens, "sum": arithmetic}
        return {
            "tokens": {**self.visual.data(), **asked},
            "kv_cache": self.cache.data(whole, self.new_tokens - 1),
            "attention": {name: attention.data(self.density) for name, attention in self.attention.items()},
            "parameters": dict(self.parameters),
        }

    def notes(self, sizes: ModelSizes, request: AnswerRequest, dtype: str) -> Iterator[str]:
        """In words, with what a reader has to know besides; `dtype` is that of the tensors as counted."""
        whole, arithmetic = self.visual.with_prompt(self.prompt)
        yield f"tokens: {arithmetic}"
        yield from self.visual.notes
        yield from self._limits(sizes, whole)
        prefill = self.attention["prefill"]
        shares = ""
        if self.density is not None:
            shares = f", {si(round(prefill.dense * self.density))} at a density of {float(self.density):g}"
        yield (
            f"attention of prefill: {si(prefill.dense)} MACs dense, as counted ({prefill.dense_formula}), "
            f"{si(prefill.causal or 0)} causal ({prefill.causal_formula}){shares}"
        )
        cache = self.cache.data(whole, self.new_tokens - 1)
        yield (
            f"KV cache: {cache['bytes_per_token']:,} B a token in {self.cache.dtype}; "
            f"{si(cache['bytes_after_prefill'], 'B')} after prefill, {si(cache['bytes_after_answer'], 'B')} at the end"
        )
        if self.parameters["active"] != self.parameters["total"]:
            yield (
                f"experts: {self.parameters['active_experts']} of {self.parameters['experts']} run for a token, so "
                f"that it uses {si(self.parameters['active'])} of {si(self.parameters['total'])} parameters"
            )
        if request.dtype is None:
            yield f"counted in {dtype}: bytes follow it, MACs do not"
        if not self.chooses_logits:
            yield "logits: of all tokens of the prompt, since its class in transformers has no other way"
        elif not request.all_logits:
            yield "logits: of the last token of the prompt alone, as generate() computes them"
        if sizes.assembled:
            yield "the sizes were put together from several sources, see `flopcount list --task language`"

    def _limits(self, sizes: ModelSizes, whole: int) -> Iterator[str]:
        most, frames = sizes.other_defaults.get("max_frames"), self.visual.clip.frames
        if isinstance(most, int) and frames > most:
            yield f"the model's own sampling keeps at most {most} frames; all {frames} are counted"
        last = whole + self.new_tokens - 1
        if self.positions is not None and last > self.positions:
            yield f"{last:,} tokens are more than the {self.positions:,} positions that the model was made for"


def parameters_of(text: Any, vision: Result, prefill: Result) -> dict[str, int]:
    """All parameters, and those that a token uses: of experts as many as it is sent to."""
    whole = vision.total.params + prefill.total.params
    experts = getattr(text, "num_experts", None) or getattr(text, "num_local_experts", None)
    chosen = getattr(text, "num_experts_per_tok", None)
    if not experts or not chosen:
        return {"total": whole, "active": whole}
    routed = sum(info.params for info in prefill.tree if "experts" in info.path.split("."))
    active = whole - routed * (experts - chosen) // experts
    return {"total": whole, "active": active, "experts": experts, "active_experts": chosen}
