"""SmolVLM: every frame is one square picture, which is not tiled; a pixel shuffle merges its patches.

Source of the rule: the processors and `get_image_features` of transformers' SmolVLM.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ...core.ops import TensorSpec
from ...core.protocol import Clip
from .family import Family, VisualTokens, resized
from .internvl import beside

__all__ = ["FAMILIES"]


def rule(config: Any, clip: Clip) -> VisualTokens:
    """The tokens of a video."""
    size, patch, merge = config.vision_config.image_size, config.vision_config.patch_size, config.scale_factor
    seen = Clip(clip.frames, size, size)
    side = size // patch
    each = side**2 // merge**2
    tokens = clip.frames * each
    lines = (
        ("frames", f"{clip.frames}"),
        resized(clip, seen, "the size of the tower; frames of a video are not tiled"),
        ("patches", f"⌊{size}/{patch}⌋² = {side}² = {side**2} a frame"),
        ("tokens", f"{clip.frames} · {side**2} / {merge}² = {clip.frames} · {each} = {tokens:,}"),
        ("delimiters", "2: start and end of the video"),
    )
    note = (
        f"the text has a line such as Frame from 00:01: and 3 delimiters around each of {clip.frames} frames: how many "
        "tokens a line is, the tokenizer decides; all but the first and the last delimiter are left out, and --prompt "
        "can have them"
    )
    return VisualTokens(clip, seen, (clip.frames, side, side), tokens, 2, lines, (note,))


def encode(self: Any, pixel_values: Any) -> Any:
    """The tower on every frame, and the connector; the model's own method looks first for frames that are all zero."""
    count, _, height, width = pixel_values.shape
    patch = self.config.vision_config.patch_size
    mask = torch.ones(count, height // patch, width // patch, dtype=torch.bool, device=pixel_values.device)
    hidden = self.model.vision_model(pixel_values=pixel_values, patch_attention_mask=mask).last_hidden_state
    return self.model.connector(hidden)


def frames(config: Any, tokens: VisualTokens, batch: int, dtype: str) -> Mapping[str, Any]:
    """All frames of all videos as pictures."""
    count, height, width = tokens.seen.sizes
    shape = (batch * count, config.vision_config.num_channels, height, width)
    return {"pixel_values": TensorSpec(shape, dtype)}


def encoded(config: Any, tokens: VisualTokens, batch: int, dtype: str) -> Mapping[str, Any]:
    """A tensor for each video."""
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    shape = (tokens.tokens, config.text_config.hidden_size)
    features: Any = [torch.empty(shape, dtype=getattr(torch, dtype), device="meta") for _ in range(batch)]
    return {"image": BaseModelOutputWithPooling(pooler_output=features)}


def ready(module: Any) -> None:
    """The whole model encodes all frames: its own method looks first for those that are black all over."""
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    def of_frames(pixel_values: Any, *_: Any, **__: Any) -> Any:
        return BaseModelOutputWithPooling(pooler_output=encode(module, pixel_values))

    module.model.get_image_features = of_frames


FAMILIES = (
    Family(
        "SmolVLM",
        ("SmolVLMForConditionalGeneration",),
        rule,
        encode,
        frames,
        encoded,
        beside,
        "image_token_id",
        ready,
    ),
)
