"""Default configurations whose parts do not fit together -> options that make them fit.

What enters is a class and its default configuration, of which each part belongs to another published model; what leaves
are the options with which the model builds and its encoder's features fit its text. The rules are general: a table of
names would be out of date with the next release.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import gcd, isqrt
from typing import Any

import torch
from torch import nn

from ....core.errors import FlopcountError
from ....tracing.building import weightless
from .configurations import WINDOW, completed, missing
from .fields import parts_of
from .gaps import filled
from .inputs import inputs_of
from .placeholders import features_of

__all__ = ["agreeing"]


def agreeing(
    model_class: Any, configured: Callable[[Mapping[str, Any]], Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Options beside those of the caller with which the parts fit together; none for a model of one part.

    `configured` makes a configuration from options.
    """
    found: dict[str, Any] = {}

    def add(more: Mapping[str, Any]) -> Any:
        new = {path: value for path, value in more.items() if path not in options and path not in found}
        found.update(new)
        return configured({**found, **options})

    config = configured(options)
    if len(list(parts_of(config))) == 1:
        return {}
    config = add(filled(config))
    config = add(completed(model_class, config) | _heads(config) | _numbers_of_patches(config) | _shuffled(config))
    config = add(_windows(config) | _tiles(config))
    module = _built(model_class, config)
    if module is None:
        config = add(missing(config))
        module = _built(model_class, config)
    if module is None:
        return found  # the count says why it cannot be built
    if rotary := _rotary(module, config):
        config = add(rotary)
        module = _built(model_class, config) or module
    config = add(_tokens(module, config))
    add(_features(model_class, module, config))
    return found


def _built(model_class: Any, config: Any) -> nn.Module | None:
    try:
        module: nn.Module = weightless(lambda: model_class(config))
        return module.eval()
    except Exception:  # a library may raise anything for a configuration that does not fit
        return None


def _paths(config: Any, before: str = "") -> list[tuple[str, Any]]:
    """Every part with its path, the whole first, as ("text_config.", part)."""
    inner = [(name, part) for name, part in vars(config).items() if hasattr(part, "model_type")]
    return [(before, config), *(each for name, part in inner for each in _paths(part, f"{before}{name}."))]


def _heads(config: Any) -> dict[str, Any]:
    """A width that its heads do not divide gets the nearest number of heads that does, of two the larger."""
    found = {}
    for path, part in _paths(config):
        fields = vars(part)  # a property may raise
        width, heads, own = (fields.get(name) for name in ("hidden_size", "num_attention_heads", "head_dim"))
        if type(width) is int and type(heads) is int and own is None and heads > 0 and width % heads:
            divisors = [count for count in range(1, width + 1) if width % count == 0]
            found[f"{path}num_attention_heads"] = min(divisors, key=lambda count: (abs(count - heads), -count))
    return found


def _numbers_of_patches(config: Any) -> dict[str, Any]:
    """A projector for certain numbers of patches gets an image of the smallest of them."""
    numbers = getattr(config, "projector_patch_to_query_dict", None)
    patch = getattr(getattr(config, "vision_config", None), "patch_size", None)
    if not isinstance(numbers, Mapping) or not numbers or type(patch) is not int:
        return {}
    return {"vision_config.image_size": isqrt(min(int(number) for number in numbers)) * patch}


