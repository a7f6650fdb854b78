"""Flopcount's shape functions against torch's kernels: every result of ours is torch's, strides included."""

import contextlib
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from modules import TORCH

from flopcount.rules import RULES
from flopcount.tracing.layout import layout_of
from flopcount.tracing.shapes import shape_of

aten = torch.ops.aten
size = st.integers(1, 6)
axis = st.sampled_from([1, 1, 2, 3, 0, 4, 5, 6])  # mostly whole, sometimes empty
LAYOUTS = ("contiguous", "channels_last", "transposed", "strided", "expanded")
layouts = st.sampled_from(LAYOUTS)
DTYPES = (torch.float32, torch.float16, torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn)
DROPOUTS = ("dropout", "alpha_dropout", "feature_dropout", "feature_alpha_dropout")
dtypes = st.sampled_from([torch.float32, torch.float32, torch.float32, *DTYPES])


def tensor(shape, layout="contiguous", dtype=torch.float32):
    x = torch.empty(shape, dtype=dtype, device="meta")
    if layout == "channels_last" and x.ndim in (4, 5):
        return x.to(memory_format=torch.channels_last if x.ndim == 4 else torch.channels_last_3d)
    if layout == "transposed" and x.ndim > 1:
        return torch.empty((*shape[:-2], shape[-1], shape[-2]), dtype=dtype, device="meta").transpose(-1, -2)
    if layout == "strided" and x.ndim:
        return torch.empty((*shape[:-1], 2 * shape[-1]), dtype=dtype, device="meta")[..., ::2]
    if layout == "expanded" and x.ndim:
        return torch.empty((1, *shape[1:]), dtype=dtype, device="meta").expand(shape)
    return x


def kernel_layout(op, args, kwargs):
    """The result of torch's own kernel, or None if it raises."""
    with torch.inference_mode(), contextlib.suppress(Exception), warnings.catch_warnings(action="ignore"):
        result = getattr(aten, op)(*args, **kwargs)
        return tuple(map(layout_of, result)) if isinstance(result, tuple) else layout_of(result)


def agree(op, *args, strides=True, **kwargs):
    """Our result is None or torch's, and None if torch raises. Returns whether ours is not None."""
    as_layouts = torch.utils._pytree.tree_map_only(torch.Tensor, layout_of, (args, kwargs))
    ours = shaped(op)[0](*as_layouts[0], **as_layouts[1])
    truth = kernel_layout(op, args, kwargs)
    if ours is None:
        return False
    assert truth is not None, "torch refuses what ours accepts"
    for mine, theirs in zip(*(one if isinstance(one, tuple) else (one,) for one in (ours, truth)), strict=True):
        assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype)
        assert not strides or mine.stride == theirs.stride
    return True


def options(draw, axes, largest, smallest=1):
    return [draw(st.integers(smallest, largest)) for _ in range(axes)]


def per_axis(draw, axes, smallest, largest):
    """One number per axis, or one for all, or one too many."""
    numbers = options(draw, axes, largest, smallest)
    return draw(st.sampled_from([numbers, numbers, numbers[:1], [*numbers, 1]]))


@given(st.integers(1, 3), layouts, st.data())
@settings(max_examples=150)
def test_convolutions(axes, layout, data):
    draw = data.draw
    groups, channels = draw(st.sampled_from([1, 1, 1, 2, 3, 0, -1])), draw(st.sampled_from([1, 2, 3, 6]))
    batch = (draw(axis),) if draw(st.sampled_from([True, True, True, False])) else ()
    dtype = draw(dtypes)
    x = tensor((*batch, channels, *[draw(axis) for _ in range(axes)]), layout, dtype)
    fitting = channels // groups if groups > 0 else 1
    w_shape = (draw(st.sampled_from([2, 3, 6, 6])), draw(st.sampled_from([fitting, fitting, 2])))
    w = tensor((*w_shape, *options(draw, axes, 4)), draw(layouts), draw(st.sampled_from([dtype, dtype, torch.float32])))
    bias = draw(st.sampled_from([None, None, tensor((w.shape[0],), dtype=dtype), tensor((w.shape[0] + 1,))]))
    smallest = draw(st.sampled_from([0, 1, 1, 1]))
    padding = draw(st.sampled_from([per_axis(draw, axes, smallest - 1, 2), "same", "valid", "reflect"]))
    further = [per_axis(draw, axes, smallest, 3), padding, per_axis(draw, axes, smallest, 2), groups]
    agree(f"conv{axes}d", x, w, bias, *further[: draw(st.integers(0, 4))])


