"""The bound, by hand: no kernel can do with less than what it rests on."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from flopcount.count import count
from flopcount.facts import find_device
from flopcount.hardware.execution import kernels_of
from flopcount.hardware.precision import PRECISIONS
from flopcount.hardware.time_model import Kernels, bound_of

A100 = find_device("a100-80gb-sxm")


def kernels(module, *shapes, precision="fp16", compiled=False):
    module = module.eval() if isinstance(module, nn.Module) else module
    result = count(module, tuple(shapes), dataflow=True, saving=False)
    return kernels_of(result.ops, result.dataflow, PRECISIONS[precision], compiled=compiled)


def bound(*args, **options):
    return bound_of(Kernels.of(kernels(*args, **options), A100, PRECISIONS["fp16"]))


def attention(q, k, v, **options):
    return F.scaled_dot_product_attention(q, k, v, **options)


def test_scores_that_a_kernel_need_not_write_are_no_part_of_the_bound():
    """Three axes are off torch's fused path, so scores are passed over; fused attention reads 3 and writes 1 tensor."""
    (kernel,) = kernels(lambda x: attention(x, x + 1, x + 2), (8, 64, 16))[-1:]
    assert kernel.ideal == 2 * 4 * 8 * 64 * 16
    assert kernel.nbytes == kernel.ideal + 2 * 4 * 8 * 64 * 64


def test_written_out_attention_may_be_fused():
    """q, k and v of 8 x 64 x 16 numbers are read, and as many written; the scores of 8 x 64 x 64 stay inside."""

    def written_out(q, k, v):
        return ((q @ k.mT) * 0.25).softmax(-1) @ v

    for compiled in (False, True):
        found = kernels(written_out, *[(8, 64, 16)] * 3, compiled=compiled)
        assert sum(kernel.ideal for kernel in found) == 2 * 4 * 8 * 64 * 16
    chained = kernels(lambda q, k, v: (q @ k.mT * 0.25) @ v, *[(8, 64, 16)] * 3)
    assert sum(kernel.ideal for kernel in chained) == 2 * (4 * 8 * 64 * 16 + 2 * 8 * 64 * 64)


def test_what_two_inputs_share_is_read_once():
    """A Gram matrix of 8 x 64 x 16 numbers reads them once, halves of one tensor are two regions of it."""
    (gram,) = kernels(lambda x: x @ x.mT, (8, 64, 16))
    assert gram.ideal == 2 * (8 * 64 * 16 + 8 * 64 * 64)
    assert gram.nbytes == 2 * (2 * 8 * 64 * 16 + 8 * 64 * 64)
    (halves,) = kernels(lambda x: x[:, :32] @ x[:, 32:].mT, (8, 64, 16))
    assert halves.ideal == 2 * (8 * 64 * 16 + 8 * 32 * 32)


def test_copies_before_a_product_are_no_part_of_the_bound():
    """Heads beside each other are copied before a batched product."""

    def apart(x):
        q = x.view(2, 64, 4, 16).transpose(1, 2)
        return q @ (q.mT * 2)

    *_, product = kernels(apart, (2, 64, 64))
    assert product.ideal < product.nbytes
    assert product.ideal == 2 * (2 * 2 * 64 * 64 + 2 * 4 * 64 * 64)


@pytest.mark.parametrize(
    ("layer", "reached"),
    [
        (nn.Conv2d(8, 8, 1, bias=False), 16 * 16),
        (nn.Conv2d(8, 8, 1, stride=2, bias=False), 8 * 8),
        (nn.Conv2d(8, 8, 2, stride=2, bias=False), 16 * 16),
        (nn.Conv2d(8, 8, 2, stride=4, bias=False), 8 * 8),
        (nn.Conv2d(8, 8, 3, stride=2, padding=1, bias=False), 16 * 16),
        (nn.Conv2d(8, 8, (1, 3), stride=(2, 1), padding=(0, 1), bias=False), 8 * 16),
        (nn.Conv2d(8, 8, 3, stride=2, dilation=2, padding=2, bias=False), 8 * 8),
    ],
)
def test_pixels_that_a_stride_steps_over_need_not_be_read(layer, reached):
    """Against an oracle: where the gradient of the output by the input is not zero."""
    image = torch.zeros(1, 8, 16, 16, requires_grad=True)
    with torch.no_grad():
        layer.weight.fill_(1)
    output = layer(image)
    output.sum().backward()
    assert int((image.grad[0, 0] != 0).sum()) == reached
    (kernel,) = kernels(layer, (1, 8, 16, 16))
    assert kernel.ideal == 2 * (8 * reached + layer.weight.numel() + output.numel())
    assert kernel.nbytes == 2 * (8 * 256 + layer.weight.numel() + output.numel())


@pytest.mark.parametrize(("queries", "keys"), [(512, 512), (128, 512), (512, 128)])
def test_a_causal_mask_hides_what_the_kernel_may_skip(queries, keys):
    """Against the mask itself."""
    shapes = (1, 4, queries, 64), (1, 4, keys, 64), (1, 4, keys, 64)
    (full,) = kernels(attention, *shapes)
    (causal,) = kernels(lambda *x: attention(*x, is_causal=True), *shapes)
    masks = [torch.ones(queries, keys).tril(at) for at in (0, keys - queries)]
    shown = min(float(mask.mean()) for mask in masks)
    assert full.flops == causal.flops
    assert full.skipped == 0
    assert causal.flops - causal.skipped == pytest.approx(full.flops * shown)


def test_the_bound_of_long_causal_attention_is_half():
    shapes = [(1, 8, 16384, 128)] * 3
    whole, causal = bound(attention, *shapes), bound(lambda *x: attention(*x, is_causal=True), *shapes)
    assert causal == pytest.approx(whole * (16384 + 1) / 2 / 16384)
