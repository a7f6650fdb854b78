"""Placeholder tokens, one per feature of an image or a sound, in the text of a model of transformers.

What enters is the model and its input; what leaves is the placeholder token and the number of features, which a trace
of the model's own `get_image_features` or `get_audio_features` counts.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from ....core.errors import ForwardError, InputError, TraceError
from .fields import parts_of

__all__ = ["encoder_of", "features_of", "placeholder_tokens", "plain_token", "start_token"]


def placeholder_tokens(module: nn.Module, config: Any, given: dict[str, Any], batch: int) -> Iterator[tuple[int, int]]:
    """For an image, then for sound, if given: its placeholder token, and the number of them in a sample.

    Raises:
        InputError: the model does not say the number.
    """
    if "cross_attention_states" in inspect.signature(type(module).forward).parameters:
        return  # the text attends to them apart
    for kind in ("image", "audio"):
        own = kind
        if kind == "image" and _token_of(config, kind) is None and encoder_of(module, kind) is None:
            own = "video"  # of frames alone
        token = _token_of(config, own)
        if token is not None and any(word in name for name in given for word in _NAMED[kind]):
            yield token, _placeholders(module, config, own, given, batch)


def _placeholders(module: nn.Module, config: Any, kind: str, given: dict[str, Any], batch: int) -> int:
    fixed = getattr(config, f"{kind}_soft_tokens_per_image", None)
    if isinstance(fixed, int):  # the encoder's output is padded to this number
        return fixed
    encode = encoder_of(module, kind)
    if encode is None:
        return _placed_by_itself(module, kind)
    found = features_of(module, kind, given)
    assert found is not None
    return found[0] // batch


_NAMED = {"image": ("pixel_values", "image"), "audio": ("input_features", "input_values", "audio")}


def plain_token(config: Any) -> int:
    """The smallest token without a special meaning."""
    named = [value for part in parts_of(config) for name, value in vars(part).items() if "token" in name]
    values = [item for value in named for item in (value if isinstance(value, (list, tuple)) else [value])]
    special = {value for value in values if isinstance(value, int)}
    return next(token for token in range(len(special) + 1) if token not in special)


def _token_of(config: Any, kind: str) -> int | None:
    names = (f"{kind}_token_id", f"{kind}_token_index")
    values = (getattr(part, name, None) for part in parts_of(config) for name in names)
    return next((value for value in values if isinstance(value, int)), None)


def start_token(module: nn.Module, config: Any, kind: str) -> int | None:
    """The token before those of an image ("vision") or sound ("audio"), where positions are found by it, else None."""
    name = f"{kind}_start_token_id"
    rules = [getattr(type(part), "get_rope_index", None) for part in module.modules()]
    if not any(
        rule is not None and name in rule.__code__.co_names and "mm_token_type_ids" not in rule.__code__.co_varnames
        for rule in rules
    ):
        return None
    values = (getattr(part, name, None) for part in parts_of(config))
    return next((value for value in values if isinstance(value, int)), None)


def encoder_of(module: nn.Module, kind: str) -> Any:
    """The method of the innermost model that has it, or None; outer ones pass on their arguments without names."""
    name = f"get_{kind}_features"
    found = [part for part in module.modules() if hasattr(type(part), name)]
    return getattr(found[-1], name) if found else None


def _placed_by_itself(module: nn.Module, kind: str) -> int:
    """The number is 1 if the model itself inserts all features at a single token."""
    if any(name.startswith("_merge_input_ids") for part in module.modules() for name in vars(type(part))):
        return 1
    raise InputError(
        f"{type(module).__name__} does not say how many tokens its {kind} takes",
        [("fix", "give its inputs with --input")],
    )


def features_of(module: nn.Module, kind: str, given: dict[str, Any]) -> tuple[int, int | None] | None:
    """How many features the encoder of a kind makes of its arguments among `given`, and their width.

    None where the model has no such encoder; the width is None where only the number is known.
    """
    encode = encoder_of(module, kind)
    if encode is None:
        return None
    names = inspect.signature(encode).parameters
    arguments = {name: value for name, value in given.items() if name in names}
    if hasattr(getattr(module, "config", None), "vlm_config") and "pixel_values" in arguments:
        shape = tuple(getattr(arguments["pixel_values"], "shape", arguments["pixel_values"]))
        arguments["pixel_values"] = (shape[0] * shape[1], *shape[2:])  # the inner model gets all cameras in a row
    return _features(module, encode, arguments)


class _Encoder(nn.Module):
    """The part of a model that computes the features, as a separate module."""

    def __init__(self, module: nn.Module, encode: Callable[..., Any]) -> None:
        super().__init__()
        self.module, self.encode = module, encode

    def forward(self, **arguments: Any) -> None:
        self.encode(**arguments)


class _Counts(list[int]):
    """The output of a trace, which would restore a plain list that the module reaches."""


def _features(module: nn.Module, encode: Any, arguments: dict[str, Any]) -> tuple[int, int | None]:
    """The number and width of the features that the encoder returns for the whole batch."""
    from ....tracing import trace
    from ....tracing.arguments import arguments_of
    from ....tracing.shape_arguments import with_specs

    counts = _Counts()

    def counted(**given: Any) -> None:
        result = encode(**given, return_dict=True)
        pooled = getattr(result, "pooler_output", None)
        deep = getattr(result, "deepstack_features", None)
        if pooled is None and deep:  # for several layers of the text, each with as many
            pooled = deep[0][1] if isinstance(deep[0], tuple) else deep[0]
        pooled = getattr(result, "last_hidden_state", result) if pooled is None else pooled
        parts = [pooled] if isinstance(pooled, torch.Tensor) else pooled
        counts.append(sum(part.shape[:-1].numel() for part in parts))
        counts.append(parts[0].shape[-1])

    try:
        encoder = type(type(module).__name__, (_Encoder,), {})  # as messages call it
        trace(encoder(module, counted), *arguments_of(with_specs(arguments, module), module))
    except (ForwardError, TraceError) as error:
        told = _TELLS.search(str(error))
        if told is None:
            raise
        return int(told[1]), None
    return counts[-2], counts[-1]


_TELLS = re.compile(r"tokens: 0, features: (\d+)")  # from an encoder that reads the text, which has no placeholders yet
