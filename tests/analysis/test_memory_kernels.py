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
# A CPU without its instructions multiplies bfloat16 into a buffer of float32, which the peak does not have.
needs_instructions = pytest.mark.skipif(
    not torch.cpu._is_avx512_bf16_supported(), reason="needs a CPU with bfloat16 of its own"
)
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
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[needs_instructions] if name == "one matrix" else []) for name in MIXED]
)
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


def trains_right(net, x):
    found = count_flops(net, (x,)).memory.training
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)

    def step():
        net(x).sum().backward()

    step()
    top, _ = recorded(step)
    assert found.nbytes == pytest.approx(top, rel=0.05)


def two_convolutions(channels, dtype=torch.float32):
    first, second = (nn.Conv3d(channels, channels, 3, padding=1) for _ in range(2))
    return nn.Sequential(first, nn.ReLU(), second).to(dtype)


needs_no_amx = pytest.mark.skipif(
    torch.cpu._is_amx_tile_supported() or not torch.cpu._is_avx512_supported(),
    reason="needs oneDNN's kernels for AVX-512",
)


@needs_half
@needs_no_amx
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("channels", [16, 64])
def test_convolutions_in_bfloat16_are_for_onednn_whatever_the_batch(channels, batch):
    x = torch.randn(batch, channels, 8, 16, 16)
    trains_right(two_convolutions(channels, torch.bfloat16), x.bfloat16())
    trains_right(Apply(in_half, two_convolutions(channels)), x)


HALF = {
    "few channels": (lambda: nn.Conv3d(3, 64, (3, 7, 7), (1, 2, 2), (1, 3, 3)), (1, 3, 8, 64, 64)),
    "of one frame": (lambda: nn.Conv3d(32, 72, (1, 3, 3), padding=(0, 1, 1)), (2, 32, 8, 28, 28)),
    "in time alone": (lambda: nn.Conv3d(72, 32, (3, 1, 1), padding=(1, 0, 0)), (2, 72, 8, 28, 28)),
    "pointwise, strided": (lambda: nn.Conv3d(64, 64, 1, 2), (2, 64, 8, 28, 28)),
    "groups": (lambda: nn.Conv3d(64, 64, 3, padding=1, groups=4), (2, 64, 8, 14, 14)),
    "odd numbers of channels": (lambda: nn.Conv3d(20, 24, 3, padding=1), (1, 20, 8, 16, 16)),
    "images": (lambda: nn.Conv2d(64, 64, 3, padding=1), (2, 64, 32, 32)),
    "images with many channels": (lambda: nn.Conv2d(128, 128, 3, padding=1), (1, 128, 28, 28)),
    "series": (lambda: nn.Conv1d(64, 64, 3, padding=1), (2, 64, 1000)),
}


@needs_half
@needs_no_amx
@pytest.mark.parametrize("name", HALF)
def test_gradients_of_weights_in_bfloat16_are_summed_in_full(name):
    make, shape = HALF[name]
    trains_right(nn.Sequential(make(), nn.ReLU()).bfloat16(), torch.randn(shape).bfloat16())


@needs_no_amx
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("frames", [1, 2, 3])
def test_short_clips_have_matrices_of_each_thread(frames, threads):
    was = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        trains_right(two_convolutions(64), torch.randn(2, 64, frames, 7, 7))
    finally:
        torch.set_num_threads(was)


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("batch", [1, 3])
def test_double_precision_unfolds_the_whole_batch(batch, groups):
    net = nn.Sequential(nn.Conv3d(16, 16, 3, padding=1, groups=groups), nn.ReLU()).double()
    trains_right(net, torch.randn(batch, 16, 4, 8, 8, dtype=torch.float64))


POOLS = {
    "max": nn.MaxPool3d(2),
    "mean": nn.AvgPool3d(2),
    "adaptive mean": nn.AdaptiveAvgPool3d(2),
    "adaptive max": nn.AdaptiveMaxPool3d(2),
}


@needs_half
@pytest.mark.parametrize("pool", POOLS)
def test_pools_of_clips_under_autocast_train_in_full(pool):
    net = Apply(in_half, nn.Sequential(nn.Conv3d(16, 16, 1), POOLS[pool]))
    trains_right(net, torch.randn(2, 16, 8, 16, 16))


def test_a_workspace_that_depends_on_threads_says_so():
    short, long = (count_flops(two_convolutions(64), (2, 64, frames, 7, 7)).memory for frames in (2, 4))
    assert short.training.threads == torch.get_num_threads()
    assert f"workspace there: of {torch.get_num_threads()} threads" in str(short)
    assert long.training.threads is None
