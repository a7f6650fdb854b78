"""InternVL: every frame is one square tile; a pixel shuffle merges patches two by two.

Source of the rule: the processor and `get_image_features` of transformers' InternVL.
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
    (height, width), (down, across) = config.vision_config.image_size, config.vision_config.patch_size
    seen = Clip(clip.frames, height, width)
    grid = clip.frames, height // down, width // across
    merge = round(1 / config.downsample_ratio)
    frame = grid[1] * grid[2]
    each = frame // merge**2
    lines = (
        ("frames", f"{clip.frames}"),
        resized(clip, seen, "one tile a frame"),
        ("patches", f"{height}/{down} · {width}/{across} = {frame:,} a frame, and a class token in the tower"),
        ("tokens", f"{clip.frames} · {frame:,} / {merge}² = {clip.frames} · {each} = {clip.frames * each:,}"),
        ("delimiters", "2: start and end of the video"),
    )
    note = (
        f"the text has a label such as Frame1: and 2 delimiters around each of {clip.frames} frames: how many tokens a "
        "label is, the tokenizer decides; all but the first and the last delimiter are left out, and --prompt can have "
        "them"
    )
    return VisualTokens(clip, seen, grid, clip.frames * each, 2, lines, (note,))


def encode(self: Any, pixel_values: Any) -> Any:
    """The tower on every frame, and the projector."""
    return self.get_image_features(pixel_values=pixel_values)


def frames(config: Any, tokens: VisualTokens, batch: int, dtype: str) -> Mapping[str, Any]:
    """All frames of all videos as pictures."""
    count, height, width = tokens.seen.sizes
    shape = (batch * count, config.vision_config.num_channels, height, width)
    return {"pixel_values": TensorSpec(shape, dtype)}


def encoded(config: Any, tokens: VisualTokens, batch: int, dtype: str) -> Mapping[str, Any]:
    """The tokens of each frame."""
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    count = tokens.seen.frames
    shape = (batch * count, tokens.tokens // count, config.text_config.hidden_size)
    features: Any = torch.empty(shape, dtype=getattr(torch, dtype), device="meta")
    return {"image": BaseModelOutputWithPooling(pooler_output=features)}


def beside(tokens: VisualTokens, batch: int, visual: Any) -> Mapping[str, Any]:
    """Nothing: positions are those of the text."""
    return {}


FAMILIES = (
    Family("InternVL", ("InternVLForConditionalGeneration",), rule, encode, frames, encoded, beside, "image_token_id"),
)
