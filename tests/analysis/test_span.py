"""Work and span against graphs drawn by hand; every number is worked out beside it.

Depths: an elementwise operation 1, a reduction of length K 1 + ceil(log2 K), data movement 0.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from modules import Apply
from torch import nn
from torch.nn import functional as F
from typer.testing import CliRunner

from flopcount import Clip, InputError, count_flops, count_model
from flopcount.analysis.span import dependences, span_of, spans_table
from flopcount.cli import app
from flopcount.core.dataflow import Access, region
from flopcount.count import count
from flopcount.output.terminal import terminal
from flopcount.rules.depth import depth_of, reduction


def span(function, *inputs, parts=(), engine="auto"):
    return followed(function, *inputs, parts=parts, engine=engine).span


def followed(function, *inputs, parts=(), engine="auto"):
    return count_flops(Apply(function, *parts), inputs, engine=engine).with_dataflow()


# Graphs


def test_chain():
    s = span(lambda x: x.relu().neg().exp(), (2, 3))
    assert (s.span, s.chain, s.work, s.steps) == (3, 3, 18, 1)  # three ops of depth 1, each on 6 elements
    assert [step.op for step in s.path] == ["aten.relu", "aten.neg", "aten.exp"]
    assert s.parallelism == 6


def test_diamond_takes_the_longer_side():
    def diamond(x):
        top = x.relu()
        left, right = top.exp().neg().abs(), top.sin()
        return left + right

    s = span(diamond, (4,))
    assert (s.span, s.chain) == (5, 5)  # relu, exp, neg, abs, add; sin runs in parallel
    assert s.work == 24  # six ops on 4 elements
    assert s.parallelism == 4  # 24 / 5


def test_branches_that_never_meet_run_side_by_side():
    s = span(lambda x: [x.exp(), x.sin().cos(), x.neg()], (4,))
    assert (s.span, s.chain) == (2, 2)


def test_residual():
    s = span(lambda x, f: x + f(x), (3, 8), parts=[nn.Linear(8, 8)])
    assert s.span == (1 + 3) + 1 + 1  # products of 8 and a tree of 3, the bias, the sum
    assert s.chain == 2  # linear, add


@pytest.mark.parametrize("engine", ["meta", "fake", "real"])
def test_in_place_writes_are_read_through_views(engine):
    def network(x):
        y = x.exp()
        row = y[0]  # a view
        y.mul_(2)  # in place, seen through the view
        return row.relu()

    s = span(network, (2, 3), engine=engine)
    assert (s.span, s.chain) == (3, 3)  # exp, mul_, relu


def test_a_view_of_another_region_does_not_wait():
    def network(x):
        y = x.exp()
        y[0].sin_().cos_().sin_()
        return y[1].relu()

    s = span(network, (2, 3))
    assert (s.span, s.chain) == (4, 4)  # exp and the three in place on row 0
    assert s.path[-1].op == "aten.sin"
    flow = followed(network, (2, 3))
    names = [costed.name for costed in flow.ops]
    assert dependences(flow.dataflow)[names.index("aten.relu")] == (names.index("aten.exp"),)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_buffer_filled_step_by_step(axis):
    """Steps that write to different parts of one buffer do not wait for each other; a reader waits for all."""

    def network(x):
        out = torch.zeros(4, 4, 4)
        for i in range(4):
            out.select(axis, i).copy_(x.select(axis, i).exp())
        return out.neg()

    s = span(network, (4, 4, 4))
    assert (s.span, s.chain) == (2, 3)  # exp, copy_ (no arithmetic), neg


def test_overwriting_does_not_read():
    def network(x):
        y = x.exp().sin().cos()
        y.copy_(x)  # what was there is lost
        return y.neg()

    s = span(network, (4,))
    assert s.span == 3  # exp, sin, cos; neg alone follows the copy
    assert span(lambda x: x.exp().sin().cos().add_(x).neg(), (4,)).span == 5  # add_ reads what it writes to


def test_out_is_written_not_read():
    def network(x):
        y = x.exp().sin()
        torch.neg(x, out=y)
        return y.abs()

    s = span(network, (4,))
    assert (s.span, s.chain) == (2, 2)  # exp, sin; in parallel neg, abs


def test_a_view_of_a_parameter_is_that_parameter():
    weight = nn.Parameter(torch.zeros(3, 8, 8))
    module = Apply(lambda x: x @ weight[0] @ weight[1])
    module.weight = weight
    assert count_flops(module, (2, 8)).span.span == 2 * (1 + 3)  # two products of 8, one after another


def test_dropout_at_test_time_is_its_input():
    network = Apply(lambda x, drop: drop(x.exp()).neg(), nn.Dropout())
    trained = count_flops(network, (4,)).span
    assert (trained.span, trained.chain) == (3, 3)  # the mask is work
    evaluated = count_flops(network.eval(), (4,)).span
    assert (evaluated.span, evaluated.chain) == (2, 2)


# Depths, by hand

aten = torch.ops.aten
DEPTHS = {
    "sum of 8": (lambda x: x.sum(1), (2, 8), 1 + 3),
    "sum of 9": (lambda x: x.sum(1), (2, 9), 1 + 4),
    "mean of all": (lambda x: x.mean(), (4, 8), 1 + 5),
    "softmax of 16": (lambda x: x.softmax(-1), (2, 16), 2 * (1 + 4) + 3),  # max, subtract, exp, sum, divide
    "softmax in parts": (
        lambda x: (lambda e: e / e.sum(-1, keepdim=True))((x - x.amax(-1, keepdim=True)).exp()),
        (2, 16),
        2 * (1 + 4) + 3,
    ),
    "layer norm over 32": (lambda x: F.layer_norm(x, (32,)), (2, 32), 2 * (1 + 5) + 3),
    "max pool 2×2": (lambda x: F.max_pool2d(x, 2), (1, 1, 4, 4), 1 + 2),
    "average pool 3×3": (lambda x: F.avg_pool2d(x, 3), (1, 1, 6, 6), 1 + 4),
    "matmul k=5": (lambda x: x @ x.mT, (3, 5), 1 + 3),
    "cumsum of 16": (lambda x: x.cumsum(0), (16,), 1 + 4),
    "maximum of two": (lambda x: torch.max(x, -x), (8,), 1 + 1),
    "median of all": (lambda x: x.median(), (4, 8), 5 * 6 // 2),  # a bitonic network of 32
    "a kernel's batch norm": (  # mean, subtract, square, mean, scale over 2·16, weight and bias
        lambda x: aten._batch_norm_with_update(x, *(torch.ones(3),) * 4, 0.1, 1e-5)[0],
        (2, 3, 4, 4),
        2 * (1 + 5) + 3 + 2,
    ),
    "a kernel's group norm": (  # over 2·16 elements of each of 3 groups
        lambda x: aten.native_group_norm(x, None, None, 1, 6, 16, 3, 1e-5)[0],
        (1, 6, 4, 4),
        2 * (1 + 5) + 3,
    ),
    "transpose and copy": (lambda x: x.mT.contiguous(), (3, 5), 0),
    "integers": (lambda x: torch.arange(8) + 1, (1,), 0),
    "attention": (  # QKᵀ over 8, scale, softmax over 4, PV over 4
        lambda x: F.scaled_dot_product_attention(x, x, x),
        (1, 2, 4, 8),
        (1 + 3) + 1 + (2 * (1 + 2) + 3) + (1 + 2),
    ),
}


@pytest.mark.parametrize("name", DEPTHS)
def test_depth(name):
    function, shape, depth = DEPTHS[name]
    assert span(function, shape).span == depth


def test_depth_of_layers():
    conv = count_flops(nn.Conv3d(3, 4, 3), (1, 3, 5, 5, 5)).span
    assert conv.span == 1 + 7 + 1  # 81 taps: ceil(log2 81) = 7; and the bias
    spelled = count_flops(Apply(lambda x, f: x @ f.weight.T + f.bias, nn.Linear(20, 4)), (2, 20)).span
    assert spelled.span == count_flops(nn.Linear(20, 4), (2, 20)).span.span == 1 + 5 + 1
    norm = nn.BatchNorm2d(4).eval()
    assert count_flops(norm, (2, 4, 4, 4)).span.span == 2  # a scale and a shift


@pytest.mark.parametrize(("length", "depth"), [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (1024, 11), (1025, 12)])
def test_reduction(length, depth):
    assert reduction(length) == depth


# Recurrences

CELL = 1 + 3 + 1 + 6  # hidden of 8: products and tree, bias; add, sigmoid, multiply, add, tanh, multiply


class Unrolled(nn.Module):
    """The loop inside a fused LSTM."""

    def __init__(self, width, hidden, layers=1):
        super().__init__()
        self.cells = nn.ModuleList(nn.LSTMCell(width if i == 0 else hidden, hidden) for i in range(layers))
        self.hidden = hidden

    def forward(self, x):
        frames = list(x)
        for cell in self.cells:
            state = (x.new_zeros(x.shape[1], self.hidden),) * 2
            for t, frame in enumerate(frames):
                state = cell(frame, state)
                frames[t] = state[0]
        return torch.stack(frames)


@pytest.mark.parametrize("steps", [1, 2, 7, 32])
def test_a_fused_lstm_is_as_deep_as_its_loop(steps):
    fused = count_flops(nn.LSTM(8, 8), (steps, 2, 8)).span
    loop = count_flops(Unrolled(8, 8), (steps, 2, 8)).span
    assert fused.span == loop.span == steps * CELL
    assert fused.steps == loop.steps == steps
    assert fused.work == loop.work
    assert fused.chain == 2  # the first state of zeros, lstm
    assert loop.chain == 1 + steps + 1  # that state, the steps, the stack


def test_layers_run_behind_each_other_like_a_wave():
    fused = count_flops(nn.LSTM(8, 8, 3), (10, 2, 8)).span
    loop = count_flops(Unrolled(8, 8, 3), (10, 2, 8)).span
    assert fused.span == loop.span == (10 + 3 - 1) * CELL
    assert fused.steps == loop.steps == 10


def test_both_directions_wait_for_each_other():
    s = count_flops(nn.LSTM(8, 8, 2, bidirectional=True), (10, 2, 8)).span
    second = CELL + 1  # its inputs are 16 wide, a tree one deeper, before the first step
    assert s.span == 10 * CELL + second + 9 * CELL


@pytest.mark.parametrize(("layer", "rest"), [(nn.GRU, 8), (nn.RNN, 2)])
def test_other_recurrences(layer, rest):
    s = count_flops(layer(8, 8, batch_first=True), (2, 12, 8)).span
    assert s.span == 12 * (1 + 3 + 1 + rest)
    assert s.steps == 12


def test_packed_sequences_take_as_long_as_the_longest():
    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(8, 8)

        def forward(self, x):
            return self.lstm(nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 2])))[0].data

    s = count_flops(Packed(), (5, 2, 8)).span
    assert (s.span, s.steps) == (5 * CELL, 5)


def test_a_weight_used_again_on_a_chain_is_a_recurrence_and_beside_it_is_none():
    layer = nn.Linear(8, 8)
    assert span(lambda x, f: f(f(f(x))), (2, 8), parts=[layer]).steps == 3
    assert span(lambda x, f: f(x) + f(x.exp()), (2, 8), parts=[layer]).steps == 1
    assert span(lambda x, f, g: f(g(x)), (2, 8), parts=[layer, nn.Linear(8, 8)]).steps == 1
    twice = span(lambda x, f: f(f(x)[0])[0], (5, 2, 8), parts=[nn.LSTM(8, 8)])
    assert twice.steps == 10
    tied = nn.Embedding(10, 8)
    language = Apply(lambda i, e: e(i) @ e.weight.T, tied)
    assert count_flops(language, torch.zeros(1, 3, dtype=torch.int64)).span.steps == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "grows"), [("cnn_lstm", 67, True), ("c3d", 32, False), ("timesformer_b", 32, False)]
)
def test_a_recurrence_grows_with_time_and_others_hardly_do(name, size, grows):
    if name == "timesformer_b":
        pytest.importorskip("transformers")
    short, middle, long = (count_model(name, clip=Clip(t, size, size)).span for t in (16, 32, 48))
    if grows:
        assert (short.steps, middle.steps, long.steps) == (16, 32, 48)
        assert long.span - middle.span == middle.span - short.span >= 16 * 10  # a hidden state of 256 per frame
    else:
        assert short.steps == long.steps == 1
        assert long.span < 1.05 * short.span


# Laws


@st.composite
def layers(draw):
    width = draw(st.integers(1, 9))
    out = draw(st.integers(1, 9))
    kind = draw(st.sampled_from(["linear", "relu", "softmax", "norm", "gelu"]))
    made = {"linear": nn.Linear(width, out), "norm": nn.LayerNorm(width)}
    return (
        made.get(kind, {"relu": nn.ReLU(), "softmax": nn.Softmax(-1), "gelu": nn.GELU()}.get(kind)),
        width,
        out if kind == "linear" else width,
    )


@given(layers(), st.integers(1, 6), st.integers(1, 4))
@settings(max_examples=40)
def test_one_after_another_adds_up_and_span_is_at_most_work(layer, again, rows):
    module, width, out = layer
    adapter = nn.Linear(out, width)
    one = count_flops(module, (rows, width)).span
    other = count_flops(adapter, (rows, out)).span
    chain = nn.Sequential(*[part for _ in range(again) for part in (module, adapter)])
    both = count_flops(chain, (rows, width)).span
    assert both.span == again * (one.span + other.span)
    assert both.chain == again * (one.chain + other.chain)
    assert 0 < both.span <= both.work
    assert both.work == again * (one.work + other.work)


@pytest.mark.parametrize("name", ["s3d", "x3d_xs", "slowfast_r50_4x16", "recurrent_cnn", "swin3d_t", "mvit_b_16x4"])
def test_no_op_is_deeper_than_its_work(name):
    from flopcount.models import CARDS

    report = count_model(name, clip=CARDS[name].smallest).with_dataflow()
    assert all(0 <= depth_of(costed) <= costed.work.macs * 2 + costed.work.other_flops for costed in report.ops)
    s = report.span
    assert s.span == sum(step.depth for step in s.path) <= s.work
    assert len(s.path) <= s.chain <= len(report.ops)
    table = s.table(-1)
    assert sum(row[2] for row in table.rows) == table.total[2] == s.span
    assert sum(row[1] for row in table.rows) == table.total[1] == len(s.path)


def test_following_changes_nothing_that_is_counted():
    plain = count_model("r3d_18", clip=Clip(2, 32, 32))
    with_data = plain.with_dataflow()
    assert plain.dataflow is None
    assert plain.by_module(-1) == with_data.by_module(-1)
    assert len(with_data.dataflow.flows) == len(with_data.ops) == len(plain.ops)


def test_without_dataflow_a_result_has_no_span():
    with pytest.raises(
        InputError, match=r"no span: its data was not followed\n  fix     count_flops\(...\).with_dataflow"
    ):
        span_of(count(nn.Linear(2, 2), (1, 2)))


def test_what_has_no_rule_is_told():
    s = span(lambda x: torch.linalg.svd(x.exp())[0].neg(), (3, 3))
    assert (s.span, s.chain) == (2, 3)  # the depth of the svd is unknown, and the note says so
    assert any(note.startswith("UNCOSTED aten._linalg_svd") for note in s.table().notes)
    assert any(note.startswith("UNCOSTED aten._linalg_svd in Apply:") for note in spans_table([s]).notes)


# Regions


@given(st.data())
@settings(max_examples=200)
def test_regions_overlap_where_elements_do(data):
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    base = torch.arange(torch.Size(shape).numel()).reshape(shape)

    def view():
        x = base
        for axis in range(x.ndim):
            start = data.draw(st.integers(0, x.shape[axis] - 1))
            x = x.narrow(axis, start, data.draw(st.integers(1, x.shape[axis] - start)))
        x = x.permute(data.draw(st.permutations(range(x.ndim))))
        return x[0] if data.draw(st.booleans()) else x

    def place(x):
        return region(0, base.nbytes, tuple(x.shape), x.stride(), x.storage_offset(), x.itemsize)

    a, b = view(), view()
    shared = set(a.flatten().tolist()) & set(b.flatten().tolist())
    assert place(a).overlaps(place(b)) or not shared  # never missed
    assert not place(a).overlaps(Access(1))


def test_regions_of_a_grid():
    grid = torch.zeros(4, 5, 6)

    def place(x):
        return region(0, grid.nbytes, tuple(x.shape), x.stride(), x.storage_offset(), x.itemsize)

    assert place(grid) == Access(0)
    assert not place(grid[:, 0]).overlaps(place(grid[:, 1]))
    assert not place(grid[..., 2]).overlaps(place(grid[..., 3]))
    assert not place(grid[:, :2]).overlaps(place(grid[:, 2:]))
    assert not place(grid[:2]).overlaps(place(grid[3]))
    assert place(grid[:, 1:3]).overlaps(place(grid[1]))
    assert place(grid[:, 1:3]).overlaps(place(grid))


# The command


def invoke(*words):
    return CliRunner().invoke(app, words, catch_exceptions=False)


def test_one_network_shows_its_critical_path():
    result = invoke("span", "c3d", "--clip", "16x16x16")
    assert result.stdout == terminal(count_model("c3d", clip=Clip(16, 16, 16)).span.table()) + "\n"
    assert max(map(len, result.stdout.splitlines())) <= 80
    shallow = invoke("span", "s3d", "--clip", "6x17x17", "--depth", "1", "--format", "csv").stdout.splitlines()
    assert [line.split(",")[0] for line in shallow][:2] == ["layer", "features"]


def test_several_stand_side_by_side():
    rows = invoke("span", "cnn_lstm", "slow_fusion", "--frames", "10,20", "--format", "csv").stdout.splitlines()
    assert [row.split(",")[:2] for row in rows[1:]] == [
        ["cnn_lstm", "10×227×227"],
        ["cnn_lstm", "20×227×227"],
        ["slow_fusion", "10×170×170"],
        ["slow_fusion", "20×170×170"],
    ]
    assert [row.split(",")[5] for row in rows[1:]] == ["10", "20", "1", "1"]
    wide = invoke("span", "cnn_lstm", "slow_fusion").stdout
    assert max(map(len, wide.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("c3e",), "near    c3d"),
        (("c3d", "--frames", "8,x"), "write --frames 8,16,32"),
        (("torch.nn:ReLU", "--frames", "8"), "give --clip 16x112x112 as well"),
    ],
)
def test_bad_input(words, message):
    result = invoke("span", *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not result.stdout