def _shuffled(config: Any) -> dict[str, Any]:
    """A layer behind shuffled pixels takes as many features as these have."""
    vision = getattr(config, "vision_config", None)
    fields = vars(vision) if vision is not None else {}
    ratio, width, inner = (fields.get(name) for name in ("pixel_shuffle_ratio", "hidden_size", "intermediate_size"))
    if not isinstance(ratio, float) or type(width) is not int or inner == int(width // ratio**2):
        return {}
    return {"vision_config.intermediate_size": int(width // ratio**2)}


def _tiles(config: Any) -> dict[str, Any]:
    """Sizes of images in tiles of another size than the tower takes become as many tiles of its own."""
    grid, side = getattr(config, "image_grid_pinpoints", None), getattr(_vision(config), "image_size", None)
    if not isinstance(grid, list) or not grid or type(side) is not int:
        return {}
    tile = gcd(*(size for pair in grid for size in pair))
    if tile == side or all(size % side == 0 for pair in grid for size in pair):
        return {}
    return {"image_grid_pinpoints": [[size // tile * side for size in pair] for pair in grid]}


def _vision(config: Any) -> Any:
    return getattr(config, "vision_config", None)


def _windows(config: Any) -> dict[str, Any]:
    """Layers with a window that has no size get one."""
    return {
        f"{path}sliding_window": WINDOW
        for path, part in _paths(config)
        if vars(part).get("sliding_window", "") is None and _slides(part)
    }


def _slides(part: Any) -> bool:
    """Whether layers have a window, or heads are set aside for such layers: the model then asks for it in any case."""
    return "sliding_attention" in (vars(part).get("layer_types") or ()) or any(
        "sliding" in name and type(value) is int and value > 0 for name, value in vars(part).items()
    )


def _tokens(module: nn.Module, config: Any) -> dict[str, Any]:
    """Tokens that the model looks for in a text to place an image, and the default configuration does not name."""
    found: dict[str, Any] = {}
    words = getattr(getattr(config, "text_config", None), "vocab_size", None)
    for part in module.modules():
        rule = getattr(type(part), "get_rope_index", None)
        if rule is None or getattr(part, "config", None) is None or type(words) is not int:
            continue
        names = [name for name in rule.__code__.co_names if name.endswith("_token_id")]
        names = [name for name in names if not hasattr(part.config, name) and not hasattr(config, name)]
        taken = {value for name, value in _named_tokens(config)}
        free = (word for word in range(words - 1, -1, -1) if word not in taken)
        found |= {name: next(free) for name in names if name not in found}
    return found


def _named_tokens(config: Any) -> list[tuple[str, int]]:
    """Fields of a configuration and its parts that are tokens."""
    fields = [each for part in parts_of(config) for each in vars(part).items()]
    return [(name, value) for name, value in fields if "token_i" in name and type(value) is int]


def _rotary(module: nn.Module, config: Any) -> dict[str, Any]:
    """Sections of rotary positions, scaled to the frequencies that there are."""
    for part in module.modules():
        sections, frequencies = getattr(part, "mrope_section", ()), getattr(part, "inv_freq", None)
        if sections is None and any(hasattr(type(each), "get_rope_index") for each in module.modules()):
            sections = _AXES
        if not isinstance(sections, (list, tuple)) or not isinstance(frequencies, torch.Tensor):
            continue
        whole, wanted = sum(sections), frequencies.numel()
        if whole == wanted or not whole:
            continue
        rest = [section * wanted // whole for section in sections[1:]]
        for path, inner in _paths(config):
            if isinstance(getattr(inner, "rope_parameters", None), Mapping):
                return {f"{path}rope_parameters.mrope_section": [wanted - sum(rest), *rest]}
    return {}


_AXES = (1, 1, 1, 1)
"""Sections of equal size for the axes of positions: of text, width, height, and which image, where none are given."""

_MAKERS = ("vision_config.", "adapter_config.", "projector_config.")
"""Parts that make features, in the order in which they are asked."""

_OUTPUTS = ("out_hidden_size", "output_dim", "projection_dim", "text_hidden_size", "hidden_size")
"""Fields that may be the width of an encoder's features."""


def _has(part: Any, name: str, value: Any) -> bool:
    return bool(vars(part).get(name) == value)


def _features(model_class: Any, module: nn.Module, config: Any) -> dict[str, Any]:
    """The width of the features of an image, made that of the text."""
    text, vision = getattr(config, "text_config", None), getattr(config, "vision_config", None)
    width = getattr(text, "hidden_size", None)
    if vision is None or type(width) is not int:
        return {}
    features = None
    for image in inputs_of(model_class, config, None)[0].images(module):
        try:
            features = features_of(module, "image", image)
        except FlopcountError:
            continue  # the count meets it too
        break
    if features is None or features[1] == width:
        return {}
    parts = {path: part for path, part in _paths(config) if path in _MAKERS}
    names = [
        f"{path}{name}"
        for path in _MAKERS
        if path in parts
        for name in _OUTPUTS
        if _has(parts[path], name, features[1])
    ]
    names += ["hidden_size"] if vars(config).get("hidden_size") == features[1] else []
    return {names[0]: width} if names else {}
