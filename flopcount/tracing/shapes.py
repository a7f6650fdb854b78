"""Our own shape functions for the operators video networks are made of.

Torch's meta kernels cost 20 to 500 µs a call and the first of them imports over a second of machinery. A function here
answers for contiguous tensors of one dtype, which is nearly every call, or returns None: then torch's kernel answers,
or raises its own error. Each takes Layouts where the operator takes tensors; tests compare all of them with torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import torch

__all__ = ["SHAPES", "Layout", "layout_of"]


@dataclass(frozen=True, slots=True)
class Layout:
    """Shape, strides and dtype of a tensor that does not exist."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    @property
    def contiguous(self) -> bool:
        """Exactly row-major; where an axis of size 1 has another stride, torch may read channels-last into it."""
        expected = 1
        for size, stride in zip(reversed(self.shape), reversed(self.stride), strict=True):
            if size == 0 or stride != expected:
                return False
            expected *= size
        return True

    def empty(self) -> torch.Tensor:
        """A meta tensor of this layout."""
        return torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device="meta")


def layout_of(tensor: torch.Tensor) -> Layout:
    """The layout of a tensor."""
    return Layout(tuple(tensor.shape), tensor.stride(), tensor.dtype)


def _row_major(shape: tuple[int, ...], dtype: torch.dtype) -> Layout:
    stride, step = [], 1
    for size in reversed(shape):
        stride.append(step)
        step *= size
    return Layout(shape, tuple(reversed(stride)), dtype)


def _plain(*values: Any) -> bool:
    """All given tensors are floating-point, contiguous and of one dtype; None stands for one not given."""
    return _alike(*values) and all(value.contiguous for value in values if value is not None)


def _alike(*values: Any) -> bool:
    """As `_plain` with strides of any kind, for operators whose result is row-major whatever they are given."""
    layouts = [value for value in values if value is not None]
    dtype = layouts[0].dtype if isinstance(layouts[0], Layout) else None
    return all(
        isinstance(value, Layout) and value.dtype == dtype and dtype.is_floating_point and 0 not in value.shape
        for value in layouts
    )


def _same(x: Any, *args: Any, **kwargs: Any) -> Layout | None:
    """Elementwise functions of one tensor; further arguments must be plain numbers."""
    numbers = all(isinstance(value, (int, float, bool)) for value in (*args, *kwargs.values()))
    return x if _plain(x) and numbers else None


def _gelu(x: Any, *, approximate: str = "none") -> Layout | None:
    return x if _plain(x) and approximate in ("none", "tanh") else None


def _dropout(x: Any, p: float, train: bool) -> Layout | None:
    fits = _plain(x) if train else _alike(x)  # at test time it is the input itself
    return x if fits and 0 <= p <= 1 else None


def _softmax(x: Any, dim: int, dtype: Any = None) -> Layout | None:
    fits = _plain(x) and dtype is None and -len(x.shape) <= dim < len(x.shape)
    return x if fits else None


def _batch_norm(x: Any, weight: Any, bias: Any, mean: Any, var: Any, training: bool, *_: Any) -> Layout | None:
    if not _plain(x) or len(x.shape) < 2:
        return None
    per_channel = prod(x.shape) // x.shape[1]
    if per_channel < 2 if training else mean is None or var is None:
        return None
    vectors = [v for v in (weight, bias, mean, var) if v is not None]
    return x if _plain(x, *vectors) and all(v.shape == (x.shape[1],) for v in vectors) else None


def _layer_norm(x: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, *_: Any) -> Layout | None:
    shape = tuple(normalized_shape)
    affine = [v for v in (weight, bias) if v is not None]
    fits = _plain(x, *affine) and shape and x.shape[-len(shape) :] == shape and all(v.shape == shape for v in affine)
    return x if fits else None


