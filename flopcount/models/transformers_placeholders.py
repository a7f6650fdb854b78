"""Where a picture or a sound stands in the text of a model of transformers: a placeholder token per feature.

What enters is the model and what it is given; what leaves is how many features its encoder makes of it, found by
tracing the model's own `get_image_features` or `get_audio_features`, and the token that stands for one.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn

from ..ops import TensorSpec
from .transformers_fields import parts_of

__all__ = ["TOKEN", "placeholder_tokens", "plain_token"]


def placeholder_tokens(module: nn.Module, config: Any, given: dict[str, Any], batch: int) -> list[tuple[str, int, int]]:
    """For each kind of data beside the text: "image" or "audio", the token that stands for it, and how many a sample has."""
    found = []
    for kind in ("image", "audio"):
        token, encode = _token_of(config, kind), _encoder_of(module, f"get_{kind}_features")
        if token is None or encode is None:
            continue
        names = inspect.signature(encode).parameters
        arguments = {name: value for name, value in given.items() if name in names}
        if any(not name.startswith("input_ids") for name in arguments):
            found.append((kind, token, _features(module, encode, arguments) // batch))
    return found


def plain_token(config: Any) -> int:
    """The smallest token that means nothing special."""
    special: set[Any] = set()
    for part in parts_of(config):
        for name, value in vars(part).items():
            if "token" in name:
                special.update(value if isinstance(value, (list, tuple)) else [value])
    return next(token for token in range(len(special) + 1) if token not in special)


def _token_of(config: Any, kind: str) -> int | None:
    names = (f"{kind}_token_id", f"{kind}_token_index")
    values = (getattr(part, name, None) for part in parts_of(config) for name in names)
    return next((value for value in values if isinstance(value, int)), None)


def _encoder_of(module: nn.Module, name: str) -> Any:
    """The method of the innermost model that has it; the outer ones pass on what they are given, unnamed."""
    inner = getattr(module, "model", None)
    return getattr(inner, name, None) or getattr(module, name, None)


class _Features(nn.Module):
    """Makes the features of a picture or a sound, and keeps how many there are."""

    def __init__(self, module: nn.Module, encode: Any) -> None:
        super().__init__()
        self.module, self.encode = module, encode
        self.rows: list[int] = []

    def forward(self, **arguments: Any) -> None:
        result = self.encode(**arguments, return_dict=True)
        pooled = result if isinstance(result, (torch.Tensor, tuple, list)) else result.pooler_output
        pooled = result.last_hidden_state if pooled is None else pooled
        parts = [pooled] if isinstance(pooled, torch.Tensor) else pooled
        self.rows.append(sum(part.shape[:-1].numel() for part in parts))


def _features(module: nn.Module, encode: Any, arguments: dict[str, Any]) -> int:
    from ..tracing import trace
    from ..tracing.inputs import arguments_of

    counter = _Features(module, encode)
    trace(counter, *arguments_of(arguments, module))
    return counter.rows[-1]
