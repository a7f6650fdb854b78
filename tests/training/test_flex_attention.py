"""A training step with flex attention, which torch differentiates on CUDA alone: four products, on every engine."""

import pytest
import torch
from states import global_state, module_state
from torch import nn

from flopcount import ForwardError, TraceError, count_flops

flex = pytest.importorskip("torch.nn.attention.flex_attention")
pytestmark = [
    pytest.mark.filterwarnings("ignore:flex_attention called without:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning"),
]

B, N, HEADS, D = 2, 16, 4, 8
QKV, OUT = B * N * 8 * 3 * HEADS * D, B * N * HEADS * D * 8
PRODUCT = B * HEADS * N * N * D


class Attention(nn.Module):
    def __init__(self, attend):
        super().__init__()
        self.qkv, self.out = nn.Linear(8, 3 * HEADS * D, bias=False), nn.Linear(HEADS * D, 8, bias=False)
        self.slope = nn.Parameter(torch.zeros(HEADS))
        self.attend = attend

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, HEADS, D)).permute(2, 0, 3, 1, 4)
        return self.out(self.attend(self, q, k, v).transpose(1, 2).flatten(2))


def causal(net, q, k, v):
    mask = flex.create_block_mask(lambda b, h, i, j: i >= j, None, None, N, N, device="cpu")
    return flex.flex_attention(q, k, v, block_mask=mask)


KINDS = {
    "plain": lambda net, q, k, v: flex.flex_attention(q, k, v),
    "causal": causal,
    "distance": lambda net, q, k, v: flex.flex_attention(q, k, v, score_mod=lambda s, b, h, i, j: s + (i - j)),
    "slope": lambda net, q, k, v: flex.flex_attention(q, k, v, score_mod=lambda s, b, h, i, j: s + net.slope[h]),
    "grouped": lambda net, q, k, v: flex.flex_attention(q, k[:, :2], v[:, :2], enable_gqa=True),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("engine", ["auto", "fake", "real"])
def test_its_backward_is_four_products(kind, engine):
    module = Attention(KINDS[kind])
    before = module_state(module), global_state(), flex._validate_device, flex.flex_attention_hop
    report = count_flops(module, (B, N, 8), mode="train", engine=engine, strict=True)
    training = report.training
    assert training.forward.macs == training.traced_forward_macs == QKV + OUT + 2 * PRODUCT
    assert training.backward.macs == QKV + 2 * OUT + 4 * PRODUCT  # the data gets no gradient
    assert training.untrained == (() if kind == "slope" else ("slope",))
    assert training.total.macs == sum(op.costed.work.macs for op in training.ops)
    assert (module_state(module), global_state(), flex._validate_device, flex.flex_attention_hop) == before


@pytest.mark.parametrize("mode", ["forward", "train"])
def test_what_torch_refuses_on_meta_is_no_error_of_the_module(mode):
    with pytest.raises(TraceError, match="FlexAttention is only supported") as raised:
        count_flops(Attention(KINDS["plain"]), (B, N, 8), mode=mode, engine="meta")
    assert not isinstance(raised.value, ForwardError)


def test_a_learned_bias_is_added_up():
    """The gradients of the scores of a head are summed first, then one is added to the slope of each head."""
    training = count_flops(Attention(KINDS["slope"]), (B, N, 8), mode="train").training
    (op,) = (op.costed for op in training.ops if op.costed.name == "flex_lib.zeros_and_scatter")
    assert op.work.other_flops == HEADS


def test_a_frozen_one_costs_its_forward():
    training = count_flops(Attention(KINDS["causal"]), (B, N, 8), mode="train", freeze=["qkv", "slope"]).training
    assert training.backward.macs == OUT
