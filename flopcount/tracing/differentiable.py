"""A forward pass under autograd: with the attention kernel that torch would use on a CPU, and on tensors of one device.

On meta tensors torch decomposes attention and so saves every score for the backward pass, which no fused kernel does.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from ..rules.workspace import takes_flash
from .autocast import lowered_call
from .inputs import map_tensors, tensor_spec, tensors_of
from .kernels import meta_like
from .recurrent import RECURRENT, lowered_linear, run_recurrent
from .signatures import SILENT
from .torch_private import TorchDispatchMode, attention_places, disable_current_modes, is_fake, memory_id

__all__ = ["Differentiable", "FloatsHidden", "plain_kernels", "without_value"]


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Run attention as its two products and recurrent layers step by step, so every device differentiates the same."""
    libraries: tuple[Any, ...] = (torch.backends.mkldnn, torch.backends.cudnn)
    places = attention_places()
    before = [library.set_flags(_enabled=False)[0] for library in libraries]
    try:
        for owner, name, _, plain in places:
            setattr(owner, name, plain)
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        for owner, name, own, _ in places:
            setattr(owner, name, own)
        for library, enabled in zip(libraries, before, strict=True):
            library.set_flags(_enabled=enabled)


class FloatsHidden(TorchDispatchMode):
    """A mode above that of the first engine: floating-point tensors that the module creates have no values either.

    A tensor with values stays on the CPU, where the gradient of a meta tensor cannot go.
    """

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # as RecordingMode

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if getattr(func, "namespace", "") in SILENT:
            return result
        operands = {memory_id(tensor) for tensor in tensors_of(args, kwargs)}
        return map_tensors(lambda tensor: without_value(tensor, operands), result)


def without_value(tensor: torch.Tensor, operands: Container[int]) -> torch.Tensor:
    """A floating-point tensor moved to meta, unless it shares the memory of an operand."""
    if tensor.is_meta or not tensor.is_floating_point() or memory_id(tensor) in operands:
        return tensor
    with disable_current_modes():  # the mode below would make a small tensor real
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


class Differentiable(ExitStack):
    """Gradients enabled, whatever the caller's setting, within `below`; only one trace runs at a time."""

    def __init__(self, below: AbstractContextManager[Any] | None = None) -> None:
        super().__init__()
        self.below = below or nullcontext()

    def __enter__(self) -> Differentiable:
        super().__enter__()
        self.enter_context(torch.enable_grad())
        self.enter_context(self.below)
        # torch's own functions (multi-head attention) bypass function modes
        self.callback(setattr, F, "scaled_dot_product_attention", F.scaled_dot_product_attention)
        F.scaled_dot_product_attention = _attention
        self.callback(setattr, F, "linear", F.linear)
        F.linear = lowered_linear
        self.enter_context(_AsOnCpu())
        return self


class _AsOnCpu(TorchFunctionMode):
    """Attention and recurrent layers as torch's CPU kernels do them; the latter on meta, since they need one device."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is _ATTENTION:
            return _attention(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if name in _CELLS or name in RECURRENT:
            args, kwargs = map_tensors(_on_meta, (args, kwargs))
            if name in RECURRENT and not kwargs:
                return run_recurrent(name, args)
        args, kwargs = lowered_call(name, args, kwargs)
        return func(*args, **kwargs)


_ATTENTION = F.scaled_dot_product_attention
_CELLS = frozenset(f"{net}_cell" for net in RECURRENT)


def _on_meta(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.is_meta or is_fake(tensor) or not tensor.is_floating_point():
        return tensor
    with disable_current_modes():  # a new small tensor would be real
        return meta_like(tensor).requires_grad_(tensor.requires_grad)  # type: ignore[no-any-return]


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    (query, key, value, attn_mask), _ = lowered_call(_ATTENTION.__name__, (query, key, value, attn_mask), {})
    specs = (tensor_spec(query), tensor_spec(key), tensor_spec(value))
    mask = tensor_spec(attn_mask) if attn_mask is not None else None
    learned = attn_mask is not None and attn_mask.requires_grad
    if learned or enable_gqa or not takes_flash(*specs, mask, dropout_p):
        return _ATTENTION(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = attn_mask.to(query.dtype)
    flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    return flash(query, key, value, dropout_p, is_causal, attn_mask=attn_mask, scale=scale)[0]
