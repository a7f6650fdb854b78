from dataclasses import replace
from math import prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from modules import Apply
from torch import nn
from torch.nn import functional as F

from flopcount import TensorSpec
from flopcount.rules import find_rule
from flopcount.rules.expression import Term, named
from flopcount.tracing import trace


def read(text):
    return eval(text.replace("·", "*").replace("−", "-").replace(" / ", "//"))


leaves = st.integers(1, 9).map(Term)
operations = st.sampled_from(["+", "-", "*", "//", "swapped +", "swapped *"])


def joined(terms):
    def join(operation, left, right):
        match operation:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "swapped +":
                return int(right) + left
            case "swapped *":
                return int(right) * left
        return left // right if int(right) else left

    return st.builds(join, operations, terms, terms)


@given(st.recursive(leaves, joined, max_leaves=12))
def test_the_text_evaluates_to_the_value(term):
    assert isinstance(term, Term)
    assert read(term.text) == int(term)


@pytest.mark.parametrize(
    ("term", "text"),
    [
        (Term(2) * Term(3) * 1, "2·3"),
        (1 * Term(4), "4"),
        (Term(2) + 0, "2"),
        ((Term(2) + Term(3)) * Term(4), "(2 + 3)·4"),
        (Term(2) * Term(3) + Term(4), "2·3 + 4"),
        (Term(12) // Term(4), "12 / 4"),
        (Term(3) * (Term(12) // Term(4)), "3·(12 / 4)"),
        (Term(12) // (Term(2) * Term(3)), "12 / (2·3)"),
        (Term(9) - (Term(2) - Term(1)), "9 − (2 − 1)"),
        (prod([Term(3), Term(5), Term(7)]), "3·5·7"),
        (sum([Term(3), Term(5)]), "3 + 5"),
    ],
)
def test_texts(term, text):
    assert term.text == text


def test_fractions_are_not_cut_off():
    assert Term(3) * 0.5 == 0.5 * Term(3) == 1.5
    assert Term(3) + 0.5 == 0.5 + Term(3) == 3.5
    assert Term(3) - 0.5 == 2.5
    assert 0.5 - Term(3) == -2.5
    assert Term(3) // 0.5 == 6
    assert 4.5 // Term(2) == 2


def grouped_queries(x):
    return F.scaled_dot_product_attention(x, x[..., :1, :, :], x[..., :1, :, :], enable_gqa=True)


FUNCTIONS = {
    "conv3d": (lambda x, w: F.conv3d(x, w, stride=2, padding=1), lambda n: [(2, n, 5, 6, 7), (4, n, 3, 3, 2)]),
    "grouped": (lambda x, w: F.conv2d(x, w, groups=2), lambda n: [(1, 2 * n, 6, 7), (4, n, 3, 2)]),
    "transposed": (lambda x, w: F.conv_transpose2d(x, w, stride=2), lambda n: [(1, n, 6, 7), (n, 5, 3, 2)]),
    "linear": (F.linear, lambda n: [(2, n, 5), (4, 5), (4,)]),
    "bilinear": (F.bilinear, lambda n: [(2, n), (2, 4), (5, n, 4), (5,)]),
    "matmul": (torch.matmul, lambda n: [(2, 1, n, 5), (3, 5, 7)]),
    "addbmm": (torch.addbmm, lambda n: [(4, 7), (n, 4, 5), (n, 5, 7)]),
    "attention": (F.scaled_dot_product_attention, lambda n: [(2, 3, n, 8), (2, 3, 7, 8), (2, 3, 7, 9)]),
    "grouped queries": (grouped_queries, lambda n: [(2, 2, n, 8)]),
    "batch_norm": (lambda x: F.batch_norm(x, None, None, training=True), lambda n: [(2, n, 5)]),
    "layer_norm": (lambda x, w: F.layer_norm(x, (5,), w), lambda n: [(2, n, 5), (5,)]),
    "max_pool": (lambda x: F.max_pool2d(x, 3, 2, 1), lambda n: [(1, n, 7, 7)]),
    "avg_pool": (lambda x: F.avg_pool3d(x, 2), lambda n: [(1, n, 4, 5, 6)]),
    "adaptive": (lambda x: F.adaptive_avg_pool2d(x, 3), lambda n: [(1, 2, n, 7)]),
    "interpolate": (lambda x: F.interpolate(x, (6, 4), mode="bilinear"), lambda n: [(1, n, 3, 3)]),
    "antialiased": (lambda x: F.interpolate(x, (4, 3), mode="bicubic", antialias=True), lambda n: [(1, n, 8, 9)]),
    "grid_sample": (lambda x, g: F.grid_sample(x, g, align_corners=False), lambda n: [(1, n, 8, 8), (1, 5, 6, 2)]),
    "softmax": (lambda x: x.softmax(-1), lambda n: [(n, 5)]),
    "sort": (lambda x: x.sort(0)[0], lambda n: [(n, 5)]),
    "topk": (lambda x: x.topk(2)[0], lambda n: [(n, 5)]),
    "max": (lambda x: x.amax(1), lambda n: [(n, 5)]),
    "fft": (torch.fft.rfft2, lambda n: [(n, 8, 5)]),
    "embedding_bag": (lambda w: F.embedding_bag(torch.tensor([[1, 0]]), w), lambda n: [(n + 1, 5)]),
    "lstm": (nn.LSTM(4, 5, num_layers=2, bidirectional=True), lambda n: [(3, n, 4)]),
    "gru": (nn.GRU(4, 5), lambda n: [(n, 2, 4)]),
    "cell": (nn.LSTMCell(4, 5), lambda n: [(n, 4)]),
}


@pytest.mark.parametrize("case", FUNCTIONS)
@pytest.mark.parametrize("n", [1, 2, 5, 11])
def test_a_rule_gives_the_same_work_on_numbers_that_remember(case, n):
    function, shapes = FUNCTIONS[case]
    module = function if isinstance(function, nn.Module) else Apply(function)
    checked = 0
    for op in trace(module, tuple(map(TensorSpec, shapes(n)))).ops:
        found = find_rule(op.signature.op, op.signature.overload)
        if found is None or op.signature.is_view:
            continue
        arguments = {name: named(value) for name, value in op.signature.arguments.items()}
        plain = found.work(op.signature)
        terms = found.work(replace(op.signature, arguments=arguments, outputs=named(op.signature.outputs)))
        assert terms == plain
        for count in (terms.macs, terms.other_flops):
            assert read(Term.of(count).text) == int(count)
        checked += 1
    assert checked


def test_named_keeps_what_is_no_tensor():
    assert named((1, "same", None, 0.5)) == (1, "same", None, 0.5)
    spec = named((TensorSpec((2, 3)),))[0]
    assert spec == TensorSpec((2, 3))
    assert all(isinstance(size, Term) for size in spec.shape)
