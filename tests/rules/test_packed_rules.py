"""Attention over packed sequences, and weights of 4 and 8 bits: counts by hand on every engine that can run them."""

import pytest
import torch
from modules import Apply
from operators import needs_module
from torch import nn

from flopcount import TensorSpec, count_flops
from flopcount.rules import RULES
from flopcount.tracing.packed_sequences import ASSUMED

aten = torch.ops.aten
HEADS, WIDTH = 2, 16
EACH = HEADS * 2 * WIDTH  # MACs of a pair of a query and a key: QKᵀ and PV


def begins(*lengths):
    return torch.tensor([0, *torch.tensor(lengths).cumsum(0)], dtype=torch.int32)


def tokens(total):
    return torch.randn(total, HEADS, WIDTH, dtype=torch.bfloat16)


def flash(q, k, b, longest, keys):
    return aten._flash_attention_forward(q, k, k, b, keys, longest, longest, 0.0, False, False)[0]


def efficient(q, k, b, longest, keys):
    return aten._efficient_attention_forward(q[None], k[None], k[None], None, b, keys, longest, longest, 0.0, 0)[0]


def by_name(q, k, b, longest, keys):
    return torch.nn.attention.varlen.varlen_attn(q, k, k, b, keys, longest, longest)


@pytest.fixture(params=[flash, efficient, by_name])
def kernel(request):
    if request.param is by_name:
        needs_module("torch.nn.attention.varlen")
    return request.param


@pytest.mark.parametrize(
    ("queries", "keys"), [((5, 7), (5, 7)), ((3, 1, 8), (2, 9, 4)), ((12,), (12,)), ((0, 4), (0, 4))]
)
def test_each_sequence_attends_to_itself(kernel, queries, keys):
    given = (tokens(sum(queries)), tokens(sum(keys)), begins(*queries), begins(*keys))
    report = count_flops(Apply(lambda q, k, b, c: kernel(q, k, b, max(*queries, *keys), c)), given)
    pairs = sum(q * k for q, k in zip(queries, keys, strict=True))
    assert (report.macs, report.other_flops) == (EACH * pairs, HEADS * 6 * pairs)  # scaling, and a softmax of 5
    assert (report.uncosted, report.assumed, report.engine) == ((), (), "meta")


def test_lengths_in_the_module_are_known_too(kernel):
    report = count_flops(Apply(lambda q: kernel(q, q, begins(5, 7), 7, begins(5, 7))), (tokens(12),))
    assert (report.macs, report.assumed) == (EACH * (25 + 49), ())


def test_two_calls_with_other_lengths_are_two_counts():
    def both(q):
        return [flash(q, q, begins(*lengths), 9, begins(*lengths)) for lengths in ((5, 7), (3, 9), (5, 7))]

    assert count_flops(Apply(both), (tokens(12),)).macs == EACH * (2 * (25 + 49) + 9 + 81)


def test_lengths_that_nobody_gave_count_as_the_longest_and_that_is_said(kernel):
    given = ((12, HEADS, WIDTH), TensorSpec((3,), "int32"))
    module = Apply(lambda q, b: kernel(q, q, b, 7, b))
    for _ in range(2):  # also an answer of the memo
        report = count_flops(module, given)
        assert report.macs == EACH * min(2 * 7 * 7, 12 * 7)
        assert ASSUMED in report.assumed
        assert ASSUMED in " ".join(str(report).split())


def test_padding_behind_the_last_sequence_attends_to_nothing():
    assert count_flops(Apply(lambda q, b: flash(q, q, b, 7, b)), (tokens(16), begins(5, 7))).macs == EACH * (25 + 49)


def test_a_causal_mask_counts_as_dense():
    def causal(q, b):
        return aten._flash_attention_forward(q, q, q, b, b, 7, 7, 0.0, True, False)[0]

    assert count_flops(Apply(causal), (tokens(12), begins(5, 7))).macs == EACH * (25 + 49)


def test_batches_of_one_length():
    def batched(q):
        return aten._flash_attention_forward(q, q, q, None, None, 5, 5, 0.0, False, False)[0]

    report = count_flops(Apply(batched), (torch.randn(3, 5, HEADS, WIDTH, dtype=torch.bfloat16),))
    assert (report.macs, report.other_flops) == (EACH * 3 * 25, HEADS * 6 * 3 * 25)


