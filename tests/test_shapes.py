"""Our shape functions against torch's own kernels: whatever ours vouches for, torch does too, to the stride."""

import contextlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flopcount.tracing.shapes import SHAPES, layout_of

aten = torch.ops.aten
size = st.integers(1, 6)
LAYOUTS = ("contiguous", "channels_last", "transposed", "strided")


def tensor(shape, layout="contiguous", dtype=torch.float32):
    x = torch.empty(shape, dtype=dtype, device="meta")
    if layout == "channels_last" and x.ndim in (4, 5):
        return x.to(memory_format=torch.channels_last if x.ndim == 4 else torch.channels_last_3d)
    if layout == "transposed" and x.ndim > 1:
        return torch.empty((*shape[:-2], shape[-1], shape[-2]), dtype=dtype, device="meta").transpose(-1, -2)
    if layout == "strided" and x.ndim:
        return torch.empty((*shape[:-1], 2 * shape[-1]), dtype=dtype, device="meta")[..., ::2]
    return x


def kernel_layout(op, args, kwargs):
    """What torch's own kernel makes, or None where it refuses."""
    with torch.inference_mode(), contextlib.suppress(Exception):
        return layout_of(getattr(aten, op)(*args, **kwargs))


def agree(op, *args, strides=True, **kwargs):
    """Ours is None, or torch's result; and where torch refuses, ours is None. Says whether ours answered."""
    as_layouts = torch.utils._pytree.tree_map_only(torch.Tensor, layout_of, (args, kwargs))
    ours = SHAPES[f"aten.{op}"](*as_layouts[0], **as_layouts[1])
    truth = kernel_layout(op, args, kwargs)
    if ours is None:
        return False
    assert truth is not None, "torch refuses what ours accepts"
    assert (ours.shape, ours.dtype) == (truth.shape, truth.dtype)
    if strides:
        sized = [i for i, n in enumerate(ours.shape) if n > 1]  # the stride of a single element means nothing
        assert [ours.stride[i] for i in sized] == [truth.stride[i] for i in sized]
    return True


def options(draw, axes, largest, smallest=1):
    return [draw(st.integers(smallest, largest)) for _ in range(axes)]


@given(st.integers(1, 3), st.data())
@settings(max_examples=120, deadline=None)
def test_convolutions(axes, data):
    draw = data.draw
    groups = draw(st.sampled_from([1, 1, 1, 2, 3, 0]))
    channels = draw(st.sampled_from([1, 2, 3, 6]))
    x = tensor((2, channels, *options(draw, axes, 8)), draw(st.sampled_from(LAYOUTS)))
    w = tensor((draw(st.sampled_from([2, 3, 6])), draw(st.sampled_from([1, 2, 3])), *options(draw, axes, 4)))
    bias = draw(st.sampled_from([None, tensor((w.shape[0],)), tensor((w.shape[0] + 1,))]))
    stride, padding = options(draw, axes, 3, draw(st.sampled_from([0, 1, 1]))), options(draw, axes, 2, -1)
    agree(f"conv{axes}d", x, w, bias, stride, padding, options(draw, axes, 2), groups)


@given(st.integers(1, 3), st.booleans(), st.data())
@settings(max_examples=100, deadline=None)
def test_pools(axes, average, data):
    draw = data.draw
    name = f"{'avg' if average and axes > 1 else 'max'}_pool{axes}d"
    x = tensor((2, 3, *options(draw, axes, 8)), draw(st.sampled_from(LAYOUTS)))
    kernel, padding = options(draw, axes, 4), options(draw, axes, 2, 0)
    stride = draw(st.sampled_from([[], options(draw, axes, 3)]))
    ceil = draw(st.booleans())
    further = (ceil,) if name.startswith("avg") else (options(draw, axes, 2), ceil)
    agree(name, x, kernel, stride, padding, *further)


@given(st.integers(2, 3), size, st.sampled_from(LAYOUTS), st.data())
@settings(max_examples=40, deadline=None)
def test_adaptive_pools(axes, outputs, layout, data):
    x = tensor((2, 3, *options(data.draw, axes, 6)), layout)
    agree(f"adaptive_avg_pool{axes}d", x, [outputs - 1] * axes)


@given(
    st.lists(size, max_size=4), st.lists(st.sampled_from([1, 1, 2, 3]), max_size=4), st.sampled_from(LAYOUTS), st.data()
)
@settings(max_examples=100, deadline=None)
def test_broadcasting(a, b, layout, data):
    dtypes = st.sampled_from([torch.float32, torch.float32, torch.bfloat16, torch.int64, torch.bool])
    x, y = tensor(tuple(a), layout, data.draw(dtypes)), tensor(tuple(b), dtype=data.draw(dtypes))
    for op in ("add", "sub", "mul", "div"):
        agree(op, x, y)
        agree(op, x, 2.0)
        agree(op, x, 2)
    agree("add", x, y, alpha=2)
    agree("div", x, y, rounding_mode="floor")


