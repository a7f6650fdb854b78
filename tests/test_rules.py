"""A row per rule: the operator as torch calls it, and the hand count with its arithmetic.

Rows go through the tracer, so the operator's true name and schema are part of what is tested. What an element costs is
typed here a second time, from the textbook, and not read from the package.
"""

import pytest
import torch
from modules import Apply
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from flopcount import InputError, Kind, TensorSpec, Work, count_flops, rule
from flopcount.rules import RULES, registry

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
    report = report_of(function, *shapes)
    assert (report.macs, report.other_flops, report.uncosted) == (macs, other, ())
    assert name in [row.op for row in report.operators]


def test_rules_that_no_cpu_kernel_serves():
    """Shapes straight into the rule: float8 and expert products, flash attention, deformable convolution, flex."""
    spec = TensorSpec

    def work(name, **arguments):
        return RULES[name].function(**arguments)

    out = spec((4, 7))
    assert work("aten._scaled_mm", self=spec((4, 5)), bias=spec((7,)), out=out) == Work(4 * 7 * 5, 2 * 28)
    assert work("aten._grouped_mm", self=spec((9, 5)), mat2=spec((3, 5, 7)), out=spec((9, 7))) == Work(9 * 7 * 5)
    split = work("aten._grouped_mm", self=spec((4, 30)), mat2=spec((30, 7)), out=spec((3, 4, 7)))
    assert split == Work(4 * 7 * 30)  # every one of the 30 contracted columns is used by one group
    flash = work("aten._flash_attention_forward", query=spec((2, 5, 3, 8)), key=spec((2, 7, 3, 8)),
                 value=spec((2, 7, 3, 8)), out=None)  # fmt: skip
    assert flash == Work(2 * 3 * 5 * 7 * 16, 2 * 3 * 35 * 6)
    deformable = work("torchvision.deform_conv2d", input=spec((1, 4, 8, 8)), weight=spec((6, 4, 3, 3)),
                      offset=spec((1, 18, 6, 6)), bias=spec((6,)), use_mask=True, out=spec((1, 6, 6, 6)))  # fmt: skip
    assert deformable == Work(6 * 36 * 36, 4 * 9 * 36 * 8 + 6 * 36)
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


# ---- what an element costs

UNARY = {
    1: """relu tanh neg negative abs absolute sign sgn square reciprocal sqrt exp exp2 expm1 log log2 log10 log1p sin
    cos tan asin acos atan sinh cosh asinh acosh atanh sinc arccos arcsin arctan erf erfc erfinv special_erf
    special_erfc special_erfinv lgamma digamma i0 floor ceil round trunc frac fix isnan isinf isfinite deg2rad
    rad2deg angle""",
    2: "relu6 hardtanh leaky_relu hardshrink softshrink rsqrt clamp clip rrelu",
    3: "nan_to_num logit special_logit",
    4: "elu sigmoid log_sigmoid log_sigmoid_forward softplus hardsigmoid",
    5: "celu selu silu mish hardswish gelu softmax log_softmax",
}
BINARY = {
    1: """mul div divide multiply true_divide floor_divide atan2 arctan2 eq ne lt le gt ge less less_equal greater
    greater_equal not_equal maximum minimum fmax fmin isclose heaviside copysign ldexp pow float_power add sub
    subtract""",
    2: "prelu _prelu_kernel xlogy special_xlog1py rrelu_with_noise",
    3: "fmod remainder cross linalg_cross",
    4: "hypot",
    5: "logaddexp logaddexp2",
}
FURTHER = {"softmax": (-1,), "log_softmax": (-1,), "clamp": (0, 1), "clip": (0, 1), "prelu": "weight"}
ELEMENTS = 2 * 3 * 3


def rows_of(tables):
    return [(op, cost) for table in tables for cost, ops in table.items() for op in ops.split()]