@given(st.integers(1, 3), st.booleans(), layouts, st.data())
@settings(max_examples=200)
def test_pools(axes, average, layout, data):
    draw = data.draw
    x = tensor((2, 3, *[draw(axis) for _ in range(axes)])[draw(st.sampled_from([0, 0, 0, 1])) :], layout, draw(dtypes))
    smallest = draw(st.sampled_from([0, 1, 1, 1]))
    kernel, padding = per_axis(draw, axes, smallest, 4), per_axis(draw, axes, smallest - 1, 2)
    stride = draw(st.sampled_from([[], per_axis(draw, axes, smallest, 3)]))
    ceil = draw(st.sampled_from([False, False, True]))
    if average and axes > 1:
        further = [stride, padding, ceil, draw(st.booleans()), draw(st.sampled_from([None, 3, 0]))]
        agree(f"avg_pool{axes}d", x, kernel, *further[: draw(st.integers(0, 5))])
        agree(f"avg_pool{axes}d", x, kernel, divisor_override=further[-1])
    else:
        further = [stride, padding, per_axis(draw, axes, smallest, 2), ceil]
        agree(f"max_pool{axes}d", x, kernel, *further[: draw(st.integers(0, 4))])
        agree(f"max_pool{axes}d", x, kernel, dilation=further[2], ceil_mode=ceil)


@given(st.integers(2, 3), layouts, st.data())
@settings(max_examples=60)
def test_adaptive_pools(axes, layout, data):
    x = tensor((2, 3, *[data.draw(axis) for _ in range(axes)]), layout, data.draw(dtypes))
    sizes = per_axis(data.draw, axes, data.draw(st.sampled_from([-1, 0, 1, 1])), 5)
    agree(f"adaptive_avg_pool{axes}d", x, sizes)
    agree(f"_adaptive_avg_pool{axes}d", x, sizes)


@given(st.tuples(axis, size, axis, axis), axis, axis, layouts, st.data())
@settings(max_examples=60)
def test_sampled_pictures(shape, height, width, layout, data):
    draw = data.draw
    x = tensor(shape, layout, draw(dtypes))
    batch, coordinates = draw(st.sampled_from([shape[0], shape[0], 2])), draw(st.sampled_from([2, 2, 2, 3]))
    grid = tensor((batch, height, width, coordinates), draw(layouts), draw(st.sampled_from([x.dtype, torch.float32])))
    further = draw(st.integers(0, 3)), draw(st.integers(0, 2)), draw(st.booleans())
    agree("grid_sampler", x, grid, *further)
    agree("grid_sampler_2d", x, grid, *further)


def test_pictures_are_no_volumes():
    assert not agree("grid_sampler_3d", tensor((2, 3, 5, 6)), tensor((2, 4, 7, 2)), 2, 1, True)


def test_one_pixel_of_the_kernel_alone_has_strides_of_its_own():
    """A regression that random cases found: `adaptive_avg_pool3d` runs a mean there."""
    x = torch.empty_strided((2, 3, 1, 1, 1), (3, 1, 3, 3, 3), device="meta")
    assert not agree("_adaptive_avg_pool3d", x, [1, 1, 1])
    assert agree("adaptive_avg_pool3d", x, [1, 1, 1])


def test_the_window_of_avg_pool3d_must_fit_without_padding():
    """Only in 3D: a regression that random cases found."""
    assert not agree("avg_pool3d", tensor((2, 3, 1, 1, 1)), [1, 1, 2], [], [0, 0, 1])
    assert agree("avg_pool2d", tensor((2, 3, 1, 1)), [1, 2], [], [0, 1])


