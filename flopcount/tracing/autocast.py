"""Autocast on tensors without data: torch casts by device and has no autocast for meta, so this file casts.

Parameters stay real and activations do not, so torch's own casts would reach only half of the arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from functools import wraps
from typing import Any

import torch

from ..rules import canonical_name
from .inputs import map_tensors
from .torch_private import is_any_autocast_enabled, is_autocast_enabled_outside, out_of_sight

__all__ = [
    *("Cast", "autocast_arguments", "cacheless", "cast_of", "explicit_casts", "kept_cast", "kept_casts"),
    *("lowered_call", "under_autocast"),
]

_DEVICES = ("cuda", "cpu")
_CAST = frozenset({torch.float16, torch.bfloat16, torch.float32})


class Cast(Enum):
    """What autocast does with the arguments of an operator."""

    LOWER = "to the dtype that autocast is on for"
    WIDEST = "to float32"
    WIDEST_ON_GPU = "to float32 on a GPU; a CPU takes weights in float32 beside other data"
    WIDEST_ON_CPU = "to float32 on a CPU, whatever the others are"


_CASTS = {
    # ATen/autocast_mode.h, AT_FORALL_LOWER_PRECISION_FP, with recurrent layers that each device casts in its own way
    Cast.LOWER: """convolution conv_tbc conv_transpose1d addmm addmv addr matmul einsum linalg_vecdot linear addbmm
    baddbmm chain_matmul linalg_multi_dot lstm lstm.data gru gru.data rnn_tanh rnn_tanh.data lstm_cell gru_cell
    rnn_tanh_cell prelu scaled_dot_product_attention""",
    # AT_FORALL_DIFFERENT_DTYPES_PROMOTE
    Cast.WIDEST: "addcdiv addcmul atan2 bilinear cross grid_sampler index_put tensordot scatter_add",
    # norms whose weights stay in float32, of AT_FORALL_FP32 of a GPU
    Cast.WIDEST_ON_GPU: "layer_norm group_norm",
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
    if cast is Cast.WIDEST_ON_GPU and not torch.is_autocast_enabled("cuda"):
        return args, kwargs
    if cast is Cast.WIDEST_ON_CPU and (torch.is_autocast_enabled("cuda") or not torch.is_autocast_enabled("cpu")):
        return args, kwargs
    seen: set[torch.dtype] = set()
    map_tensors(lambda tensor: seen.add(tensor.dtype), (args, kwargs))
    dtype = _lower(seen) if cast is Cast.LOWER else torch.float32
    if dtype is None or (dtype == torch.float32 and cast is not Cast.WIDEST_ON_CPU and len(seen & _CAST) < 2):
        return args, kwargs

    def to(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dtype not in _CAST or tensor.dtype == dtype:
            return tensor
        if cast is not Cast.LOWER or not _is_cached(tensor):
            return tensor.to(dtype)
        key = id(tensor), dtype
        if key not in _weights:
            _weights[key] = tensor, tensor.to(dtype)
        return _weights[key][1]

    return map_tensors(to, args), map_tensors(to, kwargs)


_weights: dict[tuple[int, torch.dtype], tuple[torch.Tensor, torch.Tensor]] = {}
"""Weights that the outermost region has cast, with the result, as torch keeps them; only one trace runs at a time."""


def _is_cached(tensor: torch.Tensor) -> bool:
    """Whether torch keeps the cast of a tensor until the outermost region ends, as it does for weights in float32."""
    is_weight = tensor.requires_grad and tensor.is_leaf and tensor.dtype == torch.float32
    return is_weight and not tensor._is_view() and torch.is_autocast_cache_enabled()


# Torch keeps no cast in inference mode, in which a trace runs, but it does under `no_grad`. Where data is followed, the
# casts live as long as there; what is recorded stays the same.

_kept: dict[tuple[int, torch.dtype], tuple[torch.Tensor, torch.Tensor]] = {}
"""Weights that torch itself has cast in the outermost region, with the first result."""

_EXPLICIT = ("to", "bfloat16", "half", "type")
_asked_for: list[int] = []  # tensors that the module itself is casting now, by identity


@contextmanager
def explicit_casts() -> Iterator[None]:
    """Tell the casts that a module asks for from those of autocast, which arrive as the same operator."""
    was = {name: vars(torch.Tensor).get(name) for name in _EXPLICIT}
    for name in _EXPLICIT:
        setattr(torch.Tensor, name, _noting(getattr(torch.Tensor, name)))
    try:
        yield
    finally:
        for name, method in was.items():
            delattr(torch.Tensor, name) if method is None else setattr(torch.Tensor, name, method)


def _noting(method: Any) -> Any:
    @wraps(method)
    def cast(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        _asked_for.append(id(self))
        try:
            return method(self, *args, **kwargs)
        finally:
            _asked_for.remove(id(self))

    return cast


def kept_cast(func: Any, args: Any, result: Any) -> torch.Tensor | None:
    """The cast of a weight that autocast keeps from now on, or has kept; None for any other operator."""
    if func is not torch.ops.aten.to.dtype or not _keeps(args[0], result.dtype) or id(args[0]) in _asked_for:
        return None
    return _kept.setdefault((id(args[0]), result.dtype), (args[0], result))[1]


def kept_casts(weights: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """The casts that autocast keeps of the weights of a layer whose kernel casts them out of sight."""
    dtype = torch.get_autocast_dtype("cpu")
    kept = [weight for weight in weights if _keeps(weight, dtype)]
    for weight in kept:
        if (id(weight), dtype) not in _kept:
            with out_of_sight():
                _kept[id(weight), dtype] = weight, torch.empty_like(weight, dtype=dtype, device="meta")
    return [_kept[id(weight), dtype][1] for weight in kept]


def _keeps(tensor: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether autocast on a CPU would keep the cast of a tensor to this dtype."""
    is_lower = dtype == torch.get_autocast_dtype("cpu") and dtype != torch.float32
    return is_lower and _is_cached(tensor) and is_autocast_enabled_outside("cpu")


