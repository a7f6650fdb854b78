"""Shape functions of flopcount for the operators of video networks.

Torch's meta kernels cost 20 to 500 µs a call, and the first call takes over a second for imports. A function here
handles contiguous tensors of one dtype, which is nearly every call, or returns None: then torch's kernel answers, or
raises its own error. Each takes Layouts where the operator takes tensors; tests compare all of them with torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, TypeAlias

import torch

from .canonical import canonical_call
from .layout import Layout, broadcast, is_channels_last, like_channels_last, padded, row_major

__all__ = ["ALIASES", "SHAPES", "Shape", "shape_of"]

Shape: TypeAlias = Callable[..., Layout | tuple[Layout, ...] | None]


def _plain(*values: Any) -> bool:
    """Whether all tensors are floating-point, contiguous and of one dtype; None is a tensor that is not given."""
    return _alike(*values) and all(value.contiguous for value in values if value is not None)


def _alike(*values: Any) -> bool:
    """The same as `_plain` with any strides, for operators whose result is always row-major."""
    layouts = [value for value in values if value is not None]
    dtype = layouts[0].dtype if isinstance(layouts[0], Layout) else None
    return all(
        isinstance(value, Layout) and value.dtype == dtype and dtype.is_floating_point and 0 not in value.shape
        for value in layouts
    )


def _same(x: Any, *args: Any, **kwargs: Any) -> Layout | None:
    """Elementwise functions of one tensor; further arguments must be plain numbers."""
    numbers = all(isinstance(value, (int, float, bool)) for value in (*args, *kwargs.values()))
    return broadcast(x) if _alike(x) and numbers else None


def _pow(x: Any, exponent: Any) -> Layout | None:
    return x if _plain(x) and type(exponent) in (int, float) else None


def _masked_fill(x: Any, mask: Any, value: Any) -> Layout | None:
    """With a number and a contiguous tensor that is at least as large as the mask."""
    if not _plain(x) or not isinstance(mask, Layout) or mask.dtype != torch.bool or not mask.contiguous:
        return None
    if type(value) not in (int, float) or len(mask.shape) > len(x.shape):
        return None
    fits = all(m in (1, n) for n, m in zip(x.shape, padded(mask.shape, len(x.shape)), strict=True))
    return row_major(x.shape, x.dtype) if fits else None


def _roll(x: Any, shifts: Any, dims: Any = ()) -> Layout | None:
    shifts, dims = _listed(shifts), _listed(dims)
    fits = _plain(x) and dims and len(shifts) == len(dims) and all(-len(x.shape) <= d < len(x.shape) for d in dims)
    return row_major(x.shape, x.dtype) if fits else None


def _listed(value: Any) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(value)


def _pad(x: Any, pad: Any, mode: str = "constant", value: Any = None) -> Layout | None:
    """With sizes before and behind each of the last axes, the last axis first."""
    if mode != "constant" or not _plain(x) or len(pad) % 2 or len(pad) > 2 * len(x.shape) or not pad or min(pad) < 0:
        return None
    if value is not None and type(value) not in (int, float):
        return None
    shape = list(x.shape)
    for axis, (before, behind) in enumerate(zip(pad[::2], pad[1::2], strict=True), start=1):
        shape[-axis] += before + behind
    return row_major(tuple(shape), x.dtype)


def _index(x: Any, indices: Any) -> Layout | None:
    """`x[i]`: one index of whole numbers, which replaces the first axis."""
    if not _plain(x) or not x.shape or len(indices) != 1 or not isinstance(indices[0], Layout):
        return None
    index = indices[0]
    if index.dtype not in (torch.int64, torch.int32) or not index.contiguous or not index.shape:
        return None
    return row_major((*index.shape, *x.shape[1:]), x.dtype)


def _index_select(x: Any, dim: int, index: Any) -> Layout | None:
    if not _plain(x) or not -len(x.shape) <= dim < len(x.shape) or not isinstance(index, Layout):
        return None
    if len(index.shape) != 1 or index.dtype not in (torch.int64, torch.int32) or 0 in index.shape:
        return None
    axis = dim % len(x.shape)
    return row_major((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]), x.dtype)


def _mean(x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Layout | None:
    """Over given axes of a contiguous tensor."""
    dims = _listed(dim) if dim is not None else ()
    if not _plain(x) or dtype is not None or not dims or not all(-len(x.shape) <= d < len(x.shape) for d in dims):
        return None
    gone = {d % len(x.shape) for d in dims}
    if len(gone) != len(dims):
        return None
    kept = [(1,) if axis in gone and keepdim else () if axis in gone else (n,) for axis, n in enumerate(x.shape)]
    return row_major(tuple(n for size in kept for n in size), x.dtype)


def _stack(tensors: Any, dim: int = 0) -> Layout | None:
    if not tensors or not _plain(*tensors) or len({t.shape for t in tensors}) != 1:
        return None
    shape = tensors[0].shape
    if not -len(shape) - 1 <= dim <= len(shape):
        return None
    axis = dim % (len(shape) + 1)
    return row_major((*shape[:axis], len(tensors), *shape[axis:]), tensors[0].dtype)


def _bmm(x: Any, y: Any) -> Layout | None:
    return _matmul(x, y) if isinstance(x, Layout) and len(x.shape) == 3 else None


def _recurrent(gates: int, states: int) -> Callable[..., tuple[Layout, ...] | None]:
    """`lstm.input` (4 gates, 2 states), `gru.input` (3, 1) and the plain ones (1, 1), without projections."""

    def recurrent(
        x: Any, hx: Any, params: Any, has_biases: bool, num_layers: int, dropout: float, train: bool,
        bidirectional: bool, batch_first: bool,
    ) -> tuple[Layout, ...] | None:  # fmt: skip
        initial = hx if isinstance(hx, (list, tuple)) else [hx]
        if len(initial) != states or not _plain(x, *initial, *params) or len(x.shape) != 3 or num_layers < 1:
            return None
        if dropout and train:
            return None
        directions = 1 + bidirectional
        steps, batch = (x.shape[1], x.shape[0]) if batch_first else x.shape[:2]
        hidden = initial[0].shape[-1]
        if any(h.shape != (num_layers * directions, batch, hidden) for h in initial):
            return None
        wanted = []
        for layer in range(num_layers):
            width = directions * hidden if layer else x.shape[2]
            weights = [(gates * hidden, width), (gates * hidden, hidden)]
            wanted += directions * (weights + 2 * [(gates * hidden,)] * has_biases)
        if [p.shape for p in params] != wanted:
            return None
        out = directions * hidden
        stride = (out, batch * out, 1) if batch_first else (batch * out, out, 1)
        shape = (batch, steps, out) if batch_first else (steps, batch, out)
        return (Layout(shape, stride, x.dtype), *(row_major(h.shape, h.dtype) for h in initial))

    return recurrent


def _gelu(x: Any, *, approximate: str = "none") -> Layout | None:
    return x if _plain(x) and approximate in ("none", "tanh") else None


def _dropout(x: Any, p: float, train: bool) -> Layout | None:
    fits = _plain(x) if train else _alike(x)  # in eval mode it is the input itself
    return x if fits and 0 <= p <= 1 and len(x.shape) > 1 else None  # vectors have no features to drop


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


def _broadcast(x: Any, y: Any, alpha: Any = 1, **options: Any) -> Layout | None:
    if not isinstance(x, Layout) or options:
        return None
    if isinstance(y, (int, float)) and not isinstance(y, bool):
        return broadcast(x) if _alike(x) else None
    return broadcast(x, y) if _alike(x, y) else None


def _rsub(x: Any, y: Any, alpha: Any = 1, **options: Any) -> Layout | None:
    first, second = (y, x) if isinstance(y, Layout) else (x, y)
    return _broadcast(first, second, alpha, **options)


def _linear(x: Any, weight: Any, bias: Any = None) -> Layout | None:
    if not _alike(x, weight, bias) or len(weight.shape) != 2 or not x.shape or x.shape[-1] != weight.shape[1]:
        return None
    if bias is not None and bias.shape != weight.shape[:1]:
        return None
    return row_major((*x.shape[:-1], weight.shape[0]), x.dtype)


def _matmul(x: Any, y: Any) -> Layout | None:
    if not _alike(x, y) or len(x.shape) != len(y.shape) or len(x.shape) < 2:
        return None
    fits = x.shape[:-2] == y.shape[:-2] and x.shape[-1] == y.shape[-2]
    return row_major((*x.shape[:-1], y.shape[-1]), x.dtype) if fits else None


def _attention(
    query: Any, key: Any, value: Any, mask: Any = None, dropout_p: float = 0, *_: Any, **options: Any
) -> Layout | None:
    """Row-major for every kernel; the strides of q, k and v do not matter."""
    if mask is not None or options.get("enable_gqa") or not 0 <= dropout_p <= 1 or not _alike(query, key, value):
        return None
    if not len(query.shape) == len(key.shape) == len(value.shape) >= 3:
        return None
    agree = query.shape[:-2] == key.shape[:-2] == value.shape[:-2]
    if not agree or query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        return None
    return row_major((*query.shape[:-1], value.shape[-1]), query.dtype)


def _each(value: Any, axes: int) -> tuple[int, ...] | None:
    """One size per axis from an int or a sequence of 1 or `axes` ints."""
    sizes = (value,) if isinstance(value, int) else tuple(value)
    return sizes * axes if len(sizes) == 1 else sizes if len(sizes) == axes else None


def _windows(
    sizes: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool = False
) -> tuple[int, ...] | None:
    """Output sizes of a sliding window; None if one would be empty or an argument is out of range.

    With `ceil_mode` the last window may extend beyond the end, if it starts within the input or its front padding.
    """
    out = []
    for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True):
        if min(k, s, d) < 1 or p < 0 or n + 2 * p < d * (k - 1) + 1:
            return None
        room = n + 2 * p - d * (k - 1) - 1
        windows = (room + (s - 1) * ceil_mode) // s + 1
        out.append(windows - 1 if ceil_mode and (windows - 1) * s >= n + p else windows)
    return tuple(out)


def _conv(axes: int) -> Callable[..., Layout | None]:
    def conv(
        x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
    ) -> Layout | None:
        if isinstance(padding, str) or not _alike(x, weight, bias):
            return None
        if not len(x.shape) == len(weight.shape) == axes + 2:
            return None
        if axes == 2 and not _plain(x, weight) and any(map(like_channels_last, (x, weight))):
            return None  # which may go in and come out, with images alone
        channels = weight.shape[0]
        if groups < 1 or channels % groups or x.shape[1] != weight.shape[1] * groups:
            return None
        if bias is not None and bias.shape != (channels,):
            return None
        options = [_each(value, axes) for value in (stride, padding, dilation)]
        if None in options:
            return None
        steps, pads, dilations = options
        out = _windows(x.shape[2:], weight.shape[2:], steps, pads, dilations)
        return row_major((x.shape[0], channels, *out), x.dtype) if out else None

    return conv


def _pooled(
    x: Any, axes: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool = False
) -> Layout | None:
    if not _plain(x) or len(x.shape) != axes + 2:
        return None
    kernel, pads = _each(kernel_size, axes), _each(padding, axes)
    steps, dilations = _each(stride or kernel_size, axes), _each(dilation, axes)
    if kernel is None or pads is None or any(2 * p > k for p, k in zip(pads, kernel, strict=True)):
        return None
    if steps is None or dilations is None:
        return None
    out = _windows(x.shape[2:], kernel, steps, pads, dilations, ceil_mode)
    return row_major((*x.shape[:2], *out), x.dtype) if out else None


def _max_pool(axes: int) -> Callable[..., Layout | None]:
    def max_pool(
        x: Any, kernel_size: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
    ) -> Layout | None:
        return _pooled(x, axes, kernel_size, stride, padding, dilation, ceil_mode)

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
            return row_major((batch, channels, *output_size), x.dtype)
        if is_channels_last(x) and max(output_size) == 1:  # a mean over everything keeps channels last
            return Layout((batch, channels, *output_size), (channels, 1, *(channels,) * axes), x.dtype)
        return None

    return adaptive


def _adaptive_kernel(axes: int) -> Callable[..., Layout | None]:
    """The pooling kernel, which is not replaced by a mean (with other strides) if one pixel is left."""
    pool = _adaptive(axes)
    return lambda x, output_size: pool(x, output_size) if isinstance(x, Layout) and x.contiguous else None


def _grid_sampler(x: Any, grid: Any, interpolation_mode: int, padding_mode: int, align_corners: bool) -> Layout | None:
    """Of pictures; torch's meta kernel takes bicubic ones apart, in half a second for each new shape."""
    if not _plain(x, grid) or len(x.shape) != 4 or len(grid.shape) != 4:
        return None
    if x.shape[0] != grid.shape[0] or grid.shape[3] != 2 or interpolation_mode not in _MODES:
        return None
    return row_major((*x.shape[:2], *grid.shape[1:3]), x.dtype)


