"""The memory of a training step, against what torch's CPU allocator hands out during a real one."""

from functools import partial

import pytest
import torch
from allocator import recorded
from modules import Apply
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    checkpoint_sequential,
    create_selective_checkpoint_contexts,
)

from flopcount import count_flops, largest_batch
from flopcount.tracing.recurrent import run_recurrent

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit.script. is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Profiler clears events:UserWarning"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning"),
]
needs_half = pytest.mark.skipif(not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="needs bfloat16 in oneDNN")
needs_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="needs torch's oneDNN kernels")

WIDTH, ROWS = 256, 512


def layers(count):
    return nn.Sequential(*(nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU()) for _ in range(count)))


def in_blocks(x, *blocks, reentrant=False):
    for block in blocks:
        x = checkpoint(block, x, use_reentrant=reentrant)
    return x


def nested(x, first, second):
    return checkpoint(lambda y: in_blocks(y, first, second), x, use_reentrant=False)


def keeps_products(x, net):
    def policy(context, op, *args, **kwargs):
        kept = op is torch.ops.aten.addmm.default
        return CheckpointPolicy.MUST_SAVE if kept else CheckpointPolicy.PREFER_RECOMPUTE

    contexts = partial(create_selective_checkpoint_contexts, policy)
    return checkpoint(net, x, use_reentrant=False, context_fn=contexts)


def after(first, *blocks):
    """A layer before the blocks, since a reentrant checkpoint needs an input with a gradient."""
    return Apply(lambda x, f, *rest: in_blocks(f(x), *rest, reentrant=True), first, *blocks)


def packed(x, net, *, in_order=True):
    lengths = torch.tensor([30, 28, 21, 17, 17, 9, 4, 2] if in_order else [4, 30, 9, 17, 2, 28, 21, 17])
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=in_order)
    return nn.utils.rnn.pad_packed_sequence(net(packed)[0], batch_first=True)[0]


def under_autocast(x, net, *, again=False):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return checkpoint(net, x, use_reentrant=False) if again else net(x)


def attention(x, project, out):
    q, k, v = project(x).unflatten(-1, (3, 4, -1)).permute(2, 0, 3, 1, 4)
    return out(((q @ k.mT) / 5).softmax(-1).matmul(v).transpose(1, 2).flatten(2))


def with_skip(x, down, up):
    y = down(x)
    z = F.interpolate(F.max_pool2d(y, 2), scale_factor=2, mode="bilinear")
    return up(torch.cat([y, z], 1))


def taken(x, first, second):
    return second(torch.gather(first(x)[:, torch.arange(0, 64, 2)], 1, torch.zeros(8, 16, 256, dtype=torch.int64)))


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(x, y)
        return y * x

    @staticmethod
    def backward(ctx, grad):
        x, y = ctx.saved_tensors
        return grad * (y * x + y)


def conv(inputs, outputs, **options):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, **options), nn.BatchNorm2d(outputs), nn.ReLU(True))


class Unregistered(nn.Module):
    """A layer that the module does not know as its own."""

    def __init__(self):
        super().__init__()
        self.first, self.last = [nn.Linear(WIDTH, WIDTH)], nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        return self.last(self.first[0](x))


def scripted():
    return torch.jit.script(nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH)))


def outputs_of(kind, *args, **options):
    return Apply(lambda x, f: f(x)[0], kind(*args, **options))


