"""Autocast on tensors without data: torch casts by device and has no autocast for meta, so this file casts.

Parameters stay real and activations do not, so torch's own casts would reach only half of the arguments.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

import torch

from ..rules import canonical_name
from .inputs import map_tensors
from .torch_private import is_any_autocast_enabled

__all__ = ["Cast", "autocast_arguments", "cacheless", "cast_of", "under_autocast"]

_DEVICES = ("cuda", "cpu")
_CAST = frozenset({torch.float16, torch.bfloat16, torch.float32})


class Cast(Enum):
    """What autocast does with the arguments of an operator."""

    LOWER = "to the dtype that autocast is on for"
    WIDEST = "to float32"


_CASTS = {
    # ATen/autocast_mode.h, AT_FORALL_LOWER_PRECISION_FP, with recurrent layers that each device casts in its own way
    Cast.LOWER: """convolution conv_tbc conv_transpose1d addmm addmv addr matmul einsum linalg_vecdot linear addbmm
    baddbmm chain_matmul linalg_multi_dot lstm lstm.data gru gru.data rnn_tanh rnn_tanh.data lstm_cell gru_cell
    rnn_tanh_cell prelu scaled_dot_product_attention""",
    # AT_FORALL_DIFFERENT_DTYPES_PROMOTE, and norms whose weights stay in float32
    Cast.WIDEST: """addcdiv addcmul atan2 bilinear cross grid_sampler index_put tensordot scatter_add layer_norm
    group_norm""",
}
_BY_NAME = {f"aten.{name}": cast for cast, names in _CASTS.items() for name in names.split()}
_ALIASES = {
    **dict.fromkeys(("aten.dot", "aten.vdot"), Cast.WIDEST),  # float32, unlike other matrix products
    **dict.fromkeys(("aten.index_add", "aten.index_reduce", "aten.scatter", "aten.scatter_reduce")),  # not at all
}
"""Operators that torch casts differently from their canonical operator."""


def cast_of(func: Any) -> Cast | None:
    """What autocast does with the arguments of an operator; None if it leaves them alone."""
    name = str(getattr(func, "overloadpacket", func))
    if name in _ALIASES:
        return _ALIASES[name]
    return _BY_NAME.get(canonical_name(name, getattr(func, "_overloadname", "")))


def under_autocast() -> bool:
    """Whether any autocast is on, or a region that turned it off."""
    if is_any_autocast_enabled():
        return True
    _increment_nesting()
    return bool(_decrement_nesting())


_increment_nesting, _decrement_nesting = torch.autocast_increment_nesting, torch.autocast_decrement_nesting


def autocast_arguments(cast: Cast, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The arguments that autocast passes to an operator; the casts are dispatched like any other operator."""
    seen: set[torch.dtype] = set()
    map_tensors(lambda tensor: seen.add(tensor.dtype), (args, kwargs))
    dtype = torch.float32 if cast is Cast.WIDEST else _lower(seen)
    if dtype is None or (dtype == torch.float32 and len(seen & _CAST) < 2):
        return args, kwargs

    def to(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(dtype) if tensor.dtype in _CAST and tensor.dtype != dtype else tensor

    return map_tensors(to, args), map_tensors(to, kwargs)


def _lower(seen: set[torch.dtype]) -> torch.dtype | None:
    """The dtype that autocast casts to; if autocast is already off, the dtype of weights that torch has cast."""
    for device in _DEVICES:
        if torch.is_autocast_enabled(device):
            return torch.get_autocast_dtype(device)
    lower = seen & _CAST - {torch.float32}
    return lower.pop() if len(lower) == 1 and torch.float32 in seen else None


@contextmanager
def cacheless() -> Iterator[None]:
    """Clear autocast's cache of cast weights, since the caller's training must not use those of a count.

    The settings are restored afterwards, also if a module changes them and raises.
    """
    was = [(device, torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)) for device in _DEVICES]
    cached = torch.is_autocast_cache_enabled()
    torch.clear_autocast_cache()
    try:
        yield
    finally:
        torch.clear_autocast_cache()
        torch.set_autocast_cache_enabled(cached)
        for device, enabled, dtype in was:
            torch.set_autocast_enabled(device, enabled)
            torch.set_autocast_dtype(device, dtype)
