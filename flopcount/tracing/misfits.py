"""Arguments that torch's kernels refuse, but its meta kernels take: several dtypes, other channels, indices of floats.

Without these checks a module that raises would be counted. They are made where torch's meta kernel is about to answer,
so that a call that flopcount's own shape functions know, or that was answered before, costs nothing.
"""

from __future__ import annotations

from typing import Any

import torch

from .autocast import under_autocast
from .inputs import tensors_of
from .torch_private import OpOverload

__all__ = ["refuse_misfit"]

_ONE_DTYPE = frozenset(
    f"aten.{name}"
    for name in (
        *("linear", "matmul", "mm", "bmm", "mv", "dot", "vdot", "addmm", "addmv", "addbmm", "baddbmm", "grid_sampler"),
        *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "convolution"),
        *("gru_cell", "lstm_cell", "rnn_tanh_cell", "rnn_relu_cell", "grid_sampler_2d", "grid_sampler_3d"),
    )
)
_MIXED_OVERLOADS = ("dtype", "dtype_out")  # of `addmm` and others, whose summand may have the dtype of the result
_NORMS = {  # the number of leading arguments: input, weight, bias; None where a number is
    **dict.fromkeys(("aten.batch_norm", "aten.instance_norm", "aten.native_batch_norm"), slice(0, 3)),
    **dict.fromkeys(("aten._native_batch_norm_legit", "aten._native_batch_norm_legit_no_training"), slice(0, 3)),
    **dict.fromkeys(("aten.layer_norm", "aten.group_norm", "aten.native_layer_norm"), slice(0, 4)),
    "aten.native_group_norm": slice(0, 3),
}
_REDUCED = (torch.float16, torch.bfloat16)
_INDICES = (torch.int32, torch.int64)
_TRANSPOSED = ("aten.conv_transpose1d", "aten.conv_transpose2d", "aten.conv_transpose3d")


def refuse_misfit(func: Any, args: Any) -> None:
    """Raise as torch does for arguments that do not fit each other.

    Raises:
        RuntimeError: their dtypes differ, the input has other channels than a transposed convolution takes, or indices
            are no integers.
    """
    if not isinstance(func, OpOverload) or func.namespace != "aten":
        return
    name = str(func.overloadpacket)
    if name in _ONE_DTYPE and func._overloadname not in _MIXED_OVERLOADS:
        _refuse_dtypes(name, tensors_of(args))
    elif name in _NORMS:
        x, *affine = tensors_of(args[_NORMS[name]])
        if x.dtype not in _REDUCED or not {tensor.dtype for tensor in affine} <= {torch.float32}:
            _refuse_dtypes(name, [x, *affine])
    if name == "aten.embedding" and args[1].dtype not in _INDICES:
        kind = str(args[1].dtype).removeprefix("torch.")
        raise RuntimeError(f"{name} takes indices of int32 or int64, and it gets {kind}")  # torch 2.9 takes any
    if name in _TRANSPOSED or (name == "aten.convolution" and args[6]):
        _refuse_channels(name, *args[:2])


def _refuse_dtypes(name: str, tensors: list[torch.Tensor]) -> None:
    dtypes = list(dict.fromkeys(str(tensor.dtype).removeprefix("torch.") for tensor in tensors))
    if len(dtypes) > 1 and not under_autocast():
        raise RuntimeError(f"{name} takes tensors of one dtype, and it gets {' and '.join(dtypes)}")


def _refuse_channels(name: str, x: torch.Tensor, weight: torch.Tensor) -> None:
    axis = x.ndim - weight.ndim + 1
    if 0 <= axis <= 1 and x.shape[axis] != weight.shape[0]:
        raise RuntimeError(f"{name} takes {weight.shape[0]} channels, and it gets {x.shape[axis]}")
