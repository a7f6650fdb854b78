"""VideoLLaMA3: every frame by itself, patches merged two by two after the tower.

Source of the rule: `simple_batched_resize` of the authors' own image processor for sizes (16 to 16,384 merged patches,
the latter shared by all frames), and the video processor of transformers for patches and merging.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ...core.ops import TensorSpec
from ...core.protocol import Clip
from ...core.units import times
from ...tracing.literal import literal
from .family import Family, VisualTokens, resized
from .internvl import beside
from .resizing import resized_to_multiples

__all__ = ["FAMILIES"]

MERGE = 2  # of a video; pictures are not merged
LEAST_TOKENS, MOST_TOKENS = 16, 16_384


def rule(config: Any, clip: Clip) -> VisualTokens:
    """The tokens of a video."""
    patch = config.vision_config.patch_size
    factor = patch * MERGE
    most = MOST_TOKENS * factor**2 // clip.frames
    seen = resized_to_multiples(clip, factor, LEAST_TOKENS * factor**2, most, floor_first=True)
    grid = clip.frames, seen.height // patch, seen.width // patch
    patches = grid[0] * grid[1] * grid[2]
    tokens = patches // MERGE**2
    lines = (
        ("frames", f"{clip.frames}"),
        resized(clip, seen, f"multiples of {patch} · {MERGE} = {factor}"),
        ("patches", f"{clip.frames} · {seen.height}/{patch} · {seen.width}/{patch} = {times(grid)} = {patches:,}"),
        ("tokens", f"{patches:,} / {MERGE}² = {tokens:,}"),
        ("delimiters", "0"),
    )
    notes = (
        "the model drops tokens that are like those of the frame before, which is on by default: how many depends on "
        "the pixels, so all are counted",
        f"the text has a time such as Time 0.0s: before each of {clip.frames} frames: how many tokens that is, the "
        "tokenizer decides; they are left out, and --prompt can have them",
    )
    return VisualTokens(clip, seen, grid, tokens, 0, lines, notes)


def encode(self: Any, pixel_values_videos: Any, video_grid_thw: Any, video_merge_sizes: Any) -> Any:
    """The tower, merging and the projector."""
    return self.get_video_features(pixel_values_videos, video_grid_thw, video_merge_sizes=video_merge_sizes)


def frames(config: Any, tokens: VisualTokens, batch: int, dtype: str) -> Mapping[str, Any]:
    """Patches laid flat, those of all videos behind each other, and their grids."""
    width = config.vision_config.num_channels * config.vision_config.patch_size**2
    return {
        "pixel_values_videos": TensorSpec((batch * tokens.patches, width), dtype),
        "video_grid_thw": literal(torch.tensor([tokens.grid] * batch)),
        "video_merge_sizes": literal(torch.tensor([MERGE] * batch)),
    }


def encoded(config: Any, tokens: VisualTokens, batch: int, dtype: str) -> Mapping[str, Any]:
    """A tensor for each video."""
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    shape = (tokens.tokens, config.text_config.hidden_size)
    features: Any = tuple(torch.empty(shape, dtype=getattr(torch, dtype), device="meta") for _ in range(batch))
    return {"video": BaseModelOutputWithPooling(pooler_output=features)}


FAMILIES = (
    Family(
        "VideoLLaMA3",
        ("VideoLlama3ForConditionalGeneration",),
        rule,
        encode,
        frames,
        encoded,
        beside,
        "video_token_id",
    ),
)
