"""Kernels of small modules, by hand: what each moves in each precision, what autocast casts, what compilation fuses."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from flopcount import count_flops
from flopcount.core.dataflow import Dataflow
from flopcount.core.ops import Phase
from flopcount.count import count
from flopcount.hardware.execution import kernels_of
from flopcount.hardware.kernels import CONTRACTING, Family
from flopcount.hardware.precision import PRECISIONS, precision_of
from flopcount.rules.costing import cost


def kernels(module, *shapes, precision="fp32", compiled=False, cpu=False):
    module = module.eval() if isinstance(module, nn.Module) else module
    result = count(module, tuple(shapes), dataflow=True, saving=False)
    return kernels_of(result.ops, result.dataflow, PRECISIONS[precision], compiled=compiled, cpu=cpu)


def families(found):
    return [kernel.family for kernel in found]


def test_a_convolution_by_hand():
    """3x16x16 -> 8x16x16 with 3x3 taps: 8 * 3 * 9 * 256 = 55,296 MACs.

    It reads 768 numbers and 216 + 8 weights and writes 2,048: 3,040 numbers of 4 bytes. Its matrix product is 256 x 8
    x 27; tiles of 16 x 32 x 16 make it 256 x 32 x 32, which is 4 * 32 / 27 times as large.
    """
    (kernel,) = kernels(nn.Conv2d(3, 8, 3, padding=1), (1, 3, 16, 16))
    assert kernel.family is Family.CONV
    assert kernel.flops == 2 * 55_296
    assert kernel.nbytes == kernel.ideal == 4 * 3_040
    assert kernel.padded == pytest.approx(2 * 55_296 * 4 * 32 / 27)
    assert (kernel.launches, kernel.peak) == (1, "tf32")


@pytest.mark.parametrize(("rows", "family"), [(1, Family.NARROW), (16, Family.NARROW), (17, Family.LINEAR)])
def test_a_product_of_few_rows_streams_its_weights(rows, family):
    (kernel,) = kernels(nn.Linear(32, 64), (rows, 32))
    assert kernel.family is family
    assert kernel.flops == 2 * rows * 32 * 64


def test_a_causal_mask_halves_the_arithmetic_that_takes_time():
    """8 queries and keys show 36 of 64 scores; of a window nothing says how much a kernel leaves out."""
    shapes = [(1, 1, 8, 16)] * 3
    attention = nn.functional.scaled_dot_product_attention
    (whole,), (causal,) = kernels(attention, *shapes), kernels(lambda *x: attention(*x, is_causal=True), *shapes)
    assert whole.padded == whole.flops == causal.flops
    assert causal.padded == whole.padded * 36 / 64


def test_tiles_of_a_cpu_are_its_vectors():
    """Eight output channels fill half of a vector of sixteen."""
    (kernel,) = kernels(nn.Conv2d(3, 8, 3, padding=1), (1, 3, 16, 16), cpu=True)
    assert kernel.padded == 2 * kernel.flops


@pytest.mark.parametrize(
    ("layer", "shape", "family"),
    [
        (nn.Conv2d(8, 8, 1), (1, 8, 4, 4), Family.CONV1),
        (nn.Conv2d(8, 8, 3), (1, 8, 4, 4), Family.CONV),
        (nn.Conv2d(8, 8, 3, groups=2), (1, 8, 4, 4), Family.GROUPED),
        (nn.Conv2d(8, 8, 3, groups=8), (1, 8, 4, 4), Family.DEPTHWISE),
        (nn.Conv2d(8, 16, 3, groups=8), (1, 8, 4, 4), Family.DEPTHWISE),
        (nn.Conv3d(8, 8, 3), (1, 8, 4, 4, 4), Family.CONV3D),
        (nn.Conv3d(8, 8, (1, 3, 3)), (1, 8, 4, 4, 4), Family.CONV),
        (nn.Conv3d(8, 8, 1), (1, 8, 4, 4, 4), Family.CONV1),
        (nn.Conv3d(8, 8, 3, groups=8), (1, 8, 4, 4, 4), Family.DEPTHWISE3D),
        (nn.Conv3d(8, 8, (1, 3, 3), groups=8), (1, 8, 4, 4, 4), Family.DEPTHWISE),
        (nn.ConvTranspose2d(8, 8, 2, 2), (1, 8, 4, 4), Family.CONV),
        (nn.Linear(8, 8), (1, 8), Family.LINEAR),
        (nn.BatchNorm2d(8), (1, 8, 4, 4), Family.BATCH_NORM),
        (nn.LayerNorm(8), (1, 8), Family.LAYER_NORM),
        (nn.GroupNorm(2, 8), (1, 8, 4, 4), Family.LAYER_NORM),
        (nn.MaxPool2d(2), (1, 8, 4, 4), Family.POOL),
        (nn.Softmax(-1), (1, 8), Family.SOFTMAX),
        (nn.GELU(), (1, 8), Family.ELEMENTWISE),
        (nn.LSTM(8, 8), (3, 1, 8), Family.RECURRENT),
    ],
)
def test_the_family_of_a_layer(layer, shape, family):
    assert family in families(kernels(layer, shape))


def test_a_product_of_activations_is_a_matmul_and_one_with_a_weight_is_linear():
    weight = nn.Parameter(torch.zeros(8, 8))
    assert families(kernels(lambda x: x @ x.mT, (2, 8, 8))) == [Family.MATMUL]
    assert families(kernels(lambda x: x @ weight, (2, 8, 8))) == [Family.LINEAR]


def test_half_precision_halves_every_byte():
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 14 * 14, 4))
    full, half = (kernels(module, (2, 3, 16, 16), precision=name) for name in ("fp32", "fp16"))
    assert [kernel.nbytes for kernel in half] == [kernel.nbytes / 2 for kernel in full]
    assert [kernel.flops for kernel in half] == [kernel.flops for kernel in full]


def test_a_count_in_half_precision_is_as_wide_as_it_was_counted():
    """A module that computes in float32 in between moves more there than a count in float32 tells."""

    class Upcasts(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(64, 64)

        def forward(self, x):
            return self.fc(x.float().exp().to(x.dtype))

    module = Upcasts().to(torch.bfloat16).eval()
    result = count(module, torch.zeros(2, 64, dtype=torch.bfloat16), dataflow=True, saving=False)
    found = kernels_of(result.ops, result.dataflow, precision_of(None, result.input.dtype))
    up, exp, down, linear = found
    assert (up.nbytes, exp.nbytes, down.nbytes) == (128 * (2 + 4), 128 * (4 + 4), 128 * (4 + 2))
    assert linear.nbytes == 2 * (128 + 64 * 64 + 64 + 128)


def test_autocast_by_hand():
    """Linear 64 -> 64 on 2 rows: the input and both weights are cast (read 4, written 2 bytes), then all is in half.

    Casts: 128, 4,096 and 64 numbers of 6 bytes. Product: 128 + 4,096 + 64 read, 128 written, of 2 bytes. The layer norm
    behind it wants float32: 128 numbers are cast up (2 + 4 bytes), and 128 are read and written beside its 2 * 64
    weights, all of 4 bytes.
    """
    module = nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64))
    found = kernels(module, (2, 64), precision="amp")
    sizes = [kernel.nbytes for kernel in found]
    assert sizes[:3] == [128 * 6, 4096 * 6, 64 * 6]
    assert sizes[3] == 2 * (128 + 4096 + 64 + 128)
    assert sizes[4:] == [128 * 6, 4 * (128 + 128 + 64 + 64)]
    assert families(found) == [Family.COPY] * 3 + [Family.NARROW, Family.COPY, Family.LAYER_NORM]


def test_autocast_keeps_batch_norm_in_half():
    """Convolution, batch norm and ReLU pass half precision on; only the input and the convolution's weight are cast."""
    module = nn.Sequential(nn.Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    *casts, conv, norm, relu = kernels(module, (1, 4, 8, 8), precision="amp")
    assert len(casts) == 2
    assert conv.nbytes == 2 * (256 + 16 + 256)
    assert norm.nbytes == 2 * 512 + 4 * 4 * 4  # four vectors of four channels stay in float32
    assert relu.nbytes == 2 * 512


def test_quantized_weights_are_narrow():
    """A linear layer of 64 x 64 weights on 2 rows: 128 + 128 activations of 2 bytes, 4,160 weights of 1 or half."""
    wide, narrow, four_bits = (
        kernels(nn.Linear(64, 64), (2, 64), precision=name)[0].nbytes for name in ("fp16", "int8", "w4a16")
    )
    assert wide == 2 * (256 + 4160)
    assert narrow == 2 * 256 + 4160
    assert four_bits == 2 * 256 + 4160 / 2


def test_a_compiled_chain_reads_once_and_writes_once():
    """scale, shift, GELU and a residual: eager moves 2, 2, 2 and 3 tensors, fused 1 read and 1 written."""

    def chain(x):
        return F.gelu(x * 2 + 1) + x

    eager, (fused,) = kernels(chain, (4, 256)), kernels(chain, (4, 256), compiled=True)
    assert sum(kernel.nbytes for kernel in eager) == 4 * 1024 * (2 + 2 + 2 + 3)
    assert fused.nbytes == 4 * 1024 * 2
    assert sorted(fused.positions) == [0, 1, 2, 3]
    assert sum(fused.shares) == pytest.approx(1)


def test_a_contraction_between_them_keeps_kernels_apart():
    """x is used before and after the layer: the sum cannot join the kernel that made x, which the layer waits for."""

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(256, 256)

        def forward(self, x):
            y = F.relu(x + 1)
            return self.fc(y) + y

    first, layer, last = kernels(Residual(), (4, 256), compiled=True)
    assert (first.family, layer.family, last.family) == (Family.ELEMENTWISE, Family.NARROW, Family.ELEMENTWISE)
    assert first.nbytes == 4 * 1024 * 2  # what it makes is read twice, by two kernels, and written once
    assert last.nbytes == 4 * 1024 * 3


def test_what_is_read_inside_alone_is_not_written():
    """The sum of squares leaves; its terms do not."""
    (fused,) = kernels(lambda x: (x * x).sum(), (4, 256), compiled=True)
    assert fused.nbytes == 4 * (1024 + 1)


def test_a_compiled_norm_writes_half_for_a_layer_in_half():
    """Under autocast a layer norm computes in float32; compiled, the cast for the next layer is part of it."""
    module = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 64))
    norm, linear = kernels(module, (2, 64), precision="amp", compiled=True)
    assert norm.nbytes == 4 * (128 + 128) + 2 * 128
    assert linear.nbytes == 2 * (128 + 4096 + 64 + 128) + 6 * (4096 + 64)  # and its weights are still cast


