"""A configuration of transformers as a published one is read, and what a default one lacks to be built.

What enters is a model class; what leaves is its configuration, or options for it. Defaults of some configurations are
not those of any published model: a field is None that the model computes with. `completed` says what to give it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from math import isqrt
from typing import Any

__all__ = ["completed", "configuration_of", "shallow"]

_DEPTHS = (
    *("num_hidden_layers", "num_layers", "n_layer", "n_layers", "num_decoder_layers"),
    *("encoder_layers", "decoder_layers", "num_encoder_layers"),
)


def configuration_of(model_class: Any, options: dict[str, Any]) -> Any:
    """The default configuration with these options, as if read from a file: lists are lists, derived fields derived.

    It keeps nothing for a next token, since what is counted is one whole forward pass.
    """
    kind = model_class.config_class
    written = kind(**options).to_json_string(use_diff=False)  # anew, since it derives fields from others
    config = kind.from_dict(json.loads(written, object_hook=_special_float))
    if hasattr(config, "use_cache"):
        config.use_cache = False
    return config


def _special_float(found: dict[str, Any]) -> Any:
    """Infinity, as transformers writes it."""
    return float(found["__float__"]) if list(found) == ["__float__"] else found


def shallow(config: Any, layers: int) -> dict[str, Any]:
    """Options that leave a model at most so many layers; those that it works out from others are left alone."""
    derived = getattr(type(config), "attribute_map", {})
    fields = [name for name in _DEPTHS if name not in derived and _settable(config, name)]
    return {name: layers for name in fields if type(getattr(config, name)) is int and getattr(config, name) > layers}


def _settable(config: Any, name: str) -> bool:
    own = getattr(type(config), name, None)
    return hasattr(config, name) and not isinstance(own, property)


def completed(config: Any) -> dict[str, Any]:
    """Options for what the default leaves open and the model needs, with the value that a published one has."""
    found = {name: value(config) for name, value in _MISSING.items() if getattr(config, name, "") is None}
    for complete in (_out_indices, _cross_attention_heads, _large_enough_picture):
        found |= complete(config)
    return {name: value for name, value in found.items() if value is not None}


_ALPHABET = 32  # letters or amino acids, as Wav2Vec2 and ESM have them
_EXPERTS, _CHOSEN = 64, 6  # as DeepSeek-V2-Lite, https://arxiv.org/abs/2405.04434

_MISSING: dict[str, Callable[[Any], Any]] = {
    "head_dim": lambda config: config.hidden_size // config.num_attention_heads,
    "num_key_value_heads": lambda config: config.num_attention_heads,
    "vocab_size": lambda config: _ALPHABET,
    "n_routed_experts": lambda config: _EXPERTS,
    "num_experts_per_tok": lambda config: _CHOSEN,
    "layer_types": lambda config: ["full_attention"] * config.num_hidden_layers,
    "default_language": lambda config: next(iter(getattr(config, "languages", ())), None),
    "backbone": lambda config: "resnet50",
}
"""Field that is None -> what the model is given."""


def _out_indices(config: Any) -> dict[str, Any]:
    """A pyramid of features needs four depths, evenly spaced."""
    wanted = getattr(config, "out_indices", "")
    layers = getattr(config, "num_hidden_layers", 0)
    if wanted == "" or (wanted is not None and len(wanted) == 4) or not isinstance(layers, int) or layers < 4:
        return {}
    return {"out_indices": [layers * quarter // 4 - 1 for quarter in (1, 2, 3, 4)]}


def _cross_attention_heads(config: Any) -> dict[str, Any]:
    """Perceivers on pictures attend to them with one head, since the pixels' width has no other divisor."""
    return {"num_cross_attention_heads": 1} if hasattr(config, "num_cross_attention_heads") else {}


def _large_enough_picture(config: Any) -> dict[str, Any]:
    """Of patches that are pooled to a number of tokens there must be that many: four times as many in each direction."""
    tokens, vision = getattr(config, "mm_tokens_per_image", None), getattr(config, "vision_config", None)
    if tokens is None or vision is None or vision.image_size // vision.patch_size >= isqrt(tokens):
        return {}
    return {"vision_config": {"image_size": 4 * isqrt(tokens) * vision.patch_size}}
