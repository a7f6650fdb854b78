"""Peaks worked out by hand, autograd's own saved tensors, and the allocations that torch's profiler records."""

import pytest
import torch
from allocator import recorded
from hypothesis import given, settings
from hypothesis import strategies as st
from modules import TORCH, Apply
from torch import nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile
from torch.utils.checkpoint import checkpoint
from typer.testing import CliRunner
from zoo import QUICK, every, undrawn

from flopcount import Clip, InputError, TensorSpec, UnknownNameError, count_flops, count_model, largest_batch
from flopcount.analysis.largest_batch import MOST, BatchFit, largest, parse_bytes
from flopcount.analysis.memory import live_bytes, memory_of
from flopcount.cli import app
from flopcount.core.dataflow import Role
from flopcount.core.model_spec import ModelSpec
from flopcount.count import count
from flopcount.models import CARDS, create_model
from flopcount.models.by_name import input_of
from flopcount.models.loading import find_model
from flopcount.output.terminal import terminal
from flopcount.tracing.arguments import arguments_of
from flopcount.tracing.engines import real_input
from flopcount.tracing.inputs import map_tensors

N = 4 * 6  # bytes of a float32 tensor of 6 elements, the unit of the hand counts


def report_of(function, *inputs, parts=(), **options):
    return count_flops(Apply(function, *parts), inputs or (6,), **options).with_dataflow()


def peak(function, *inputs, parts=(), **options):
    return memory_of(report_of(function, *inputs, parts=parts, **options), kernels="none").peak


# Liveness, by hand


def residual(x):
    y = x.exp()
    z = y.sin()
    z = z.cos()  # y lives on, sin's result dies after this line
    return y + z


def branches(x):
    y = x.exp()
    left = y.sin()
    right = y.cos()
    del y
    return (left + right).neg()


def released(x):
    y = x.exp()
    del y
    return x.sin()


def viewed(x):
    head = x.exp()[:1]  # six elements live on in a view of one
    return head, x.sin(), x.cos()


HAND = {
    "a chain has two at a time": (lambda x: x.exp().sin().cos(), 2),
    "in place takes nothing": (lambda x: x.exp().relu_().mul_(2), 1),
    "views take nothing": (lambda x: x.exp().view(2, 3).mT[1:], 1),
    "a view keeps all of its memory": (viewed, 3),
    "a residual is kept": (residual, 3),
    "both branches are there until they are left": (branches, 4),  # left, right, sum, neg
    "what is let go is not there": (released, 1),
    "the input is not an activation": (lambda x: x.view(2, 3), 0),
    "results live": (lambda x: [x.exp(), x.sin(), x.cos(), x.neg()], 4),
    "dropout at test time is its input": (lambda x: F.dropout(x.exp(), training=False).sin(), 2),
    "an out= is written where it is": (lambda x: torch.neg(x, out=x.exp()), 1),
}


@pytest.mark.parametrize("engine", ["meta", "fake", "real"])
@pytest.mark.parametrize("name", HAND)
def test_peak(name, engine):
    function, tensors = HAND[name]
    assert peak(function, engine=engine).nbytes == tensors * N


def test_the_moment_of_the_peak():
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    found = memory_of(count_flops(net, (3, 4)).with_dataflow(), kernels="none")
    assert found.peak.module == "1"
    assert found.peak.op == "aten.relu"
    assert found.peak.nbytes == 2 * 3 * 8 * 4  # in and out of the ReLU, 3 rows of 8
    in_place = nn.Sequential(nn.Linear(4, 8), nn.ReLU(inplace=True), nn.Linear(8, 2))
    found = memory_of(count_flops(in_place, (3, 4)).with_dataflow(), kernels="none")
    assert found.peak.module == "2"
    assert found.peak.nbytes == 3 * 8 * 4 + 3 * 2 * 4  # in and out of the last layer