@given(st.lists(size, min_size=1, max_size=3), size, size, st.booleans(), st.sampled_from(LAYOUTS))
@settings(max_examples=60, deadline=None)
def test_linear(shape, wide, out, biased, layout):
    agree("linear", tensor(tuple(shape), layout), tensor((out, wide)), tensor((out,)) if biased else None)
    agree("linear", tensor((*shape[:-1], wide), layout), tensor((out, wide)), tensor((out + 1,)) if biased else None)


@given(st.lists(size, max_size=2), size, size, size, st.booleans(), st.sampled_from(LAYOUTS))
@settings(max_examples=60, deadline=None)
def test_matmul(batch, m, k, n, fits, layout):
    agree("matmul", tensor((*batch, m, k), layout), tensor((*batch, k if fits else k + 1, n)))
    agree("matmul", tensor((k,)), tensor((*batch, k, n)))


@given(st.lists(st.lists(size, min_size=2, max_size=2), min_size=1, max_size=3), st.integers(-3, 2), st.data())
@settings(max_examples=60, deadline=None)
def test_cat(shapes, dim, data):
    layout = data.draw(st.sampled_from(LAYOUTS))
    same = [tensor(tuple(shapes[0]), layout) for _ in shapes]
    agree("cat", same, dim)
    agree("cat", [tensor(tuple(shape)) for shape in shapes], dim)
    agree("cat", [*same, tensor(tuple(shapes[0]), dtype=torch.int64)], dim)


@given(st.lists(size, min_size=2, max_size=4), st.sampled_from(LAYOUTS), st.integers(0, 1), st.booleans())
@settings(max_examples=60, deadline=None)
def test_norms(shape, layout, off, affine):
    x = tensor(tuple(shape), layout)
    vector = tensor((shape[1] + off,)) if affine else None
    statistics = tensor((shape[1],))
    agree("batch_norm", x, vector, vector, statistics, statistics, False, 0.1, 1e-5, False)
    last = tensor((shape[-1] + off,)) if affine else None
    agree("layer_norm", x, [shape[-1]], last, last)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int64])
def test_elementwise(layout, dtype):
    one = ("relu", "relu6", "gelu", "silu", "sigmoid", "tanh", "hardtanh", "hardswish", "hardsigmoid", "leaky_relu")
    for op in (*one, "elu", "softplus", "mish", "exp", "sqrt", "neg", "erf"):
        agree(op, tensor((2, 3, 4), layout, dtype))
    agree("dropout", tensor((2, 3, 4), layout, dtype), 0.5, True)
    for dim in (-4, -1, 2, 3):
        agree("softmax", tensor((2, 3, 4), layout, dtype), dim)
        agree("log_softmax", tensor((2, 3, 4), layout, dtype), dim)


@given(st.integers(0, 2), size, size, size, st.integers(0, 1), st.sampled_from(LAYOUTS))
@settings(max_examples=40, deadline=None)
def test_attention(heads, queries, keys, width, off, layout):
    batch = (2, 3)[:heads]
    q, k, v = tensor((*batch, queries, width), layout), tensor((*batch, keys, width + off)), tensor((*batch, keys, 5))
    agree("scaled_dot_product_attention", q, k, v, strides=False)  # kernels differ in strides; ours is row-major


def test_ours_does_answer_what_networks_are_made_of():
    """Otherwise all of the above could pass by never answering."""
    assert agree("conv3d", tensor((1, 3, 8, 9, 9)), tensor((4, 3, 3, 3, 3)), tensor((4,)), [1, 2, 2], [1, 1, 1])
    assert agree("conv2d", tensor((1, 4, 9, 9)), tensor((4, 1, 3, 3)), None, [1, 1], [1, 1], [1, 1], 4)
    assert agree("max_pool3d", tensor((1, 3, 4, 8, 8)), [1, 2, 2])
    assert agree("avg_pool2d", tensor((1, 3, 8, 8)), [2, 2])
    assert agree("adaptive_avg_pool3d", tensor((1, 3, 4, 8, 8)), [1, 1, 1])
    assert agree("linear", tensor((2, 7, 5)), tensor((3, 5)), tensor((3,)))
    assert agree("matmul", tensor((2, 7, 5)), tensor((2, 5, 3)))
    assert agree("add", tensor((2, 7, 5)), tensor((7, 5)))
    assert agree("cat", [tensor((2, 3)), tensor((2, 4))], 1)
    assert agree("softmax", tensor((2, 3)), -1)
    assert agree("relu", tensor((2, 3)))
    one = tensor((3,))
    assert agree("batch_norm", tensor((2, 3, 4)), one, one, one, one, False, 0.1, 1e-5, False)
    assert agree("layer_norm", tensor((2, 3)), [3], one, one)
    assert agree("scaled_dot_product_attention", *[tensor((2, 3, 7, 8))] * 3, strides=False)
    assert set(SHAPES) >= {"aten.conv3d", "aten.linear", "aten.matmul"}
