"""Where a picture or a sound stands in the text of a model of transformers: a placeholder token per feature.

What enters is the model and what it is given; what leaves is how many features its encoder makes of it, found by
tracing the model's own `get_image_features` or `get_audio_features`, and the token that stands for one.
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

__all__ = ["encoder_of", "placeholder_tokens", "plain_token"]


def placeholder_tokens(module: nn.Module, config: Any, given: dict[str, Any], batch: int) -> Iterator[tuple[int, int]]:
    """For a picture, then for sound, if given: the token that stands for it, and how many of them a sample has.

    Raises:
        InputError: the model does not say how many.
    """
    for kind in ("image", "audio"):
        token = _token_of(config, kind)
        if token is not None and any(word in name for name in given for word in _NAMED[kind]):
            yield token, _placeholders(module, config, kind, given, batch)


def _placeholders(module: nn.Module, config: Any, kind: str, given: dict[str, Any], batch: int) -> int:
    fixed = getattr(config, f"{kind}_soft_tokens_per_image", None)
    if isinstance(fixed, int):  # what the encoder gives is filled up to them
        return fixed
    encode = encoder_of(module, kind)
    if encode is None:
        return _placed_by_itself(module, kind)
    names = inspect.signature(encode).parameters
    return _features(module, encode, {name: value for name, value in given.items() if name in names}) // batch


_NAMED = {"image": ("pixel_values", "image"), "audio": ("input_features", "input_values", "audio")}


def plain_token(config: Any) -> int:
    """The smallest token that means nothing special."""
    named = [value for part in parts_of(config) for name, value in vars(part).items() if "token" in name]
    values = [item for value in named for item in (value if isinstance(value, (list, tuple)) else [value])]
    special = {value for value in values if isinstance(value, int)}
    return next(token for token in range(len(special) + 1) if token not in special)


def _token_of(config: Any, kind: str) -> int | None:
    names = (f"{kind}_token_id", f"{kind}_token_index")
    values = (getattr(part, name, None) for part in parts_of(config) for name in names)
    return next((value for value in values if isinstance(value, int)), None)


def encoder_of(module: nn.Module, kind: str) -> Any:
    """The method of the innermost model that has it, or None; the outer ones pass on what they are given, unnamed."""
    name = f"get_{kind}_features"
    found = [part for part in module.modules() if hasattr(type(part), name)]
    return getattr(found[-1], name) if found else None


def _placed_by_itself(module: nn.Module, kind: str) -> int:
    """One where the model itself puts all features at the one token that it finds."""
    if any(name.startswith("_merge_input_ids") for part in module.modules() for name in vars(type(part))):
        return 1
    raise InputError(
        f"{type(module).__name__} does not say how many tokens its {kind} takes",
        [("fix", "give its inputs with --input")],
    )


class _Encoder(nn.Module):
    """The part of a model that makes the features, as a module of its own."""

    def __init__(self, module: nn.Module, encode: Callable[..., Any]) -> None:
        super().__init__()
        self.module, self.encode = module, encode

    def forward(self, **arguments: Any) -> None:
        self.encode(**arguments)


class _Counts(list[int]):
    """What a trace shall tell: a list of Python's own it would put back, wherever the module reaches it."""


def _features(module: nn.Module, encode: Any, arguments: dict[str, Any]) -> int:
    """Features that the encoder gives, of the whole batch."""
    from ....tracing import trace
    from ....tracing.inputs import arguments_of

    counts = _Counts()

    def counted(**given: Any) -> None:
        result = encode(**given, return_dict=True)
        pooled = getattr(result, "pooler_output", None)
        pooled = getattr(result, "last_hidden_state", result) if pooled is None else pooled
        parts = [pooled] if isinstance(pooled, torch.Tensor) else pooled
        counts.append(sum(part.shape[:-1].numel() for part in parts))

    try:
        trace(_Encoder(module, counted), *arguments_of(arguments, module))
    except (ForwardError, TraceError) as error:
        told = _TELLS.search(str(error))
        if told is None:
            raise
        return int(told[1])
    return counts[-1]


_TELLS = re.compile(r"tokens: 0, features: (\d+)")  # an encoder that looks at the text, which has no place for it yet
