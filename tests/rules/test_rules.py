"""A row per rule: the operator as torch calls it, and the hand count with its arithmetic.

Rows go through the tracer, so they also test the operator's true name and schema. The cost of an element is written
here a second time, from the textbook, and not read from the package.
"""

import re
from inspect import Parameter
from pathlib import Path

import pytest
import torch
from backward_rows import TESTED
from modules import Apply
from operators import PINNED, needs
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from flopcount import InputError, Kind, TensorSpec, Work, count_flops, rule
from flopcount.commands.catalogue_tables import rules_table
from flopcount.core.ops import Workload
from flopcount.rules import RULES, registry
from flopcount.rules.costing import cost
from flopcount.tracing import trace

aten = torch.ops.aten


def report_of(function, *shapes, parts=()):
    return count_flops(Apply(function, *parts), tuple(shapes))


# ---- contractions: (canonical operator, function, shapes, MACs, other FLOPs)

CONTRACTIONS = [
    # convolution: outputs · Cin/groups · prod(K); a bias is one add per output
    ("aten.convolution", lambda x, w, b: F.conv1d(x, w, b), [(2, 3, 9), (4, 3, 5), (4,)], 2 * 4 * 5 * 3 * 5, 2 * 4 * 5),
    ("aten.convolution", lambda x, w: F.conv2d(x, w), [(1, 3, 8, 8), (6, 3, 3, 3)], 6 * 6 * 6 * 3 * 9, 0),
    ("aten.convolution", lambda x, w: F.conv2d(x, w, stride=2), [(1, 3, 8, 8), (6, 3, 3, 3)], 6 * 9 * 27, 0),
    ("aten.convolution", lambda x, w: F.conv2d(x, w, padding=2), [(1, 3, 8, 8), (6, 3, 3, 3)], 6 * 100 * 27, 0),
    ("aten.convolution", lambda x, w: F.conv2d(x, w, dilation=3), [(1, 3, 8, 8), (6, 3, 3, 3)], 6 * 2 * 2 * 27, 0),
    ("aten.convolution", lambda x, w: F.conv2d(x, w, padding="same"), [(1, 3, 8, 8), (6, 3, 3, 3)], 6 * 64 * 27, 0),
    ("aten.convolution", lambda x, w: F.conv2d(x, w, groups=2), [(1, 4, 8, 8), (6, 2, 3, 3)], 6 * 36 * 2 * 9, 0),
    ("aten.convolution", lambda x, w: F.conv2d(x, w, groups=4), [(1, 4, 8, 8), (4, 1, 3, 3)], 4 * 36 * 9, 0),
    ("aten.convolution", lambda x, w: F.conv3d(x, w), [(3, 4, 5, 5), (2, 3, 3, 3, 3)], 4 * 9 * 81, 0),  # no batch
    ("aten.convolution", lambda x, w: torch.convolution(x, w, None, [1], [0], [1], False, [0], 1),
     [(2, 3, 9), (4, 3, 5)], 2 * 4 * 5 * 15, 0),
    ("aten.convolution", lambda x, w: torch.convolution(x, w, None, [2], [0], [1], True, [0], 1),
     [(2, 3, 9), (3, 4, 5)], 2 * 3 * 9 * 4 * 5, 0),  # transposed: per input element
    # transposed: inputs · Cout/groups · prod(K)
    ("aten.conv_transpose1d", lambda x, w: F.conv_transpose1d(x, w), [(2, 3, 9), (3, 4, 5)], 2 * 3 * 9 * 4 * 5, 0),
    ("aten.conv_transpose1d", lambda x, w, b: F.conv_transpose2d(x, w, b, stride=2, groups=2),
     [(1, 4, 5, 5), (4, 3, 3, 3), (6,)], 4 * 25 * 3 * 9, 6 * 11 * 11),
    ("aten.conv_transpose1d", lambda x, w: F.conv_transpose3d(x, w, stride=2), [(1, 2, 3, 3, 3), (2, 5, 2, 2, 2)],
     2 * 27 * 5 * 8, 0),
    ("aten.conv_tbc", lambda x, w, b: torch.conv_tbc(x, w, b), [(9, 2, 3), (5, 3, 4), (4,)], 5 * 2 * 4 * 15, 5 * 2 * 4),
    # linear: outputs · Nin
    ("aten.linear", lambda x, w, b: F.linear(x, w, b), [(2, 7, 5), (4, 5), (4,)], 2 * 7 * 4 * 5, 2 * 7 * 4),
    ("aten.linear", lambda x, w: F.linear(x, w), [(5,), (4, 5)], 4 * 5, 0),
    ("aten.bilinear", lambda x, y, w, b: F.bilinear(x, y, w, b), [(2, 3), (2, 4), (5, 3, 4), (5,)],
     2 * 5 * (3 * 4 + 4), 10),
    # matmul: outputs · k
    ("aten.matmul", lambda x, y: x @ y, [(4, 5), (5, 7)], 4 * 7 * 5, 0),
    ("aten.matmul", lambda x, y: x @ y, [(2, 1, 4, 5), (3, 5, 7)], 2 * 3 * 4 * 7 * 5, 0),  # batches broadcast
    ("aten.matmul", lambda x, y: x @ y, [(5,), (5,)], 5, 0),
    ("aten.matmul", lambda x, y: x @ y, [(2, 4, 5), (5,)], 2 * 4 * 5, 0),
    ("aten.matmul", torch.mm, [(4, 5), (5, 7)], 140, 0),
    ("aten.matmul", torch.bmm, [(4, 5, 6), (4, 6, 7)], 4 * 5 * 7 * 6, 0),
    ("aten.matmul", torch.mv, [(4, 5), (5,)], 20, 0),
    ("aten.matmul", torch.dot, [(5,), (5,)], 5, 0),
    ("aten.matmul", torch.vdot, [(5,), (5,)], 5, 0),
    ("aten.addmm", torch.addmm, [(4, 7), (4, 5), (5, 7)], 140, 28),
    ("aten.addmv", torch.addmv, [(4,), (4, 5), (5,)], 20, 4),
    ("aten.baddbmm", torch.baddbmm, [(3, 4, 7), (3, 4, 5), (3, 5, 7)], 3 * 4 * 7 * 5, 3 * 4 * 7),
    ("aten.addbmm", torch.addbmm, [(4, 7), (3, 4, 5), (3, 5, 7)], 3 * 4 * 7 * 5, 28),
    ("aten.linalg_solve_triangular", lambda a, b: torch.linalg.solve_triangular(a, b, upper=False),
     [(2, 4, 4), (2, 4, 3)], 2 * 3 * (0 + 1 + 2 + 3), 2 * 4 * 3),
    ("aten.affine_grid_generator", lambda t: F.affine_grid(t, [2, 3, 4, 5], align_corners=False), [(2, 2, 3)],
     2 * 4 * 5 * 2 * 3, 0),
    # attention: queries · keys · (D + Dv) a head; a score costs a scaling and a softmax of 5, a mask one add
    ("aten.scaled_dot_product_attention", F.scaled_dot_product_attention, [(2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 9)],
     2 * 3 * 5 * 7 * (8 + 9), 2 * 3 * 5 * 7 * 6),
    ("aten.scaled_dot_product_attention", F.scaled_dot_product_attention,
     [(2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 8), (5, 7)], 2 * 3 * 5 * 7 * 16, 2 * 3 * 5 * 7 * 7),
    ("aten.scaled_dot_product_attention", lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
     [(2, 3, 5, 8)] * 3, 2 * 3 * 5 * 5 * 16, 2 * 3 * 25 * 6),
    ("aten.scaled_dot_product_attention", lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
     [(2, 6, 5, 8), (2, 3, 7, 8), (2, 3, 7, 8)], 2 * 6 * 5 * 7 * 16, 2 * 6 * 35 * 6),
    # one query for a batch of keys: every sample of the batch has scores of its own
    ("aten.scaled_dot_product_attention", F.scaled_dot_product_attention, [(1, 2, 3, 4), (5, 2, 6, 4), (5, 2, 6, 4)],
     5 * 2 * 3 * 6 * 8, 5 * 2 * 3 * 6 * 6),
    ("aten.scaled_dot_product_attention", F.scaled_dot_product_attention, [(5, 3, 4), (5, 6, 4), (5, 6, 4)],
     5 * 3 * 6 * 8, 5 * 3 * 6 * 6),
    ("aten._native_multi_head_attention",
     lambda x, wi, bi, wo, bo: torch._native_multi_head_attention(x, x, x, 8, 2, wi, bi, wo, bo),
     [(2, 5, 8), (24, 8), (24,), (8, 8), (8,)],
     4 * 2 * 5 * 8 * 8 + 2 * 2 * 5 * 5 * 8, 4 * 2 * 5 * 8 + 2 * 2 * 25 * 6),
    ("aten._transformer_encoder_layer_fwd",
     lambda x, wi, bi, wo, bo, n, w1, b1, w2: torch._transformer_encoder_layer_fwd(
         x, 8, 2, wi, bi, wo, bo, False, False, 1e-5, n, n, n, n, w1, b1, w2, n),
     [(2, 5, 8), (24, 8), (24,), (8, 8), (8,), (8,), (16, 8), (16,), (8, 16)],
     4 * 2 * 5 * 64 + 2 * 2 * 25 * 8 + 2 * 10 * 8 * 16,
     # attention as above; MLP: bias and relu of 16, bias of 8; two residuals; two layer norms of 7
     4 * 80 + 2 * 2 * 25 * 6 + 10 * 16 * 2 + 80 + 2 * 80 + 2 * 7 * 80),
]  # fmt: skip


