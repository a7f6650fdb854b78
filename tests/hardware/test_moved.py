"""What operators move in each precision, by hand: lookups, windows, copies, casts, gradients; against torch's own."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from flopcount import count_flops
from flopcount.core.dataflow import Dataflow, Role
from flopcount.core.ops import Phase, TensorSpec
from flopcount.count import count
from flopcount.hardware.execution import kernels_of
from flopcount.hardware.kernels import Family
from flopcount.hardware.moved import moved_by
from flopcount.hardware.precision import PRECISIONS, precision_of
from flopcount.rules.costing import cost


def kernels(module, *shapes, precision="fp32", compiled=False):
    module = module.eval() if isinstance(module, nn.Module) else module
    result = count(module, tuple(shapes), dataflow=True, saving=False)
    return kernels_of(result.ops, result.dataflow, PRECISIONS[precision], compiled=compiled)


def families(found):
    return [kernel.family for kernel in found]


def test_a_count_in_half_precision_copies_as_many_numbers():
    """Heads that lie beside each other are copied before a batched product, in whichever dtype it was counted."""

    def heads(x):
        q = x.view(2, 64, 4, 16).transpose(1, 2)
        return q @ q.mT

    results = [
        count(heads, torch.zeros(2, 64, 64, dtype=dtype), dataflow=True, saving=False)
        for dtype in (torch.float32, torch.bfloat16)
    ]
    resized, counted = (
        kernels_of(result.ops, result.dataflow, precision_of("bf16", result.input.dtype)) for result in results
    )
    assert [kernel.nbytes for kernel in resized] == [kernel.nbytes for kernel in counted]
    assert resized[0].nbytes > resized[0].ideal


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_optimizer_moves_as_much_in_half_precision_however_it_was_counted(dtype):
    """SGD with momentum: 64 numbers of 2 bytes pass twice to scale the buffer, and three times for each of two sums."""
    report = count_flops(nn.Linear(8, 8, bias=False).to(dtype), torch.zeros(1, 8, dtype=dtype), mode="train",
                         optimizer="sgd")  # fmt: skip
    optimizer = tuple(op.costed for op in report.training.ops if op.phase is Phase.OPTIMIZER)
    found = kernels_of(optimizer, Dataflow((), ()), precision_of("bf16", str(dtype).removeprefix("torch.")))
    assert sum(kernel.nbytes for kernel in found) == 8 * 2 * 64


def test_a_lookup_reads_the_rows_that_it_picks():
    """6 rows of 64 numbers from a table of 5,000, and 6 indices of 8 bytes; in half precision the indices stay wide."""
    indices = TensorSpec((6,), "int64")
    for name, width in (("fp32", 4), ("fp16", 2)):
        (lookup,) = kernels(nn.Embedding(5000, 64), indices, precision=name)
        assert lookup.nbytes == 6 * 64 * 2 * width + 6 * 8
        (select,) = kernels(lambda x, at: x.index_select(0, at), (5000, 64), indices, precision=name)
        assert select.nbytes == 6 * 64 * 2 * width + 6 * 8


def test_a_lookup_with_more_picks_than_rows_reads_the_table_once():
    """100 picks from 4 rows of 8 numbers."""
    (select,) = kernels(lambda x, at: x[at], (4, 8), TensorSpec((100,), "int64"))
    assert select.nbytes == 4 * (4 * 8 + 100 * 8) + 100 * 8


def test_a_lookup_is_fused_with_what_follows():
    """Rows of a table plus positions, in one kernel: 6 x 64 numbers three times, and the indices."""

    class Lookup(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.positions = nn.Embedding(5000, 64), nn.Parameter(torch.zeros(6, 64))

        def forward(self, x):
            return self.table(x) + self.positions

    (fused,) = kernels(Lookup(), TensorSpec((6,), "int64"), compiled=True)
    assert fused.nbytes == 4 * 3 * 6 * 64 + 6 * 8


def test_windows_that_overlap_share_their_memory():
    """3 x 3 windows of 16 x 16 pixels, copied: 8 x 256 numbers are read, and 9 for each of 14 x 14 windows written."""
    (copy,) = kernels(lambda x: x.unfold(2, 3, 1).unfold(3, 3, 1).reshape(8, 14 * 14, 9), (1, 8, 16, 16))
    assert copy.nbytes == 4 * (8 * 256 + 8 * 9 * 14 * 14)


def test_autocast_casts_a_shared_weight_once():
    """Against torch's own autocast: weight and bias of a layer called three times are cast once."""

    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(16, 16)

        def forward(self, x):
            return self.fc(x) + self.fc(x * 2) + self.fc(x * 3)

    class Casts(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.count += func is torch.ops.aten._to_copy.default
            return func(*args, **(kwargs or {}))

    module = Shared().eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), Casts() as casts:
        module(torch.zeros(2, 16))
    assert families(kernels(module, (2, 16), precision="amp_bf16")).count(Family.COPY) == casts.count == 2 + 3
    frozen = kernels(Shared().requires_grad_(False), (2, 16), precision="amp_bf16")
    assert families(frozen).count(Family.COPY) == 3 * 3