@given(st.lists(axis, max_size=4), st.lists(axis, max_size=4), layouts, st.data())
@settings(max_examples=150)
def test_broadcasting(a, b, layout, data):
    x, y = tensor(tuple(a), layout, data.draw(dtypes)), tensor(tuple(b), data.draw(layouts), data.draw(dtypes))
    for op in ("add", "sub", "rsub", "mul", "div"):
        for other in (y, tensor(tuple(a)), 2.0, 2, True, 1j):
            agree(op, x, other)
    agree("add", x, y, alpha=2)
    agree("add", x, 2, 3)  # a scale may be in its place
    agree("sub", x, 2, alpha=2.5)
    agree("div", x, y, rounding_mode="floor")


@given(st.lists(axis, max_size=4), size, size, layouts, st.data())
@settings(max_examples=100)
def test_linear(shape, wide, out, layout, data):
    dtype = data.draw(dtypes)
    x = tensor((*shape, wide), layout, dtype)
    for w in (
        tensor((out, wide), data.draw(layouts), dtype),
        tensor((out, wide + 1)),
        tensor((wide,)),
        tensor((out, wide)),
    ):
        for bias_shape in (None, (out,), (out + 1,), (1,), (1, out), ()):
            agree("linear", x, w, None if bias_shape is None else tensor(bias_shape, dtype=dtype))
    agree("linear", tensor((), dtype=dtype), tensor((out, wide)))


@given(st.lists(axis, max_size=3), size, size, size, layouts, st.data())
@settings(max_examples=100)
def test_matmul(batch, m, k, n, layout, data):
    dtype = data.draw(dtypes)
    for left in ((*batch, m, k), (m, k), (k,), ()):
        for right in ((*batch, k, n), (*batch, k + 1, n), (1, k, n), (k,)):
            x, y = tensor(left, layout, dtype), tensor(right, data.draw(layouts), data.draw(dtypes))
            agree("matmul", x, y)
            assert not agree("vdot", x, y)  # it has matmul's arguments, but only vectors


@given(st.lists(axis, max_size=5), st.integers(-5, 4), layouts, st.data())
@settings(max_examples=100)
def test_cat(shape, dim, layout, data):
    draw, dtype = data.draw, data.draw(dtypes)
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        part = list(shape)
        if part and draw(st.integers(0, 4)):
            part[dim if -len(part) <= dim < len(part) else 0] = draw(axis)
        parts.append(tensor(tuple(part), layout, dtype))
    agree("cat", parts, dim)
    agree("cat", [*parts, tensor(tuple(shape), dtype=draw(dtypes))], dim)
    agree("cat", [*parts, tensor((0,), dtype=dtype)], dim)  # torch ignores it, whatever the axes of the others


@given(st.lists(axis, max_size=5), layouts, st.booleans(), st.data())
@settings(max_examples=150)
def test_norms(shape, layout, training, data):
    draw, dtype = data.draw, data.draw(dtypes)
    x = tensor(tuple(shape), layout, dtype)
    channels = shape[1] if len(shape) > 1 else 3

    def parameter(size):
        return draw(
            st.sampled_from([tensor(size, dtype=dtype), tensor(size, dtype=dtype), tensor((7,)), tensor(size), None])
        )

    vectors = [parameter((channels,)) for _ in range(4)]
    agree("batch_norm", x, *vectors, training, 0.1, 1e-5, False)
    whole = tensor((channels,), dtype=dtype)
    agree(
        "batch_norm", x, whole, None, *draw(st.sampled_from([(whole, whole), (None, None)])), training, 0.1, 1e-5, True
    )
    last = shape[draw(st.integers(0, 5)) :]
    agree("layer_norm", x, last, parameter(tuple(last)), parameter(tuple(last)))
    agree("layer_norm", x, [3], tensor((3,)), tensor((3,)))


