"""Layouts: shape, strides and dtype of tensors that do not exist, and the layouts of torch's results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from .torch_private import refuse_data_pointer

__all__ = ["Layout", "broadcast", "is_channels_last", "layout_of", "like_channels_last", "padded", "row_major"]


_META = torch.device("meta")  # torch would otherwise create it from its name each time


@dataclass(frozen=True, slots=True)
class Layout:
    """Shape, strides and dtype of a tensor that does not exist."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    @property
    def contiguous(self) -> bool:
        """Whether it is exactly row-major; if an axis of size 1 has another stride, torch may see channels-last."""
        expected = 1
        for size, stride in zip(reversed(self.shape), reversed(self.stride), strict=True):
            if size == 0 or stride != expected:
                return False
            expected *= size
        return True

    def empty(self) -> torch.Tensor:
        """A meta tensor of this layout; reading the address of its data raises, also in compiled code."""
        tensor = torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device=_META)
        refuse_data_pointer(tensor)
        return tensor


def layout_of(tensor: torch.Tensor) -> Layout:
    """The layout of a tensor."""
    return Layout(tuple(tensor.shape), tensor.stride(), tensor.dtype)


def row_major(shape: tuple[int, ...], dtype: torch.dtype) -> Layout:
    """The row-major layout: the last axis runs fastest."""
    stride, step = [], 1
    for size in reversed(shape):
        stride.append(step)
        step *= size
    return Layout(shape, tuple(reversed(stride)), dtype)


def broadcast(*operands: Layout) -> Layout | None:
    """The layout of a broadcast result; the first operand whose strides tell decides the order of two axes in memory.

    Torch chooses the same way (TensorIterator, reorder_dimensions), by an insertion sort, since strides of 0 and axes
    of size 1 leave the order open.
    """
    first = operands[0]
    if first.contiguous and all(operand.shape == first.shape and operand.contiguous for operand in operands[1:]):
        return first
    ndim = max(len(operand.shape) for operand in operands)
    shape: tuple[int, ...] = (1,) * ndim
    for operand in operands:
        sizes = padded(operand.shape, ndim)
        if any(a != b and 1 not in (a, b) for a, b in zip(shape, sizes, strict=True)):
            return None
        shape = tuple(map(max, shape, sizes))
    if all(operand.contiguous for operand in operands):
        return row_major(shape, first.dtype)
    if any(_dense(x, range(len(x.shape))[::-1]) and not x.contiguous for x in operands):
        return None  # only the strides of axes of size 1 are odd, which torch's operators treat differently
    if ndim in (4, 5) and any(like_channels_last(operand) for operand in operands if len(operand.shape) == ndim):
        return None
    strides = [_expanded_stride(operand, shape) for operand in operands]

    def order(a: int, b: int) -> int:
        for stride in strides:
            if stride[a] and stride[b]:
                if stride[a] != stride[b]:
                    return -1 if stride[a] < stride[b] else 1
                if shape[a] > shape[b]:
                    return 1
        return 0

    inner_first = list(reversed(range(ndim)))
    for end in range(1, ndim):
        place = end
        for before in range(end - 1, -1, -1):
            verdict = order(inner_first[before], inner_first[place])
            if verdict < 0:
                break
            if verdict > 0:
                inner_first[before], inner_first[place] = inner_first[place], inner_first[before]
                place = before
    stride, step = [0] * ndim, 1
    for axis in inner_first:
        stride[axis] = step
        step *= shape[axis]
    return Layout(shape, tuple(stride), first.dtype)


def _expanded_stride(x: Layout, shape: tuple[int, ...]) -> list[int]:
    """Strides after `expand`: 0 for an axis that grows; a new axis of size 1 steps over the axes behind it."""
    missing = len(shape) - len(x.shape)
    strides = [0] * len(shape)
    for axis in reversed(range(len(shape) if x.shape else 0)):
        if axis >= missing:
            strides[axis] = x.stride[axis - missing] if x.shape[axis - missing] == shape[axis] else 0
        elif shape[axis] == 1:
            strides[axis] = shape[axis + 1] * strides[axis + 1]
    return strides


def like_channels_last(x: Layout) -> bool:
    """Whether torch may treat a 4D or 5D tensor as channels-last.

    Torch is lenient with sizes of 1. In some places it checks that strides grow from the channels over the positions to
    the batch; in others it checks that the tensor is dense in that order, and ignores the strides of axes of size 1.
    """
    inner_first = (1, *range(len(x.shape) - 1, 1, -1), 0)
    return _growing(x, inner_first) or _dense(x, inner_first)


def _growing(x: Layout, inner_first: Sequence[int]) -> bool:
    least = 0
    for axis in inner_first:
        if x.shape[axis] > 1 and x.stride[axis] < least:
            return False
        least = max(least, x.stride[axis] * x.shape[axis])
    return True


def _dense(x: Layout, inner_first: Sequence[int]) -> bool:
    """Whether torch sees a tensor as dense in that order of axes; it ignores the strides of axes of size 1."""
    expected = 1
    for axis in inner_first:
        if x.shape[axis] != 1 and x.stride[axis] != expected:
            return False
        expected *= x.shape[axis]
    return True


def padded(shape: tuple[int, ...], length: int) -> tuple[int, ...]:
    """The shape with axes of size 1 in front."""
    return (1,) * (length - len(shape)) + shape


def is_channels_last(x: Layout) -> bool:
    """Whether the layout is exactly channels-last: row-major, with the channels behind the positions."""
    batch, channels, *sizes = x.shape
    moved = row_major((batch, *sizes, channels), x.dtype).stride
    return x.stride == (moved[0], moved[-1], *moved[1:-1])
