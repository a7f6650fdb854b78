"""Every cause has the smallest module that shows it, and its amount written out."""

import logging

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from flopcount import InputError, Work, check, create_model
from flopcount.crosscheck import check_model
from flopcount.rules import registry


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function, *parts):
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(parts)

    def forward(self, *args):
        return self.function(*args, *self.parts)


def causes(result, tool):
    assert result.agrees, str(result.table())
    return {(cause.op, cause.why): cause.amount for row in result.rows for cause in row.causes if cause.tool == tool}


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


def test_a_tool_that_fails_is_named_and_nothing_passes_silently():
    result = check(Apply(torch.matmul), ((3, 4), (4,)))  # fvcore's handle looks for a second axis
    assert not result.agrees
    assert "fvcore failed: " in str(result.table())
    assert all(row.unexplained("torch") == 0 for row in result.rows)


def test_what_no_cause_explains_is_unexplained(monkeypatch):
    true = registry._RULES["aten.linear"]

    def generous(input, weight, bias=None, *, out):
        return Work(macs=true.function(input, weight, bias, out=out).macs + 1)

    from dataclasses import replace

    monkeypatch.setitem(registry._RULES, "aten.linear", replace(true, function=generous))
    result = check(nn.Sequential(nn.Linear(3, 4)), (2, 3))
    assert not result.agrees
    (row,) = result.rows
    assert (row.unexplained("fvcore"), row.unexplained("torch")) == (-1, -1)
    assert "unexplained: fvcore −1 MACs in 0" in str(result.table())


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
    random, disabled = torch.get_rng_state(), logging.getLogger("fvcore.nn.jit_analysis").disabled
    check(model, (2, 3, 8, 8))
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert logging.getLogger("fvcore.nn.jit_analysis").disabled == disabled
    assert all(part.training for part in model.modules())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())
    assert torch.backends.mha.get_fastpath_enabled()


def test_bad_devices_and_missing_weights():
    with pytest.raises(InputError, match="no device named 'gpu'\n  fix     choose cpu or cuda"):
        check_model("c3d", device="gpu")
    with torch.device("meta"):
        empty = nn.Linear(2, 2)
    with pytest.raises(InputError, match="this one has no weights"):
        check(empty, (1, 2))
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="torch sees no CUDA device"):
            check_model("c3d", device="cuda")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda():
    assert check_model("c3d", clip=None, device="cuda").agrees
