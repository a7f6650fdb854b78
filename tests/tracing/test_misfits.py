"""What torch's kernels refuse is refused on every engine, also where torch's meta kernels take it."""

import pytest
import torch
from modules import Apply
from torch import nn
from torch.nn import functional as F

from flopcount import ForwardError, TraceError, count_flops

ENGINES = ["meta", "fake", "real"]
HALF, BF16, DOUBLE = torch.float16, torch.bfloat16, torch.float64


def of(other, *shape):
    return torch.ones(shape, dtype=other)


CHANNELS = {
    "1d": (nn.ConvTranspose1d(4, 8, 3), (1, 5, 8)),
    "2d": (nn.ConvTranspose2d(4, 8, 3), (1, 5, 8, 8)),
    "3d": (nn.ConvTranspose3d(4, 8, 3), (1, 5, 8, 8, 8)),
    "groups": (nn.ConvTranspose2d(4, 8, 3, groups=2), (1, 6, 8, 8)),
    "without batch": (nn.ConvTranspose2d(4, 8, 3), (5, 8, 8)),
    "convolution": (Apply(lambda x: F.conv_transpose1d(x, torch.ones(4, 8, 3), stride=2)), (1, 5, 8)),
}
LAYERS = {
    "linear": (lambda: nn.Linear(4, 8), (2, 4)),
    "linear without bias": (lambda: nn.Linear(4, 8, bias=False), (2, 3, 4)),
    "conv1d": (lambda: nn.Conv1d(4, 8, 1), (2, 4, 3)),
    "conv3d": (lambda: nn.Conv3d(4, 8, 1), (2, 4, 3, 3, 3)),
    "conv_transpose2d": (lambda: nn.ConvTranspose2d(4, 8, 1), (2, 4, 3, 3)),
    "layer_norm": (lambda: nn.LayerNorm(4), (2, 4)),
    "batch_norm": (lambda: nn.BatchNorm2d(4), (2, 4, 3, 3)),
    "batch_norm in eval": (lambda: nn.BatchNorm2d(4).eval(), (2, 4, 3, 3)),
    "group_norm": (lambda: nn.GroupNorm(2, 4), (2, 4, 3, 3)),
    "instance_norm": (lambda: nn.InstanceNorm2d(4, affine=True), (2, 4, 3, 3)),
    "lstm": (lambda: nn.LSTM(4, 4), (2, 3, 4)),
    "gru_cell": (lambda: nn.GRUCell(4, 4), (2, 4)),
    "lstm_cell": (lambda: nn.LSTMCell(4, 4), (2, 4)),
    "rnn_cell": (lambda: nn.RNNCell(4, 4), (2, 4)),
    "bilinear": (lambda: Apply(lambda x, layer: layer(x, x), nn.Bilinear(4, 4, 2)), (2, 4)),
}
PRODUCTS = {
    "matmul": (lambda x, d: x @ of(d, 4, 5), (2, 4)),
    "by a vector": (lambda x, d: x @ of(d, 4), (2, 4)),
    "dot": (lambda x, d: x @ of(d, 4), (4,)),
    "batches": (lambda x, d: x @ of(d, 3, 4, 5), (3, 2, 4)),
    "bmm": (lambda x, d: torch.bmm(x, of(d, 2, 4, 5)), (2, 3, 4)),
    "mm": (lambda x, d: torch.mm(x, of(d, 4, 5)), (2, 4)),
    "addmm": (lambda x, d: torch.addmm(of(d, 5), x, torch.ones(4, 5)), (2, 4)),
    "baddbmm": (lambda x, d: torch.baddbmm(torch.ones(2, 3, 5), x, of(d, 2, 4, 5)), (2, 3, 4)),
    "addmv": (lambda x, d: torch.addmv(torch.ones(2), x, of(d, 4)), (2, 4)),
    "bias": (lambda x, d: F.linear(x, torch.ones(5, 4), of(d, 5)), (2, 4)),
    "bias of a convolution": (lambda x, d: F.conv1d(x, torch.ones(5, 4, 1), of(d, 5)), (2, 4, 3)),
    "weight of whole numbers": (lambda x, _: F.linear(x, of(torch.int64, 5, 4)), (2, 4)),
    "grid": (lambda x, d: F.grid_sample(x, of(d, 1, 3, 3, 2), align_corners=False), (1, 2, 4, 4)),
    "outer": (lambda x, d: torch.outer(x, of(d, 4)), (4,)),
}


def is_refused(module, x, engine):
    try:
        count_flops(module, (x,), engine=engine)
    except (ForwardError, TraceError):  # one engine alone may not know whose error it is
        return True
    return False


def raises(module, x):
    try:
        module(x)
    except (RuntimeError, ValueError):
        return True
    return False


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CHANNELS)
def test_other_channels(name, engine):
    module, shape = CHANNELS[name]
    x = torch.ones(shape)
    assert raises(module, x)
    assert is_refused(module, x, engine)
    mended = x.narrow(0 if name == "without batch" else 1, 0, 4)
    assert not raises(module, mended)
    assert not is_refused(module, mended, engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_takes_and_refuses_dtypes_as_torch_does(name, engine):
    build, shape = LAYERS[name]
    single = torch.float32
    for given, weights in ((single, HALF), (BF16, single), (HALF, DOUBLE), (single, single)):
        module, x = build().to(weights), of(given, *shape)
        assert is_refused(module, x, engine) == raises(module, x), (given, weights)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_takes_and_refuses_dtypes_as_torch_does(name, engine):
    function, shape = PRODUCTS[name]
    for other in (HALF, DOUBLE, torch.float32):
        module, x = Apply(lambda x, other=other: function(x, other)), torch.ones(shape)
        assert is_refused(module, x, engine) == raises(module, x), other


@pytest.mark.parametrize("engine", ENGINES)
def test_a_training_step_refuses_them_too(engine):
    with pytest.raises(ForwardError):
        count_flops(nn.Linear(4, 8).half(), (torch.ones(2, 4),), mode="train", engine=engine)
    with pytest.raises(ForwardError):
        count_flops(nn.ConvTranspose1d(4, 8, 3), (1, 5, 8), mode="train", engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_autocast_casts(engine):
    def mixed(x, layer):
        with torch.autocast("cpu", dtype=BF16):
            return layer(x)

    x = torch.ones(2, 4, dtype=BF16)
    assert count_flops(Apply(mixed, nn.Linear(4, 8)), (x,), engine=engine).macs == 2 * 4 * 8