def test_what_is_there_all_the_time():
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)).eval()
    net[0].weight.requires_grad_(False)
    found = count_flops(net, (3, 4)).memory
    params = (32 + 8) + (8 + 8) + (16 + 2)
    assert found.parameters == (("float32", params * 4),)
    assert found.gradients == (("float32", (params - 32) * 4),)  # the first weight is frozen
    assert found.buffers == (("float32", 2 * 8 * 4), ("int64", 8))  # means and variances, and the number of batches
    assert found.inputs == (("float32", 3 * 4 * 4),)
    for optimizer, times in (("none", 0), ("sgd", 1), ("adam", 2), ("adamw", 2)):
        state = times * (params - 32) * 4
        assert sum(n for _, n in found.optimizer_state(optimizer)) == state
        assert found.step(optimizer) == found.step("none") + state
    with pytest.raises(UnknownNameError, match="adamw"):
        found.step("adamv")


def test_a_shared_parameter_is_there_once():
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    assert count_flops(tied, (1, 4)).memory.parameters == (("float32", (16 + 4 + 4) * 4),)


def test_dtypes():
    net = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 2)).to(torch.bfloat16)
    found = memory_of(count_flops(net, TensorSpec((3,), "int64")).with_dataflow(), kernels="none")
    assert found.inputs == (("int64", 3 * 8),)
    assert found.parameters == (("bfloat16", 2 * (40 + 8 + 2)),)
    assert found.peak.activations == (("bfloat16", 2 * (3 * 4 + 3 * 2)),)
    mixed = peak(lambda x: x.exp().to(torch.float64))
    assert mixed.activations == (("float32", N), ("float64", 2 * N))


# Laws

LAYERS = {
    "linear": lambda: nn.Linear(8, 8),
    "relu": nn.ReLU,
    "in place": lambda: nn.ReLU(inplace=True),
    "norm": lambda: nn.LayerNorm(8),
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
    "dropout": nn.Dropout,
}
networks = st.lists(st.sampled_from(sorted(LAYERS)), min_size=1, max_size=6)


def sequence(names):
    return nn.Sequential(nn.Linear(8, 8), *(LAYERS[name]() for name in names)).eval()


@given(networks, st.integers(2, 5))
@settings(max_examples=25)
def test_linear_in_the_batch_and_at_least_every_op(names, batch):
    net = sequence(names)
    one, many = (count_flops(net, (n, 8)).with_dataflow() for n in (1, batch))
    for a, b in (
        (memory_of(one, kernels="none").peak.nbytes, memory_of(many, kernels="none").peak.nbytes),
        (saved_bytes(one), saved_bytes(many)),
        (sum(n for _, n in one.memory.inputs), sum(n for _, n in many.memory.inputs)),
    ):
        assert b == batch * a
    flow = many.dataflow
    for data, live in zip(flow.flows, live_bytes(flow), strict=True):
        touched = {access.storage for access in data.reads + data.writes}
        held = sum(flow.storages[i].nbytes for i in touched if flow.storages[i].role is Role.ACTIVATION)
        assert held <= live <= many.memory.peak.nbytes


def saved_bytes(report):
    training = report.memory.training
    return 0 if isinstance(training, str) else sum(n for _, n in training.saved)


def saved_by_autograd(net, x):
    """Distinct storages that autograd packs, parameters and the input aside, and the result's: bytes by dtype."""
    storages = {}
    known = {p.untyped_storage()._cdata for p in net.parameters()} | {x.untyped_storage()._cdata}

    def keep(tensor):
        storages[tensor.untyped_storage()._cdata] = tensor
        return tensor

    net.train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        keep(net(x))
    net.eval()
    found = {}
    for address, tensor in storages.items():
        if address not in known:
            dtype = str(tensor.dtype).removeprefix("torch.")
            found[dtype] = found.get(dtype, 0) + tensor.untyped_storage().nbytes()
    return found


@given(networks, st.integers(1, 4))
@settings(max_examples=40)
def test_saved_is_what_autograd_saves(names, batch):
    net = sequence(names)
    training = count_flops(net, (batch, 8)).memory.training
    if isinstance(training, str):  # an in-place layer overwrites what another one saved
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            net.train()(torch.randn(batch, 8)).sum().backward()
        return
    assert dict(training.saved) == saved_by_autograd(net, torch.randn(batch, 8))
    assert not net.training


