"""Torch's own kernels on tensors without data: prepares their arguments, and names what they cannot compute."""

from __future__ import annotations

from functools import cache
from itertools import zip_longest
from math import prod
from typing import Any

import torch

from .layout import Layout, layout_of
from .origin import asks_for_data
from .uncountable import Unknown, refuse_tensor

__all__ = ["factory_size", "meta_like", "on_cpu", "outgrows", "rebuild", "run_kernel", "sizes", "with_device"]


def sizes(result: Any) -> Any:
    """Shapes of a result, with the same nesting."""
    if isinstance(result, torch.Tensor):
        refuse_tensor(result, "a result")
        return result.shape
    return tuple(map(sizes, result)) if isinstance(result, (list, tuple)) else None


def meta_like(tensor: Any) -> Any:
    """The same shape, strides and dtype without data; the device of the original does not matter."""
    if tensor.is_meta:
        return tensor
    refuse_tensor(tensor, "an argument")
    if tensor.layout != torch.strided:
        raise Unknown(f"a {tensor.layout} tensor has no meta form")
    return layout_of(tensor).empty()


def on_cpu(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor on the CPU, where known values are computed."""
    return tensor if tensor.device.type == "cpu" else tensor.cpu()


def rebuild(result: Any) -> Any:
    """New meta tensors for the layouts of a result in the memo."""
    if isinstance(result, Layout):
        return result.empty()
    if isinstance(result, (list, tuple)):
        return type(result)(map(rebuild, result))
    return result


def factory_size(func: Any, args: Any) -> int | None:
    """Elements of a factory's result, if its arguments tell; the results of `arange` and the like are simply made."""
    like = str(func.overloadpacket).endswith("_like")
    size = args[0].shape if like else next((a for a in args if isinstance(a, (list, tuple))), None)
    if size is None or not all(isinstance(n, int) for n in size):
        return None
    total = 1
    for n in size:
        total *= n
    return total


def outgrows(func: Any, args: Any, limit: int) -> bool:
    """Whether an elementwise operator or a repetition makes more than `limit` elements of tensors that have fewer.

    A mask of every position against every other does.
    """
    tensors = [value for value in args if isinstance(value, torch.Tensor)]
    if func is _REPEAT:
        return args[0].numel() * prod(args[1]) > limit  # type: ignore[no-any-return]
    if prod([tensor.numel() for tensor in tensors]) <= limit or torch.Tag.pointwise not in func.tags:
        return False
    return prod(map(max, zip_longest(*(reversed(tensor.shape) for tensor in tensors), fillvalue=1))) > limit


_REPEAT = torch.ops.aten.repeat.default


def with_device(func: Any, kwargs: dict[str, Any], device: str) -> dict[str, Any]:
    """Keyword arguments with the device replaced, for operators that take one."""
    kept = {name: value for name, value in kwargs.items() if name not in ("device", "pin_memory")}
    return kept | {"device": torch.device(device)} if _takes_device(func) else kept


@cache
def _takes_device(func: Any) -> bool:
    return any(a.name == "device" and a.kwarg_only for a in func._schema.arguments)


_TRACED_CONVOLUTION = torch.ops.aten._convolution.default
"""What `torch.jit.trace` makes of a convolution: the same arguments, and four about cuDNN."""


def run_kernel(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run torch's meta kernel; a missing one, or one that needs a number, raises Unknown; its own errors stay."""
    try:
        return func(*args, **kwargs)
    except NotImplementedError as error:
        if func is _TRACED_CONVOLUTION:  # torch 2.9 has no meta kernel of it
            return torch.ops.aten.convolution.default(*args[:9])
        raise Unknown(f"{func} has no meta kernel") from error
    except Exception as error:
        if func.namespace == "aten" and not asks_for_data(error):
            raise
        # its author may not have considered tensors without data
        raise Unknown(f"{func} cannot do without data: {type(error).__name__}") from error
