"""Linear layers that are quantized dynamically count as linear layers, on every engine and in a block of code."""

import warnings

import pytest
import torch
from modules import Apply, changes_of
from torch import nn

from flopcount import ForwardError, count_flops, counting

ENGINES = ["meta", "fake", "real"]


def quantized(*layers, dtype=torch.qint8):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls it deprecated
        return torch.ao.quantization.quantize_dynamic(nn.Sequential(*layers), {nn.Linear}, dtype=dtype)


def scripted(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so too
        return torch.jit.script(module)


def with_relu(name, dtype):
    packed = quantized(nn.Linear(6, 4), dtype=dtype)[0]._packed_params._packed_params
    return nn.Sequential(Apply(lambda x: getattr(torch.ops.quantized, name)(x, packed)))


PLAIN = 2 * 5 * 4  # an add per output of (2, 5, 6) -> (2, 5, 4)
INT8 = 2 * 5 * 4 + 7 * 2 * 5 * 6  # a scaling per output, 7 per activation
CASES = {  # other FLOPs; bytes of the weight and the bias
    "int8": (lambda: quantized(nn.Linear(6, 4)), PLAIN + INT8, 6 * 4 + 4 * 4),
    "without bias": (lambda: quantized(nn.Linear(6, 4, bias=False)), INT8, 6 * 4),
    "float16": (lambda: quantized(nn.Linear(6, 4), dtype=torch.float16), PLAIN, 2 * 6 * 4 + 4 * 4),
    "scripted": (lambda: scripted(quantized(nn.Linear(6, 4))), PLAIN + INT8, 6 * 4 + 4 * 4),
    "int8 and relu": (
        lambda: with_relu("linear_relu_dynamic", torch.qint8),
        2 * PLAIN + INT8,
        6 * 4 + 4 * 4,
    ),
    "float16 and relu": (
        lambda: with_relu("linear_relu_dynamic_fp16", torch.float16),
        2 * PLAIN,
        2 * 6 * 4 + 4 * 4,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_counts_as_a_linear_layer(name):
    build, other, weights = CASES[name]
    module = build()
    right = (2 * 5 * 6 * 4, other, 4 * 2 * 5 * 6 + weights)
    for engine in ENGINES:
        report = count_flops(module, (2, 5, 6), engine=engine, strict=True)
        assert (report.macs, report.other_flops, report.bytes_read) == right, engine
        assert report.calls[-1].outputs == ((2, 5, 4),)
    with counting(module) as count:
        module(torch.randn(2, 5, 6))
    assert (count.macs, count.other_flops, count.bytes_read) == right


def test_a_head_behind_a_plain_network():
    body = nn.Conv1d(16, 32, 3, padding=1), nn.Flatten()
    module = quantized(*body, nn.Linear(160, 64), nn.ReLU(), nn.Linear(64, 4))
    report = count_flops(module, (3, 16, 5))
    assert report.module("2").cost.macs == 3 * 160 * 64
    assert report.macs == 3 * 5 * 32 * 48 + 3 * (160 * 64 + 64 * 4)


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_changes(engine):
    module = quantized(nn.Linear(6, 4))
    x = torch.randn(3, 6)
    before = module(x)
    _, changed = changes_of([module], lambda: count_flops(module, (x,), engine=engine))
    assert not changed
    assert torch.equal(module(x), before)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("given", [torch.zeros(2, 7), torch.zeros(6), torch.zeros(2, 6, dtype=torch.float64)], ids=str)
def test_what_torch_refuses_is_refused(given, engine):
    module = quantized(nn.Linear(6, 4))
    with pytest.raises(RuntimeError):
        module(given)
    with pytest.raises(ForwardError, match=r"in      0"):
        count_flops(module, (given,), engine=engine)