def test_saved_by_hand():
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    training = count_flops(net, (3, 4)).memory.training
    # the ReLU's result serves the ReLU and the next layer; the first layer's input is the network's
    assert training.saved == (("float32", 3 * 8 * 4 + 3 * 2 * 4),)
    # then the output is gone, and gradients of the ReLU's output and input, the loss and its gradient are there
    assert training.nbytes == 3 * (3 * 8 * 4) + 2 * 4
    assert training.module == "1"


def test_checkpointing_saves_less():
    block = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 8))
    plain = count_flops(Apply(lambda x, f: f(f(x)), block), (3, 8)).memory.training
    again = count_flops(
        Apply(lambda x, f: checkpoint(f, checkpoint(f, x, use_reentrant=False), use_reentrant=False), block),
        (3, 8),
    ).memory.training
    width, inner = 3 * 8 * 4, 3 * 64 * 4
    assert plain.saved == (("float32", 2 * inner + 2 * width),)
    assert again.saved == (("float32", 2 * width),)  # what goes in, and what comes out at the end


def test_a_network_that_cannot_train_on_this_input_says_why():
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).eval()
    found = count_flops(net, (1, 4)).memory
    assert "Expected more than 1 value per channel" in found.training
    assert found.step() is None
    assert found.table().total[3] == "unknown"
    assert found.inference > 0
    assert not net[1].training


# The allocator's own record