ELEMENTWISE = (
    *("relu", "relu6", "gelu", "silu", "sigmoid", "tanh", "hardtanh", "hardswish", "hardsigmoid", "leaky_relu"),
    *("elu", "softplus", "mish", "exp", "sqrt", "neg", "erf"),
)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(), (3,), (2, 3, 4), (2, 0, 4), (1, 3, 4, 4), (2, 1, 1, 1), (1, 1, 2, 1, 1)], ids=str
)
def test_elementwise(shape, layout, dtype):
    x = tensor(shape, layout, dtype)
    for op in ELEMENTWISE:
        agree(op, x)
    agree("hardtanh", x, 0, 6)
    agree("leaky_relu", x, 0.2)
    for approximate in ("none", "tanh", "erf"):
        agree("gelu", x, approximate=approximate)
    for p, train in ((0.5, True), (0.5, False), (0.0, True), (1.0, True), (1.5, True), (-0.5, False)):
        for op in DROPOUTS:
            agree(op, x, p, train)
    for dim in range(-5, 5):
        for op in ("softmax", "log_softmax"):
            agree(op, x, dim)
            agree(op, x, dim, torch.float64)


@given(st.lists(axis, max_size=3), size, size, size, st.data())
@settings(max_examples=100)
def test_attention(batch, queries, keys, width, data):
    draw, dtype = data.draw, data.draw(dtypes)
    off, longer = draw(st.sampled_from([0, 0, 0, 1])), draw(st.sampled_from([0, 0, 0, 1]))
    q = tensor((*batch, queries, width), draw(layouts), dtype)
    k = tensor((*batch, keys, width + off), draw(layouts), draw(st.sampled_from([dtype, dtype, torch.float16])))
    v = tensor((*batch, keys + longer, 5), draw(layouts), dtype)
    mask = tensor((queries, keys), dtype=dtype)
    for further in ((), (None, 0.5), (None, 1.5), (None, -0.5), (None, 0.0, True), (mask,), (mask, 0.0, True)):
        # kernels differ in strides; ours is row-major
        agree("scaled_dot_product_attention", q, k, v, *further, strides=False)
    agree("scaled_dot_product_attention", q, k, v, scale=0.5, strides=False)
    if TORCH >= (2, 12) or 0 not in batch:  # no heads: older versions divided by their number, which ended the process
        agree("scaled_dot_product_attention", q, k, v, enable_gqa=True, strides=False)


def plain_calls():
    """One ordinary call of every operator with a shape function."""
    x, image, video = tensor((2, 7, 5)), tensor((1, 4, 9, 9)), tensor((1, 4, 8, 9, 9))
    three, four = tensor((3,)), tensor((4,))
    calls = dict.fromkeys(ELEMENTWISE, (x,)) | {op: (x, tensor((7, 5))) for op in ("add", "sub", "rsub", "mul", "div")}
    calls |= dict.fromkeys(DROPOUTS, (x, 0.5, True))
    return calls | {
        "softmax": (x, -1),
        "log_softmax": (x, -1),
        "batch_norm": (video, four, four, four, four, False, 0.1, 1e-5, False),
        "layer_norm": (tensor((2, 3)), [3], three, three),
        "linear": (x, tensor((3, 5)), three),
        "matmul": (x, tensor((2, 5, 3))),
        "scaled_dot_product_attention": (tensor((2, 3, 7, 8)),) * 3,
        "conv1d": (tensor((1, 4, 9)), tensor((3, 4, 3)), three),
        "conv2d": (image, tensor((4, 1, 3, 3)), None, [1, 1], [1, 1], [1, 1], 4),
        "conv3d": (video, tensor((3, 4, 3, 3, 3)), three, [1, 2, 2], [1, 1, 1]),
        "max_pool1d": (tensor((1, 4, 9)), [2]),
        "max_pool2d": (image, [3, 3], [2, 2], [1, 1]),
        "max_pool3d": (video, [1, 2, 2]),
        "avg_pool2d": (image, [2, 2]),
        "avg_pool3d": (video, [2, 2, 2]),
        "adaptive_avg_pool2d": (image, [1, 1]),
        "adaptive_avg_pool3d": (video, [1, 1, 1]),
        "_adaptive_avg_pool2d": (image, [1, 1]),
        "_adaptive_avg_pool3d": (video, [1, 1, 1]),
        **dict.fromkeys(("grid_sampler", "grid_sampler_2d"), (image, tensor((1, 5, 6, 2)), 2, 1, True)),
        "cat": ([tensor((2, 3)), tensor((2, 4))], 1),
        "stack": ([x, x], -1),
        "pow": (x, 0.75),
        "masked_fill": (x, tensor((7, 5), dtype=torch.bool), float("-inf")),
        "roll": (x, [1, -2], [0, 1]),
        "pad": (x, [1, 0, 2, 2]),
        "index": (x, [tensor((3, 3), dtype=torch.int64)]),
        "_unsafe_index": (x, [tensor((3, 3), dtype=torch.int64)]),
        "index_select": (x, 1, tensor((3,), dtype=torch.int64)),
        "mean": (x, [1]),
        "bmm": (x, tensor((2, 5, 3))),
        "lstm": recurrent_call(torch.nn.LSTM, 2),
        "gru": recurrent_call(torch.nn.GRU, 1),
        "rnn_tanh": recurrent_call(torch.nn.RNN, 1),
        "rnn_relu": recurrent_call(torch.nn.RNN, 1),
    }