LINES, STEPS, IMAGE = (ROWS, WIDTH), (8, 30, 64), (2, 3, 64, 64)
NETS = {
    "without checkpoints": (lambda: layers(4), LINES),
    "one checkpoint around everything": (lambda: Apply(in_blocks, layers(6)), LINES),
    "a checkpoint per block": (lambda: Apply(in_blocks, *(layers(3) for _ in range(3))), LINES),
    "reentrant checkpoints": (lambda: after(nn.Linear(WIDTH, WIDTH), *(layers(3) for _ in range(3))), LINES),
    "nested checkpoints": (lambda: Apply(nested, layers(3), layers(3)), LINES),
    "a sequence in checkpoints": (
        lambda: Apply(lambda x, f: checkpoint_sequential(f, 3, x, use_reentrant=False), layers(6)),
        LINES,
    ),
    "a selective checkpoint": (lambda: Apply(keeps_products, layers(4)), LINES),
    "checkpointed convolutions": (lambda: Apply(in_blocks, conv(3, 32), conv(32, 32), conv(32, 32)), IMAGE),
    "autocast": (lambda: Apply(under_autocast, layers(6)), LINES),
    "autocast and a checkpoint": (lambda: Apply(partial(under_autocast, again=True), layers(6)), LINES),
    "a residual": (lambda: Apply(lambda x, f, g: g(f(x) + f(x).relu()), layers(1), layers(1)), LINES),
    "attention": (lambda: Apply(attention, nn.Linear(64, 192), nn.Linear(64, 64)), (8, 128, 64)),
    "a skip": (lambda: Apply(with_skip, conv(3, 16), conv(32, 16)), IMAGE),
    "a depthwise convolution": (lambda: nn.Sequential(conv(3, 32), conv(32, 32, groups=32)), IMAGE),
    "gather and index": (lambda: Apply(taken, nn.Linear(128, 256), nn.Linear(256, 64)), (8, 64, 128)),
    "a function of its own": (lambda: Apply(lambda x, f, g: g(Square.apply(f(x))), layers(1), layers(1)), LINES),
    "large weights": (lambda: nn.Sequential(nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 1024)), (4, 1024)),
    "LSTM": (lambda: Apply(lambda x, f: f(x)[0], nn.LSTM(64, 96, 2, batch_first=True)), STEPS),
    "LSTM in both directions": (lambda: Apply(lambda x, f: f(x)[0], nn.LSTM(64, 96, bidirectional=True)), STEPS),
    "LSTM with projections": (lambda: Apply(lambda x, f: f(x)[0], nn.LSTM(64, 96, proj_size=48)), STEPS),
    "GRU": (lambda: Apply(lambda x, f: f(x)[0], nn.GRU(64, 96, 2, batch_first=True, dropout=0.2)), STEPS),
    "packed LSTM": (lambda: Apply(packed, nn.LSTM(64, 96, batch_first=True)), STEPS),
    "packed LSTM out of order": (lambda: Apply(partial(packed, in_order=False), nn.LSTM(64, 96)), STEPS),
    "a checkpoint around an LSTM": (lambda: Apply(in_blocks, outputs_of(nn.LSTM, 64, 96, 2)), STEPS),
    "a checkpoint around a GRU": (lambda: Apply(in_blocks, outputs_of(nn.GRU, 64, 96)), STEPS),
    "a checkpoint around an RNN": (lambda: Apply(in_blocks, outputs_of(nn.RNN, 64, 96)), STEPS),
    "an LSTM between layers in a checkpoint": (
        lambda: Apply(in_blocks, nn.Sequential(nn.Linear(64, 64), outputs_of(nn.LSTM, 64, 96), nn.Linear(96, 64))),
        STEPS,
    ),
    "a scripted module": (scripted, LINES),
    "a module with a scripted one": (lambda: nn.Sequential(nn.Linear(WIDTH, WIDTH), scripted()), LINES),
    "a GRU behind a scripted module": (
        lambda: nn.Sequential(torch.jit.script(nn.Linear(64, 64)), outputs_of(nn.GRU, 64, 96)),
        STEPS,
    ),
    "an unregistered layer": (Unregistered, LINES),
    "transposed convolutions": (
        lambda: nn.Sequential(
            nn.ConvTranspose2d(3, 32, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.ReLU()
        ),
        IMAGE,
    ),
    "packed GRU in both directions": (lambda: Apply(packed, nn.GRU(64, 96, bidirectional=True)), STEPS),
}


@needs_onednn
@pytest.mark.parametrize("name", NETS)
def test_a_step_takes_what_the_allocator_hands_out(name):
    make, shape = NETS[name]
    net = make()
    training = count_flops(net, shape).memory.training
    x = torch.randn(shape)

    def step():
        net.train()(x).sum().backward()

    step()  # from here on the gradients are in place
    top, _ = recorded(step)
    assert training.nbytes == pytest.approx(top, rel=0.15)


@needs_onednn
def test_the_largest_batch_of_a_checkpointed_network_fits():
    net = Apply(in_blocks, layers(6))
    fit = largest_batch(
        lambda batch: count_flops(net, (batch, WIDTH)).with_dataflow(), "24MB", training=True, optimizer="none"
    )
    x = torch.randn(fit.batch, WIDTH)

    def step():
        net.train()(x).sum().backward()

    step()
    top, _ = recorded(step)
    weights = sum(p.numel() * 4 for p in net.parameters())
    assert fit.batch > ROWS
    assert fit.needs == pytest.approx(2 * weights + x.numel() * 4 + top, rel=0.15)


@needs_half
@pytest.mark.parametrize("again", [False, True])
def test_an_lstm_under_autocast(again):
    """Its gradients are in float32, whatever its weights are cast to."""
    part = nn.Sequential(nn.Linear(64, 64), outputs_of(nn.LSTM, 64, 96, 2), nn.Linear(96, 64))
    net, x = Apply(partial(under_autocast, again=again), part), torch.randn(16, 40, 64)
    training = count_flops(net, x).memory.training

    def step():
        net.train()(x).sum().backward()

    step()
    top, _ = recorded(step)
    assert training.nbytes == pytest.approx(top, rel=0.15)