@pytest.fixture
def several_threads():
    """With one thread torch chooses other convolutions."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def real_arguments(given_input, module):
    return map_tensors(lambda value: real_input(value, torch.device("cpu")), arguments_of(given_input, module))


CONVOLUTIONAL = ["slow_fusion", "r3d_18", "s3d", "x3d_s", "slowfast_r50_4x16", "resnet50", "alexnet"]
OTHERS = ["cnn_attention", "cnn_lstm", "mvit_b_16x4", "mvitv2_s_16x4", "swin3d_t", "videomae_b"]


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="needs torch's oneDNN kernels")
@pytest.mark.filterwarnings("ignore:.*Profiler clears events:UserWarning")  # of some versions of torch
@pytest.mark.parametrize("name", every(CONVOLUTIONAL + OTHERS, slow={"slowfast_r50_4x16"}))
def test_peak_is_the_allocators(name, several_threads):
    card = CARDS[name]
    if card.requires:
        pytest.importorskip(card.requires)
    spec = ModelSpec(name, card.smallest)
    with undrawn():
        module = find_model(spec)()
    for batch in (1, 2) if name in QUICK else (2,):
        given_input = input_of(module, spec, batch)
        found = count_flops(module, given_input).memory
        args, kwargs = real_arguments(given_input, module)
        with torch.inference_mode():
            module(*args, **kwargs)  # what kernels set up once
            top, _ = recorded(lambda: module(*args, **kwargs))  # noqa: B023
        assert found.peak.nbytes == pytest.approx(top, rel=0.1), batch


@pytest.mark.parametrize("name", ["r3d_18", "x3d_s", "swin3d_t", "mvit_b_16x4", "cnn_attention"])
def test_saved_is_what_the_allocator_keeps(name, several_threads):
    card = CARDS[name]
    with undrawn():
        module = create_model(name, clip=card.smallest).train()
    given_input = input_of(module, ModelSpec(name, card.smallest), 2)
    training = count_flops(module, given_input).memory.training
    args, kwargs = real_arguments(given_input, module)
    module(*args, **kwargs)
    _, kept = recorded(lambda: module(*args, **kwargs))
    assert sum(n for _, n in training.saved) == pytest.approx(kept, rel=0.02)


# Attention kernels


def attention(q, k, v, mask=None, **options):
    return F.scaled_dot_product_attention(q, k, v, mask, **options)


Q = (1, 2, 32, 16)
KERNELS = {
    "flash": (lambda q: attention(q, q, q), "flash"),
    "causal": (lambda q: attention(q, q, q, is_causal=True), "flash"),
    "values of another width": (lambda q: attention(q, q, q[..., :3]), "math"),
    "three axes": (lambda q: attention(q[0], q[0], q[0]), "math" if TORCH < (2, 14) else "flash"),
    "three axes and a mask": (
        lambda q: attention(q[0], q[0], q[0], q[0] @ q[0].mT),
        "math" if TORCH < (2, 14) else "flash",
    ),
    "dropout": (lambda q: attention(q, q, q, dropout_p=0.1), "math"),
}


@pytest.mark.parametrize("name", KERNELS)
def test_attention_kernel(name, several_threads):
    function, kernel = KERNELS[name]
    found = report_of(function, Q).memory
    assert found.attention == ((kernel, 1),)
    assert f"attention kernel: {kernel} (1 call)" in found.notes
    x = torch.randn(Q)
    with torch.inference_mode(), profile(activities=[ProfilerActivity.CPU]) as profiled:
        function(x)
    ran = {event.key for event in profiled.key_averages()}
    assert ("aten::_scaled_dot_product_flash_attention_for_cpu" in ran) is (kernel == "flash")
    scores = 2 * 32 * 32 * 4
    assert (found.peak.workspace > scores) is (kernel == "math")


def test_a_kernel_called_by_name_has_its_results_once():
    """Both return tensors that the operator above them holds only while it runs."""
    aten = torch.ops.aten
    flash = report_of(lambda q: aten._scaled_dot_product_flash_attention_for_cpu(q, q, q)[0], Q).memory
    pooled = report_of(lambda x: aten.fractional_max_pool2d(x, [2, 2], [4, 4], x[:, :, 0, :2])[0], (1, 3, 9, 9)).memory
    assert flash.attention == (("flash", 1),)
    assert flash.peak.workspace == pooled.peak.workspace == 0


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
def test_packed_sequences_have_a_peak(layer):
    def packed(x, part):
        sequence = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 3]), batch_first=True)
        return nn.utils.rnn.pad_packed_sequence(part(sequence)[0], batch_first=True)[0]

    found = report_of(packed, (2, 5, 4), parts=(layer(4, 6, batch_first=True),)).memory
    assert found.peak.nbytes >= 8 * 4 * 4 + 8 * 6 * 4  # the steps that the sequences have, in and out


def test_flash_attention_saves_no_scores():
    long = (1, 2, 64, 8)
    net = Apply(lambda x, f: attention(*f(x).chunk(3, -1)), nn.Linear(8, 24))
    flash = sum(n for _, n in count_flops(net, long).memory.training.saved)
    assert flash == saved_by_autograd(net, torch.randn(long))["float32"]
    spelled = Apply(lambda x, f: (lambda q, k, v: (q @ k.mT).softmax(-1) @ v)(*f(x).chunk(3, -1)), nn.Linear(8, 24))
    assert sum(n for _, n in count_flops(spelled, long).memory.training.saved) > 2 * 64 * 64 * 4 + flash / 2
    assert F.scaled_dot_product_attention.__name__ == "scaled_dot_product_attention"


# The largest batch


@given(st.integers(0, 10**6), st.integers(1, 10**5), st.integers(0, 10**4), st.integers(0, 10**9))
@settings(max_examples=300)
def test_search(fixed, slope, bend, budget):
    def need(batch):
        asked.append(batch)
        return fixed + slope * batch + bend * (batch // 7)

    asked = []
    fit = largest(need, budget)
    assert len(asked) == len(set(asked)) <= 40
    if fit.batch:
        assert need(fit.batch) == fit.needs <= budget
        assert fit.batch == MOST or need(fit.batch + 1) == fit.next_needs > budget
    else:
        assert need(1) > budget


def test_search_where_need_does_not_grow():
    assert largest(lambda batch: 5, 10) == BatchFit(10, MOST, 5, None)
    assert largest(lambda batch: None if batch == 1 else 5 * batch, 30).batch == 6
    assert largest(lambda batch: None, 30) == BatchFit(30, 0, None, None)


def test_the_batch_found_fits_and_the_next_does_not():
    net = create_model("r3d_18", clip="4x32x32").eval()

    def count(batch):
        return count_flops(net, (batch, 3, 4, 32, 32)).with_dataflow()

    for options, need in (
        ({}, lambda memory: memory.inference),
        ({"training": True, "optimizer": "sgd"}, lambda memory: memory.step("sgd")),
    ):
        fit = largest_batch(count, "2GB", **options)
        assert fit.batch > 10
        assert need(count(fit.batch).memory) == fit.needs <= 2 * 10**9
        assert need(count(fit.batch + 1).memory) == fit.next_needs > 2 * 10**9


@pytest.mark.parametrize(
    ("text", "expected"),
    [("80GB", 80 * 10**9), ("24 GiB", 24 * 2**30), ("512m", 512 * 10**6), (7, 7), ("1.5kB", 1500), ("2TiB", 2**41)],
)
def test_bytes(text, expected):
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["80XB", "", "GB", "-3GB", "0"])
def test_no_bytes(text):
    with pytest.raises(InputError, match="write 80GB"):
        parse_bytes(text)


# Tables and errors


def test_columns_sum_to_the_total():
    report = count_model("swin3d_t", clip=Clip(2, 32, 32)).with_dataflow()
    for optimizer in ("adamw", "none"):
        table = report.memory.table(optimizer)
        for column in (2, 3):
            assert sum(row[column] for row in table.rows) == table.total[column]
        assert table.total[2:] == (report.memory.inference, report.memory.step(optimizer))


def test_without_dataflow_there_is_no_memory():
    with pytest.raises(InputError, match="no memory: its data was not followed"):
        memory_of(count(nn.Linear(2, 2), (1, 2)))
    with pytest.raises(UnknownNameError, match="choose cpu or none"):
        memory_of(count_flops(nn.Linear(2, 2), (1, 2)).with_dataflow(), kernels="cuda")


def test_a_second_count_says_the_same():
    first, second = (count_model("mvitv2_s_16x4", clip=Clip(3, 32, 32)).memory for _ in range(2))
    assert first == second


# The command


def invoke(*words):
    return CliRunner().invoke(app, words, catch_exceptions=False)


def test_command_prints_what_the_library_says():
    result = invoke("memory", "r3d_18", "--clip", "2x32x32", "--optimizer", "sgd")
    report = count_model("r3d_18", clip=Clip(2, 32, 32)).with_dataflow()
    assert result.stdout == terminal(report.memory.table("sgd")) + "\n"
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_command_finds_the_batch():
    out = invoke("memory", "r3d_18", "--clip", "2x32x32", "--memory", "1GB", "--kernels", "none").stdout

    def count(batch):
        return count_model("r3d_18", clip=Clip(2, 32, 32), batch=batch).with_dataflow()

    fit = largest_batch(count, "1GB", kernels="none")
    assert f"largest batch in 1GB, inference: {fit}" in " ".join(out.split("\n"))
    assert "largest batch in 1GB, training with adamw: " in out
    assert "workspace: left out" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("r3d_81",), "near    r3d_18"),
        (("r3d_18", "--memory", "80XB"), "write 80GB, 24GiB or 512MB"),
        (("torch.nn:ReLU", "--memory", "1GB", "--input", "2x3"), "give --clip instead of --input"),
    ],
)
def test_bad_input(words, message):
    result = invoke("memory", *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not result.stdout


def test_a_need_that_is_not_known_is_no_batch_of_none():
    assert str(largest(lambda batch: None, 10)) == "unknown"
    assert str(largest(lambda batch: 11, 10)) == "none (1 needs 11 B)"


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
def test_packed_steps_need_the_workspace_of_plain_ones(layer):
    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer(60, 500)

        def forward(self, x):
            packed = nn.utils.rnn.PackedSequence(x.flatten(0, 1), torch.full((7,), 4)) if self.packed else x
            return self.layer(packed)[1]

    module, sizes = Packed(), []
    for module.packed in (True, False):
        rows = count_flops(module, (7, 4, 60)).memory.table().rows
        sizes += [row[2] for row in rows if row[0] == "workspace of the kernel there"]
    if layer is nn.LSTM:  # packed steps run one by one, and only plain ones in oneDNN's kernel
        assert sizes[0] == 28 * (4 * 500 + 500) * 4 < sizes[1]
    else:
        assert sizes[0] == sizes[1] > 0