@pytest.mark.parametrize(("op", "cost"), rows_of([UNARY, BINARY]))
def test_per_output_element(op, cost):
    further = FURTHER.get(op, ())
    shapes = [(2, 3, 3)] * (1 if op in " ".join(UNARY.values()).split() else 2)
    if further == "weight":
        shapes, further = [(2, 3, 3), (3,)], ()
    report = report_of(lambda *tensors: getattr(aten, op)(*tensors, *further), *shapes)
    assert report.other_flops == cost * ELEMENTS, str(report)
    assert report.macs == 0
    assert [row.op for row in report.operators if row.cost.other_flops] == [registry._RULES[f"aten.{op}"].name]


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
    ("aten.outer", torch.outer, [(4,), (5,)], 20),
    ("aten.ger", torch.ger, [(4,), (5,)], 20),
    ("aten.kron", torch.kron, [(2, 2), (2, 5)], 40),
    ("aten.polar", torch.polar, [(4, 5)] * 2, 20 * 4 * 2),  # a complex output is two numbers
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
    ("aten.scatter_add", lambda x, y: x.index_add(0, torch.tensor([0, 1, 1]), y), [(4, 5), (3, 5)], 15),
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
    ("aten.diff", lambda x: x.diff(), [(4, 5)], 20),
    ("aten.sort", lambda x: x.sort(1)[0], [(4, 5)], 60),
    ("aten.sort", lambda x: x.argsort(0), [(4, 5)], 40),
    ("aten.sort", lambda x: x.median(1)[0], [(4, 5)], 60),
    ("aten.topk", lambda x: x.topk(2)[0], [(4, 5)], 40),
    ("aten.searchsorted", torch.bucketize, [(4, 5), (7,)], 20 * 3),
    # resizing: a multiply per tap and the adds between them
    ("aten.upsample_linear1d", lambda x: F.interpolate(x, 6, mode="linear"), [(1, 2, 3)], 12 * 3),
    ("aten.upsample_bilinear2d", lambda x: F.interpolate(x, (6, 4), mode="bilinear"), [(1, 2, 3, 3)], 48 * 7),
    ("aten.upsample_trilinear3d", lambda x: F.interpolate(x, (2, 6, 4), mode="trilinear"), [(1, 2, 3, 3, 3)], 96 * 15),
    ("aten.upsample_bicubic2d", lambda x: F.interpolate(x, (6, 4), mode="bicubic"), [(1, 2, 3, 3)], 48 * 31),
    # 8 to 4: windows of 2·2 taps; first columns (1·2·8·4 outputs), then rows (1·2·4·4)
    ("aten._upsample_bilinear2d_aa", lambda x: F.interpolate(x, (4, 4), mode="bilinear", antialias=True),
     [(1, 2, 8, 8)], 64 * 7 + 32 * 7),
    ("aten._upsample_bicubic2d_aa", lambda x: F.interpolate(x, (4, 4), mode="bicubic", antialias=True),
     [(1, 2, 8, 8)], 64 * 15 + 32 * 15),
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
]  # fmt: skip


@pytest.mark.parametrize(("name", "function", "shapes", "other"), OTHER)
def test_other_flops(name, function, shapes, other):
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
    assert report.other_flops > 2 * 4


def test_integer_arithmetic_is_no_floating_point_operation():
    def integers(x):
        x = (x + 1) * 2 - x // 3
        return (x.sum() + x.max() + x.cumsum(0).sort(0)[0] + torch.clamp(x, 0, 3) + abs(-x)) % 7 == 2

    report = count_flops(Apply(integers), TensorSpec((4, 50_000), "int64"))
    assert report.total_flops == 0
    assert report.uncosted == ()


# ---- what moves