class Heads(nn.Module):
    """Attention of four heads over tokens, whose results are merged."""

    def __init__(self, width=32):
        super().__init__()
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, 4, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)).relu()


def test_nothing_is_copied_to_merge_the_heads_of_fused_attention():
    """Against the operators that torch really runs: two products, attention and the activation, no copy."""

    class Copies(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.count += func in (torch.ops.aten.clone.default, torch.ops.aten.copy_.default)
            return func(*args, **(kwargs or {}))

    module = Heads().eval()
    with torch.no_grad(), Copies() as copies:
        module(torch.zeros(2, 16, 32))
    assert copies.count == 0
    expected = [Family.LINEAR, Family.ATTENTION, Family.LINEAR, Family.ELEMENTWISE]
    for compiled in (False, True):
        found = kernels(module, (2, 16, 32), compiled=compiled)
        assert families(found) == expected
        assert [kernel.positions for kernel in found] == sorted(kernel.positions for kernel in found)


def test_heads_that_are_laid_out_otherwise_are_copied():
    """Channels before tokens: (B, H, N, D) as (B, H * D, N) is a copy, whatever wrote it."""

    def transposed(q):
        return F.scaled_dot_product_attention(q, q, q).mT.reshape(2, 4 * 8, 16)

    assert families(kernels(transposed, (2, 4, 16, 8))) == [Family.ATTENTION, Family.COPY]


def test_gradients_are_as_narrow_as_what_they_are_of():
    """Backward of 4 -> 4 channels of 3 x 3 on 2 x 8 x 8 pixels under autocast, by hand.

    The gradient of its output, its input and the cast that the forward pass made of its weight are read, and gradients
    of input and weight written: 3 x 512 and 2 x 144 numbers, all of 2 bytes. That of the weight is cast back: 6 bytes.
    """
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.Conv2d(4, 4, 1))
    result = count(module, (2, 3, 8, 8), dataflow=True)
    ops, flow = cost(result.saving.ops), result.saving.dataflow
    found = [
        (ops[k.positions[0]], k) for k in kernels_of(ops, flow, PRECISIONS["amp"]) if k.positions[0] >= flow.forward
    ]
    back = [k for op, k in found if op.op.module == "2" and op.name != "aten.add"]
    assert [kernel.nbytes for kernel in back] == [144 * 6, 2 * (3 * 512 + 2 * 144)]
    assert families(back) == [Family.COPY, Family.CONV_BACKWARD]
    (relu,) = [k for op, k in found if op.name == "aten.threshold_backward"]
    assert relu.nbytes == 2 * 3 * 512


def test_backward_casts_a_gradient_once():
    """The gradient of a sum is wide; the layer before it needs it in half for its input, its weight and its bias."""
    module = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16))
    result = count(module, (2, 16), dataflow=True)
    flow = result.saving.dataflow
    kept = [data.casts for data in moved_by(cost(result.saving.ops), flow, PRECISIONS["amp"])[flow.forward :] if data]
    cast = [storage for casts in kept for storage, _, before, after in casts if after < before]
    activations = [storage for storage in cast if flow.storages[storage].role is Role.ACTIVATION]
    assert activations
    assert len(activations) == len({*activations})


class Real(TorchDispatchMode):
    """Names of what torch really runs, but for views and memory."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if not func.is_view and "view" not in str(func):
            self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("view", "shape", "expected"),
    [
        (lambda x: x, (4, 5, 8), ["addmm"]),
        (lambda x: x[:2], (4, 5, 8), ["addmm"]),
        (lambda x: x.mT, (4, 8, 5), ["clone", "mm", "add"]),
        (lambda x: x.mT, (1, 8, 5), ["mm", "add"]),
        (lambda x: x[:, :3], (4, 5, 8), ["clone", "mm", "add"]),
        (lambda x: x.permute(0, 2, 3, 1), (2, 8, 3, 5), ["clone", "mm", "add"]),
        (lambda x: x.mT, (8, 5), ["addmm"]),
    ],
)
def test_a_linear_layer_on_scattered_rows_copies_them_and_adds_its_bias_apart(view, shape, expected):
    """Against the operators that torch really runs, with the bytes by hand: a copy and a sum each read and write."""
    layer = nn.Linear(8, 6).eval()
    source = view(torch.zeros(shape))
    with torch.no_grad(), Real() as real:
        result = layer(source)
    assert real.names == expected
    found = kernels(lambda x, layer=layer: layer(view(x)), shape)
    names = {Family.COPY: "clone", Family.LINEAR: "mm", Family.ELEMENTWISE: "add"}
    assert sorted(names[family] for family in families(found)) == sorted(
        "mm" if name == "addmm" else name for name in expected
    )
    sizes = {names[kernel.family]: kernel.nbytes for kernel in found}
    assert sizes.get("clone", 0) == ("clone" in expected) * 2 * 4 * source.numel()
    assert sizes.get("add", 0) == ("add" in expected) * 2 * 4 * result.numel()
    assert families(kernels(lambda x, layer=layer: layer(view(x)), shape, compiled=True)) == [Family.LINEAR]
