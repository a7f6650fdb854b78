"""An oracle that shares nothing with the rules: operators as plain loops over numbers that count their arithmetic."""

import itertools
import random
from dataclasses import dataclass

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from modules import Apply
from torch.nn import functional as F

from flopcount import count_flops


@dataclass
class Tally:
    multiplies: int = 0
    adds: int = 0
    comparisons: int = 0


class Scalar:
    """A number that counts its arithmetic; a sum starts from its first product."""

    def __init__(self, value, tally):
        self.value, self.tally = value, tally

    def __mul__(self, other):
        self.tally.multiplies += 1
        return Scalar(self.value * other.value, self.tally)

    def __add__(self, other):
        self.tally.adds += 1
        return Scalar(self.value + other.value, self.tally)

    def larger(self, other):
        self.tally.comparisons += 1
        return self if self.value >= other.value else other


class Grid(dict):
    """Index tuple -> Scalar, with a shape."""

    def __init__(self, shape, tally):
        self.shape, self.tally = tuple(shape), tally

    @classmethod
    def random(cls, shape, tally):
        grid = cls(shape, tally)
        for index in itertools.product(*map(range, shape)):
            grid[index] = Scalar(random.uniform(-1, 1), tally)
        return grid

    def tensor(self):
        values = [self[i].value if i in self else 0.0 for i in itertools.product(*map(range, self.shape))]
        return torch.tensor(values, dtype=torch.float64).reshape(self.shape)


def total(terms):
    terms = iter(terms)
    result = next(terms)
    for term in terms:
        result = result + term
    return result


def convolve(x, w, stride, padding, dilation, groups):
    """Any rank; padding is zeros that are multiplied like data."""
    batch, _, *sizes = x.shape
    outputs, per_group, *kernel = w.shape
    out_sizes = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True)
    ]
    out = Grid((batch, outputs, *out_sizes), x.tally)
    zero = Scalar(0.0, x.tally)
    for b, o, *position in itertools.product(*map(range, out.shape)):
        first = o // (outputs // groups) * per_group
        products = []
        for c, *tap in itertools.product(range(per_group), *map(range, kernel)):
            place = [i * s - p + t * d for i, s, p, t, d in zip(position, stride, padding, tap, dilation, strict=True)]
            products.append(x.get((b, first + c, *place), zero) * w[(o, c, *tap)])
        out[(b, o, *position)] = total(products)
    return out


def spread(x, w, stride, groups):
    """Transposed convolution: each input is multiplied into all its outputs."""
    batch, channels, *sizes = x.shape
    _, per_group, *kernel = w.shape
    out_sizes = [(n - 1) * s + k for n, s, k in zip(sizes, stride, kernel, strict=True)]
    out = Grid((batch, per_group * groups, *out_sizes), x.tally)
    for b, c, *place in itertools.product(*map(range, x.shape)):
        group = c // (channels // groups)
        for o, *tap in itertools.product(range(per_group), *map(range, kernel)):
            index = (b, group * per_group + o, *(i * s + t for i, s, t in zip(place, stride, tap, strict=True)))
            product = x[(b, c, *place)] * w[(c, o, *tap)]
            out[index] = out[index] + product if index in out else product
    return out


