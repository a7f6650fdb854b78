"""LLaVA-OneVision: every frame is one square picture; its projected patches are pooled two by two.

Source of the rule: the processor and `get_video_features` of transformers' LLaVA-OneVision. The projector runs before
pooling, on every patch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ...core.ops import TensorSpec
from ...core.protocol import Clip
from .family import Family, VisualTokens, resized

__all__ = ["FAMILIES"]


def rule(config: Any, clip: Clip) -> VisualTokens:
    """The tokens of a video."""
    size, patch = config.vision_config.image_size, config.vision_config.patch_size
    seen = Clip(clip.frames, size, size)
    side = size // patch
    pooled = -(-side // 2)
    tokens = clip.frames * pooled**2 + 1
    lines = (
        ("frames", f"{clip.frames}"),
        resized(clip, seen, "the size of the tower"),
        ("patches", f"⌊{size}/{patch}⌋² = {side}² = {side**2} a frame"),
        ("pooled", f"⌈{side}/2⌉² = {pooled}² = {pooled**2} a frame"),
        ("tokens", f"{clip.frames} · {pooled**2} + 1 (newline) = {tokens:,}"),
        ("delimiters", "0"),
    )
    return VisualTokens(clip, seen, (clip.frames, side, side), tokens, 0, lines)


def encode(self: Any, pixel_values_videos: Any) -> Any:
    """The tower on every frame, the projector, and pooling where the family pools."""
    return self.get_video_features(pixel_values_videos)


def frames(config: Any, tokens: VisualTokens, batch: int, dtype: str) -> Mapping[str, Any]:
    """Videos as they are."""
    count, height, width = tokens.seen.sizes
    shape = (batch, count, config.vision_config.num_channels, height, width)
    return {"pixel_values_videos": TensorSpec(shape, dtype)}


def encoded(config: Any, tokens: VisualTokens, batch: int, dtype: str) -> Mapping[str, Any]:
    """The tokens of each video."""
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    shape = (batch, tokens.tokens, config.text_config.hidden_size)
    features: Any = torch.empty(shape, dtype=getattr(torch, dtype), device="meta")
    return {"video": BaseModelOutputWithPooling(pooler_output=features)}


def beside(tokens: VisualTokens, batch: int, visual: Any) -> Mapping[str, Any]:
    """Nothing: positions are those of the text."""
    return {}


FAMILIES = (
    Family(
        "LLaVA-OneVision",
        ("LlavaOnevisionForConditionalGeneration",),
        rule,
        encode,
        frames,
        encoded,
        beside,
        "video_token_id",
    ),
)
