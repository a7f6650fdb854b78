"""Every cause has the smallest module that shows it, and its amount written out."""

import logging
from dataclasses import dataclass, replace

import pytest
import torch
from modules import TORCH, Apply
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from flopcount import InputError, Work, check, create_model
from flopcount.core.model_spec import ModelSpec
from flopcount.crosscheck import check_model
from flopcount.rules import registry


def causes(result, tool):
    assert result.agrees, str(result.table())
    of_tool = [cause for row in result.rows for cause in row.causes if cause.tool == tool]
    return {(cause.op, str(cause.why)): cause.amount for cause in of_tool}


def test_c3d_is_equal_layer_by_layer():
    model = create_model("c3d", clip="16x16x16", num_classes=7).eval()
    result = check(model, (2, 3, 16, 16, 16))
    assert result.agrees
    layers = [name for name, part in model.named_modules() if isinstance(part, (nn.Conv3d, nn.Linear))]
    assert [row.path for row in result.rows] == layers
    for row in result.rows:
        assert row.macs == row.counts["fvcore"] == row.counts["torch"] > 0
        assert row.causes == ()
    assert sum(row.macs for row in result.rows) == result.report.macs


@pytest.mark.parametrize(
    ("layer", "shape", "macs"),
    [
        (nn.Conv1d(4, 6, 3, groups=2), (2, 4, 9), 2 * 6 * 7 * 2 * 3),
        (nn.Conv2d(4, 6, 3, stride=2, padding=1, dilation=2), (2, 4, 9, 9), 2 * 6 * 4 * 4 * 4 * 9),
        (nn.Conv3d(3, 4, (1, 3, 3)), (1, 3, 4, 5, 5), 4 * 4 * 3 * 3 * 3 * 9),
        (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), (2, 4, 5, 5), 2 * 4 * 25 * 3 * 9),
        (nn.ConvTranspose3d(2, 3, 2), (1, 2, 3, 3, 3), 2 * 27 * 3 * 8),
        (nn.Linear(5, 7), (2, 3, 5), 2 * 3 * 5 * 7),
        (nn.LSTMCell(4, 5), (3, 4), 3 * (4 * 20 + 5 * 20)),
        (nn.GRUCell(4, 5), (3, 4), 3 * (4 * 15 + 5 * 15)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_contractions_are_equal_in_all_three(layer, shape, macs):
    result = check(nn.Sequential(layer), shape)
    assert [(row.path, row.macs, row.counts) for row in result.rows] == [("0", macs, {"fvcore": macs, "torch": macs})]
    assert result.agrees


@pytest.mark.parametrize(
    ("layer", "shape", "op", "per_element"),
    [
        (nn.BatchNorm3d(4).eval(), (2, 4, 3, 5, 5), "aten.batch_norm", 2),
        (nn.BatchNorm3d(4, affine=False).eval(), (2, 4, 3, 5, 5), "aten.batch_norm", 1),
        (nn.BatchNorm2d(4).train(), (2, 4, 5, 5), "aten.batch_norm", 5),
        (nn.BatchNorm2d(4, affine=False).train(), (2, 4, 5, 5), "aten.batch_norm", 4),
        (nn.LayerNorm(5), (2, 4, 5), "aten.layer_norm", 5),
        (nn.LayerNorm(5, elementwise_affine=False), (2, 4, 5), "aten.layer_norm", 4),
        (nn.GroupNorm(2, 4), (2, 4, 5), "aten.group_norm", 5),
        (nn.InstanceNorm2d(4), (2, 4, 5, 5), "aten.instance_norm", 4),
    ],
    ids=str,
)
def test_fvcore_adds_to_norms(layer, shape, op, per_element):
    module = nn.Sequential(layer)
    module.training = layer.training
    result = check(module, shape)
    elements = torch.Size(shape).numel()
    assert causes(result, "fvcore") == {(op, f"adds {per_element} per element"): per_element * elements}
    assert causes(result, "torch") == {}


def test_fvcore_adds_to_some_pooling_and_resizing():
    shape = (2, 3, 4, 4)
    pooled = check(nn.Sequential(nn.AdaptiveAvgPool2d(1)), shape)
    assert causes(pooled, "fvcore") == {("aten.adaptive_avg_pool2d", "adds 1 per input element"): 96}
    assert causes(check(nn.Sequential(nn.AdaptiveAvgPool3d(1)), (2, 3, 4, 4, 4)), "fvcore") == {}
    nearest = check(nn.Sequential(nn.Upsample(scale_factor=2)), shape)
    assert causes(nearest, "fvcore") == {("aten.upsample_nearest2d", "adds 1 per output element"): 384}
    bilinear = check(nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear")), shape)
    assert causes(bilinear, "fvcore") == {("aten.upsample_bilinear2d", "adds 4 per output element"): 4 * 384}


ATTENTION = 2 * 3 * 5 * 7 * (8 + 8)  # batch, heads, queries, keys, QKᵀ and PV


def test_attention_is_missing_in_fvcore_and_on_the_cpu_in_torch():
    module = Apply(F.scaled_dot_product_attention)
    result = check(module, ((2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 8)))
    name = "aten.scaled_dot_product_attention"
    assert causes(result, "fvcore") == {(name, "has no handle for aten::scaled_dot_product_attention"): -ATTENTION}
    kernel = "aten._scaled_dot_product_flash_attention_for_cpu"
    assert causes(result, "torch") == {(name, f"has no formula for {kernel}"): -ATTENTION}


def test_attention_by_the_mathematical_kernel_is_counted_by_torch():
    def attend(q, k, v):
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            return F.scaled_dot_product_attention(q, k, v)

    result = check(Apply(attend), ((2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 8)))
    assert causes(result, "torch") == {}


def test_multihead_attention_and_encoder_layers():
    attention = Apply(lambda x, part: part(x, x, x)[0], nn.MultiheadAttention(8, 2, batch_first=True))
    assert check(attention.eval(), (2, 5, 8)).agrees
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    result = check(layer, (2, 5, 8))
    scores = 2 * 2 * 5 * 5 * (4 + 4)
    norms = {("aten.layer_norm", "adds 5 per element"): 5 * 2 * 5 * 8}
    name = "aten.scaled_dot_product_attention"
    missing = {(name, "has no handle for aten::scaled_dot_product_attention"): -scores}
    assert causes(result, "fvcore") == norms | missing


def test_recurrence():
    rows = 6 * 2  # steps, samples
    lstm = check(Apply(lambda x, part: part(x)[0], nn.LSTM(4, 5)), (6, 2, 4))
    macs = rows * (4 * 20 + 5 * 20)
    assert causes(lstm, "fvcore") == {("aten.lstm", "has no handle for aten::lstm"): -macs}
    assert causes(lstm, "torch") in ({("aten.lstm", "has no formula for aten.mkldnn_rnn_layer"): -macs}, {})
    gru = check(Apply(lambda x, part: part(x)[0], nn.GRU(4, 5, bidirectional=True)), (6, 2, 4))
    assert causes(gru, "fvcore") == {("aten.gru", "has no handle for aten::gru"): -2 * rows * (4 * 15 + 5 * 15)}
    assert causes(gru, "torch") == {}


def test_other_products():
    same = check(nn.Sequential(nn.Conv2d(2, 3, 3, padding="same")), (1, 2, 5, 5))
    why = "has no handle for aten::_convolution_mode"
    assert causes(same, "fvcore") == {("aten.convolution", why): -3 * 25 * 2 * 9}
    assert causes(same, "torch") == {}

    batched = check(Apply(torch.baddbmm), ((2, 3, 5), (2, 3, 4), (2, 4, 5)))
    assert causes(batched, "fvcore") == {("aten.baddbmm", "has no handle for aten::baddbmm"): -2 * 3 * 4 * 5}
    assert causes(batched, "torch") == {}

    vector = check(Apply(torch.mv), ((3, 4), (4,)))
    assert causes(vector, "fvcore") == {("aten.matmul", "has no handle for aten::mv"): -12}
    assert causes(vector, "torch") == {("aten.matmul", "has no formula for aten.mv"): -12}

    bilinear = check(Apply(lambda x, y, part: part(x, y), nn.Bilinear(3, 4, 5)), ((2, 3), (2, 4)))
    macs = 2 * 5 * (3 * 4 + 4)
    assert causes(bilinear, "fvcore") == {("aten.bilinear", "has no handle for aten::bilinear"): -macs}
    assert causes(bilinear, "torch") == {("aten.bilinear", "has no formula for aten._trilinear"): -macs}

    broadcast = check(Apply(torch.matmul), ((3, 4), (2, 4, 5)))
    assert causes(broadcast, "fvcore") == {("aten.matmul", "does not broadcast the first operand"): -3 * 4 * 5}

    for equation, shapes in (
        ("bij,bjk->bik", ((2, 3, 4), (2, 4, 5))),
        ("bthd,bshd->bhts", ((2, 3, 4, 5), (2, 6, 4, 5))),
    ):
        assert check(Apply(lambda x, y, equation=equation: torch.einsum(equation, x, y)), shapes).agrees


def test_attention_is_explained_call_by_call():
    def attend(q, k, v):  # four axes: the kernel without a formula; three: the mathematical one, until torch 2.14
        return F.scaled_dot_product_attention(q, k, v).sum() + F.scaled_dot_product_attention(q[0], k[0], v[0]).sum()

    result = check(Apply(attend), ((2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 8)))
    assert result.report.macs == ATTENTION + ATTENTION // 2
    (cause,) = [cause for cause in result.rows[0].causes if cause.tool == "torch"]
    assert (cause.amount, cause.calls) == ((-ATTENTION, 1) if TORCH < (2, 14) else (-ATTENTION - ATTENTION // 2, 2))
    (cause,) = [cause for cause in result.rows[0].causes if cause.tool == "fvcore"]
    assert (cause.amount, cause.calls) == (-ATTENTION - ATTENTION // 2, 2)
    assert result.agrees


UNUSED = "has no node for it in its trace, which drops what no output uses"


def test_what_no_output_uses_is_missing_in_fvcore():
    def forget(x, first, second):
        first(x)
        return second(x)

    result = check(Apply(forget, nn.Linear(4, 5), nn.Linear(4, 6)), (2, 4))
    assert causes(result, "fvcore") == {("aten.linear", UNUSED): -2 * 4 * 5}
    assert [row.counts["fvcore"] for row in result.rows] == [0, 2 * 4 * 6]
    assert causes(result, "torch") == {}

    def forget_one_call(x, part):
        part(x)
        return part(x[:1])

    result = check(Apply(forget_one_call, nn.Linear(4, 5)), (2, 4))
    assert causes(result, "fvcore") == {("aten.linear", UNUSED): -2 * 4 * 5}

    forgotten_norm = check(Apply(lambda x, part: (part(x), x)[1], nn.BatchNorm1d(4).eval()), (2, 4))
    assert causes(forgotten_norm, "fvcore") == {}


class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        return x @ y

    @staticmethod
    def backward(ctx, gradient):
        raise NotImplementedError


def test_fvcore_does_not_see_into_autograd_functions():
    result = check(Apply(lambda x, y: Product.apply(x, y)), ((3, 4), (4, 5)))
    assert causes(result, "fvcore") == {("aten.matmul", "does not see into the autograd.Function Product"): -60}
    assert causes(result, "torch") == {}


@pytest.mark.parametrize(
    ("equation", "shapes", "macs", "by_fvcore", "order"),
    [
        ("bnhd,bmhd->bhnm", ((2, 100, 3, 41), (2, 101, 3, 41)), 2_484_600, 2_484_500, "by numpy"),  # 4.969e6 / 2
        ("i,j->ij", ((13,), (17,)), 0, 111, "by numpy"),  # 2.220e+02 / 2: one FLOP per element, and one more
        ("ij,jk,kl->il", ((13, 7), (7, 5), (5, 3)), 13 * 5 * (7 + 3), (5 + 13) * 7 * 3, "in numpy's order"),
        ("nct,ncp->ntp", ((2, 32, 97), (2, 32, 98)), 64 * 97 * 98, 64 * 97 * 98, ""),  # one of two it has exactly
    ],
)  # fmt: skip
def test_einsum_in_fvcore_is_an_estimate(equation, shapes, macs, by_fvcore, order):
    result = check(Apply(lambda *operands: torch.einsum(equation, *operands)), shapes)
    assert result.report.macs == macs
    why = f"halves FLOPs estimated {order} and printed with 4 digits"
    assert causes(result, "fvcore") == ({("aten.einsum", why): by_fvcore - macs} if order else {})
    assert causes(result, "torch") == {}


@pytest.mark.parametrize(
    ("function", "shapes", "kind", "macs"),
    [
        (lambda x, y: torch.tensordot(x, y, dims=1), ((3, 4, 5), (5, 6)), "tensordot", 3 * 4 * 5 * 6),
        (torch.inner, ((3, 5), (4, 5)), "inner", 3 * 4 * 5),
        (lambda *xs: torch.linalg.multi_dot(xs), ((3, 5), (5, 6), (6, 2)), "linalg_multi_dot", 5 * 6 * 2 + 3 * 5 * 2),
        (lambda x: torch.linalg.matrix_power(x, 3), ((4, 4),), "linalg_matrix_power", 2 * 64),
    ],
    ids=["tensordot", "inner", "multi_dot", "matrix_power"],
)
def test_composites_are_one_operator_in_fvcore(function, shapes, kind, macs):
    result = check(Apply(function), shapes)
    assert causes(result, "fvcore") == {(f"aten.{kind}", f"has no handle for aten::{kind}"): -macs}
    assert causes(result, "torch") == {}


def test_complex_products():
    def numbers(*shape):
        return torch.ones(shape, dtype=torch.complex64)

    linear = check(nn.Sequential(nn.Linear(3, 4, dtype=torch.complex64)), numbers(2, 3))
    convolution = check(nn.Sequential(nn.Conv2d(3, 4, 3, dtype=torch.complex64)), numbers(1, 3, 6, 6))
    for tool in ("fvcore", "torch"):
        assert causes(linear, tool) == {("aten.linear", "counts a complex product as a real one"): -3 * 24}
        why = "sees a complex convolution as three real ones"
        assert causes(convolution, tool) == {("aten.convolution", why): -(4 * 16 * 27)}


@pytest.mark.parametrize(
    ("function", "shapes", "op", "why", "macs"),
    [
        (torch.matmul, ((3, 4), (4,)), "aten.matmul", "raises on a vector (its handle looks for a second axis)", 12),
        (torch.matmul, ((7, 3, 4), (4,)), "aten.matmul", "raises on a vector (its handle looks for a second axis)", 84),
        (torch.matmul, ((4,), (4,)), "aten.matmul", "raises on a vector (its handle looks for a second axis)", 4),
        (lambda x, y: torch.matmul(x, y, out=torch.empty(3, 5)), ((3, 4), (4, 5)), "aten.matmul",
         "raises on out= (its handle asserts two operands)", 60),
        (lambda x: F.layer_norm(x, (4,)), ((2, 2, 2, 2, 2, 4),), "aten.layer_norm",
         "raises on 6 axes (its handle asserts 2 to 5)", 0),
    ],
    ids=["matrix-vector", "batch-vector", "dot", "out", "norm"],
)  # fmt: skip
def test_where_fvcore_is_known_to_raise_the_rest_is_counted(function, shapes, op, why, macs):
    def beside(*args):
        *tensors, part = args
        return function(*tensors), part(tensors[0].new_zeros(2, 3))

    result = check(Apply(beside, nn.Linear(3, 4)), shapes)
    assert causes(result, "fvcore") == {(op, f"{why}, taken as 0"): -macs}
    assert sum(row.counts["fvcore"] for row in result.rows) == 24
    assert f"fvcore {why}" in " ".join(result.table().notes)


class Untraceable(nn.Linear):
    def forward(self, x):
        if torch.jit.is_tracing():
            raise NotImplementedError("not for tracing\nreally")
        return super().forward(x)


def test_a_tool_that_fails_is_named_and_nothing_passes_silently():
    result = check(nn.Sequential(Untraceable(3, 4)), (2, 3))
    assert not result.agrees
    text = str(result.table())
    assert "fvcore failed: NotImplementedError: not for tracing\n" in text
    assert "agreement" not in text
    assert result.table().rows == (("0", 24, "failed", 24, "equal, but fvcore failed"),)
    assert result.table().total == ("total", 24, "failed", 24, "")


def test_a_module_that_fails_on_real_tensors_fails_under_both():
    def only_without_values(x, part):
        result = part(x)
        if not x.is_meta:
            raise ValueError("values")
        return result

    result = check(Apply(only_without_values, nn.Linear(3, 4)), (2, 3))
    assert [peer.failure for peer in result.peers] == ["ValueError: values"] * 2
    assert not result.agrees
    assert result.rows[0].counts == {}


WRONG = {
    "aten.linear": (25, nn.Linear(3, 4), (2, 3), 1),
    "aten.matmul": (121, Apply(torch.matmul), ((3, 4), (2, 4, 5)), 1),
    "aten.lstm_cell": (2 * 12 * 7 + 1, nn.LSTMCell(4, 3), (2, 4), 1),
    "aten.conv2d": (54 * 9 + 1, nn.Conv2d(1, 6, 3), (1, 1, 5, 5), 1),
    "aten.batch_norm": (7, nn.BatchNorm1d(4).eval(), (2, 4), 7),
    "aten.relu": (7, nn.ReLU(), (2, 4), 7),
}


@pytest.mark.parametrize("op", WRONG)
def test_a_wrong_rule_is_unexplained(monkeypatch, op):
    macs, module, shape, surplus = WRONG[op]
    true = registry._RULES[op]

    monkeypatch.setitem(registry._RULES, op, replace(true, formula=lambda signature: Work(macs=macs)))
    result = check(nn.Sequential(module) if not isinstance(module, Apply) else module, shape)
    assert not result.agrees
    (row,) = result.rows
    assert (row.unexplained("fvcore"), row.unexplained("torch")) == (-surplus, -surplus)
    place = "0" if not isinstance(module, Apply) else "the model itself"
    assert f"unexplained: fvcore −{surplus} MACs in {place}" in result.table().notes
    assert result.table().rows[0][-1] == "unexplained: fvcore, torch"


@torch.library.custom_op("flopcount_check::triple", mutates_args=())
def triple(x: torch.Tensor) -> torch.Tensor:
    return 3 * x


@triple.register_fake
def _(x):
    return torch.empty_like(x)


def test_odd_flops_of_torch_are_halves_of_a_mac(monkeypatch):
    packet = torch.ops.flopcount_check.triple
    unknown = check(Apply(packet), (2, 3))
    assert "UNCOSTED flopcount_check.triple: 1 call; flopcount has no rule for it" in unknown.table().notes
    monkeypatch.setitem(flop_registry, packet, lambda x, **kwargs: 7)
    result = check(Apply(packet), (2, 3))
    assert result.report.macs == 3
    assert causes(result, "torch") == {}
    name = "flopcount_check.triple"
    assert causes(result, "fvcore") == {(name, "has no handle for flopcount_check::triple"): -3}
    assert "torch counts an odd number of FLOPs in 1 call, half a MAC left out each" in result.table().notes


def test_counts_are_those_of_the_tools_as_anyone_runs_them():
    from fvcore.nn import FlopCountAnalysis

    model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    x = torch.randn(2, 5, 8)
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(x)
        analysis = FlopCountAnalysis(model, x).tracer_warnings("none").unsupported_ops_warnings(False)
        by_fvcore = analysis.uncalled_modules_warnings(False).total()
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    result = check(model, x)
    assert result.agrees
    assert sum(row.counts["torch"] for row in result.rows) * 2 == counter.get_total_flops()
    assert sum(row.counts["fvcore"] for row in result.rows) == by_fvcore


@dataclass
class Output:
    logits: torch.Tensor
    rest: dict


def test_results_of_any_form_reach_fvcore():
    def give(x, part):
        return Output(part(x), {"more": [part(x[:1]), None]})

    result = check(Apply(give, nn.Linear(4, 5)), (2, 4))
    assert causes(result, "fvcore") == {}
    assert result.rows[0].counts == {"fvcore": 60, "torch": 60}


def test_frozen_parts_of_a_training_model_stay_frozen():
    model = nn.Sequential(nn.BatchNorm1d(4), nn.BatchNorm1d(4)).train()
    model[1].eval()
    result = check(model, (2, 4))
    assert [row.counts["fvcore"] for row in result.rows] == [5 * 8, 2 * 8]
    assert result.agrees
    assert [part.training for part in model.modules()] == [True, True, False]


def test_computed_weights():
    weighted = nn.utils.parametrizations.weight_norm(nn.Linear(4, 5))  # a parameter is an argument of a module there
    result = check(nn.Sequential(weighted).eval(), (2, 4))
    assert result.agrees, str(result.table())
    assert result.rows[0].counts == {"fvcore": 40, "torch": 40}
    assert all(parameter.requires_grad for parameter in weighted.parameters())


def test_shared_modules_and_keyword_inputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(4, 4)
            self.again = self.first

        def forward(self, x, *, y):
            return {"sum": self.again(self.first(x)) + self.first(y)}

    result = check(Two(), {"x": (2, 4), "y": (3, 1, 4)})
    (row,) = result.rows
    assert (row.path, row.macs) == ("first", (2 + 2 + 3) * 16)
    assert result.agrees


def test_nothing_is_left_behind():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout())
    state = {name: value.clone() for name, value in model.state_dict().items()}
    weights = [parameter.data_ptr() for parameter in model.parameters()]
    random, disabled = torch.get_rng_state(), logging.getLogger("fvcore.nn.jit_analysis").disabled
    check(model, (2, 3, 8, 8))
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert logging.getLogger("fvcore.nn.jit_analysis").disabled == disabled
    assert all(part.training for part in model.modules())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())
    assert torch.backends.mha.get_fastpath_enabled()
    assert [parameter.data_ptr() for parameter in model.parameters()] == weights
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_bad_devices_and_missing_weights():
    with pytest.raises(InputError, match="no device named 'gpu'\n  fix     choose cpu or cuda"):
        check_model(ModelSpec("c3d"), device="gpu")
    with torch.device("meta"):
        empty = nn.Linear(2, 2)
    with pytest.raises(InputError, match="this one has no weights"):
        check(empty, (1, 2))
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="torch sees no CUDA device"):
            check_model(ModelSpec("c3d"), device="cuda")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda():
    assert check_model(ModelSpec("c3d"), device="cuda").agrees
