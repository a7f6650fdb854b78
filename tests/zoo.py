"""The networks of the zoo as parameters of a test that goes over them."""

from collections.abc import Collection, Iterable
from contextlib import contextmanager

import pytest
import torch
from torch.nn import init

from flopcount.models import CARDS
from flopcount.models.cards import ARCHITECTURES

# One of each kind that are built and counted in no time; with the others such a test takes minutes.
QUICK = {
    *("late_fusion_pool", "toy_late_fusion", "toy_early_fusion", "toy_3d_cnn", "c3d", "two_stream", "cnn_lstm"),
    *("x3d_xs", "vit_b_8f", "cnn_attention", "tsm_r50", "alexnet"),
}

# Deeper, wider or less divided than another network here, or made of its blocks and few others.
SIBLINGS = {
    *("c2d_r50", "i3d_r50", "c2d_nl_r50", "slow_r50_8x8", "two_stream_i3d", "swin3d_s", "swin3d_b"),
    *("slowfast_r50_4x16", "slowfast_r101_8x8", "slowfast_r101_50_50_8x8", "slowfast_r101_50_50_16x8"),
    *("slowfast_r101_16x8_nl", "x3d_xs", "x3d_s", "x3d_l", "ip_csn_152", "mvit_b_16x4", "mc3_18"),
    *("c2d_r50_32x2", "i3d_r50_32x2", "i3d_nl_r50_32x2", "slow_nl_r50_8x8", "fast_only_r50", "slowfast_r101_r50_4x16"),
    *("tsm_nl_r50", "trn_r50", "tdn_en_r101", "tpn_tsm_r50"),
    *("slowfast_r50_4x16_ava", "slowfast_r50_8x8_ava", "slowfast_r101_8x8_nl_ava"),
    *("stgcnpp", "agcn", "posec3d_r50", "tada2d_r50", "tadaformer_b16"),
    *("movinet_a0_stream",),
    *("actionclip_b32", "st_adapter_b16_12x384", "evl_b16", "vidtr_s"),
    *("r2plus1d_r50", "vjepa_vit_l16", "mtv_b", "memvit_16_16x4"),
    *("vjepa2_vit_l", "aim_b16", "xclip_b32", "uniformerv2_b16_ssv2", "uniformer_xxs", "s3d_g", "tpn_slow_r50_8x8"),
}
UNLIKE = {name: card for name, card in ARCHITECTURES.items() if name not in SIBLINGS}


# What runs these for real beside other counters is an audit; SIZES are those whose code runs in another network.
ALIKE = set(CARDS) - set(UNLIKE)
SIZES = {name for name, card in CARDS.items() if card.size_of}


def every(names: Iterable[str], *, slow: Collection[str] = (), audits: Collection[str] = ()) -> list:
    """All of them; those that are not quick, or not in this test, are marked slow, or audits."""

    def marks(name: str) -> list:
        if name in audits:
            return [pytest.mark.audit]
        return [] if name in QUICK.difference(slow) else [pytest.mark.slow]

    return [pytest.param(name, marks=marks(name)) for name in names]


@contextmanager
def undrawn():
    """Networks built here have zeros for random weights, which are the same work and take a tenth of the time."""

    def zeros(tensor, *_, **__):
        with torch.no_grad():
            return tensor.zero_()

    with pytest.MonkeyPatch.context() as patch:
        for name in ("normal_", "uniform_"):
            patch.setattr(torch.Tensor, name, zeros)
        for name in ("_no_grad_normal_", "_no_grad_uniform_", "_no_grad_trunc_normal_"):
            patch.setattr(init, name, zeros)
        yield