def recurrent_call(kind, states):
    """One layer of 5 units on 3 steps of 2 sequences of 4 numbers."""
    state = tensor((1, 2, 5))
    hx = [state] * states if states > 1 else state
    return tensor((3, 2, 4)), hx, list(kind(4, 5, device="meta").parameters()), True, 1, 0.0, False, False, False


def shaped(op):
    """The shape functions of an operator's overloads."""
    packet = getattr(aten, op)
    shapes = (shape_of(getattr(packet, overload)) for overload in packet.overloads() if "out" not in overload)
    return [shape for shape in shapes if shape is not None]


def answered():
    """Operators with a shape function, including aliases with the arguments of their canonical operator."""
    names = [name.removeprefix("aten.") for name in RULES if name.startswith("aten.") and name.count(".") == 1]
    names = [name for name in names if hasattr(aten, name)]  # an older torch lacks some
    refused = {"vdot", "grid_sampler_3d"}  # since they look like matmul and grid_sampler
    return sorted(op for op in names if shaped(op) and op not in refused)


@pytest.mark.parametrize("op", answered())
def test_ours_does_answer_what_networks_are_made_of(op):
    """Otherwise all of the above could pass by never answering."""
    assert agree(op, *plain_calls()[op], strides=op != "scaled_dot_product_attention")


def test_ours_answers_products_of_transposed_tensors():
    """Non-local blocks and attention written by hand multiply them; torch's kernel would import for a second."""
    assert agree("matmul", tensor((2, 7, 5), "transposed"), tensor((2, 5, 3), "transposed"))


permuted = st.sampled_from([*LAYOUTS, "permuted", "permuted"])


def permuted_tensor(shape, draw, dtype=torch.float32):
    """Dense, with axes in memory in any order; sizes of 1 keep odd strides."""
    layout = draw(permuted)
    if layout != "permuted":
        return tensor(shape, layout, dtype)
    order = draw(st.permutations(range(len(shape))))
    dense = torch.empty([shape[axis] for axis in order], dtype=dtype, device="meta")
    return dense.permute([order.index(axis) for axis in range(len(shape))])


@given(st.lists(st.sampled_from([1, 1, 2, 3, 5]), max_size=5), st.data())
@settings(max_examples=400)
def test_strides_of_broadcasts_are_those_torch_chooses(shape, data):
    draw = data.draw
    x = permuted_tensor(tuple(shape), draw)
    other = [draw(st.sampled_from([1, n, n])) for n in shape][draw(st.integers(0, len(shape))) :]
    y = permuted_tensor(tuple(other), draw)
    agree("add", x, y)
    agree("mul", y, x)
    agree("mul", x, 0.5)
    agree("gelu", x)
    agree("masked_fill", x, tensor(tuple(other), "contiguous", torch.bool), float("-inf"))