_MODES = (0, 1, 2)  # bilinear, nearest, bicubic


def _cat(tensors: Any, dim: int = 0) -> Layout | None:
    if not tensors or not _alike(*tensors) or len({len(t.shape) for t in tensors}) != 1 or not tensors[0].shape:
        return None
    first = tensors[0].shape
    if len(first) in (4, 5) and not _plain(*tensors) and any(map(like_channels_last, tensors)):
        return None  # which may go in and come out
    if not -len(first) <= dim < len(first):
        return None
    axis = dim % len(first)
    if any(t.shape[:axis] != first[:axis] or t.shape[axis + 1 :] != first[axis + 1 :] for t in tensors):
        return None
    return row_major((*first[:axis], sum(t.shape[axis] for t in tensors), *first[axis + 1 :]), tensors[0].dtype)


SHAPES: Mapping[str, Shape] = {
    **{
        f"aten.{name}": _same
        for name in (
            *("relu", "relu6", "silu", "sigmoid", "tanh", "hardtanh", "hardswish", "hardsigmoid", "leaky_relu"),
            *("elu", "softplus", "mish", "exp", "sqrt", "neg", "erf"),
        )
    },
    "aten.gelu": _gelu,
    "aten.dropout": _dropout,
    **dict.fromkeys(("aten.add", "aten.mul", "aten.div"), _broadcast),
    "aten.softmax": _softmax,
    "aten.batch_norm": _batch_norm,
    "aten.layer_norm": _layer_norm,
    "aten.linear": _linear,
    "aten.matmul": _matmul,
    "aten.scaled_dot_product_attention": _attention,
    **{f"aten.max_pool{axes}d": _max_pool(axes) for axes in (1, 2, 3)},
    **{f"aten.avg_pool{axes}d": _avg_pool(axes) for axes in (2, 3)},
    **{f"aten.adaptive_avg_pool{axes}d": _adaptive(axes) for axes in (2, 3)},
    "aten.grid_sampler": _grid_sampler,
    "aten.cat": _cat,
    "aten.stack": _stack,
    "aten.pow": _pow,
    "aten.masked_fill": _masked_fill,
    "aten.roll": _roll,
    "aten.pad": _pad,
    "aten.index": _index,
    "aten.mean": _mean,
    "aten.lstm": _recurrent(4, 2),
    "aten.gru": _recurrent(3, 1),
    "aten.rnn_tanh": _recurrent(1, 1),
}
"""Canonical operator -> shape function; each serves all overloads whose arguments it recognises."""

ALIASES: Mapping[str, Shape] = {
    **{f"aten.conv{axes}d": _conv(axes) for axes in (1, 2, 3)},  # `convolution` has another order of arguments
    "aten.rsub": _rsub,  # its operands are swapped, and the first tensor decides the strides
    "aten.bmm": _bmm,  # batches of matrices alone, without the broadcasting of `matmul`
    "aten.vdot": lambda x, y: None,  # vectors alone
    "aten.grid_sampler_3d": lambda *args: None,  # volumes alone
    "aten.index_select": _index_select,  # along a given axis
    **{f"aten._adaptive_avg_pool{axes}d": _adaptive_kernel(axes) for axes in (2, 3)},  # never a mean
}
"""Operators with other arguments than their canonical operator, which are frequent or easily confused with it."""


def shape_of(func: Any) -> Shape | None:
    """The shape function of an overload, in-place or not; an alias with the same arguments has its operator's."""
    return ALIASES.get(str(func.overloadpacket)) or SHAPES.get(canonical_call(func).removesuffix("_"))
