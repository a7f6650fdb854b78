"""Configurations of transformers, read like published ones, and values for defaults that are incomplete.

What enters is a model class; what leaves is its configuration, or options for it. Some default configurations belong to
no published model: a field that the model computes with is None. `completed` gives values for such fields.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from math import isqrt
from operator import attrgetter
from typing import Any

from ....core.errors import UnknownNameError

__all__ = [
    "WINDOW",
    "completed",
    "configuration_of",
    "few_experts",
    "missing",
    "require_option",
    "shallow",
    "shallowest",
]

_DEPTHS = (
    *("num_hidden_layers", "num_layers", "n_layer", "n_layers", "num_decoder_layers"),
    *("encoder_layers", "decoder_layers", "num_encoder_layers"),
)


def configuration_of(model_class: Any, base: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """The configuration from data with these options, as if read from a file: with plain lists and derived fields.

    It has no cache for a next token, since the count is of one whole forward pass.
    """
    kind = model_class.config_class
    whole = {name: value for name, value in options.items() if "." not in name}  # fields derive from others
    made = kind.from_dict({**copy.deepcopy(dict(base)), **whole}) if base else kind(**whole)
    fields = json.loads(made.to_json_string(use_diff=False), object_hook=_special_float)
    for path, value in options.items():
        if "." in path:  # of a part
            _set(fields, path, value)
    config = kind.from_dict(fields)
    if hasattr(config, "use_cache"):
        config.use_cache = False
    return config


def _set(fields: dict[str, Any], path: str, value: Any) -> None:
    """Set a field of a part; a new number of layers removes their types, which are then derived again."""
    *parts, field = path.split(".")
    for part in parts:
        if not isinstance(fields.get(part), dict):
            fields[part] = {}
        fields = fields[part]
    fields[field] = value
    if field in _DEPTHS:
        fields.pop("layer_types", None)


def require_option(config: Any, path: str, owner: str) -> None:
    """Refuse an option that the configuration does not have, at whichever level.

    Raises:
        UnknownNameError: no field has the name; the message offers near names.
    """
    inside, before = config, ""
    for name in path.split("."):
        names = (
            list(inside) if isinstance(inside, Mapping) else list(vars(inside)) if hasattr(inside, "__dict__") else []
        )
        names = [each for each in names if not each.startswith("_")]
        has = hasattr(inside, name)
        if isinstance(inside, Mapping):  # which has keys that no class declares
            has = name in inside or not get_close_matches(name, [str(key) for key in inside], n=1)
        if not has or name.startswith("_"):
            fields = [f"{before}{each}" for each in names]
            fix = "name a field of its configuration" if fields else f"{before[:-1]} has no fields"
            raise UnknownNameError(f"option of {owner}", path, fields, fix)
        inside = inside.get(name) if isinstance(inside, Mapping) else getattr(inside, name)
        before += f"{name}."


def _special_float(found: dict[str, Any]) -> Any:
    """Infinity, in the notation of transformers."""
    return float(found["__float__"]) if list(found) == ["__float__"] else found


def shallow(config: Any, layers: int) -> dict[str, Any]:
    """Options that reduce a model to at most so many layers; depths that depend on other fields stay."""
    fields = [name for name in _DEPTHS if name not in _derived(config) and _settable(config, name)]
    return {name: layers for name in fields if type(getattr(config, name)) is int and getattr(config, name) > layers}


def shallowest(config: Any) -> dict[str, Any]:
    """Options that reduce every part to one layer."""
    parts = {name: part for name, part in vars(config).items() if hasattr(part, "model_type")}
    inner = {f"{name}.{key}": 1 for name, part in parts.items() for key in shallowest(part)}
    return shallow(config, 1) | inner


def few_experts(config: Any) -> dict[str, Any]:
    """Options that reduce a mixture to few experts, for a model that cannot run without its weights."""
    experts = {name: getattr(config, name, None) for name in _EXPERTS_FIELDS if name not in _derived(config)}
    return {name: _FEW for name, value in experts.items() if type(value) is int and value > _FEW}


_FEW = 8
_EXPERTS_FIELDS = ("num_experts", "n_routed_experts", "num_local_experts")


def _derived(config: Any) -> Any:
    """Names that are aliases of other fields."""
    return getattr(type(config), "attribute_map", {})


def _settable(config: Any, name: str) -> bool:
    own = getattr(type(config), name, None)
    return hasattr(config, name) and not isinstance(own, property)


def completed(model_class: Any, config: Any) -> dict[str, Any]:
    """Options for fields that the model needs and the default lacks, with the values of a published model."""
    found = {name: value(config) for name, value in _MISSING.items() if getattr(config, name, "") is None}
    if hasattr(config, "is_decoder") and "LMHead" in model_class.__name__:
        found["is_decoder"] = True
    for complete in (_out_indices, _cross_attention_heads, _agreeing_parts):
        found |= complete(config)
    return {name: value for name, value in found.items() if value is not None}


def missing(config: Any) -> dict[str, Any]:
    """Options for the fields of parts that are None, where the whole cannot be built without."""
    found: dict[str, Any] = {}
    for name, part in vars(config).items():
        if hasattr(part, "model_type"):
            values = {field: value(part) for field, value in _MISSING_IN_PARTS.items() if _is_none(part, field)}
            values["rope_parameters"] = _rotary_by_layer(part)
            found |= {f"{name}.{field}": value for field, value in values.items() if value is not None}
    return found


def _rotary_by_layer(part: Any) -> dict[str, Any] | None:
    """Rotary positions for each kind of layer, where there are kinds; the base changes no count."""
    kinds, rotary = vars(part).get("layer_types"), vars(part).get("rope_parameters")
    if not kinds or (isinstance(rotary, Mapping) and any(kind in rotary for kind in kinds)):
        return None
    return {kind: {"rope_type": "default", "rope_theta": _BASE} for kind in dict.fromkeys(kinds)}


def _is_none(part: Any, field: str) -> bool:
    """Whether a part has the field, and nothing in it."""
    return vars(part).get(field, "") is None and _settable(part, field)


_BASE = 10_000.0  # of rotary positions, https://arxiv.org/abs/2104.09864
WINDOW = 4096  # tokens, as in Mistral 7B, https://arxiv.org/abs/2310.06825
_ALPHABET = 32  # letters or amino acids, as in Wav2Vec2 and ESM
_EXPERTS, _CHOSEN, _SHARED = 64, 6, 2  # as in DeepSeek-V2-Lite, https://arxiv.org/abs/2405.04434

_MISSING: dict[str, Callable[[Any], Any]] = {
    "head_dim": lambda config: config.hidden_size // config.num_attention_heads,
    "num_key_value_heads": lambda config: config.num_attention_heads,
    "vocab_size": lambda config: _ALPHABET,
    "n_routed_experts": lambda config: _EXPERTS,
    "num_experts_per_tok": lambda config: _CHOSEN,
    "n_shared_experts": lambda config: _SHARED,
    "n_group": lambda config: 1,
    "topk_group": lambda config: 1,
    "pad_token_id": lambda config: None if getattr(config, "vocab_size", "") else 0,
    "layer_types": lambda config: ["full_attention"] * config.num_hidden_layers,
    "default_language": lambda config: next(iter(getattr(config, "languages", ())), None),
    "backbone": lambda config: "resnet50",
    "audio_token_id": lambda config: 24,  # as in Voxtral
    "image_token_index": lambda config: config.text_config.vocab_size - 1 if hasattr(config, "text_config") else None,
}
"""Field that is None -> the value that replaces it."""

_MISSING_IN_PARTS: dict[str, Callable[[Any], Any]] = {
    **{
        name: _MISSING[name]
        for name in ("head_dim", "num_key_value_heads", "n_group", "topk_group", "n_shared_experts")
    },
    **dict.fromkeys(("num_experts", "n_routed_experts", "num_local_experts"), lambda config: _EXPERTS),
    **dict.fromkeys(("num_experts_per_tok", "top_k_experts", "moe_top_k"), lambda config: _CHOSEN),
    "moe_intermediate_size": lambda config: config.intermediate_size // 8,
    "mlp_layer_types": lambda config: ["dense"] + ["sparse"] * (config.num_hidden_layers - 1),
}
"""The same in a part of a whole, which most often derives it."""


def _out_indices(config: Any) -> dict[str, Any]:
    """A pyramid of features needs four depths, evenly spaced."""
    wanted = getattr(config, "out_indices", "")
    layers = getattr(config, "num_hidden_layers", 0)
    if wanted == "" or (wanted is not None and len(wanted) == 4) or not isinstance(layers, int) or layers < 4:
        return {}
    return {"out_indices": [layers * quarter // 4 - 1 for quarter in (1, 2, 3, 4)]}


def _cross_attention_heads(config: Any) -> dict[str, Any]:
    """Perceivers on images attend to them with one head, since the width of pixels has no other divisor."""
    return {"num_cross_attention_heads": 1} if hasattr(config, "num_cross_attention_heads") else {}


def _agreeing_parts(config: Any) -> dict[str, Any]:
    """Options that make parts fit: the output of one has the input width of the next, and patches can be pooled."""
    found: dict[str, Any] = {}
    for taker, giver in _WIDTHS:
        values = [_value(config, path) for path in (taker, giver)]
        if None not in values and values[0] != values[1]:
            found[taker] = values[1]
    token, words = getattr(config, "image_token_id", None), _value(config, "text_config.vocab_size")
    if isinstance(token, int) and isinstance(words, int) and token >= words:
        found["text_config.vocab_size"] = token + 1
    for path, part in (("", config), ("encoder.", getattr(config, "encoder", None))):
        side = _side(part)
        if side is not None:
            found[f"{path}vision_config.image_size"] = side
    return found


_WIDTHS = (
    ("vision_config.out_hidden_size", "text_config.hidden_size"),
    ("vision_config.vision_output_dim", "vision_config.projector_output_dim"),
    ("audio_config.output_dim", "text_config.hidden_size"),
    ("projector_config.encoder_hidden_size", "encoder_config.hidden_dim"),
)


def _value(config: Any, path: str) -> Any:
    try:
        return attrgetter(path)(config)
    except AttributeError:
        return None


_FACTORS = ("pixel_shuffle_factor", "downsample_factor", "scale_factor")


def _side(config: Any) -> int | None:
    """The side of an image whose patches can be pooled: to a number of tokens, four by four, or by a factor."""
    vision = getattr(config, "vision_config", None)
    size, patch = getattr(vision, "image_size", None), getattr(vision, "patch_size", None)
    tokens = getattr(config, "mm_tokens_per_image", None)
    factor = next((getattr(config, name) for name in _FACTORS if type(getattr(config, name, None)) is int), None)
    if not isinstance(size, int) or not isinstance(patch, int):
        return None
    if tokens is not None and size // patch < isqrt(tokens):
        return 4 * isqrt(tokens) * patch
    rate = getattr(config, "downsample_rate", None)
    if isinstance(rate, str) and "/" in rate:  # queries and keys of a window, a side
        keys = int(rate.partition("/")[2])
        return -(-size // (keys * patch)) * keys * patch if size // patch % keys else None
    return 8 * factor * patch if factor is not None and size // patch % factor else None
