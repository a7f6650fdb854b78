"""Linear layers that were quantized dynamically: their weight is packed in an object of torch's, which tells its sizes.

What enters is a call; what leaves are the same arguments with the weight and the bias as tensors without data. Torch
has neither meta kernels nor gradients of these operators.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch

from ..rules.matmul_packed import DYNAMIC_LINEAR
from .layout import row_major
from .torch_private import OpOverload, out_of_sight

__all__ = ["has_packed_weight", "result_of", "unpacked"]

Unpacked = tuple[tuple[torch.Tensor, torch.Tensor], dict[str, Any]]


def has_packed_weight(func: Any) -> bool:
    """Whether an operator is a linear layer whose weight is packed."""
    return isinstance(func, OpOverload) and str(func.overloadpacket) in DYNAMIC_LINEAR


def unpacked(func: Any, args: Any, kwargs: dict[str, Any]) -> Unpacked:
    """The input and the weight, and the bias by name; data of the weight is copied for a moment."""
    given = dict(zip(("X", "W_prepack"), args, strict=False)) | kwargs
    with out_of_sight(), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls any quantized tensor deprecated, also this copy
        weight, bias = given["W_prepack"].unpack()
    stored = torch.float16 if "fp16" in str(func.overloadpacket) else torch.int8
    sizes = row_major(tuple(weight.shape), stored).empty()
    return (given["X"], sizes), {"bias": None if bias is None else row_major(tuple(bias.shape), bias.dtype).empty()}


def result_of(func: Any, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """What it returns, without data.

    Raises:
        RuntimeError: the input does not fit, as for torch's kernel.
    """
    if x.ndim < 2 or x.shape[-1] != weight.shape[1] or x.dtype != torch.float32:
        seen, takes = f"{tuple(x.shape)}, {x.dtype}", f"(..., {weight.shape[1]}), torch.float32"
        raise RuntimeError(f"{func.overloadpacket} takes an input of {takes} with 2 axes or more, not {seen}")
    return x.new_empty((*x.shape[:-1], weight.shape[0]), device="meta" if x.is_meta else None)
