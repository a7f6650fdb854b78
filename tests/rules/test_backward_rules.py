"""Every row of backward_rows.py in a training step; operators that cannot be traced here, by their shapes."""

from math import prod

import pytest
from backward_rows import ROWS, N
from modules import OfParameters
from operators import needs

from flopcount import TensorSpec, count_flops
from flopcount.core.ops import Signature
from flopcount.rules import RULES


@pytest.mark.parametrize(("op", "function", "shapes", "other"), ROWS, ids=[row[0] for row in ROWS])
def test_other_flops(op, function, shapes, other):
    needs(op)
    report = count_flops(OfParameters(function, shapes), (1,), mode="train")
    step = report.training.step
    assert [row.op for row in step.uncosted] == []
    found = [row.cost for row in step.operators if row.op == f"aten.{op}"]
    assert [cost.other_flops for cost in found] == [other]
    assert [cost.macs for cost in found] == [0]


def work(op, shapes, out, **others):
    """The work of one call by its shapes alone, for operators that cannot be traced here."""
    arguments = {name: TensorSpec(shape) for name, shape in shapes.items()} | others
    return RULES[f"aten.{op}"].work(Signature(f"aten.{op}", "", arguments, (TensorSpec(out),)))


def test_a_convolution_multiplies_once_more_per_gradient():
    """1-d: 3 inputs, 2 taps, 2 outputs: 4 MACs forward, and 4 for either gradient."""
    shapes = {"grad_output": (1, 1, 2), "input": (1, 1, 3), "weight": (1, 1, 2)}
    for mask, macs, other in [
        ((True, True, True), 8, 1),
        ((False, True, False), 4, 0),
        ((True, False, False), 4, 0),
        ((False, False, True), 0, 1),
    ]:
        found = work("convolution_backward", shapes, (1, 1, 3), transposed=False, output_mask=mask)
        assert (found.macs, found.other_flops) == (macs, other)


def test_time_batch_channel_convolution():
    found = work("conv_tbc_backward", {"self": (5, 2, 4), "weight": (3, 6, 4)}, (7, 2, 6))
    assert (found.macs, found.other_flops) == (2 * (5 * 2 * 4) * 3 * 6, 5 * 2 * 4 - 4)


@pytest.mark.parametrize("kernel", ["flash_attention", "flash_attention_for_cpu", "efficient_attention"])
def test_fused_attention_has_five_products(kernel):
    shape = (2, 3, 16, 8)
    found = work(f"_scaled_dot_product_{kernel}_backward", dict.fromkeys(("query", "key", "value"), shape), shape)
    assert found.macs == 5 * (2 * 3 * 16 * 16 * 8)
    assert found.other_flops == 2 * 3 * 16 * 16 * (6 + 4 + 1)


def test_a_product_of_three():
    """Sum over i, j of x[b,i]·w[o,i,j]·y[b,j]: first over i, then over j."""
    b, o, i, j = 2, 3, 4, 5
    found = work(
        "_trilinear", {"i1": (b, i), "i2": (o, i, j), "i3": (b, j)}, (b, o),
        expand1=(1, 3), expand2=(0,), expand3=(1, 2), sumdim=(2, 3),
    )  # fmt: skip
    assert found.macs == prod((b, o, i, j)) + prod((b, o, j))


def test_kernels_of_other_devices():
    """On meta tensors torch decomposes these."""
    shape = (2, 4, 6)
    assert work("mish_backward", {"grad_output": shape, "self": shape}, shape).other_flops == 14 * N
    assert work("native_dropout_backward", {"grad_output": shape, "mask": shape}, shape).other_flops == 2 * N
    rms = {"grad_out": shape, "input": shape, "weight": (6,)}
    assert work("_fused_rms_norm_backward", rms, shape, output_mask=(True, True)).other_flops == N * (1 + 5 + 1 + 2)
    assert work("_fused_rms_norm_backward", rms, shape, output_mask=(False, True)).other_flops == N * (1 + 2)
