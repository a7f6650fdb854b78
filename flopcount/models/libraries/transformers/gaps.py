"""Fields that a default configuration leaves empty and the model computes with -> options that fill them.

Each is one rule for a field, whatever class has it; the values are those of a published model where one is named here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["filled"]


def filled(config: Any) -> dict[str, Any]:
    """Options for empty fields of a whole and of its parts."""
    found: dict[str, Any] = {}
    for path, part in _paths(config):
        fields = vars(part)
        own = {name: value(part) for name, value in _VALUES.items() if fields.get(name, "") is None}
        if own.get("model_args") is not None:
            own["architecture"] = _TOWER
        found |= {f"{path}{name}": value for name, value in own.items() if value is not None}
        for outer, inner in _BEHIND:
            found |= _behind(part, path, outer, inner)
    return found


def _paths(config: Any, before: str = "") -> list[tuple[str, Any]]:
    inner = [(name, part) for name, part in vars(config).items() if hasattr(part, "model_type")]
    return [(before, config), *(each for name, part in inner for each in _paths(part, f"{before}{name}."))]


def _last_word(config: Any) -> int | None:
    words = getattr(getattr(config, "text_config", config), "vocab_size", None)
    return words - 1 if type(words) is int else None


def _vocabulary(config: Any) -> dict[str, int] | None:
    """The image as a word, the end of its rows, and one code of an image in each notation that models look for.

    How many codes there are changes no count.
    """
    last = _last_word(config)
    if last is None:
        return None
    names = ("<image>", "<|extra_200|>", "<|visual token 000000|>", "IMGIMGAZ")
    return {name: last - place for place, name in enumerate(names)}


def _layers_seen(config: Any) -> list[list[int]] | None:
    """Features of the layer of the tower that is seen, given to the first layer of the text."""
    layer = getattr(config, "vision_feature_layer", None)
    layers = layer if isinstance(layer, (list, tuple)) else [layer]
    return [[each, place] for place, each in enumerate(layers)] if None not in layers else None


_ANY_TOWER = "resnet50"  # what the wrapper of timm has by default, whose width no projector can read
_TOWER = "vit_pe_core_large_patch14_336"  # as in Perception-LM-1B: transformers' convert_perception_lm_weights_to_hf.py
_TOWER_ARGUMENTS = {"embed_dim": 1024, "depth": 23, "img_size": [336, 336], "global_pool": ""}

_VALUES: Mapping[str, Callable[[Any], Any]] = {
    "vocabulary_map": _vocabulary,
    "deepstack_layer_map": _layers_seen,
    "downsample_rate": lambda config: "1/2",  # one query for 2 keys a side, as features at offsets of 2 need it
    "video_token_index": _last_word,
    "model_args": lambda config: dict(_TOWER_ARGUMENTS) if vars(config).get("architecture") == _ANY_TOWER else None,
    "image_token_id": _last_word,
    "indexer_n_heads": lambda config: 64,  # heads and tokens as in DeepSeek-V3.2's class
    "indexer_kv_heads": lambda config: 1,
    "indexer_head_dim": lambda config: getattr(config, "head_dim", None) or 128,
    "indexer_budget": lambda config: 2048,
    "indexer_compress_ratio": lambda config: 4,
}
"""Field that is None -> the value that replaces it."""

_BEHIND = (("sam_config.downsample_channels", "encoder_config.hidden_size"),)


def _behind(part: Any, path: str, outer: str, inner: str) -> dict[str, Any]:
    """An encoder behind layers that reduce an image is as wide as the last of them."""
    values = []
    for each in (outer, inner):
        name, field = each.split(".")
        values.append(getattr(getattr(part, name, None), field, None))
    channels, width = values
    if not isinstance(channels, (list, tuple)) or not channels or type(width) is not int or channels[-1] == width:
        return {}
    return {f"{path}{inner}": channels[-1]}