def test_an_lstm_behind_a_scripted_layer_is_refused():
    """Its kernel keeps a workspace of which fake tensors know nothing."""
    net = nn.Sequential(torch.jit.script(nn.Linear(64, 64)), outputs_of(nn.LSTM, 64, 96))
    assert isinstance(count_flops(net, STEPS).memory.training, str)


class TwoHeads(nn.Module):
    """A long branch and a short one, on the same input."""

    def __init__(self):
        super().__init__()
        self.short, self.long = layers(1), layers(5)

    def forward(self, x):
        return {"short": self.short(x), "long": in_blocks(x, self.long)}


def test_the_loss_of_the_caller_is_that_of_the_memory():
    net = TwoHeads()
    asked = {None: None, "short": "short", "long": "long", "function": lambda out: out["short"].mean()}
    found = {name: count_flops(net, LINES, mode="train", loss=loss).memory for name, loss in asked.items()}
    assert found["short"].training.loss == "sum of the output short (512, 256)"
    assert "loss: sum of the output short (512, 256)" in found["short"].notes
    assert found["function"].training.loss == "the given function"
    # the checkpoint around the long branch is recomputed only if that is trained
    assert found["short"].training.nbytes < found["long"].training.nbytes <= found[None].training.nbytes
    assert found["function"].training.nbytes == found["short"].training.nbytes


class Centres(nn.Module):
    """A loss with weights of its own."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1000, WIDTH))

    def forward(self, x):
        return (x @ self.weight.T).logsumexp(1).mean()


def test_a_loss_with_weights_of_its_own():
    net, loss, x = layers(2), Centres(), torch.randn(LINES)
    training = count_flops(net, x, mode="train", loss=loss).memory.training
    assert loss.weight.grad is None

    def step():
        loss(net(x)).backward()
        loss.weight.grad = None

    step()
    top, _ = recorded(step)
    assert training.nbytes == pytest.approx(top + loss.weight.nbytes, rel=0.15)


def test_a_function_of_functions_is_there_in_a_recomputation():
    """What the engine replaces in the forward pass, it replaces when a checkpoint runs it again."""
    net = Apply(in_blocks, nn.Sequential(nn.Linear(64, 64), outputs_of(nn.LSTM, 64, 64)))
    (costed,) = {
        sum(op.signature.op == "aten.mkldnn_rnn_layer" for op in count_flops(net, STEPS).with_dataflow().saving.ops)
    }
    assert costed == 2


def test_a_recomputation_is_not_kept():
    """Blocks recomputed one after the other take no more than one of them."""
    few, many = (
        count_flops(Apply(in_blocks, *(layers(2) for _ in range(n))), LINES).memory.training.nbytes for n in (2, 6)
    )
    assert many == few + 4 * ROWS * WIDTH * 4  # the inputs of four more blocks


def test_the_module_and_its_gradients_are_as_before():
    net = Apply(in_blocks, layers(2))
    net(torch.randn(2, WIDTH)).sum().backward()
    before = {name: (p, p.grad, p.grad.clone(), p._version) for name, p in net.named_parameters()}
    assert not isinstance(count_flops(net, (4, WIDTH)).memory.training, str)
    for name, p in net.named_parameters():
        parameter, grad, values, version = before[name]
        assert p is parameter
        assert p.grad is grad
        assert torch.equal(grad, values)
        assert p._version == version


CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn_tanh": nn.RNN, "rnn_relu": partial(nn.RNN, nonlinearity="relu")}
OPTIONS = [{}, {"num_layers": 2}, {"bidirectional": True}, {"bias": False}, {"batch_first": True}]


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("options", [*OPTIONS, {"proj_size": 3}], ids=str)
@pytest.mark.parametrize("is_packed", [False, True])
def test_the_steps_are_those_of_torch(kind, options, is_packed):
    if "proj_size" in options and kind != "lstm":
        pytest.skip("only an LSTM has projections")
    net = CELLS[kind](4, 5, **options).double()  # in double precision an LSTM is run step by step
    count = net.num_layers * (1 + net.bidirectional)
    states = [torch.randn(count, 3, options.get("proj_size", 5)).double()]
    states += [torch.randn(count, 3, 5).double()] if kind == "lstm" else []
    state = tuple(states) if kind == "lstm" else states[0]
    rest = (net._flat_weights, net.bias, net.num_layers, 0.0, True, net.bidirectional)
    if is_packed:
        args = (torch.randn(6, 4).double(), torch.tensor([3, 2, 1]), state, *rest)
    else:
        args = (torch.randn(3, 3, 4).double(), state, *rest, net.batch_first)
    expected, got = getattr(torch, kind)(*args), run_recurrent(kind, args)
    assert len(expected) == len(got)
    for one, other in zip(expected, got, strict=True):
        torch.testing.assert_close(one, other)
