"""Laws that hold for every module: additive, linear in the batch, integers, and free views. (Engines, modes and side
effects have their own files.)
"""

import gc
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from flopcount import ForwardError, TensorSpec, count_flops
from flopcount.core.ops import Kind, tensors_in

sizes = st.integers(1, 4)


@st.composite
def networks(draw):
    """A random small network over (B, 4, T, H, W) and the sizes it takes."""
    channels = 4
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["conv", "grouped", "norm", "relu", "pool", "residual", "gelu", "dropout"]))
        if kind in ("conv", "grouped"):
            out = 4 * draw(sizes)
            groups = 4 if kind == "grouped" else 1
            layers.append(nn.Conv3d(channels, out, draw(st.sampled_from([1, 3])), padding=1, groups=groups))
            channels = out
        elif kind == "norm":
            layers.append(draw(st.sampled_from([nn.BatchNorm3d, nn.InstanceNorm3d]))(channels))
        elif kind == "residual":
            layers.append(Residual(nn.Conv3d(channels, channels, 3, padding=1)))
        else:
            layers.append(
                {"relu": nn.ReLU(), "pool": nn.MaxPool3d(2, 1), "gelu": nn.GELU(), "dropout": nn.Dropout()}[kind]
            )
    head = [nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(channels, draw(sizes))]
    return nn.Sequential(*layers, *head), (4, *(draw(st.integers(6, 9)) for _ in range(3)))


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


@given(networks(), st.integers(2, 5))
@settings(max_examples=25)
def test_linear_in_the_batch(network, batch):
    module, shape = network
    one, many = (count_flops(module, (n, *shape)) for n in (1, batch))
    assert many.macs == batch * one.macs
    assert many.other_flops == batch * one.other_flops
    assert many.per_sample == one.per_sample
    assert many.params == one.params


@given(networks())
@settings(max_examples=25)
def test_additive_and_exact(network):
    module, shape = network
    report = count_flops(module, (2, *shape))
    parts = [count_flops(module[:i], (2, *shape)) for i in range(len(module) + 1)]
    steps = [later.macs - earlier.macs for earlier, later in itertools.pairwise(parts)]
    assert steps == [report.module(str(i)).cost.macs for i in range(len(module))]
    assert sum(row.own.macs for row in report.modules) == sum(row.cost.macs for row in report.operators) == report.macs
    for costed in report.ops:
        assert all(type(n) is int for n in (costed.work.macs, costed.work.other_flops, costed.work.bytes_read))
        if costed.kind is Kind.VIEW:
            assert (costed.work.bytes_read, costed.work.bytes_written) == (0, 0)
    assert report.uncosted == ()


@given(networks())
@settings(max_examples=15)
def test_shapes_written_down_are_the_shapes_computed(network):
    module, shape = network
    module.eval()
    real = []
    for part in module:
        part.register_forward_hook(lambda module, args, result: real.append(tuple(result.shape)))
    with torch.no_grad():
        module(torch.zeros(2, *shape))
    for part in module:
        part._forward_hooks.clear()
    report = count_flops(module, (2, *shape))
    assert [report.module(str(i)).output_shapes for i in range(len(module))] == [(s,) for s in real]


@given(st.sampled_from([1, 2, 4, 8]), st.integers(1, 3), st.integers(3, 8))
@settings(max_examples=20)
def test_groups_divide_the_macs(groups, kernel, size):
    full = count_flops(nn.Conv2d(8, 16, kernel), (1, 8, size, size))
    grouped = count_flops(nn.Conv2d(8, 16, kernel, groups=groups), (1, 8, size, size))
    assert grouped.macs * groups == full.macs
    assert grouped.other_flops == full.other_flops  # one bias per output


def test_causal_is_at_most_full():
    class Attention(nn.Module):
        def __init__(self, causal):
            super().__init__()
            self.causal = causal

        def forward(self, q, k, v):
            return F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)

    given = (TensorSpec((2, 3, 7, 8)),) * 3
    assert 0 < count_flops(Attention(True), given).macs <= count_flops(Attention(False), given).macs


def test_views_are_free():
    class Views(nn.Module):
        def forward(self, x):
            x = x.transpose(1, 2).unsqueeze(0).expand(2, -1, -1, -1)[:, :1].permute(3, 0, 1, 2)
            return x.flatten(2).reshape(6, -1, 1).squeeze(-1).chunk(2)[0].T.reshape(-1, 3, 1).narrow(0, 0, 1)

    report = count_flops(Views(), (4, 5, 6))
    copies = [costed for costed in report.ops if costed.kind is not Kind.VIEW]
    assert report.total_flops == 0
    assert all(costed.name in ("aten.reshape", "aten.flatten") for costed in copies)  # these must copy
    assert report.bytes_written == sum(s.nbytes for c in copies for s in tensors_in(c.op.signature.outputs))


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_collection_is_as_it_was(enabled):
    seen = []

    class Looks(nn.Module):
        def forward(self, x):
            seen.append(gc.isenabled())
            if x.shape[0] == 3:
                raise ValueError("three")
            return x

    try:
        (gc.enable if enabled else gc.disable)()
        for engine in ("fake", "real"):  # its tensors may be large
            count_flops(Looks(), (2, 2), engine=engine)
        assert seen == [enabled, enabled]
        seen.clear()
        count_flops(Looks(), (2, 2))
        assert gc.isenabled() is enabled
        with pytest.raises(ForwardError):
            count_flops(Looks(), (3, 2), engine="meta")
        assert gc.isenabled() is enabled
    finally:
        gc.enable()
    assert seen == [False, False]