def pool(x, kernel, stride, join):
    batch, channels, *sizes = x.shape
    out = Grid((batch, channels, *((n - k) // s + 1 for n, k, s in zip(sizes, kernel, stride, strict=True))), x.tally)
    for b, c, *position in itertools.product(*map(range, out.shape)):
        window = itertools.product(*map(range, kernel))
        out[(b, c, *position)] = join(
            [x[(b, c, *(i * s + t for i, s, t in zip(position, stride, tap, strict=True)))] for tap in window]
        )
    return out


def largest(values):
    result = values[0]
    for value in values[1:]:
        result = result.larger(value)
    return result


def average(values):
    """The division is one more operation; it is tallied as a multiplication by the reciprocal."""
    return total(values) * Scalar(1 / len(values), values[0].tally)


def product(a, b):
    (rows, inner), columns = a.shape, b.shape[1]
    out = Grid((rows, columns), a.tally)
    for i, j in itertools.product(range(rows), range(columns)):
        out[(i, j)] = total([a[(i, k)] * b[(k, j)] for k in range(inner)])
    return out


def transposed(a):
    out = Grid(a.shape[::-1], a.tally)
    out.update({(j, i): value for (i, j), value in a.items()})
    return out


def counted(function, *shapes):
    return count_flops(Apply(function), tuple(shapes))


small = st.integers(1, 3)


@st.composite
def convolutions(draw):
    rank, groups = draw(st.integers(1, 3)), draw(st.sampled_from([1, 1, 2, 3]))
    axes = [
        (draw(st.integers(1, 5)), draw(small), draw(small), draw(st.integers(0, 2)), draw(st.integers(1, 2)))
        for _ in range(rank)
    ]
    sizes, kernel, stride, padding, dilation = zip(*axes, strict=True)
    x = (draw(st.integers(1, 2)), groups * draw(st.integers(1, 2)), *sizes)
    w = (groups * draw(st.integers(1, 2)), x[1] // groups, *kernel)
    assume(all(n + 2 * p >= d * (k - 1) + 1 for n, k, p, d in zip(sizes, kernel, padding, dilation, strict=True)))
    return x, w, stride, padding, dilation, groups


@given(convolutions())
@settings(max_examples=40)
def test_convolution(case):
    x_shape, w_shape, stride, padding, dilation, groups = case
    convolution = getattr(F, f"conv{len(stride)}d")
    tally = Tally()
    x, w = Grid.random(x_shape, tally), Grid.random(w_shape, tally)
    out = convolve(x, w, stride, padding, dilation, groups)
    expected = convolution(x.tensor(), w.tensor(), None, stride, padding, dilation, groups)
    torch.testing.assert_close(out.tensor(), expected)  # the loops really are this operator
    report = counted(lambda x, w: convolution(x, w, None, stride, padding, dilation, groups), x_shape, w_shape)
    assert report.macs == tally.multiplies
    assert report.other_flops == 0


@given(convolutions())
@settings(max_examples=30)
def test_transposed_convolution(case):
    x_shape, (outputs, _, *kernel), stride, _, _, groups = case
    function = getattr(F, f"conv_transpose{len(stride)}d")
    tally = Tally()
    x, w = Grid.random(x_shape, tally), Grid.random((x_shape[1], outputs // groups, *kernel), tally)
    out = spread(x, w, stride, groups)
    torch.testing.assert_close(out.tensor(), function(x.tensor(), w.tensor(), None, stride, groups=groups))
    assert counted(lambda x, w: function(x, w, None, stride, groups=groups), x.shape, w.shape).macs == tally.multiplies


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5))
@settings(max_examples=20)
def test_matrix_product(m, k, n):
    tally = Tally()
    a, b = Grid.random((m, k), tally), Grid.random((k, n), tally)
    torch.testing.assert_close(product(a, b).tensor(), a.tensor() @ b.tensor())
    assert counted(torch.matmul, (m, k), (k, n)).macs == tally.multiplies
    assert counted(lambda x, w: F.linear(x, w), (m, k), (n, k)).macs == tally.multiplies
    assert counted(torch.mv, (m, k), (k,)).macs == m * k


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=20)
def test_attention(queries, keys, width, values):
    tally = Tally()
    q, k, v = (Grid.random(shape, tally) for shape in ((queries, width), (keys, width), (keys, values)))
    scores = product(q, transposed(k))
    weights = Grid(scores.shape, tally)
    softmax = (scores.tensor() / width**0.5).softmax(-1)  # in between, without a contraction
    weights.update({i: Scalar(softmax[i].item(), tally) for i in scores})
    out = product(weights, v)
    expected = F.scaled_dot_product_attention(*(part.tensor()[None, None] for part in (q, k, v)))
    torch.testing.assert_close(out.tensor(), expected[0, 0])
    shapes = ((1, 1, queries, width), (1, 1, keys, width), (1, 1, keys, values))
    assert counted(F.scaled_dot_product_attention, *shapes).macs == tally.multiplies


@given(st.integers(1, 3), st.data())
@settings(max_examples=30)
def test_pooling(rank, data):
    kernel = tuple(data.draw(small) for _ in range(rank))
    stride = tuple(data.draw(small) for _ in range(rank))
    shape = (2, 2, *(k + data.draw(st.integers(0, 3)) for k in kernel))
    tally = Tally()
    x = Grid.random(shape, tally)
    maximum = getattr(F, f"max_pool{rank}d")
    torch.testing.assert_close(pool(x, kernel, stride, largest).tensor(), maximum(x.tensor(), kernel, stride))
    assert counted(lambda x: maximum(x, kernel, stride), shape).other_flops == tally.comparisons

    mean = getattr(F, f"avg_pool{rank}d")
    tally.adds = tally.multiplies = 0
    torch.testing.assert_close(pool(x, kernel, stride, average).tensor(), mean(x.tensor(), kernel, stride))
    assert counted(lambda x: mean(x, kernel, stride), shape).other_flops == tally.adds + tally.multiplies


@given(st.integers(1, 7), st.integers(1, 7), st.integers(1, 4))
@settings(max_examples=30)
def test_adaptive_pooling(height, width, outputs):
    assume(outputs <= 2 * max(height, width))
    tally = Tally()
    x = Grid.random((1, 2, height, width), tally)
    out = Grid((1, 2, outputs, outputs), tally)
    windows = [[range(i * n // outputs, -(-(i + 1) * n // outputs)) for i in range(outputs)] for n in (height, width)]
    for c, i, j in itertools.product(range(2), range(outputs), range(outputs)):
        out[(0, c, i, j)] = average([x[(0, c, y, z)] for y in windows[0][i] for z in windows[1][j]])
    torch.testing.assert_close(out.tensor(), F.adaptive_avg_pool2d(x.tensor(), outputs))
    # equal windows share nothing and each costs its taps; windows that overlap read some elements twice
    report = counted(lambda x: F.adaptive_avg_pool2d(x, outputs), x.shape)
    assert report.other_flops == tally.adds + tally.multiplies
    for c, i, j in itertools.product(range(2), range(outputs), range(outputs)):
        out[(0, c, i, j)] = largest([x[(0, c, y, z)] for y in windows[0][i] for z in windows[1][j]])
    torch.testing.assert_close(out.tensor(), F.adaptive_max_pool2d(x.tensor(), outputs))
    assert counted(lambda x: F.adaptive_max_pool2d(x, outputs), x.shape).other_flops == tally.comparisons


@given(st.integers(1, 2), st.integers(1, 3), st.integers(1, 4), st.booleans())
@settings(max_examples=20)
def test_recurrence(batch, width, units, biased):
    """A plain RNN, step by step: both matrix products of every step, then the sum of them."""
    tally = Tally()
    layer = torch.nn.RNN(width, units, bias=biased)
    shapes = [tuple(p.shape) for p in layer.parameters()]
    w_ih, w_hh, *_ = (Grid.random(shape, tally) for shape in shapes)
    hidden = Grid.random((units, batch), tally)
    steps = [Grid.random((width, batch), tally) for _ in range(3)]
    for step in steps:
        hidden = product(w_hh, hidden)
        product(w_ih, step)
    assert count_flops(layer, (3, batch, width)).macs == tally.multiplies


def test_the_oracle_can_fail():
    tally = Tally()
    x, w = Grid.random((1, 1, 4), tally), Grid.random((1, 1, 2), tally)
    convolve(x, w, (1,), (0,), (1,), 1)
    assert tally.multiplies == 3 * 2
    with pytest.raises(AssertionError):
        assert counted(lambda x, w: F.conv1d(x, w, padding=1), (1, 1, 4), (1, 1, 2)).macs == tally.multiplies
