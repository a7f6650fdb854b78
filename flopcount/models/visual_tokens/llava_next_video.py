"""LLaVA-NeXT-Video: every frame is one square picture; its patches are pooled, and then projected.

Source of the rule: the processor and `get_video_features` of transformers' LLaVA-NeXT-Video. Its processor divides
patches by 4 whatever the stride of the pooling is, and so does the rule for a stride of 2, which every release has.
"""

from __future__ import annotations

from typing import Any

from ...core.protocol import Clip
from .family import Family, VisualTokens, resized
from .llava_onevision import beside, encode, encoded, frames

__all__ = ["FAMILIES"]


def rule(config: Any, clip: Clip) -> VisualTokens:
    """The tokens of a video."""
    size, patch = config.vision_config.image_size, config.vision_config.patch_size
    stride = config.spatial_pool_stride
    seen = Clip(clip.frames, size, size)
    side = size // patch
    pooled = side // stride
    tokens = clip.frames * pooled**2
    lines = (
        ("frames", f"{clip.frames}"),
        resized(clip, seen, "the size of the tower"),
        (
            "patches",
            f"({size}/{patch})² = {side}² = {side**2} a frame; the class token is dropped",
        ),
        ("pooled", f"({side}/{stride})² = {pooled}² = {pooled**2} a frame"),
        ("tokens", f"{clip.frames} · {pooled**2} = {tokens:,}"),
        ("delimiters", "0"),
    )
    return VisualTokens(clip, seen, (clip.frames, side, side), tokens, 0, lines)


FAMILIES = (
    Family(
        "LLaVA-NeXT-Video",
        ("LlavaNextVideoForConditionalGeneration",),
        rule,
        encode,
        frames,
        encoded,
        beside,
        "video_token_id",
    ),
)