def test_what_is_subtracted_from_decides_on_strides():
    """A random case found this: rsub has sub's arguments, and subtracts the other way round."""
    x, y = tensor((2, 3), "transposed"), tensor((2, 3))
    assert agree("rsub", x, y)
    assert agree("sub", x, y)
    assert kernel_layout("rsub", (x, y), {}).stride != kernel_layout("sub", (x, y), {}).stride


def test_one_column_of_a_picture_may_pass_for_channels_last():
    """A random case found this: torch ignores the stride of an axis of size 1."""
    odd = torch.empty_strided((1, 2, 2, 1), (4, 1, 2, 4), device="meta")
    assert not agree("mul", odd, 0.5)
    assert kernel_layout("mul", (odd, 0.5), {}).stride == (4, 1, 2, 2)


def test_transposed_queries_and_tables_are_answered():
    """Sums and products in Swin and MViT."""
    assert agree("mul", tensor((1, 8, 392, 3, 32)).transpose(2, 3), 0.5)
    assert agree("add", tensor((1, 8, 3, 9, 9)), tensor((9, 9, 3)).permute(2, 0, 1))
    assert agree(
        "add", tensor((1, 2, 4, 5, 6, 4, 1, 1)), tensor((5, 1, 2, 4, 6, 1, 7, 1)).permute(1, 2, 3, 0, 4, 5, 6, 7)
    )


@given(st.lists(axis, min_size=1, max_size=4), layouts, st.data())
@settings(max_examples=150)
def test_rearrangements(shape, layout, data):
    draw, dtype = data.draw, data.draw(dtypes)
    x = tensor(tuple(shape), layout, dtype)
    dim, dims = draw(st.integers(-5, 4)), draw(st.lists(st.integers(-4, 3), max_size=3))
    indices = [tensor(tuple(draw(st.lists(axis, max_size=2))), dtype=draw(st.sampled_from([torch.int64, torch.bool])))]
    agree("roll", x, draw(st.lists(st.integers(-3, 3), max_size=3)), dims)
    agree("index", x, indices)
    agree("_unsafe_index", x, indices)
    agree("index_select", x, dim, indices[0])
    agree("mean", x, dims, draw(st.booleans()))
    agree("stack", [x, tensor(tuple(shape), draw(layouts), dtype)], dim)
    agree("pad", x, draw(st.lists(st.integers(-1, 2), max_size=9)), draw(st.sampled_from(["constant", "reflect"])))
    agree("pow", x, draw(st.sampled_from([2, 0.75, True, 1j])))
    agree("masked_fill", x, tensor((shape[-1],), dtype=torch.bool), draw(st.sampled_from([0, 1.5, True])))


@given(size, st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.data())
@settings(max_examples=100)
def test_batched_products(batch, m, k, n, data):
    x, y = (permuted_tensor(shape, data.draw) for shape in ((batch, m, k), (batch, k, n)))
    agree("bmm", x, y)
    agree("bmm", x, y[1:])


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn_tanh", "rnn_relu"])
@given(data=st.data())
@settings(max_examples=40)
def test_recurrent_layers(kind, data):
    draw = data.draw
    layers, both, first, biases = draw(st.integers(1, 3)), draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    steps, batch, width, hidden = (draw(st.integers(1, 4)) for _ in range(4))
    off = draw(st.sampled_from([0, 0, 0, 1]))
    modules = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
    with torch.device("meta"):
        module = modules.get(kind, torch.nn.RNN)(width, hidden, layers, bias=biases, bidirectional=both)
    x = tensor((batch, steps, width) if first else (steps, batch, width), draw(layouts))
    state = tensor((layers * (1 + both), batch + off, hidden))
    hx = [state, state] if kind == "lstm" else state
    agree(kind, x, hx, list(module.parameters()), biases, layers, 0.0, False, both, first)
