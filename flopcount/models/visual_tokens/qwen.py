"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL: frames in pairs, patches merged two by two.

Source of the rule: qwen_vl_utils/vision_process.py of QwenLM/Qwen3-VL (`fetch_video`, `smart_resize`) for sizes, and
the video processors of transformers for patches; the class defaults of the latter's Qwen3-VL limit the pixels of the
whole video to those of one large frame, and are not what its authors' own code does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from ...core.ops import TensorSpec
from ...core.protocol import Clip
from ...core.units import times
from ...tracing.literal import literal
from .family import Family, VisualTokens, resized
from .resizing import resized_to_multiples

__all__ = ["FAMILIES"]

LEAST_TOKENS, MOST_TOKENS = 128, 768  # of a pair of frames; in merged patches
BUDGET = 128_000 * 9 // 10  # merged patches of a whole video
SLACK = 1.05  # of the least pixels, where the budget leaves less


def rule(config: Any, clip: Clip) -> VisualTokens:
    """The tokens of a video."""
    vision = config.vision_config
    patch, merge, pair = vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size
    factor = patch * merge
    frames = -(-clip.frames // pair) * pair
    least = LEAST_TOKENS * factor**2
    most = max(min(MOST_TOKENS * factor**2, BUDGET * factor**2 / frames * pair), int(least * SLACK))
    one = resized_to_multiples(clip, factor, least, most)
    seen = Clip(frames, one.height, one.width)
    grid = frames // pair, seen.height // patch, seen.width // patch
    patches = grid[0] * grid[1] * grid[2]
    tokens = patches // merge**2
    padded = f" (the last is repeated: {frames})" if frames != clip.frames else ""
    lines = (
        ("frames", f"{clip.frames}{padded}"),
        resized(clip, seen, f"multiples of {patch} · {merge} = {factor}"),
        ("patches", f"{frames}/{pair} · {seen.height}/{patch} · {seen.width}/{patch} = {times(grid)} = {patches:,}"),
        ("tokens", f"{patches:,} / {merge}² = {tokens:,}"),
        ("delimiters", "2: start and end of the video"),
    )
    return VisualTokens(clip, seen, grid, tokens, 2, lines)


def rule_with_timestamps(config: Any, clip: Clip) -> VisualTokens:
    """The tokens of a video of which each pair of frames has its time before it, as text."""
    tokens = rule(config, clip)
    pairs = tokens.grid[0]
    note = (
        f"each of {pairs} pairs of frames also has a timestamp such as <0.3 seconds> and 2 delimiters of its own: how "
        "many tokens that is, the tokenizer decides; they are left out, and --prompt can have them"
    )
    sizes = (
        "frames are resized as qwen_vl_utils does, each pair within limits of its own; the processor of transformers "
        "limits the pixels of the whole video, by its own file and not the model's: its frames may be of another size"
    )
    return replace(tokens, notes=(note, sizes))


def encode(self: Any, pixel_values_videos: Any, video_grid_thw: Any) -> Any:
    """The tower with its merger."""
    return self.get_video_features(pixel_values_videos, video_grid_thw)


def frames(config: Any, tokens: VisualTokens, batch: int, dtype: str) -> Mapping[str, Any]:
    """Patches laid flat, those of all videos behind each other, and their grids."""
    vision = config.vision_config
    width = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    return {
        "pixel_values_videos": TensorSpec((batch * tokens.patches, width), dtype),
        "video_grid_thw": literal(torch.tensor([tokens.grid] * batch)),
    }


def encoded(config: Any, tokens: VisualTokens, batch: int, dtype: str) -> Mapping[str, Any]:
    """A tensor for each video."""
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    return {"video": BaseModelOutputWithPooling(pooler_output=_each(config, tokens, batch, dtype))}


def encoded_deeply(config: Any, tokens: VisualTokens, batch: int, dtype: str) -> Mapping[str, Any]:
    """A tensor for each video, and one for each of the first layers of the text."""
    from transformers.models.qwen3_vl.modeling_qwen3_vl import BaseModelOutputWithDeepstackFeatures as Output

    deep: Any = [_each(config, tokens, batch, dtype) for _ in config.vision_config.deepstack_visual_indexes]
    return {"video": Output(pooler_output=_each(config, tokens, batch, dtype), deepstack_features=deep)}


def _each(config: Any, tokens: VisualTokens, batch: int, dtype: str) -> Any:
    width = config.text_config.hidden_size
    return tuple(torch.empty(tokens.tokens, width, dtype=getattr(torch, dtype), device="meta") for _ in range(batch))


def positions_from_grid(tokens: VisualTokens, batch: int, visual: torch.Tensor) -> Mapping[str, Any]:
    """What the model works its positions out from: which tokens are of a video, and its grid."""
    return {
        "mm_token_type_ids": literal(visual.long() * 2),  # 2 is a video, as 1 is an image
        "video_grid_thw": literal(torch.tensor([tokens.grid] * batch)),
    }


def positions(tokens: VisualTokens, batch: int, visual: torch.Tensor) -> Mapping[str, Any]:
    """Positions in time, height and width: they would need the timestamps between pairs of frames."""
    return {"position_ids": TensorSpec((3, *visual.shape), "int64")}


FAMILIES = (
    Family(
        "Qwen2-VL and Qwen2.5-VL",
        ("Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration"),
        rule,
        encode,
        frames,
        encoded,
        positions_from_grid,
        "video_token_id",
    ),
    Family(
        "Qwen3-VL",
        ("Qwen3VLForConditionalGeneration", "Qwen3VLMoeForConditionalGeneration"),
        rule_with_timestamps,
        encode,
        frames,
        encoded_deeply,
        positions,
        "video_token_id",
    ),
)