def _broadcast(x: Any, y: Any, *, alpha: Any = 1, **options: Any) -> Layout | None:
    if not isinstance(x, Layout) or options:
        return None
    if isinstance(y, (int, float)) and not isinstance(y, bool):
        return x if _plain(x) else None
    if not _plain(x, y):
        return None
    if x.shape == y.shape:
        return _row_major(x.shape, x.dtype)
    longest = max(len(x.shape), len(y.shape))
    shape = []
    for a, b in zip(_padded(x.shape, longest), _padded(y.shape, longest), strict=True):
        if a != b and 1 not in (a, b):
            return None
        shape.append(max(a, b))
    return _row_major(tuple(shape), x.dtype)


def _padded(shape: tuple[int, ...], length: int) -> tuple[int, ...]:
    return (1,) * (length - len(shape)) + shape


def _linear(x: Any, weight: Any, bias: Any = None) -> Layout | None:
    if not _alike(x, weight, bias) or len(weight.shape) != 2 or not x.shape or x.shape[-1] != weight.shape[1]:
        return None
    if bias is not None and bias.shape != weight.shape[:1]:
        return None
    return _row_major((*x.shape[:-1], weight.shape[0]), x.dtype)


def _matmul(x: Any, y: Any) -> Layout | None:
    if not _alike(x, y) or len(x.shape) != len(y.shape) or len(x.shape) < 2:
        return None
    fits = x.shape[:-2] == y.shape[:-2] and x.shape[-1] == y.shape[-2]
    return _row_major((*x.shape[:-1], y.shape[-1]), x.dtype) if fits else None


def _attention(
    query: Any, key: Any, value: Any, mask: Any = None, dropout_p: float = 0, *_: Any, **options: Any
) -> Layout | None:
    """Row-major whichever kernel would run; the strides of q, k and v do not matter."""
    if mask is not None or options.get("enable_gqa") or not 0 <= dropout_p <= 1 or not _alike(query, key, value):
        return None
    if not len(query.shape) == len(key.shape) == len(value.shape) >= 3:
        return None
    agree = query.shape[:-2] == key.shape[:-2] == value.shape[:-2]
    if not agree or query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        return None
    return _row_major((*query.shape[:-1], value.shape[-1]), query.dtype)


def _each(value: Any, axes: int) -> tuple[int, ...] | None:
    """One size per axis from an int or a sequence of 1 or `axes` ints."""
    sizes = (value,) if isinstance(value, int) else tuple(value)
    return sizes * axes if len(sizes) == 1 else sizes if len(sizes) == axes else None


