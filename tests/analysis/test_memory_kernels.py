"""What single kernels of a forward pass allocate, against torch's CPU allocator."""

import pytest
import torch
from allocator import recorded
from modules import Apply
from torch import nn

from flopcount import count_flops

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*Profiler clears events:UserWarning"),
    pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="needs torch's oneDNN kernels"),
]
needs_half = pytest.mark.skipif(not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="needs bfloat16 in oneDNN")


def is_right(net, x):
    found = count_flops(net, x).memory.peak

    def forward():
        with torch.inference_mode():
            return net(x)

    forward()
    top, _ = recorded(forward)
    assert found.nbytes == pytest.approx(top, rel=0.1)


TRANSPOSED = {
    "strided": (lambda: nn.ConvTranspose2d(32, 16, 4, 2, 1), (4, 32, 32, 32)),
    "kernel as large as its step": (lambda: nn.ConvTranspose2d(64, 32, 2, 2), (4, 64, 32, 32)),
    "not strided": (lambda: nn.ConvTranspose2d(32, 32, 3, 1, 1), (4, 32, 32, 32)),
    "depthwise": (lambda: nn.ConvTranspose2d(32, 32, 4, 2, 1, groups=32), (4, 32, 32, 32)),
    "in time": (lambda: nn.ConvTranspose1d(32, 32, 4, 2, 1), (4, 32, 1000)),
    "in three axes": (lambda: nn.ConvTranspose3d(32, 32, 4, 2, 1), (2, 32, 8, 16, 16)),
}


@pytest.mark.parametrize("name", TRANSPOSED)
def test_transposed_convolutions(name):
    make, shape = TRANSPOSED[name]
    is_right(make(), torch.randn(shape))


@pytest.mark.parametrize("train", [True, False])
def test_dropout_has_its_noise(train):
    is_right(
        nn.Sequential(nn.Linear(256, 256), nn.Dropout(0.3), nn.Linear(256, 256)).train(train), torch.randn(512, 256)
    )


def in_half(x, net):
    with torch.autocast("cpu", torch.bfloat16):
        return net(x)


MIXED = {
    "channels moved to the end": lambda x, f: in_half(x.permute(0, 2, 3, 1), f),
    "steps before the batch": lambda x, f: in_half(x.flatten(2).permute(2, 0, 1), f),
    "matmul": lambda x, f: in_half(x.flatten(2).mT.contiguous(), lambda y: f(y).transpose(0, 1) @ f[0].weight.T),
    "one matrix": lambda x, f: in_half(x.permute(0, 2, 3, 1).contiguous(), f),
}


@needs_half
@pytest.mark.parametrize("name", MIXED)
def test_weights_are_copied_for_each_item_of_a_batch_that_is_no_matrix(name):
    net = Apply(MIXED[name], nn.Sequential(nn.Linear(512, 512), nn.GELU()))
    is_right(net, torch.randn(4, 512, 32, 32))


@needs_half
def test_attention_that_trains_copies_them_too():
    encoder = nn.TransformerEncoderLayer(256, 4, 1024, batch_first=True, dropout=0.0)
    is_right(Apply(in_half, encoder), torch.randn(8, 128, 256))
    quiet = count_flops(Apply(in_half, encoder).eval(), (8, 128, 256)).memory.peak
    assert quiet.nbytes < count_flops(Apply(in_half, encoder).train(), (8, 128, 256)).memory.peak.nbytes / 4


NORMS = {"layer": nn.LayerNorm(256), "group": nn.GroupNorm(4, 256), "batch": nn.BatchNorm1d(256)}


@needs_half
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("engine", ["meta", "fake", "real"])
def test_a_norm_under_autocast_keeps_the_dtype_of_its_input(norm, engine):
    net = Apply(in_half, nn.Sequential(nn.Linear(256, 256), NORMS[norm], nn.ReLU()))
    with torch.no_grad():
        dtype = net(torch.randn(64, 256)).dtype
    report = count_flops(net, (64, 256), engine=engine)
    kinds = {str(c.op.signature.outputs[0])[:4] for c in report.ops if "norm" in c.name or "relu" in c.name}
    assert dtype == torch.bfloat16
    assert kinds == {"bf16"}