def _lower(seen: set[torch.dtype]) -> torch.dtype | None:
    """The dtype that autocast casts to; if autocast is already off, the dtype of weights that torch has cast."""
    for device in _DEVICES:
        if torch.is_autocast_enabled(device):
            return torch.get_autocast_dtype(device)
    lower = seen & _CAST - {torch.float32}
    return lower.pop() if len(lower) == 1 and torch.float32 in seen else None


_LOWERED = frozenset(
    f"{prefix}{name}"
    for name, prefixes in {
        "matmul": ("", "__", "__r"),
        "conv1d": ("",),
        "conv2d": ("",),
        "conv3d": ("",),
        "conv_transpose1d": ("",),
        "conv_transpose2d": ("",),
        "conv_transpose3d": ("",),
        "linear": ("",),
        "mm": ("",),
        "bmm": ("",),
        "addmm": ("",),
        "baddbmm": ("",),
        "addbmm": ("",),
        "einsum": ("",),
        "prelu": ("",),
        "scaled_dot_product_attention": ("",),
    }.items()
    for prefix in prefixes
)
"""Functions and methods in Python of the operators that autocast lowers."""

_POOLS = frozenset({"max_pool3d", "avg_pool3d", "adaptive_avg_pool3d", "adaptive_max_pool3d"})
"""Pools in a CPU's list of float32, but not in a GPU's: ATen/autocast_mode.cpp, AutocastCPU. Those in 2D are in none.

Which device autocast is on for can be told from a call in Python alone, not from the operator that it dispatches.
"""


def lowered_call(name: str, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The arguments of a call in Python after autocast, as autograd has to see them."""
    if name.removesuffix("__") in _LOWERED and is_any_autocast_enabled():
        return autocast_arguments(Cast.LOWER, args, kwargs)
    if name in _POOLS and is_any_autocast_enabled():
        return autocast_arguments(Cast.WIDEST_ON_CPU, args, kwargs)
    return args, kwargs


@contextmanager
def cacheless() -> Iterator[None]:
    """Clear autocast's cache of cast weights, since the caller's training must not use those of a count.

    The settings are restored afterwards, also if a module changes them and raises.
    """
    was = [(device, torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)) for device in _DEVICES]
    cached = torch.is_autocast_cache_enabled()
    clear = torch.clear_autocast_cache

    def clear_both() -> None:
        _weights.clear()
        _kept.clear()
        clear()

    clear_both()
    torch.clear_autocast_cache = clear_both  # the end of a region calls it by this name
    try:
        yield
    finally:
        torch.clear_autocast_cache = clear
        clear_both()
        torch.set_autocast_cache_enabled(cached)
        for device, enabled, dtype in was:
            torch.set_autocast_enabled(device, enabled)
            torch.set_autocast_dtype(device, dtype)