def test_attention_with_five_axes_writes_its_scores():
    """Torch fuses attention of four axes; of five, scores of 2 * 8 * 8 are written, read and written, and read."""

    def attention(x):
        return F.scaled_dot_product_attention(x, x, x)

    fused = kernels(attention, (1, 2, 8, 16))[-1]
    apart = kernels(attention, (1, 1, 2, 8, 16))[-1]
    assert fused.family is apart.family is Family.ATTENTION
    assert apart.nbytes - fused.nbytes == 4 * 4 * 2 * 8 * 8


def test_a_recurrent_layer_launches_for_every_step():
    *_, lstm = kernels(nn.LSTM(8, 8, num_layers=2, batch_first=True), (1, 5, 8))
    assert lstm.launches == 10


def test_a_training_step_has_backward_kernels():
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=2), nn.Conv2d(8, 8, 3, groups=8))
    result = count(module, (2, 3, 16, 16), dataflow=True)

    step = kernels_of(cost(result.saving.ops), result.saving.dataflow, PRECISIONS["amp"])
    assert {Family.CONV_BACKWARD, Family.GROUPED_BACKWARD, Family.DEPTHWISE_BACKWARD} <= {*families(step)}
    assert sum(kernel.flops for kernel in step) == 2 * sum(op.work.macs for op in cost(result.saving.ops))