def _windows(sizes: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> tuple[int, ...] | None:
    """Output sizes of a sliding window; None where one would be empty or an argument is out of range."""
    out = []
    for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True):
        if min(k, s, d) < 1 or p < 0 or n + 2 * p < d * (k - 1) + 1:
            return None
        out.append((n + 2 * p - d * (k - 1) - 1) // s + 1)
    return tuple(out)


def _conv(axes: int) -> Callable[..., Layout | None]:
    def conv(
        x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
    ) -> Layout | None:
        fits = _plain if axes == 2 else _alike  # with images, channels-last may go in and come out
        if isinstance(padding, str) or not fits(x, weight, bias):
            return None
        if not len(x.shape) == len(weight.shape) == axes + 2:
            return None
        channels = weight.shape[0]
        if groups < 1 or channels % groups or x.shape[1] != weight.shape[1] * groups:
            return None
        if bias is not None and bias.shape != (channels,):
            return None
        options = [_each(value, axes) for value in (stride, padding, dilation)]
        if None in options:
            return None
        out = _windows(x.shape[2:], weight.shape[2:], *options)
        return _row_major((x.shape[0], channels, *out), x.dtype) if out else None

    return conv


def _pooled(x: Any, axes: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any) -> Layout | None:
    if not _plain(x) or len(x.shape) != axes + 2:
        return None
    kernel, pads = _each(kernel_size, axes), _each(padding, axes)
    steps, dilations = _each(stride or kernel_size, axes), _each(dilation, axes)
    if kernel is None or pads is None or any(2 * p > k for p, k in zip(pads, kernel, strict=True)):
        return None
    if steps is None or dilations is None:
        return None
    out = _windows(x.shape[2:], kernel, steps, pads, dilations)
    return _row_major((*x.shape[:2], *out), x.dtype) if out else None


def _max_pool(axes: int) -> Callable[..., Layout | None]:
    def max_pool(
        x: Any, kernel_size: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
    ) -> Layout | None:
        return None if ceil_mode else _pooled(x, axes, kernel_size, stride, padding, dilation)

    return max_pool


def _avg_pool(axes: int) -> Callable[..., Layout | None]:
    def avg_pool(
        x: Any, kernel_size: Any, stride: Any = (), padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: int | None = None,
    ) -> Layout | None:  # fmt: skip
        if ceil_mode or divisor_override == 0:
            return None
        pooled = _pooled(x, axes, kernel_size, stride, padding, 1)
        if pooled is None or axes < 3:
            return pooled
        kernel = _each(kernel_size, axes) or ()
        inside = all(n >= k for n, k in zip(x.shape[2:], kernel, strict=True))
        return pooled if inside else None  # in 3D alone torch measures the window against the unpadded input

    return avg_pool


def _adaptive(axes: int) -> Callable[..., Layout | None]:
    def adaptive(x: Any, output_size: Any) -> Layout | None:
        if len(output_size) != axes or not _alike(x) or len(x.shape) != axes + 2 or min(output_size) < 1:
            return None
        batch, channels = x.shape[:2]
        if x.contiguous:
            return _row_major((batch, channels, *output_size), x.dtype)
        if _is_channels_last(x) and max(output_size) == 1:  # a mean over everything keeps channels last
            return Layout((batch, channels, *output_size), (channels, 1, *(channels,) * axes), x.dtype)
        return None

    return adaptive


def _is_channels_last(x: Layout) -> bool:
    """Exactly so: as row-major, with the channels behind the positions."""
    batch, channels, *sizes = x.shape
    moved = _row_major((batch, *sizes, channels), x.dtype).stride
    return x.stride == (moved[0], moved[-1], *moved[1:-1])


def _cat(tensors: Any, dim: int = 0) -> Layout | None:
    if not tensors or not _alike(*tensors) or len({len(t.shape) for t in tensors}) != 1 or not tensors[0].shape:
        return None
    first = tensors[0].shape
    if len(first) in (4, 5) and not _plain(*tensors):  # there channels-last may go in and come out
        return None
    if not -len(first) <= dim < len(first):
        return None
    axis = dim % len(first)
    if any(t.shape[:axis] != first[:axis] or t.shape[axis + 1 :] != first[axis + 1 :] for t in tensors):
        return None
    return _row_major((*first[:axis], sum(t.shape[axis] for t in tensors), *first[axis + 1 :]), tensors[0].dtype)


SHAPES: Mapping[str, Callable[..., Layout | None]] = {
    **{
        f"aten.{name}": _same
        for name in (
            *("relu", "relu6", "silu", "sigmoid", "tanh", "hardtanh", "hardswish", "hardsigmoid", "leaky_relu"),
            *("elu", "softplus", "mish", "exp", "sqrt", "neg", "erf"),
        )
    },
    "aten.gelu": _gelu,
    "aten.dropout": _dropout,
    **dict.fromkeys(("aten.add", "aten.sub", "aten.mul", "aten.div"), _broadcast),
    **dict.fromkeys(("aten.softmax", "aten.log_softmax"), _softmax),
    "aten.batch_norm": _batch_norm,
    "aten.layer_norm": _layer_norm,
    "aten.linear": _linear,
    "aten.matmul": _matmul,
    "aten.scaled_dot_product_attention": _attention,
    **{f"aten.conv{axes}d": _conv(axes) for axes in (1, 2, 3)},
    **{f"aten.max_pool{axes}d": _max_pool(axes) for axes in (1, 2, 3)},
    **{f"aten.avg_pool{axes}d": _avg_pool(axes) for axes in (2, 3)},
    **{f"aten.adaptive_avg_pool{axes}d": _adaptive(axes) for axes in (2, 3)},
    "aten.cat": _cat,
}
"""Operator -> shape function; each serves all overloads whose arguments it recognises."""