@pytest.mark.parametrize(("name", "function", "shapes", "macs", "other"), CONTRACTIONS)
def test_contractions(name, function, shapes, macs, other):
    needs(name)
    report = report_of(function, *shapes)
    assert (report.macs, report.other_flops, report.uncosted) == (macs, other, ())
    assert name in [row.op for row in report.operators]


KERNELS = [
    # what a device would choose below the composite counts the same: 2·3·5·5 scores, 16 MACs and 6 FLOPs each
    *[(f"_scaled_dot_product_{kernel}", further) for kernel, further in [
        ("attention_math", ()), ("flash_attention", ()), ("flash_attention_for_cpu", ()),
        ("efficient_attention", (None, False)), ("cudnn_attention", (None, False)),
        ("fused_attention_overrideable", ())]],
]  # fmt: skip


@pytest.mark.parametrize(("kernel", "further"), KERNELS)
def test_every_attention_kernel_is_attention(kernel, further):
    needs(kernel)
    report = count_flops(
        Apply(lambda q: getattr(aten, kernel)(q, q, q, *further)[0]), TensorSpec((2, 3, 5, 8), "float16")
    )
    assert (report.macs, report.other_flops) == (2 * 3 * 25 * 16, 2 * 3 * 25 * 6)
    assert "aten.scaled_dot_product_attention" in [row.op for row in report.operators]


def test_kernels_of_other_devices():
    """Float8 and expert products, flash attention: traced on meta, which needs no device that supports them."""
    spec = TensorSpec
    eight, sixteen = "float8_e4m3fn", "bfloat16"

    def work(function, *specs):
        report = count_flops(Apply(function), specs)
        return report.macs, report.other_flops

    def scaled(x, w, s, t):
        return torch._scaled_mm(x, w.t(), s, t, out_dtype=torch.bfloat16)

    one = spec((1,))  # each of 32·48 outputs is scaled
    assert work(scaled, spec((32, 16), eight), spec((48, 16), eight), one, one) == (32 * 48 * 16, 32 * 48)

    def grouped(x, w, ends):
        return torch._grouped_mm(x, w.transpose(-2, -1), offs=ends)

    experts = spec((32, 16), sixteen), spec((3, 48, 16), sixteen), spec((3,), "int32")
    assert work(grouped, *experts) == (32 * 48 * 16, 0)  # a row meets one of the experts
    assert work(torch._int_mm, spec((32, 16), "int8"), spec((16, 8), "int8")) == (32 * 8 * 16, 0)

    def flash(q):  # (B, N, H, D)
        return aten._flash_attention_forward(q, q, q, None, None, 5, 5, 0.0, False, False)[0]

    assert work(flash, spec((2, 5, 3, 8), "float16")) == (2 * 3 * 25 * 16, 2 * 3 * 25 * 6)


def test_rules_that_nothing_here_can_trace():
    """Shapes given to the rule: deformable convolution without torchvision, split contractions, new kernels."""
    spec = TensorSpec

    def work(name, **arguments):
        return RULES[name].formula.function(**arguments)

    split = work("aten._grouped_mm", self=spec((4, 30)), mat2=spec((30, 7)), out=spec((3, 4, 7)))
    assert split == Work(4 * 7 * 30)  # every one of the 30 contracted columns is used by one group
    deformable = work("torchvision.deform_conv2d", input=spec((1, 4, 8, 8)), weight=spec((6, 4, 3, 3)),
                      use_mask=True, out=spec((1, 6, 6, 6)))  # fmt: skip
    assert deformable == Work(6 * 36 * 36, 4 * 9 * 36 * 8 + 6 * 36)
    renewed = work("aten._batch_norm_with_update", input=spec((2, 4, 5)), weight=spec((4,)), bias=None, out=None)
    assert renewed == Work(other_flops=40 * 6)  # in training: 5, and one for the weight


def test_flex_attention_is_attention():
    from torch.nn.attention.flex_attention import flex_attention

    report = count_flops(Apply(lambda q: flex_attention(q, q, q)), (2, 3, 16, 16))
    assert report.macs == 2 * 3 * 16 * 16 * 32
    assert RULES["higher_order.flex_attention"] is RULES["aten.scaled_dot_product_attention"]


@pytest.mark.parametrize(
    ("equation", "shapes", "macs"),
    [
        ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)], 2 * 3 * 4 * 5),
        ("bhid,bhjd->bhij", [(2, 3, 4, 8), (2, 3, 5, 8)], 2 * 3 * 4 * 5 * 8),
        ("i,i->", [(5,), (5,)], 5),
        ("bchw,co->bohw", [(2, 3, 4, 4), (3, 6)], 2 * 16 * 3 * 6),
        ("nctv,vw->nctw", [(2, 3, 4, 5), (5, 5)], 2 * 3 * 4 * 25),
    ],
)
def test_einsum_is_its_products(equation, shapes, macs):
    assert report_of(lambda x, y: torch.einsum(equation, x, y), *shapes).macs == macs


def test_products_of_many():
    assert report_of(lambda x, y: torch.tensordot(x, y, 2), (3, 4, 5), (4, 5, 6)).macs == 3 * 6 * 20
    chain = report_of(lambda x, y, z: torch.linalg.multi_dot([x, y, z]), (2, 9), (9, 3), (3, 4))
    assert chain.macs == 2 * 9 * 3 + 2 * 3 * 4


def test_complex_products_are_four_real_ones():
    pair = (TensorSpec((4, 5), "complex64"), TensorSpec((5, 7), "complex64"))
    assert count_flops(Apply(torch.mm), pair).macs == 4 * 140


@pytest.mark.parametrize(
    ("function", "shapes", "adds"),
    [  # a complex add is two, per biased output
        (F.linear, [(4, 5), (7, 5), (7,)], 4 * 7 * 2),
        (lambda x, w, b: torch.addmm(b, x, w), [(4, 5), (5, 7), (7,)], 4 * 7 * 2),
        (lambda x, w, b: torch.baddbmm(b, x, w), [(2, 4, 5), (2, 5, 7), (7,)], 2 * 4 * 7 * 2),
        (F.conv1d, [(2, 3, 9), (4, 3, 5), (4,)], 2 * 4 * 5 * 2),
        (F.conv_transpose1d, [(2, 3, 9), (3, 4, 5), (4,)], 2 * 4 * 13 * 2),
    ],
)
def test_a_complex_bias_is_two_adds(function, shapes, adds):
    inputs = tuple(TensorSpec(shape, "complex64") for shape in shapes)
    assert count_flops(Apply(function), inputs, strict=True).other_flops == adds
    assert count_flops(Apply(function), tuple(shapes), strict=True).other_flops == adds // 2


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_multihead_attention_is_one_answer(need_weights, training):
    attention = nn.MultiheadAttention(8, 2, batch_first=True).train(training)
    report = report_of(lambda x, part: part(x, x, x, need_weights=need_weights), (2, 5, 8), parts=[attention])
    assert report.macs == 4 * 2 * 5 * 64 + 2 * 2 * 25 * 8


