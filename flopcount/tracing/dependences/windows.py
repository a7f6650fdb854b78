"""Convolutions, pools and interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import floor

from torch import Tensor

from ..intervals import Intervals, joined, mixed_channels, padded, picked, reduced, reshaped, viewed, windowed
from ..jump import NOWHERE
from .call import Answer, Call, Rule, dependence, sizes_of

__all__: list[str] = []


@dependence("convolution")
def convolution(call: Call) -> Answer:
    """Each output sees the taps of its window, padding included, in all channels of its group.

    Where the clip decides the weights or the bias, it also sees what those of its channel do.
    """
    reach, weight = call.reach("input"), call["weight"]
    if call.given.get("transposed"):
        return transposed(call)
    given = [reached for name in ("weight", "bias") if (reached := call.reach(name)) is not None]
    own = [_of_channel(reached, len(call.out), weight.ndim - 2) for reached in given]
    if reach is None:
        return joined(own, len(call.out)) if own else None
    axes = weight.ndim - 2
    stride, dilation = (sizes_of(call[name], axes) for name in ("stride", "dilation"))
    padding = call["padding"]
    channel = len(reach.shape) - axes - 1
    result = mixed_channels(reach, channel, call["groups"], weight.shape[0])
    for k in range(axes):
        axis, kernel = channel + 1 + k, weight.shape[2 + k]
        if isinstance(padding, str):  # with an even kernel, torch puts the extra padding behind
            before = (kernel - 1) * dilation[k] // 2 if padding == "same" else 0
        else:
            before = sizes_of(padding, axes)[k]
        size, out = call["input"].shape[axis], call.out[axis]
        result = windowed(result, axis, size, out, kernel, stride[k], before, dilation[k])
    return joined([result, *own], len(call.out)) if own else result


def _of_channel(weights: Intervals, ndim: int, spatial: int) -> Intervals:
    """Weights (outputs, ...) -> what all of one output see, along the channels of a result of `ndim` axes."""
    whole = reduced(weights, range(1, len(weights.shape)))
    ahead = (NOWHERE,) * (ndim - spatial - 1)
    shape = [1] * len(ahead) + [-1] + [1] * spatial
    return whole.map(lambda x: x.reshape(shape), (*ahead, whole.jumps[0], *[NOWHERE] * spatial))


_LIMIT = 1 << 26  # elements; beyond it every tap of a window is taken to see the whole window


@dependence("im2col")
def patches(call: Call) -> Answer:
    """(B, C, H, W) -> (B, C·taps, windows): each element sees the one tap of its window, padding included."""
    reach, x = call.reach("self"), call["self"]
    if reach is None or x.ndim != 4:
        return None
    names = ("kernel_size", "dilation", "padding", "stride")
    kernel, dilation, padding, stride = (sizes_of(call[name], 2) for name in names)
    spans = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
    longer = list(x.shape)
    for axis, pad in zip((2, 3), padding, strict=True):
        reach = padded(reach, axis, x.shape[axis], pad, pad)
        longer[axis] += 2 * pad

    def taps(array: Tensor) -> Tensor:
        rows = array.unfold(2, spans[0], stride[0])[..., :: dilation[0]]
        both = rows.unfold(3, spans[1], stride[1])[..., :: dilation[1]]
        return both.permute(0, 1, 4, 5, 2, 3)

    result = viewed(reach, longer, taps)
    result = replace(result, jumps=(*result.jumps[:2], NOWHERE, NOWHERE, *result.jumps[4:]))
    if call.results[0].numel() > _LIMIT:
        result = reduced(result, [2, 3])
    windows = [(n - span) // step + 1 for n, span, step in zip(longer[2:], spans, stride, strict=True)]
    merged = reshaped(result, [*x.shape[:2], *kernel, *windows], call.out)
    channels = merged.jumps[1] if reach.jumps[1] else NOWHERE  # taps are channels now
    return replace(merged, jumps=(merged.jumps[0], channels, merged.jumps[2]))


@dependence("conv_transpose1d")
def transposed(call: Call) -> Answer:
    """Output o sees the inputs i with a tap at o + padding − i · stride."""
    reach, weight = call.reach("input"), call["weight"]
    if reach is None:
        return None
    axes = weight.ndim - 2
    channel = len(reach.shape) - axes - 1
    result = mixed_channels(reach, channel, call["groups"], weight.shape[1] * call["groups"])
    sizes = zip(*(sizes_of(call[name], axes) for name in ("stride", "padding", "dilation")), strict=True)
    for k, (stride, padding, dilation) in enumerate(sizes):
        axis, span = channel + 1 + k, (weight.shape[2 + k] - 1) * dilation
        size = call["input"].shape[axis]
        places = [o + padding for o in range(call.out[axis])]
        first, last = [-((span - p) // stride) for p in places], [p // stride for p in places]
        before, behind = max(-min(first), 0), max(max(last) + 1 - size, 0)
        result = padded(result, axis, size, before, behind)  # the position that a longer input would have there
        first, last = [p + before for p in first], [p + before for p in last]
        result = picked(result, axis, first, last, result.jumps[axis].upsampled(stride))
    return result


def _pool(axes: int, *, mean: bool) -> Rule:
    def pool(call: Call) -> Answer:
        """Each output sees its window; a single window over a whole axis is global pooling."""
        reach, x = call.reach("self"), call["self"]
        if reach is None:
            return None
        kernel = sizes_of(call["kernel_size"], axes)
        stride = sizes_of(call["stride"] or kernel, axes)
        padding, dilation = sizes_of(call["padding"], axes), sizes_of(call.given.get("dilation", 1), axes)
        result = reach
        for k in range(axes):
            axis = x.ndim - axes + k
            size, out = x.shape[axis], call.out[axis]
            if mean and out == 1 and kernel[k] >= size and not padding[k]:
                result = reduced(result, [axis]) if kernel[k] > 1 else result
            else:
                result = windowed(result, axis, size, out, kernel[k], stride[k], padding[k], dilation[k])
        return [result] * len(call.results)

    return pool


def _adaptive(axes: int) -> Rule:
    def adaptive(call: Call) -> Answer:
        """Output i of m sees floor(i·n/m) up to ceil((i+1)·n/m)."""
        reach, x = call.reach("self"), call["self"]
        if reach is None:
            return None
        result = reach
        for axis in range(x.ndim - axes, x.ndim):
            n, m = x.shape[axis], call.out[axis]
            if m == 1:
                result = reduced(result, [axis])
            elif m != n:
                first, last = [i * n // m for i in range(m)], [-(-(i + 1) * n // m) - 1 for i in range(m)]
                result = picked(result, axis, first, last, result.jumps[axis].resized(n, m))
        return [result] * len(call.results)

    return adaptive


for _n in (1, 2, 3):
    dependence(f"max_pool{_n}d")(_pool(_n, mean=False))
    dependence(f"avg_pool{_n}d")(_pool(_n, mean=True))
    dependence(f"adaptive_avg_pool{_n}d", f"adaptive_max_pool{_n}d")(_adaptive(_n))


def _upsample(taps: Sequence[int], axes: int, *, half: bool) -> Rule:
    """`taps` are the first and last neighbour with a weight, counted from the one below the sampled position."""

    def upsample(call: Call) -> Answer:
        """Each output sees the neighbours of its sampled position."""
        x = call.reach()
        source = next(iter(call.given.values()))
        if x is None:
            return None
        result = x
        for k in range(axes):
            axis = source.ndim - axes + k
            n, m = source.shape[axis], call.out[axis]
            if n != m:
                places = _places(call, k, n, m, half=half)
                first = [min(max(floor(p) + taps[0], 0), n - 1) for p in places]
                last = [min(max((floor(p) if p == floor(p) and taps == (0, 1) else floor(p) + taps[1]), 0), n - 1)
                        for p in places]  # fmt: skip
                result = picked(result, axis, first, last, result.jumps[axis].resized(n, m))
        return result

    return upsample


def _places(call: Call, k: int, n: int, m: int, *, half: bool) -> list[Fraction]:
    """The sampled position of each of m outputs on an axis of n."""
    if half and call.given.get("align_corners"):
        return [Fraction(i * (n - 1), max(m - 1, 1)) for i in range(m)]
    factors = call.given.get("scale_factors") or [call.given.get(name) for name in _SCALES if name in call.given]
    factor = factors[k] if factors and k < len(factors) else None
    scale = 1 / Fraction(factor).limit_denominator(1 << 16) if factor else Fraction(n, m)
    return [max((i + Fraction(1, 2)) * scale - Fraction(1, 2), Fraction(0)) if half else i * scale for i in range(m)]


_SCALES = ("scales", "scales_d", "scales_h", "scales_w")

for _name, _n, _taps, _half in (
    *((f"upsample_nearest{n}d", n, (0, 0), False) for n in (1, 2, 3)),
    ("upsample_linear1d", 1, (0, 1), True),
    ("upsample_bilinear2d", 2, (0, 1), True),
    ("upsample_trilinear3d", 3, (0, 1), True),
):
    dependence(_name)(_upsample(_taps, _n, half=_half))
