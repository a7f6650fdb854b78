"""The casts of weights that autocast keeps in a forward pass, against what torch's CPU allocator hands out."""

from functools import partial

import pytest
import torch
from allocator import recorded
from modules import Apply
from torch import nn

from flopcount import count_flops

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*Profiler clears events:UserWarning"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning"),
    pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="needs torch's oneDNN kernels"),
]
needs_half = pytest.mark.skipif(not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="needs bfloat16 in oneDNN")
ENGINES = ["meta", "fake", "real"]
WIDTH, ROWS, DEPTH = 512, 32, 6
CAST, ROW = WIDTH * WIDTH * 2, ROWS * WIDTH * 2  # bytes in bfloat16 of a weight, and of what is between two layers
half = partial(torch.autocast, "cpu", dtype=torch.bfloat16)


def stack(depth=DEPTH):
    return nn.Sequential(*(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(depth)))


def in_half(x, net, **options):
    with half(**options):
        return net(x)


def in_regions(x, net):
    for layer in net:
        x = in_half(x, layer)
    return x


def nested(x, net, **options):
    with half():
        for layer in net:
            x = in_half(x, layer, **options)
        return x


def by_hand(x, net):
    """Casts that the module asks for, which autocast does not keep."""
    with half():
        x = x.bfloat16()
        for layer in net:
            x = x @ layer.weight.to(x.dtype)
        return x


def apart(x, net):
    """The same in a part where autocast is off."""
    with half(), half(enabled=False):
        x = x.bfloat16()
        for layer in net:
            x = x @ layer.weight.bfloat16()
        return x


def again(x, net):
    """The input of the last two layers lives on until there is their output."""
    with half():
        for _ in range(3):
            x = net(x)
        return x


ALL, ONE = DEPTH * CAST + 2 * ROW, CAST + 2 * ROW
HAND = {
    "one region": (in_half, stack, ALL),
    "no cache": (partial(in_half, cache_enabled=False), stack, ONE),
    "a region per layer": (in_regions, stack, ONE),
    "regions in a region": (nested, stack, ALL),
    "regions without a cache in a region": (partial(nested, cache_enabled=False), stack, ONE),
    "frozen": (in_half, lambda: stack().requires_grad_(False), ONE),
    "casts of its own": (by_hand, stack, ONE),
    "casts of its own where autocast is off": (apart, stack, ONE),
    "the same layers again": (again, lambda: stack(2), 2 * CAST + 3 * ROW),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", HAND)
def test_casts_live_until_the_region_ends(name, engine):
    function, make, expected = HAND[name]
    found = count_flops(Apply(function, make()), (ROWS, WIDTH), engine=engine).memory.peak
    assert found.nbytes == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_the_region_of_the_caller(engine):
    with half():
        assert count_flops(stack(), (ROWS, WIDTH), engine=engine).memory.peak.nbytes == ALL
    # float32: the input of a layer and its output
    assert count_flops(stack(), (ROWS, WIDTH), engine=engine).memory.peak.nbytes == 2 * 2 * ROW


def test_tensors_cast_as_before_afterwards():
    before = {name: vars(torch.Tensor).get(name) for name in ("to", "type", "half", "bfloat16")}
    assert count_flops(Apply(in_half, stack()), (ROWS, WIDTH)).memory.inference
    assert {name: vars(torch.Tensor).get(name) for name in before} == before


def packed(x, net):
    return net(nn.utils.rnn.pack_padded_sequence(x, torch.tensor([30, 29, 20, 15, 11, 8, 3, 2]), batch_first=True))


REAL = {
    "linear layers": (stack, (ROWS, WIDTH)),
    "convolutions": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 64, 3), nn.BatchNorm2d(64), nn.Conv2d(64, 128, 3, 2), nn.Conv2d(128, 256, 3)
        ),
        (2, 3, 16, 16),
    ),
    "encoder layers by one kernel": (
        lambda: nn.Sequential(*(nn.TransformerEncoderLayer(256, 4, 1024, batch_first=True) for _ in range(6))),
        (2, 16, 256),
    ),
    "attention in parts": (
        lambda: nn.Sequential(*(nn.TransformerEncoderLayer(256, 4, 512) for _ in range(3))),
        (2, 16, 256),
    ),
    "LSTM": (lambda: nn.LSTM(1024, 1024, 2), (2, 4, 1024)),
    "GRU": (lambda: nn.GRU(1024, 1024, 2), (2, 4, 1024)),
    "RNN": (lambda: nn.RNN(1024, 1024, 2), (2, 4, 1024)),
    "LSTM with projections": (lambda: nn.LSTM(512, 1024, 2, proj_size=512), (2, 4, 512)),
    "packed LSTM in both directions": (
        lambda: Apply(packed, nn.LSTM(64, 256, 2, batch_first=True, bidirectional=True)),
        (8, 30, 64),
    ),
}


@needs_half
@pytest.mark.parametrize("name", REAL)
def test_inference_takes_what_the_allocator_hands_out(name):
    make, shape = REAL[name]
    net, x = Apply(in_half, make()).eval(), torch.randn(shape)
    found = count_flops(net, x).memory.peak

    def forward():
        with torch.no_grad():  # in inference mode torch keeps no casts
            return net(x)

    forward()
    top, _ = recorded(forward)
    assert found.nbytes == pytest.approx(top, rel=0.15)