@pytest.mark.parametrize("training", [False, True])
def test_encoder_layer_is_one_answer(training):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).train(training)
    assert count_flops(layer, (2, 5, 8)).macs == 4 * 10 * 64 + 2 * 2 * 25 * 8 + 2 * 10 * 8 * 16


# ---- recurrence: steps · samples times all weight matrices; a unit costs 22 (LSTM), 16 (GRU) or 2 (RNN), biases apart

ROWS = 6 * 2


@pytest.mark.parametrize(
    ("name", "layer", "matrices", "other"),
    [
        ("aten.lstm", nn.LSTM(4, 5), 20 * 4 + 20 * 5, 40 + 5 * 22),
        ("aten.lstm", nn.LSTM(4, 5, bias=False), 180, 5 * 22),
        ("aten.lstm", nn.LSTM(4, 5, batch_first=True, bidirectional=True), 2 * 180, 2 * (40 + 110)),
        ("aten.lstm", nn.LSTM(4, 5, num_layers=2), 180 + 20 * 5 + 20 * 5, 2 * (40 + 110)),
        ("aten.lstm", nn.LSTM(4, 5, proj_size=3), 20 * 4 + 20 * 3 + 3 * 5, 40 + 110),
        ("aten.gru", nn.GRU(4, 5), 15 * 4 + 15 * 5, 30 + 5 * 16),
        ("aten.gru", nn.GRU(4, 5, num_layers=2, bidirectional=True), 2 * 135 + 2 * (15 * 10 + 15 * 5), 4 * (30 + 80)),
        ("aten.rnn_tanh", nn.RNN(4, 5), 5 * 4 + 5 * 5, 10 + 5 * 2),
        ("aten.rnn_tanh", nn.RNN(4, 5, nonlinearity="relu"), 45, 20),
    ],
    ids=str,
)
def test_recurrence(name, layer, matrices, other):
    report = count_flops(layer, (6, 2, 4))
    assert (report.macs, report.other_flops) == (ROWS * matrices, ROWS * other)
    assert [row.op for row in report.operators if row.cost.macs] == [name]
    unbatched = count_flops(layer, (6, 4))
    assert (unbatched.macs, unbatched.other_flops) == (6 * matrices, 6 * other)


@pytest.mark.parametrize(
    ("name", "layer", "matrices", "other"),
    [
        ("aten.lstm_cell", nn.LSTMCell(4, 5), 180, 150),
        ("aten.gru_cell", nn.GRUCell(4, 5), 135, 110),
        ("aten.rnn_tanh_cell", nn.RNNCell(4, 5), 45, 20),
        ("aten.rnn_tanh_cell", nn.RNNCell(4, 5, nonlinearity="relu", bias=False), 45, 10),
    ],
    ids=str,
)
def test_recurrent_cells(name, layer, matrices, other):
    report = count_flops(layer, (3, 4))
    assert (report.macs, report.other_flops) == (3 * matrices, 3 * other)
    assert name in [row.op for row in report.operators]


@pytest.mark.parametrize(
    ("name", "layer", "macs"),
    [
        ("aten.lstm.data", nn.LSTM(4, 5, batch_first=True), 180),
        ("aten.gru.data", nn.GRU(4, 5, batch_first=True), 135),
        ("aten.rnn_tanh.data", nn.RNN(4, 5, batch_first=True), 45),
    ],
    ids=str,
)
def test_packed_sequences_count_real_steps_alone(name, layer, macs):
    lengths = [6, 4, 1]
    module = Apply(lambda x, part: part(pack_padded_sequence(x, lengths, batch_first=True))[0].data, layer)
    report = count_flops(module, (3, 6, 4))
    assert report.macs == (6 + 4 + 1) * macs
    assert name in [row.op for row in report.operators]


# ---- costs per element

UNARY = {
    1: """relu tanh neg abs sign sgn square reciprocal sqrt exp exp2 expm1 log log2 log10 log1p sin
    cos tan asin acos atan sinh cosh asinh acosh atanh sinc erf erfc erfinv lgamma digamma i0 floor ceil round trunc
    frac isnan isinf isneginf isposinf isfinite signbit deg2rad rad2deg angle""",
    2: "relu6 hardtanh leaky_relu hardshrink softshrink rsqrt clamp rrelu",
    3: "nan_to_num logit",
    4: "elu sigmoid log_sigmoid log_sigmoid_forward softplus hardsigmoid",
    5: "celu selu silu mish hardswish gelu softmax log_softmax",
}
BINARY = {
    1: """mul div floor_divide atan2 eq ne lt le gt ge maximum minimum fmax fmin isclose heaviside copysign ldexp pow
    float_power add sub""",
    2: "prelu _prelu_kernel xlogy special_xlog1py rrelu_with_noise",
    3: "fmod remainder linalg_cross",
    4: "hypot",
    5: "logaddexp logaddexp2",
}
FURTHER = {"softmax": (-1,), "log_softmax": (-1,), "clamp": (0, 1), "prelu": "weight"}
ELEMENTS = 2 * 3 * 3


def rows_of(tables):
    return [(op, cost) for table in tables for cost, ops in table.items() for op in ops.split()]


@pytest.mark.parametrize(("op", "cost"), rows_of([UNARY, BINARY]))
def test_per_output_element(op, cost):
    needs(op)
    further = FURTHER.get(op, ())
    shapes = [(2, 3, 3)] * (1 if op in " ".join(UNARY.values()).split() else 2)
    if further == "weight":
        shapes, further = [(2, 3, 3), (3,)], ()
    report = report_of(lambda *tensors: getattr(aten, op)(*tensors, *further), *shapes)
    assert report.other_flops == cost * ELEMENTS, str(report)
    assert report.macs == 0
    assert [row.op for row in report.operators if row.cost.other_flops] == [registry._RULES[f"aten.{op}"].name]


SINGLE = ("argsort",)  # a second argument that is not a tensor


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        *[("multiply", "mul"), ("divide", "div"), ("true_divide", "div"), ("subtract", "add"), ("less", "lt")],
        *[("greater_equal", "ge"), ("not_equal", "ne"), ("arctan2", "atan2"), ("outer", "mul"), ("ger", "mul")],
        *[("negative", "neg"), ("absolute", "abs"), ("arccos", "acos"), ("fix", "trunc"), ("special_erf", "erf")],
        *[("special_expit", "sigmoid"), ("clip", "clamp"), ("concat", "cat"), ("msort", "sort"), ("argsort", "sort")],
        *[("fliplr", "flip"), ("linalg_multi_dot", "matmul"), ("tile", "repeat"), ("cross", "linalg_cross")],
    ],
)
def test_an_alias_is_counted_under_one_canonical_name(alias, name):
    needs(alias, name)
    calls = {
        "clip": lambda x, y: aten.clip(x, 0, 1),
        "concat": lambda x, y: aten.concat([x, y]),
        "linalg_multi_dot": lambda x, y: aten.linalg_multi_dot([x, y, x]),
        "tile": lambda x, y: aten.tile(x, [2, 2]),
        "outer": lambda x, y: aten.outer(x[0], y[0]),
        "ger": lambda x, y: aten.ger(x[0], y[0]),
        "cross": lambda x, y: aten.cross(x, y, -1),  # without a dimension torch 2.15 warns
    }
    function = getattr(aten, alias)
    takes_two = len(getattr(function, function.overloads()[0])._schema.arguments) > 1 and alias not in SINGLE
    plain = (lambda x, y: function(x, y)) if takes_two else (lambda x, y: function(x))
    report = report_of(calls.get(alias, plain), (3, 3), (3, 3))
    assert {row.op for row in report.operators if row.kind is not Kind.VIEW} == {f"aten.{name}"}