MODULES = {
    "cnn": (nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)), (3, 16, 16)),
    "encoder": (nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), (6, 32)),
    "lstm": (nn.LSTM(8, 8, batch_first=True), (5, 8)),
}


@given(
    st.sampled_from(sorted(MODULES)),
    st.integers(1, 4),
    st.sampled_from(sorted(PRECISIONS)),
    st.booleans(),
)
def test_every_kernel_shares_itself_out_and_no_mac_is_lost(name, batch, precision, compiled):
    module, shape = MODULES[name]
    result = count(module.eval(), (batch, *shape), dataflow=True, saving=False)
    found = kernels_of(result.ops, result.dataflow, PRECISIONS[precision], compiled=compiled)
    assert sum(kernel.flops for kernel in found) == result.flops
    for kernel in found:
        assert sum(kernel.shares) == pytest.approx(1)
        assert kernel.padded >= kernel.flops
        assert kernel.nbytes >= kernel.ideal >= 0
        assert (kernel.flops > 0) <= (kernel.family in CONTRACTING)


@given(st.sampled_from(sorted(MODULES)), st.integers(1, 4), st.sampled_from(sorted(PRECISIONS)))
def test_fusion_never_moves_more_nor_launches_more(name, batch, precision):
    module, shape = MODULES[name]
    result = count(module.eval(), (batch, *shape), dataflow=True, saving=False)
    eager, fused = (
        kernels_of(result.ops, result.dataflow, PRECISIONS[precision], compiled=compiled) for compiled in (False, True)
    )
    assert sum(kernel.nbytes for kernel in fused) <= sum(kernel.nbytes for kernel in eager)
    assert sum(kernel.launches for kernel in fused) <= sum(kernel.launches for kernel in eager)