MOVES = [
    # (function, shapes, bytes read, bytes written); float32 is 4 bytes
    (lambda x, w: F.conv2d(x, w), [(1, 3, 8, 8), (6, 3, 3, 3)], 4 * (192 + 162), 4 * 216),
    (lambda x: x.relu_(), [(4, 5)], 80, 80),
    (lambda x, y: torch.cat([x, y]), [(4, 5), (2, 5)], 120, 120),
    (lambda x: x.clone(), [(4, 5)], 80, 80),
    (lambda x: x.double(), [(4, 5)], 80, 160),
    (lambda x: x.float(), [(4, 5)], 0, 0),
    (lambda x: x.view(20).unsqueeze(0).expand(3, 20)[:, 2:], [(4, 5)], 0, 0),
    (lambda x: x.t().contiguous(), [(4, 5)], 80, 80),
    (lambda x: x.t().reshape(20), [(4, 5)], 80, 80),
    (lambda x: x.new_zeros(7), [(4, 5)], 0, 28),
    (lambda x: x.new_empty(7), [(4, 5)], 0, 0),
    (lambda x: torch.rand_like(x), [(4, 5)], 0, 80),
    (lambda x: x[torch.tensor([0, 2])], [(4, 5)], 40 + 16, 40),  # the rows it picks, and an index of int64
    (lambda w: F.embedding(torch.tensor([[1, 2, 3]]), w), [(100, 5)], 60 + 24, 60),
    (lambda w: F.embedding_bag(torch.tensor([[1, 2, 3]]), w), [(100, 5)], 60 + 24, None),
    (lambda x: F.pad(x, (1, 1)), [(4, 5)], 80, 112),
    (lambda x: F.pad(x, (1, 1), mode="reflect"), [(1, 4, 5)], 80, 112),
    (lambda x: F.interpolate(x, scale_factor=2), [(1, 1, 4, 5)], 80, 320),
    (lambda x: F.pixel_shuffle(x, 2), [(1, 4, 5, 5)], 400, 400),
    (lambda x: x.item() if False else x.roll(1), [(4, 5)], 80, 80),
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


# ---- the registry itself


def canonical(kinds):
    return {entry.name for entry in RULES.values() if entry.kind in kinds}


def test_every_rule_has_a_row():
    rows = {row[0] for row in CONTRACTIONS} | {row[0] for row in OTHER}
    rows |= {registry._RULES[f"aten.{op}"].name for op, _ in rows_of([UNARY, BINARY])}
    elsewhere = {
        *("aten._scaled_mm", "aten._grouped_mm", "aten._flash_attention_forward", "torchvision.deform_conv2d"),
        *("aten.lstm", "aten.gru", "aten.rnn_tanh", "aten.lstm.data", "aten.gru.data", "aten.rnn_tanh.data"),
        *("aten.lstm_cell", "aten.gru_cell", "aten.rnn_tanh_cell", "aten._weight_norm_interface"),
        *("aten.embedding", "aten.embedding_bag", "aten.dropout", "aten.unique_dim"),
    }
    free = {entry.name for entry in RULES.values() if _is_free(entry)}
    assert {entry.name for entry in RULES.values()} - rows - elsewhere - free == set()
    assert (rows | elsewhere) <= {entry.name for entry in RULES.values()}


def _is_free(entry):
    """Rules that charge nothing, whatever they are given: movement, random numbers, integer and boolean arithmetic."""
    if entry.kind in (Kind.MOVEMENT, Kind.RANDOM, Kind.VIEW):
        return True
    return entry.counts.startswith(("0 per", "nothing"))


@pytest.mark.parametrize("name", sorted(canonical([Kind.MOVEMENT, Kind.RANDOM, Kind.VIEW])))
def test_movement_charges_nothing(name):
    if name in ("aten.dropout", "aten.index"):
        return
    work = RULES[name].function(out=TensorSpec((4, 5)))
    assert (work.macs, work.other_flops) == (0, 0)


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_rule_is_documented_and_names_an_operator_that_exists(name):
    entry = RULES[name]
    assert entry.counts
    assert entry.source
    assert "rule " not in entry.source[:5]  # a source, not where the function stands
    namespace, _, rest = name.partition(".")
    if namespace == "aten":
        packet = getattr(aten, rest.split(".")[0])
        if "." in rest:
            assert rest.split(".")[1] in packet.overloads()
        arguments = {a.name for overload in packet.overloads() for a in getattr(packet, overload)._schema.arguments}
        needed = {argument for argument, default in entry.defaults.items() if default is registry._EMPTY}
        assert needed <= arguments, f"{name} never has {needed - arguments}"


@pytest.fixture
def clean_registry():
    before = dict(registry._RULES)
    yield
    registry._RULES.clear()
    registry._RULES.update(before)


@torch.library.custom_op("flopcount_tests::scale", mutates_args=())
def scale(x: torch.Tensor, factor: float) -> torch.Tensor:
    return x * factor


@scale.register_fake
def _(x, factor):
    return torch.empty_like(x)


@pytest.mark.parametrize("given", ["flopcount_tests.scale", "flopcount_tests::scale", torch.ops.flopcount_tests.scale])
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
    with pytest.raises(InputError, match=r"flopcount_tests\.scale has a cost rule already\n  seen    .*first"):
        rule("flopcount_tests.scale")(second)


def test_a_rule_that_asks_for_what_is_not_there(clean_registry):
    @rule("flopcount_tests.scale")
    def wrong(y, *, out):
        return Work()

    with pytest.raises(InputError, match=r"asks for y, which flopcount_tests.scale does not have\n  seen    x, factor"):
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