def test_a_training_step_on_packed_sequences():
    varlen = needs_module("torch.nn.attention.varlen")

    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Linear(WIDTH, 3 * WIDTH).bfloat16()

        def forward(self, x, b):
            q, k, v = self.qkv(x).unflatten(-1, (3, 1, WIDTH)).unbind(1)
            return varlen.varlen_attn(q, k, v, b, b, 7, 7)

    step = count_flops(Attends(), (torch.randn(12, WIDTH).bfloat16(), begins(5, 7)), mode="train").training
    linear, pair = 12 * WIDTH * 3 * WIDTH, 25 + 49
    # forward 2·D per pair; backward twice that, and the scores once more; the layer's gradient is by its weight
    assert step.total.macs == 2 * linear + pair * WIDTH * (2 + 4 + 1)


@pytest.mark.parametrize("name", ["forward", "backward"])
def test_the_library_counts_as_torchs_kernel(name):
    q = TensorSpec((3, 5, HEADS, WIDTH))
    for packed, pairs in (("", None), ("_varlen", 74)):
        ours = RULES[f"flash_attn._flash_attn{packed}_{name}"].formula.function
        torchs = RULES[f"aten._flash_attention_{name}"].formula.function
        assert ours(q, q, q, pairs, out=q) == torchs(q, q, q, pairs=pairs, out=q)


def test_gradients_have_five_products():
    q = TensorSpec((12, HEADS, WIDTH))
    for name in (
        "aten._flash_attention_backward",
        "aten._efficient_attention_backward",
        "torch_attn._varlen_attn_backward",
    ):
        work = RULES[name].formula.function(q, q, q, pairs=74, out=(q, q, q))
        assert (work.macs, work.other_flops) == (HEADS * 74 * 5 * WIDTH, HEADS * 74 * 11)


# ---- weights of 4 and 8 bits: m = 4, k = 64, n = 32


def half(*shape):
    return torch.ones(shape, dtype=torch.bfloat16)


def int8(x):
    return aten._weight_int8pack_mm(x, torch.ones(32, 64, dtype=torch.int8), half(32))


def int4(x):
    packed = aten._convert_weight_to_int4pack_for_cpu(torch.zeros(32, 64, dtype=torch.int32), 1)
    return aten._weight_int4pack_mm_for_cpu(x, packed, 32, half(2, 32, 2))


@pytest.mark.parametrize("engine", ["meta", "fake", "real"])
@pytest.mark.parametrize(("function", "other"), [(int8, 4 * 32), (int4, 2 * 64 * 32)])
def test_packed_weights(function, other, engine):
    report = count_flops(Apply(function), (half(4, 64),), engine=engine)
    assert (report.macs, report.other_flops, report.uncosted) == (4 * 64 * 32, other, ())


@pytest.mark.parametrize("engine", ["meta", "fake", "real"])
def test_the_weight_is_read_in_its_packed_size(engine):
    report = count_flops(Apply(int8), (half(4, 64),), engine=engine)
    row = next(row for row in report.operators if row.op == "aten._weight_int8pack_mm")
    assert (row.bytes_read, row.bytes_written) == (2 * 4 * 64 + 32 * 64 + 2 * 32, 2 * 4 * 32)


@pytest.mark.parametrize("engine", ["meta", "fake", "real"])
def test_activations_quantized_on_the_way(engine):
    def product(x):
        weight, scales = torch.zeros(32, 32, dtype=torch.uint8), torch.ones(32, 1)
        packed = aten._dyn_quant_pack_4bit_weight(weight, scales, None, 64, 64, 32)
        return aten._dyn_quant_matmul_4bit(x, packed, 64, 64, 32)

    report = count_flops(Apply(product), (torch.ones(4, 64),), engine=engine)
    # one block of 64: one scaling per output; 7 per activation
    assert (report.macs, report.other_flops, report.uncosted) == (4 * 64 * 32, 4 * 32 + 7 * 4 * 64, ())


def test_experts_in_float8():
    def product(x):
        x, weight = x.to(torch.float8_e4m3fn), torch.ones(2, 32, 64).to(torch.float8_e4m3fn).transpose(1, 2)
        scales, ends = (torch.ones(16), torch.ones(2, 32)), torch.tensor([8, 16], dtype=torch.int32)
        return aten._scaled_grouped_mm(x, weight, *scales, offs=ends, out_dtype=torch.bfloat16)

    report = count_flops(Apply(product), (torch.ones(16, 64),))
    assert (report.macs, report.other_flops) == (16 * 64 * 32, 16 * 32)