def test_a_fused_kernel_reads_every_half_of_a_tensor():
    """A gate: both halves of 4 x 256 numbers are read, and 4 x 128 written."""

    def gate(x):
        a, b = x.chunk(2, -1)
        return a * F.gelu(b)

    (fused,) = kernels(gate, (4, 256), compiled=True)
    assert fused.nbytes == 4 * (4 * 256 + 4 * 128)


def test_a_fused_kernel_reads_no_region_twice_nor_more_than_there_is():
    """Neighbours that overlap: 8 x 64 numbers are read once, 7 x 64 written."""
    (fused,) = kernels(lambda x: x[1:] - x[:-1], (8, 64), compiled=True)
    assert fused.nbytes == 4 * (8 * 64 + 7 * 64)


def test_outputs_are_written_although_the_same_kernel_reads_them():
    """A tensor of 4 x 256 numbers is read, its double returned, and the sum of that, of one number."""

    def both(x):
        y = x * 2
        return y, (y + 1).sum()

    (fused,) = kernels(both, (4, 256), compiled=True)
    assert fused.nbytes == 4 * (1024 + 1024 + 1)


def test_a_pool_over_whole_channels_is_a_reduction():
    """Batch norm of 2 x 8 x 4 x 4 numbers with four vectors of 8, and its means: nothing else is written."""
    norm = nn.BatchNorm2d(8)
    (fused,) = kernels(nn.Sequential(norm, nn.AdaptiveAvgPool2d(1)), (2, 8, 4, 4), compiled=True)
    assert fused.nbytes == 4 * (256 + 32 + 16)
    assert fused.family is Family.BATCH_NORM
    two = kernels(nn.Sequential(norm, nn.AdaptiveAvgPool2d(2)), (2, 8, 4, 4), compiled=True)
    assert families(two) == [Family.BATCH_NORM, Family.POOL]


def test_updates_of_weights_do_not_wait_for_each_other():
    """Two layers' weights are updated by kernels of their own, compiled or not: no byte of them is lost."""
    report = count_flops(nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8)), (1, 8), mode="train", optimizer="sgd")
    optimizer = tuple(op.costed for op in report.training.ops if op.phase is Phase.OPTIMIZER)
    flow = Dataflow((), ())
    eager, fused = (kernels_of(optimizer, flow, PRECISIONS["fp32"], compiled=compiled) for compiled in (False, True))
    assert sum(kernel.nbytes for kernel in eager) == sum(kernel.nbytes for kernel in fused)