OTHER = [
    # (canonical operator, function, shapes, other FLOPs)
    ("aten.add", lambda x, y: torch.add(x, y, alpha=2), [(4, 5), (5,)], 20 * 2),  # scaled, added
    ("aten.add", lambda x: 1 - x, [(4, 5)], 20),
    ("aten.mul", lambda x: x * 2, [(4, 5)], 20),
    ("aten.gelu", lambda x: F.gelu(x, approximate="tanh"), [(4, 5)], 20 * 9),
    ("aten.glu", lambda x: F.glu(x), [(4, 6)], 12 * 5),  # of three outputs a row
    ("aten.threshold", lambda x: F.threshold(x, 0, 0), [(4, 5)], 20),
    ("aten.clamp_min", lambda x: aten.clamp_min(x, 0), [(4, 5)], 20),
    ("aten.clamp_max", lambda x: aten.clamp_max(x, 0), [(4, 5)], 20),
    ("aten.lerp", torch.lerp, [(4, 5)] * 3, 60),
    ("aten.addcmul", torch.addcmul, [(4, 5)] * 3, 60),
    ("aten.addcdiv", torch.addcdiv, [(4, 5)] * 3, 60),
    ("aten.mul", torch.outer, [(4,), (5,)], 20),
    ("aten.addr", torch.addr, [(4, 5), (4,), (5,)], 20 * 2),
    ("aten.kron", torch.kron, [(2, 2), (2, 5)], 40),
    ("aten.polar", torch.polar, [(4, 5)] * 2, 20 * 4),  # cosine, sine, two multiplies
    ("aten._foreach_add", lambda x, y: torch._foreach_add([x, y], 1.0), [(4,), (5,)], 9),
    # norms: mean, subtract, square, variance, scale; one more for a weight, one for a bias
    ("aten.batch_norm", lambda x, p: p(x), [(2, 4, 5)], 2 * 40),
    ("aten.layer_norm", lambda x: F.layer_norm(x, (5,)), [(2, 4, 5)], 5 * 40),
    ("aten.layer_norm", lambda x, w, b: F.layer_norm(x, (5,), w, b), [(2, 4, 5), (5,), (5,)], 7 * 40),
    ("aten.group_norm", lambda x, w, b: F.group_norm(x, 2, w, b), [(2, 4, 5), (4,), (4,)], 7 * 40),
    ("aten.instance_norm", lambda x: F.instance_norm(x), [(2, 4, 5)], 5 * 40),
    ("aten.rms_norm", lambda x, w: F.rms_norm(x, (5,), w), [(2, 4, 5), (5,)], 4 * 40),
    # pooling: taps − 1 comparisons, or taps − 1 adds and a division, per output
    ("aten.max_pool1d", lambda x: F.max_pool1d(x, 3, 2), [(2, 4, 9)], 2 * 4 * 4 * 2),
    ("aten.max_pool2d", lambda x: F.max_pool2d(x, 3, 2, 1), [(1, 4, 8, 8)], 4 * 16 * 8),
    ("aten.max_pool3d", lambda x: F.max_pool3d(x, (1, 2, 2)), [(1, 4, 3, 8, 8)], 4 * 3 * 16 * 3),
    ("aten.max_pool2d", lambda x: F.max_pool2d(x, 2, return_indices=True)[0], [(1, 4, 8, 8)], 4 * 16 * 3),
    ("aten.avg_pool1d", lambda x: F.avg_pool1d(x, 3), [(2, 4, 9)], 2 * 4 * 3 * 3),
    ("aten.avg_pool2d", lambda x: F.avg_pool2d(x, (2, 4)), [(1, 4, 8, 8)], 4 * 4 * 2 * 8),
    ("aten.avg_pool3d", lambda x: F.avg_pool3d(x, 2), [(1, 4, 4, 4, 4)], 4 * 8 * 8),
    ("aten.adaptive_avg_pool1d", lambda x: F.adaptive_avg_pool1d(x, 3), [(2, 4, 9)], 2 * 4 * 9),
    ("aten.adaptive_avg_pool2d", lambda x: F.adaptive_avg_pool2d(x, 1), [(2, 4, 7, 7)], 2 * 4 * 49),
    # 7 into 3: windows 0-3, 2-5, 4-7 read 9 elements an axis
    ("aten.adaptive_avg_pool2d", lambda x: F.adaptive_avg_pool2d(x, 3), [(2, 4, 7, 7)], 2 * 4 * 81),
    ("aten.adaptive_avg_pool3d", lambda x: F.adaptive_avg_pool3d(x, (1, 2, 2)), [(1, 4, 3, 4, 4)], 4 * 48),
    ("aten.adaptive_max_pool1d", lambda x: F.adaptive_max_pool1d(x, 3), [(2, 4, 9)], 2 * 4 * (9 - 3)),
    ("aten.adaptive_max_pool2d", lambda x: F.adaptive_max_pool2d(x, 3), [(2, 4, 7, 7)], 2 * 4 * (81 - 9)),
    ("aten.adaptive_max_pool3d", lambda x: F.adaptive_max_pool3d(x, 1), [(1, 4, 2, 2, 2)], 4 * 7),
    ("aten.fractional_max_pool2d", lambda x: F.fractional_max_pool2d(x, 2, output_size=3), [(1, 4, 8, 8)], 4 * 9 * 3),
    ("aten.fractional_max_pool3d", lambda x: F.fractional_max_pool3d(x, 2, output_size=3), [(1, 4, 8, 8, 8)],
     4 * 27 * 7),
    # reductions: in − out; a mean divides too
    ("aten.sum", lambda x: x.sum(), [(4, 5)], 19),
    ("aten.sum", lambda x: x.sum(1), [(4, 5)], 20 - 4),
    ("aten.aminmax", lambda x: torch.aminmax(x, dim=1)[0], [(4, 5)], (20 - 4) * 2),
    ("aten.sum", lambda x: x.amax(0), [(4, 5)], 20 - 5),
    ("aten.sum", lambda x: x.max(1)[0], [(4, 5)], 20 - 4),
    ("aten.sum", lambda x: x.argmax(1), [(4, 5)], 20 - 4),
    ("aten.sum", torch.max, [(4, 5), (4, 5)], 20),  # of two tensors
    ("aten.mean", lambda x: x.mean((0, 1)), [(4, 5)], 20),
    ("aten.var", lambda x: x.var(1), [(4, 5)], 80),
    ("aten.var_mean", lambda x: torch.var_mean(x, 1)[0], [(4, 5)], 80),
    ("aten.std", lambda x: x.std(1), [(4, 5)], 80),
    ("aten.std_mean", lambda x: torch.std_mean(x, 1)[0], [(4, 5)], 80),
    ("aten.logsumexp", lambda x: x.logsumexp(1), [(4, 5)], 80),
    ("aten.norm", lambda x: aten.norm(x, 2), [(4, 5)], 40),
    ("aten.linalg_vector_norm", lambda x: torch.linalg.vector_norm(x), [(4, 5)], 40),
    ("aten.frobenius_norm", lambda x: aten.frobenius_norm(x, [0, 1]), [(4, 5)], 40),
    ("aten.cdist", torch.cdist, [(4, 5), (6, 5)], 4 * 6 * 5 * 3),
    ("aten.cdist", torch.pdist, [(4, 5)], 6 * 5 * 3),  # 4 · 3 / 2 pairs
    ("aten.scatter_add", lambda x, y: x.index_add(0, torch.tensor([0, 1, 1]), y), [(4, 5), (3, 5)], 15),
    # of y only as much as there are places for
    ("aten.scatter_add", lambda x, y: x.scatter_add(0, torch.zeros(1, 2, dtype=torch.int64), y), [(4, 5), (3, 5)], 2),
    ("aten.scatter_add", lambda x: x.scatter_(0, torch.zeros(1, 5, dtype=torch.int64), 1.0, reduce="add"), [(4, 5)], 5),
    ("aten.scatter_add", lambda x, y: x.scatter_reduce(0, torch.zeros(3, 5, dtype=torch.int64), y, "amax"),
     [(4, 5), (3, 5)], 15),
    ("aten.index_put", lambda x, y: x.index_put((torch.tensor([0, 0]),), y, accumulate=True), [(4, 5), (2, 5)], 10),
    ("aten.index_put", lambda x, y: x.index_put((torch.tensor([0, 1]),), y), [(4, 5), (2, 5)], 0),
    ("aten.embedding_bag", lambda w: F.embedding_bag(torch.tensor([[1, 2, 3]]), w), [(9, 5)], 3 * 5),
    ("aten.embedding_bag",
     lambda w, s: F.embedding_bag(torch.tensor([[1, 2, 3]]), w, per_sample_weights=s, mode="sum"),
     [(9, 5), (1, 3)], 3 * 5 * 2),
    ("aten.col2im", lambda x: F.fold(x, (4, 4), 2, stride=1), [(1, 12, 9)], 108),
    ("aten.mse_loss", F.mse_loss, [(4, 5)] * 2, 60),
    ("aten.l1_loss", F.l1_loss, [(4, 5)] * 2, 60),
    ("aten.smooth_l1_loss", F.smooth_l1_loss, [(4, 5)] * 2, 60),
    ("aten.huber_loss", F.huber_loss, [(4, 5)] * 2, 60),
    ("aten.cross_entropy_loss", lambda x: F.cross_entropy(x, torch.zeros(4, dtype=torch.int64)), [(4, 5)], 100),
    ("aten.binary_cross_entropy", F.binary_cross_entropy, [(4, 5)] * 2, 120),
    ("aten.binary_cross_entropy_with_logits", F.binary_cross_entropy_with_logits, [(4, 5)] * 2, 160),
    ("aten.kl_div", lambda x, y: aten.kl_div(x, y), [(4, 5)] * 2, 80),
    # running sums and sorting: a row of 5 numbers needs ceil(log2 5) = 3 comparisons a number
    ("aten.cumsum", lambda x: x.cumsum(1), [(4, 5)], 20),
    ("aten.cumprod", lambda x: x.cumprod(1), [(4, 5)], 20),
    ("aten.cummax", lambda x: x.cummax(1)[0], [(4, 5)], 20),
    ("aten.cummin", lambda x: x.cummin(1)[0], [(4, 5)], 20),
    ("aten.logcumsumexp", lambda x: x.logcumsumexp(1), [(4, 5)], 80),
    ("aten.add", lambda x: x.diff(), [(4, 5)], 16),
    ("aten.sort", lambda x: x.sort(1)[0], [(4, 5)], 60),
    ("aten.sort", lambda x: x.argsort(0), [(4, 5)], 40),
    ("aten.sort", lambda x: torch.msort(x), [(4, 5)], 40),  # along the first axis
    ("aten.sort", lambda x: x.kthvalue(2)[0], [(4, 5)], 60),
    ("aten.median", lambda x: x.median(1)[0], [(4, 5)], 60),
    ("aten.median", lambda x: x.nanmedian(), [(4, 5)], 20 * 5),  # of all 20: ceil(log2 20) = 5
    ("aten.unique_dim", lambda x: x.unique(), [(4, 5)], 100),
    ("aten.unique_dim", lambda x: x.unique(dim=0), [(4, 5)], 40),  # 4 rows in 2 rounds, 5 numbers each
    ("aten.unique_consecutive", lambda x: x.unique_consecutive(), [(4, 5)], 20),
    ("aten.topk", lambda x: x.topk(2)[0], [(4, 5)], 40),
    ("aten.searchsorted", torch.bucketize, [(4, 5), (7,)], 20 * 3),
    ("aten.searchsorted", torch.searchsorted, [(7,), (4, 5)], 20 * 3),
    # resizing: a multiply per tap and the adds between them
    ("aten.upsample_linear1d", lambda x: F.interpolate(x, 6, mode="linear"), [(1, 2, 3)], 12 * 3),
    ("aten.upsample_bilinear2d", lambda x: F.interpolate(x, (6, 4), mode="bilinear"), [(1, 2, 3, 3)], 48 * 7),
    ("aten.upsample_trilinear3d", lambda x: F.interpolate(x, (2, 6, 4), mode="trilinear"), [(1, 2, 3, 3, 3)], 96 * 15),
    ("aten.upsample_bicubic2d", lambda x: F.interpolate(x, (6, 4), mode="bicubic"), [(1, 2, 3, 3)], 48 * 31),
    # 8 to 4: windows of 2·2 taps; first columns (1·2·8·4 outputs), then rows (1·2·4·4)
    ("aten._upsample_bilinear2d_aa", lambda x: F.interpolate(x, (4, 4), mode="bilinear", antialias=True),
     [(1, 2, 8, 8)], 64 * 7 + 32 * 7),
    ("aten._upsample_bilinear2d_aa", lambda x: aten._upsample_bilinear2d_aa.default(x, [4, 4], False),
     [(1, 2, 8, 8)], 64 * 7 + 32 * 7),  # as it arrives where composites come in parts
    ("aten._upsample_bicubic2d_aa", lambda x: F.interpolate(x, (4, 4), mode="bicubic", antialias=True),
     [(1, 2, 8, 8)], 64 * 15 + 32 * 15),
    ("aten.grid_sampler", lambda x, g: F.grid_sample(x, g, mode="bicubic", align_corners=False),
     [(1, 3, 8, 8), (1, 5, 6, 2)], 30 * (6 + 16) + 90 * 31),
    # 30 positions of 2 coordinates: 3 each, 4 weights of 1 multiply; 7 per output
    ("aten.grid_sampler", lambda x, g: F.grid_sample(x, g, align_corners=False), [(1, 3, 8, 8), (1, 5, 6, 2)],
     30 * (6 + 4) + 90 * 7),
    ("aten.grid_sampler", lambda x, g: F.grid_sample(x, g, mode="nearest", align_corners=False),
     [(1, 3, 8, 8), (1, 5, 6, 2)], 30 * (6 + 2)),
    # 60 positions of 3 coordinates: 3 each, 8 weights of 2 multiplies; 15 per output
    ("aten.grid_sampler", lambda x, g: F.grid_sample(x, g, align_corners=False), [(1, 3, 4, 8, 8), (1, 2, 5, 6, 3)],
     60 * (9 + 16) + 180 * 15),
    # Fourier: 5·ceil(log2 8) = 15 per element; real data half of it
    ("aten._fft_r2c", lambda x: torch.fft.rfft(x), [(4, 8)], 4 * 8 * 15 // 2),
    ("aten._fft_c2r", lambda x: torch.fft.irfft(torch.view_as_complex(x), 8, norm="forward"), [(4, 5, 2)],
     4 * 8 * 15 // 2),
    ("aten._fft_c2c", lambda x: torch.fft.fft2(torch.view_as_complex(x)), [(4, 8, 2)], 32 * (15 + 10)),
    # to whole numbers and back: divide, shift, round, two comparisons, shift back, multiply
    ("aten.fake_quantize_per_tensor_affine", lambda x: torch.fake_quantize_per_tensor_affine(x, 0.1, 0, -8, 7),
     [(4, 5)], 20 * 7),
    ("aten.fake_quantize_per_tensor_affine",
     lambda x: torch.fake_quantize_per_tensor_affine(x, torch.ones(1), torch.zeros(1, dtype=torch.int32), -8, 7),
     [(4, 5)], 20 * 7),
    ("aten.fake_quantize_per_tensor_affine",
     lambda x: torch.fake_quantize_per_channel_affine(x, torch.ones(4), torch.zeros(4, dtype=torch.int32), 0, -8, 7),
     [(4, 5)], 20 * 7),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:at..frobenius_norm is deprecated:UserWarning")  # since torch 2.15
@pytest.mark.parametrize(("name", "function", "shapes", "other"), OTHER)
def test_other_flops(name, function, shapes, other):
    needs(name)
    parts = [nn.BatchNorm1d(4).eval()] if name == "aten.batch_norm" else []
    report = report_of(function, *shapes, parts=parts)
    assert (report.other_flops, report.macs, report.uncosted) == (other, 0, ()), str(report.by_operator())
    assert name in [row.op for row in report.operators]


def test_norms_in_training():
    assert count_flops(nn.BatchNorm2d(4), (2, 4, 5, 5)).operators[0].cost.other_flops == 7 * 200
    assert count_flops(nn.BatchNorm2d(4, affine=False).train(), (2, 4, 5, 5)).operators[0].cost.other_flops == 5 * 200
    running = nn.InstanceNorm2d(4, track_running_stats=True).eval()
    assert count_flops(running, (2, 4, 5, 5)).other_flops == 2 * 200


def test_dropout_costs_in_training_alone():
    assert count_flops(nn.Dropout(), (4, 5)).other_flops == 2 * 20
    assert count_flops(nn.Dropout().eval(), (4, 5)).total_flops == 0
    assert count_flops(nn.Dropout().eval(), (4, 5)).bytes_written == 0


def test_weight_norm_is_arithmetic_on_the_weight():
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(5, 4))
    report = count_flops(layer, (2, 5))
    assert report.macs == 2 * 4 * 5
    assert report.other_flops == 3 * 4 * 5 + 2 * 4  # square, accumulate, scale a weight; a bias per output


def test_integer_arithmetic_is_no_floating_point_operation():
    def integers(x):
        x = (x + 1) * 2 - x // 3
        return (x.sum() + x.max() + x.cumsum(0).sort(0)[0] + torch.clamp(x, 0, 3) + abs(-x)) % 7 == 2

    report = count_flops(Apply(integers), TensorSpec((4, 50_000), "int64"))
    assert report.total_flops == 0
    assert report.uncosted == ()


def test_sums_of_integers_to_floating_point_numbers_count():
    report = count_flops(Apply(lambda x: x.sum(1, dtype=torch.float32)), TensorSpec((4, 50_000), "int64"))
    assert report.other_flops == 4 * 50_000 - 4


@pytest.mark.parametrize(
    ("function", "flops"),
    [
        (lambda z: z + z, 20 * 2),
        (lambda z: z * z, 20 * 6),
        (lambda z: torch.multiply(z, z), 20 * 6),
        (lambda z: z / z, 20 * 11),
        (lambda z: z.abs(), 20 * 4),  # two squares, add, square root
        (lambda z: z.angle(), 20),
        (lambda z: z.sum(), 19 * 2),
        (lambda z: z.mean(), 20 * 2),
    ],
)
def test_complex_numbers_are_two(function, flops):
    assert count_flops(Apply(function), TensorSpec((4, 5), "complex64")).other_flops == flops


# ---- bytes

MOVES = [
    # (function, shapes, bytes read, bytes written); float32 is 4 bytes
    (lambda x, w: F.conv2d(x, w), [(1, 3, 8, 8), (6, 3, 3, 3)], 4 * (192 + 162), 4 * 216),
    (lambda x: x.relu_(), [(4, 5)], 80, 80),
    (lambda x, y: x.copy_(y), [(4, 5), (5,)], 20, 80),  # what is overwritten is not read
    (lambda x: torch.meshgrid(x, x, indexing="ij")[0], [(5,)], 0, 0),  # views
    (lambda x: aten._unsafe_view(x, [20]), [(4, 5)], 0, 0),
    (lambda x: x.unsafe_chunk(2)[0], [(4, 5)], 0, 0),
    (lambda x: x.transpose_(0, 1), [(4, 5)], 0, 0),
    (lambda x, y: torch.cat([x, y]), [(4, 5), (2, 5)], 120, 120),
    (lambda x: x.clone(), [(4, 5)], 80, 80),
    (lambda x: x.double(), [(4, 5)], 80, 160),
    (lambda x: x.float(), [(4, 5)], 0, 0),
    (lambda x: x.view(20).unsqueeze(0).expand(3, 20)[:, 2:], [(4, 5)], 0, 0),
    (lambda x: x.t().contiguous(), [(4, 5)], 80, 80),
    (lambda x: x.t().reshape(20), [(4, 5)], 80, 80),
    (lambda x: x.new_zeros(7), [(4, 5)], 0, 28),
    (lambda x: (x.new_empty(7), x)[1], [(4, 5)], 0, 0),
    (lambda x: torch.rand_like(x), [(4, 5)], 0, 80),
    (lambda x: x[torch.tensor([0, 2])], [(4, 5)], 40 + 16, 40),  # the rows it picks, and an index of int64
    (lambda w: F.embedding(torch.tensor([[1, 2, 3]]), w), [(100, 5)], 60 + 24, 60),
    (lambda w: F.embedding_bag(torch.tensor([[1, 2, 3]]), w), [(100, 5)], 60 + 24, None),
    (lambda x: F.pad(x, (1, 1)), [(4, 5)], 80, 112),
    (lambda x: F.pad(x, (1, 1), mode="reflect"), [(1, 4, 5)], 80, 112),
    (lambda x: F.interpolate(x, scale_factor=2), [(1, 1, 4, 5)], 80, 320),
    (lambda x: F.pixel_shuffle(x, 2), [(1, 4, 5, 5)], 400, 400),
    (lambda x: x.roll(1), [(4, 5)], 80, 80),
]


@pytest.mark.parametrize(("function", "shapes", "read", "written"), MOVES)
def test_bytes(function, shapes, read, written):
    literals = {"aten.lift_fresh", "aten.lift", "aten.detach"}
    report = report_of(function, *shapes)
    rows = [row for row in report.operators if row.op not in literals]
    assert sum(row.bytes_read for row in rows) == read
    if written is not None:
        assert sum(row.bytes_written for row in rows) == written


def test_half_precision_moves_half():
    spec = TensorSpec((4, 6), "bfloat16")
    assert count_flops(Apply(torch.relu), spec).bytes_read == 48


# ---- what charges nothing: every such rule is called once, by its operator (x is 4×6, unknown; i are known integers)

i = torch.tensor([[0, 1, 2, 3, 1, 0]])
rows = torch.tensor([0, 2])
FREE = {
    **{name: lambda x, name=name: getattr(aten, name)(torch.ones(3, dtype=torch.int64), 2)
       for name in ("__lshift__", "__rshift__", "__ilshift__", "__irshift__", "bitwise_left_shift",
                    "bitwise_right_shift", "bitwise_and", "bitwise_or", "bitwise_xor")},
    **{name: lambda x, name=name: getattr(aten, name)(i, i) for name in ("gcd", "lcm", "isin")},
    **{name: lambda x, name=name: getattr(aten, name)(x, x)
       for name in ("reshape_as", "logical_and", "logical_or", "logical_xor", "complex")},
    **{name: lambda x, name=name: getattr(aten, name)(x) for name in (
        "logical_not", "all", "any", "clone", "contiguous", "triu", "tril", "diag_embed", "_to_copy",
        "empty_like", "zeros_like", "ones_like", "rand_like", "randn_like", "bernoulli", "bernoulli_", "cauchy_",
        "exponential_", "log_normal_", "normal_", "uniform_", "random_", "poisson", "zero_", "lift_fresh_copy",
        "diagonal_copy", "conj_physical", "_conj_physical", "zero", "uniform", "resolve_conj",
        "resolve_neg", "unbind_copy", "_standard_gamma",
        "_sample_dirichlet", "count_nonzero", "exponential", "random", "fft_fftshift", "diag")},
    **{name: lambda x, name=name: getattr(aten, name)([4, 6])
       for name in ("empty", "zeros", "ones", "rand", "randn", "_efficientzerotensor")},
    **{name: lambda x, name=name: getattr(aten, name)(x, [4, 6])
       for name in ("new_empty", "new_ones", "new_zeros", "expand_copy", "_reshape_copy", "_unsafe_view", "reshape",
                    "repeat", "resize")},
    **{name: lambda x, name=name: getattr(aten, name)(x, 0) for name in ("fill", "fill_", "full_like")},
    **{name: lambda x, name=name: getattr(aten, name)(x, 2)
       for name in ("unsafe_split", "split_copy", "multinomial")},
    **{name: lambda x, name=name: getattr(aten, name)(5)
       for name in ("arange", "eye", "hann_window", "hamming_window", "randperm", "scalar_tensor")},
    **{name: lambda x, name=name: getattr(aten, name)(3, 4, 0) for name in ("tril_indices", "triu_indices")},
    **{name: lambda x, name=name: getattr(aten, name)(0, 1, 5) for name in ("linspace", "logspace")},
    **{f"{mode}_pad{axes}d": lambda x, op=f"{mode}_pad{axes}d", axes=axes: getattr(aten, op)(
        x.view(1, *{1: (4, 6), 2: (2, 2, 6), 3: (2, 2, 2, 3)}[axes]), [1] * 2 * axes)
       for mode in ("reflection", "replication") for axes in (1, 2, 3)},
    **{f"{name}{axes}d": lambda x, op=f"{name}{axes}d", axes=axes: getattr(aten, op)(
        x.view(1, *{1: (4, 6), 2: (2, 2, 6), 3: (1, 2, 2, 6)}[axes]), [4] * axes)
       for name in ("upsample_nearest", "_upsample_nearest_exact") for axes in (1, 2, 3)},
    "bitwise_not": lambda x: aten.bitwise_not(i),
    "bincount": lambda x: i[0].bincount(),
    "block_diag": lambda x: torch.block_diag(x, x),
    "cat": lambda x: torch.cat([x, x]),
    "channel_shuffle": lambda x: F.channel_shuffle(x.view(1, 4, 2, 3), 2),
    "constant_pad_nd": lambda x: aten.constant_pad_nd(x, [1, 1]),
    "copy": lambda x: x.copy_(x),
    "empty_permuted": lambda x: torch.empty_permuted((4, 6), (1, 0)),
    "empty_strided": lambda x: torch.empty_strided((4, 6), (6, 1)),
    "equal": lambda x: i.equal(i),
    "flatten": lambda x: x.t().flatten(),
    "flip": lambda x: x.flip(0),
    "full": lambda x: torch.full((4, 6), 1.0),
    "im2col": lambda x: F.unfold(x.view(1, 1, 4, 6), 2),
    "index": lambda x: x[rows],
    "index_copy": lambda x: x.index_copy(0, rows, x[:2]),
    "index_fill": lambda x: x.index_fill(0, rows, 1.0),
    "is_pinned": lambda x: i.is_pinned(),
    "item": lambda x: i[0, 0].item(),
    "masked_fill": lambda x: x.masked_fill(i > 1, 0.0),
    "masked_scatter": lambda x: x.masked_scatter(i.bool(), x),
    "masked_select": lambda x: i.masked_select(i > 1),
    "max_unpool2d": lambda x: F.max_unpool2d(*F.max_pool2d(x.view(1, 1, 4, 6), 1, return_indices=True), 1),
    "max_unpool3d": lambda x: F.max_unpool3d(*F.max_pool3d(x.view(1, 1, 1, 4, 6), 1, return_indices=True), 1),
    "narrow_copy": lambda x: torch.narrow_copy(x, 0, 0, 2),
    "native_channel_shuffle": lambda x: torch.native_channel_shuffle(x.view(1, 4, 2, 3), 2),
    "new_empty_strided": lambda x: x.new_empty_strided((4, 6), (6, 1)),
    "new_full": lambda x: x.new_full((4, 6), 1.0),
    "nll_loss_nd": lambda x: F.nll_loss(x, i[0, :4]),
    "nonzero": lambda x: i.nonzero(),
    "argwhere": lambda x: i.argwhere(),
    "nll_loss": lambda x: aten.nll_loss(x, i[0, :4]),
    "nll_loss2d": lambda x: aten.nll_loss2d(x.view(1, 4, 6, 1), i.view(1, 6, 1)),
    "nll_loss_forward": lambda x: aten.nll_loss_forward(x, i[0, :4], None, 1, -100)[0],
    "histc": lambda x: aten.histc(i.float(), 4),
    "range": lambda x: aten.range(0, 5),
    "_is_all_true": lambda x: aten._is_all_true(i > 1),
    "_is_any_true": lambda x: aten._is_any_true(i > 1),
    "lift": lambda x: aten.lift(x),
    "lift_fresh": lambda x: aten.lift_fresh(x),
    "flatten_dense_tensors": lambda x: aten.flatten_dense_tensors([x, x]),
    "dropout": lambda x: F.dropout(x, training=False),
    "normal": lambda x: torch.normal(x, 1.0),
    "one_hot": lambda x: F.one_hot(i),
    "pad": lambda x: F.pad(x, (1, 1)),
    "_pad_circular": lambda x: aten._pad_circular(x.view(1, 4, 6), [1, 1]),
    "_pad_enum": lambda x: aten._pad_enum(x.view(1, 4, 6), [1, 1], 1),
    "permute_copy": lambda x: aten.permute_copy(x, [1, 0]),
    "pixel_shuffle": lambda x: F.pixel_shuffle(x.view(1, 4, 2, 3), 2),
    "pixel_unshuffle": lambda x: F.pixel_unshuffle(x.view(1, 1, 4, 6), 2),
    "nonzero_static": lambda x: aten.nonzero_static(i, size=4),
    "geometric_": lambda x: x.geometric_(0.5),
    "randint_like": lambda x: torch.randint_like(x, 4),
    "randint": lambda x: torch.randint(4, (4, 6)),
    "repeat_interleave": lambda x: x.repeat_interleave(2, 0),
    "roll": lambda x: x.roll(1),
    "rot90": lambda x: x.rot90(),
    "scatter": lambda x: x.scatter(0, i, x),
    "select_scatter": lambda x: x.select_scatter(x[0], 0, 1),
    "slice_scatter": lambda x: x.slice_scatter(x[:2], 0, 0, 2),
    "diagonal_scatter": lambda x: x.diagonal_scatter(x[0, :4]),
    "as_strided_scatter": lambda x: x.as_strided_scatter(x[0], (6,), (1,)),
    "split_with_sizes_copy": lambda x: aten.split_with_sizes_copy(x, [1, 3])[0],
    "unsafe_split_with_sizes": lambda x: aten.unsafe_split_with_sizes(x, [1, 3])[0],
    "stack": lambda x: torch.stack([x, x]),
    "to": lambda x: x.to(torch.float32),
    "unfold_copy": lambda x: aten.unfold_copy(x, 0, 2, 1),
    "view_as_complex_copy": lambda x: aten.view_as_complex_copy(x.view(4, 3, 2)),
    "view_as_real_copy": lambda x: aten.view_as_real_copy(torch.complex(x, x)),
    "where": lambda x: torch.where(i > 1, x, x),
}  # fmt: skip


@pytest.mark.parametrize("op", sorted(FREE))
def test_free_operators(op):
    needs(op)
    fills = "empty" in op  # memory that nobody fills would be work out of sight
    report = report_of((lambda x: FREE[op](x).zero_()) if fills else FREE[op], (4, 6))
    assert (report.uncosted, report.macs) == ((), 0)
    assert f"aten.{op}" in [row.op for row in report.operators]
    assert all(row.cost.other_flops == 0 for row in report.operators if row.op == f"aten.{op}")


IN_PLACE_VIEWS = {
    "as_strided_": ((2, 2), (1, 2)),
    "detach_": (),
    "resize_": ([4, 6],),
    "set_": (),
    "squeeze_": (),
    "swapaxes_": (0, 1),
    "swapdims_": (0, 1),
    "t_": (),
    "transpose_": (0, 1),
    "unsqueeze_": (0,),
}


@pytest.mark.parametrize("engine", ["meta", "fake", "real"])
@pytest.mark.parametrize("op", sorted(IN_PLACE_VIEWS))
def test_views_in_place_are_free_in_every_engine(op, engine):
    needs(op)
    module = Apply(lambda x: getattr(aten, op)(x.clone(), *IN_PLACE_VIEWS[op]))
    costed = cost(trace(module, (TensorSpec((4, 6)),), engine=engine).ops)
    assert Kind.UNCOSTED not in [entry.kind for entry in costed]
    moved = [entry.work for entry in costed if entry.name != "aten.clone"]
    assert all(work == Workload() for work in moved)


# ---- the registry itself


ELSEWHERE = {
    *("aten._scaled_mm", "aten._grouped_mm", "torchvision.deform_conv2d"),
    *("aten.lstm", "aten.gru", "aten.rnn_tanh", "aten.lstm.data", "aten.gru.data", "aten.rnn_tanh.data"),
    *("aten.lstm_cell", "aten.gru_cell", "aten.rnn_tanh_cell", "aten._weight_norm_interface"),
    *("aten.embedding", "aten._batch_norm_with_update", "aten._fused_moving_avg_obs_fq_helper"),
}
ELSEWHERE |= {  # beside the products of packed weights, and the tangents
    *("aten._convert_weight_to_int4pack", "aten._convert_weight_to_int4pack_for_cpu"),
    *("aten._dyn_quant_pack_4bit_weight", "aten._new_zeros_with_same_feature_meta"),
}
# rule files whose operators have a test file each
TESTED_APART = ("foreach", "attention_packed", "matmul_packed", "state_space")
ELSEWHERE |= {
    entry.name for entry in RULES.values() if entry.formula.function.__module__.rpartition(".")[2] in TESTED_APART
}
# operators of other devices, nested tensors or asserting machinery, which no plain call reaches
UNREACHED = """_assert_async _assert_scalar _assert_tensor_metadata _copy_from _has_same_storage_numel
_local_scalar_dense is_same_size
_nested_tensor_from_mask _pack_padded_sequence _pad_packed_sequence pin_memory record_stream requires_grad_ retain_grad
set_data to_dense"""


def test_every_rule_has_a_row():
    rows = {row[0] for row in CONTRACTIONS} | {row[0] for row in OTHER} | ELSEWHERE
    rows |= {registry._RULES[f"aten.{op}"].name for op, _ in rows_of([UNARY, BINARY])}
    rows |= {f"aten.{op}" for op in (*FREE, *IN_PLACE_VIEWS, *UNREACHED.split())} | TESTED
    canonical = {entry.name for entry in RULES.values()}
    assert canonical - rows == set()
    assert rows - canonical == set()


@pytest.mark.parametrize("op", UNREACHED.split())
def test_rules_that_no_plain_call_reaches(op):
    work = RULES[f"aten.{op}"].formula.function(out=TensorSpec((4, 5)))
    assert (work.macs, work.other_flops) == (0, 0)


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_rule_is_documented_and_names_an_operator_that_exists(name):
    entry = RULES[name]
    assert entry.counts
    assert entry.source
    assert "rule " not in entry.source[:5]  # a source, not where the function stands
    namespace, _, rest = name.partition(".")
    if namespace == "aten":
        needs(name)
        packet = getattr(aten, rest.split(".")[0])
        if "." in rest:
            assert rest.split(".")[1] in packet.overloads()
        arguments = {a.name for overload in packet.overloads() for a in getattr(packet, overload)._schema.arguments}
        needed = {argument for argument, default in entry.formula.defaults.items() if default is Parameter.empty}
        assert needed <= arguments, f"{name} never has {needed - arguments}"


@pytest.fixture
def clean_registry():
    before = dict(registry._RULES)
    yield
    registry._RULES.clear()
    registry._RULES.update(before)


def test_rows_of_operators_that_torch_lacks_are_skipped_but_never_at_the_pinned_torch():
    needs("relu", "aten.lstm.data", version="1.0")
    with pytest.raises(pytest.skip.Exception, match=r"torch 1\.0\+cpu has no aten\.of_another_torch"):
        needs("relu", "aten.of_another_torch.out", version="1.0+cpu")
    with pytest.raises(pytest.fail.Exception, match=r"has no aten\.of_another_torch"):
        needs("of_another_torch", version=f"{PINNED}+cpu")


def test_a_rule_for_an_operator_that_torch_lacks_harms_nothing(clean_registry):
    @rule("aten.of_another_torch", "aten.of_another_torch.out", kind=Kind.REDUCE)
    def of_another_torch(self, *, out):
        """Nothing here calls it.

        Counts: one per element.
        Source: https://example.org
        """
        return Work(other_flops=self.numel)

    assert not hasattr(aten, "of_another_torch")
    assert "aten.of_another_torch" in rules_table().to_markdown()
    assert count_flops(nn.Linear(5, 4), (2, 5), strict=True).macs == 40


@torch.library.custom_op("flopcount_tests::scale", mutates_args=())
def scale(x: torch.Tensor, factor: float) -> torch.Tensor:
    return x * factor


@scale.register_fake
def _(x, factor):
    return torch.empty_like(x)


SCALE = torch.ops.flopcount_tests.scale


@pytest.mark.parametrize("given", ["flopcount_tests.scale", "flopcount_tests::scale", SCALE, SCALE.default])
def test_users_add_a_rule_with_one_decorator(clean_registry, given):
    module = Apply(lambda x: torch.ops.flopcount_tests.scale(x, 2.0))
    assert [row.op for row in count_flops(module, (4, 5)).uncosted] == ["flopcount_tests.scale"]

    @rule(given)
    def counted(x, factor, *, out):
        """Counts: one multiply per element."""
        return Work(macs=7, other_flops=out.numel * int(factor))

    report = count_flops(module, (4, 5), strict=True)
    assert (report.macs, report.other_flops) == (7, 40)
    assert report.explain("").ops[0].counts == "one multiply per element."
    assert "test_rules" in report.explain("").ops[0].source


def test_a_second_rule_of_another_function_is_refused(clean_registry):
    def first(*, out):
        return Work()

    def second(*, out):
        return Work()

    rule("flopcount_tests.scale")(first)
    rule("flopcount_tests.scale")(first)  # a notebook cell run twice
    with pytest.raises(InputError, match=r"flopcount_tests\.scale already has a cost rule\n  seen    .*first"):
        rule("flopcount_tests.scale")(second)


@pytest.mark.parametrize("names", [(), ("scale",), (scale,), ("a b.c",)], ids=str)
def test_a_rule_names_an_operator(names):
    with pytest.raises(InputError, match=r"is not the name of an operator\n  fix     write @rule\("):
        rule(*names)


def test_a_rule_for_one_overload_holds_in_place_too(clean_registry):
    @rule("aten.mul.Scalar")
    def by_a_number(*, out):
        return Work(other_flops=3)

    assert report_of(lambda x: aten.mul.Scalar(x, 2.0), (4, 5)).other_flops == 3
    assert report_of(lambda x: aten.mul_.Scalar(x, 2.0), (4, 5)).other_flops == 3
    assert report_of(lambda x: x.mul(x), (4, 5)).other_flops == 20


def test_no_operator_is_in_two_rows_of_the_tables():
    """A second row of one kind would silently replace the first."""
    seen = []
    for path in Path(registry.__file__).parent.glob("*.py"):
        for ops in re.findall(r'Charge\(\s*"([^"]+)"', path.read_text()):
            seen += ops.split()
    assert len(seen) > 100
    assert sorted(seen) == sorted(set(seen))


def test_a_rule_that_asks_for_what_is_not_there(clean_registry):
    @rule("flopcount_tests.scale")
    def wrong(y, *, out):
        return Work()

    with pytest.raises(InputError, match=r"needs y, which flopcount_tests.scale does not have\n  seen    x, factor"):
        count_flops(Apply(lambda x: torch.ops.flopcount_tests.scale(x, 2.0)), (4, 5))


def test_a_rule_that_counts_in_fractions_is_refused(clean_registry):
    @rule("flopcount_tests.scale")
    def half(x, *, out):
        return Work(macs=out.numel / 2)

    with pytest.raises(
        InputError, match=r"counts 10.0, which is not a whole number\n  called  flopcount_tests.scale\(x f32"
    ):
        count_flops(Apply(lambda x: torch.ops.flopcount_tests.scale(x, 2.0)), (4, 5))


@pytest.mark.parametrize("raw", [False, True])
def test_formulas_for_torchs_counter_are_accepted_unchanged(raw):
    from torch.utils import flop_counter

    def by_shape(x_shape, factor, *args, out_shape=None, **kwargs):
        return 2 * x_shape[0] * out_shape[1] + 1

    def by_tensor(x, factor, *args, out_val=None, **kwargs):
        return 2 * x.shape[0] * out_val.shape[1] + 1

    module = Apply(lambda x: torch.ops.flopcount_tests.scale(x, 2.0))
    packet = torch.ops.flopcount_tests.scale
    flop_counter.register_flop_formula(packet, get_raw=raw)(by_tensor if raw else by_shape)
    try:
        with flop_counter.FlopCounterMode(display=False) as counter:
            module(torch.ones(4, 5))
        report = count_flops(module, (4, 5), strict=True)
        assert counter.get_total_flops() == report.total_flops == 41
        assert (report.macs, report.other_flops) == (20, 1)
    finally:
        del flop_counter.flop_registry[packet]


@pytest.mark.parametrize("number", [0, 1.5, True])
def test_a_number_overwrites_a_tensor(number):
    report = count_flops(Apply(lambda x: x.clone().copy_(number)), (2, 3))
    (copied,) = (op for op in report.ops if op.name == "aten.copy")
    assert (copied.work.macs, copied.work.other_flops) == (0, 0)
    assert (copied.work.bytes_read, copied.work.bytes_written) == (0, 2 * 3 * 4)  # a number is no tensor to be read
