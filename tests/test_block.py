"""`counting()` counts what a block of code does, by our rules, and changes nothing of it."""

import copy
import gc
import json
import threading
import weakref
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import flopcount
from flopcount import InputError, count_flops, counting

IMAGES = torch.randn(2, 3, 8, 8)
LABELS = torch.tensor([0, 1])
CONV, HEAD = 2 * 64 * 8 * 27, 2 * 8 * 5
WORDS = torch.randn(2, 6, 16)


class Net(nn.Module):
    """A convolution, a norm and a head."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Linear(8, 5)

    def forward(self, x):
        return self.head(F.relu(self.norm(self.conv(x))).mean((2, 3)))


class Checkpointed(nn.Module):
    """Two layers whose activations are recomputed."""

    def __init__(self, reentrant):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 16))
        self.reentrant = reentrant

    def forward(self, x):
        return checkpoint(self.layers, self.first(x), use_reentrant=self.reentrant)

    def first(self, x):
        return x * self.layers[0].weight.sum()  # so that the input of the checkpoint requires a gradient


def step(net, optimizer):
    """One training step; its loss."""
    optimizer.zero_grad()
    loss = F.cross_entropy(net(IMAGES), LABELS)
    loss.backward()
    optimizer.step()
    return loss


def own(count):
    """MACs of each module without its children, where there are any."""
    return {row.path: row.own.macs for row in count.modules if row.own.macs}


NETWORKS = {
    "convolutions": (Net, IMAGES),
    "grouped": (lambda: nn.Sequential(nn.Conv3d(4, 8, 3, groups=2), nn.Flatten()), torch.randn(2, 4, 4, 5, 5)),
    "transposed": (lambda: nn.Sequential(nn.ConvTranspose2d(3, 4, 3, stride=2), nn.Flatten()), IMAGES),
    "attention": (lambda: nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True), WORDS),
    "recurrent": (lambda: nn.GRU(16, 8, num_layers=2, bidirectional=True, batch_first=True), WORDS),
    "checkpointed": (lambda: Checkpointed(False), WORDS),
    "checkpointed, reentrant": (lambda: Checkpointed(True), WORDS),
}


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("context", [torch.enable_grad, torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_forward_pass_counts_as_count_flops_says(name, train, context):
    build, x = NETWORKS[name]
    net = build().train(train)
    report = count_flops(net, (x,))
    with counting(net) as count, context():
        net(x)
    assert (count.macs, count.params, count.uncosted) == (report.macs, report.params, ())
    if name != "attention" or train or context is torch.enable_grad:  # else torch takes a kernel of the whole layer
        assert own(count) == own(report)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_training_step_counts_as_the_report_says(name):
    build, x = NETWORKS[name]
    net = build()
    training = count_flops(net, (x,), mode="train").training
    with counting(net) as count:
        result = net(x)
        (result[0] if isinstance(result, tuple) else result).sum().backward()
    assert count.macs == training.total.macs
    assert own(count) == {
        row.path: macs for row in training.rows if (macs := sum(amount.macs for amount in row.own.values()))
    }
    assert count.uncosted == ()


@pytest.mark.parametrize("name", ["convolutions", "transposed", "checkpointed", "checkpointed, reentrant"])
def test_a_step_counts_as_torchs_counter_says(name):
    """Where that is right: it has no elementwise work, and too much of grouped convolutions and fused attention."""
    build, x = NETWORKS[name]
    net = build()
    with FlopCounterMode(display=False) as torchs, counting() as count:
        net(x).sum().backward()
    assert count.flops == torchs.get_total_flops()
    with counting() as count, FlopCounterMode(display=False) as torchs:
        net(x).sum().backward()
    assert count.flops == torchs.get_total_flops()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=5), st.integers(1, 4), st.booleans())
def test_a_multilayer_perceptron_of_any_widths(widths, batch, needs):
    layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
    x = torch.randn(batch, widths[0], requires_grad=needs)
    with counting() as count:
        nn.Sequential(*layers)(x).sum().backward()
    forward = [batch * a * b for a, b in pairwise(widths)]
    assert count.macs == 3 * sum(forward) - (0 if needs else forward[0])


def test_an_lstm_in_one_kernel():
    """Its backward makes all gradients, those of the first state included: a layer by input and one by weight."""
    lstm = nn.LSTM(16, 8, batch_first=True)
    forward = 2 * 6 * 4 * 8 * (16 + 8)
    with counting() as count:
        lstm(WORDS)[0].sum().backward()
    assert count.macs == 3 * forward
    assert count.uncosted == ()


def test_attention_counts_the_same_by_every_kernel():
    q, k, v = (torch.randn(2, 3, n, 4, requires_grad=True) for n in (5, 7, 7))
    product = 2 * 3 * 5 * 7 * 4
    for backend in (SDPBackend.MATH, SDPBackend.FLASH_ATTENTION):
        with counting() as count, sdpa_kernel(backend):
            F.scaled_dot_product_attention(q, k, v).sum().backward()
        assert count.macs == 2 * product + 4 * product


@pytest.mark.parametrize("build", [torch.optim.SGD, torch.optim.AdamW, torch.optim.RMSprop])
def test_what_is_computed_is_the_same_bit_by_bit(build):
    one, other = (copy.deepcopy(net) for net in [Net()] * 2)
    optimizers = build(one.parameters(), lr=0.1), build(other.parameters(), lr=0.1)
    for _ in range(3):
        torch.manual_seed(0)
        loss = step(one, optimizers[0])
        random = torch.get_rng_state()
        torch.manual_seed(0)
        with counting():
            counted = step(other, optimizers[1])
        assert torch.equal(loss, counted)
        assert torch.equal(random, torch.get_rng_state())
    for mine, others in zip((*one.parameters(), *one.buffers()), (*other.parameters(), *other.buffers()), strict=True):
        assert torch.equal(mine, others)
        assert mine._version == others._version
        assert mine.grad is others.grad or torch.equal(mine.grad, others.grad)


def test_modules_are_named_by_their_class():
    one, other = Net(), Net()
    with counting() as count:
        one(IMAGES)
        other(IMAGES)
        one(IMAGES)
    assert {row.path: row.calls for row in count.modules if row.depth == 1} == {"Net": 2, "Net_2": 1}
    assert own(count) == {"Net.conv": 2 * CONV, "Net.head": 2 * HEAD, "Net_2.conv": CONV, "Net_2.head": HEAD}
    assert count.params == 2 * (8 * 27 + 8 + 8 + 8 + 8 * 5 + 5)


def test_modules_are_named_by_the_caller():
    student, teacher = Net(), Net().eval()
    teacher.head = student.head  # shared, so its parameters count once
    with counting(models={"student": student, "teacher": teacher}) as count:
        with torch.no_grad():
            wanted = teacher(IMAGES)
        F.mse_loss(student(IMAGES), wanted).backward()
    assert own(count) == {"student.conv": 2 * CONV, "student.head": 4 * HEAD, "teacher.conv": CONV}
    assert count.params == 2 * (8 * 27 + 8 + 8 + 8) + 8 * 5 + 5


def test_a_step_has_rows_for_layers_and_optimizer():
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    step(net, optimizer)  # its state exists
    with counting(net) as count:
        step(net, optimizer)
    training = count_flops(net, (IMAGES,), mode="train", optimizer="sgd").training
    rows = {row.path: row for row in count.modules}
    assert count.model == "Net"
    assert own(count) == {"conv": 2 * CONV, "head": 3 * HEAD}
    assert rows["(optimizer)"].type == "SGD"
    assert rows["(optimizer)"].cost.other_flops == training.optimizer_step.other_flops
    assert sum(row.own.other_flops for row in count.modules) == count.other_flops


def test_it_is_read_in_the_block_and_after_an_error():
    net = Net()
    so_far = []

    def steps():
        for _ in range(2):
            net(IMAGES)
            so_far.append(count.macs)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), counting() as count:
        steps()
    assert so_far == [CONV + HEAD, 2 * (CONV + HEAD)]
    assert count.macs == so_far[-1]
    assert not torch.nn.modules.module._global_forward_hooks


def test_an_error_within_a_layer():
    net = Net()
    with counting() as count:
        with pytest.raises(RuntimeError, match="channels"):
            net(torch.randn(1, 4, 8, 8))
        torch.ones(2, 3) @ torch.ones(3, 4)
        net(IMAGES)
    assert own(count) == {"": 24, "Net.conv": CONV, "Net.head": HEAD}


def test_blocks_within_each_other_count_alike():
    net = Net()
    with counting() as outer:
        net(IMAGES)
        with counting(net) as inner:
            net(IMAGES)
        net(IMAGES)
    assert (outer.macs, inner.macs) == (3 * (CONV + HEAD), CONV + HEAD)
    assert own(outer) == {"Net.conv": 3 * CONV, "Net.head": 3 * HEAD}


def test_a_count_within_a_block_is_no_work_of_it():
    net = Net()
    with counting() as count:
        assert count_flops(net, (IMAGES,)).macs == CONV + HEAD
        assert count_flops(net, (IMAGES,), mode="train", engine="real").macs == CONV + HEAD
    assert (count.macs, len(count.modules)) == (0, 1)


def test_a_block_within_a_count_is_work_of_both():
    net = Net()
    seen = []

    def forward(x):
        with counting() as count:
            result = net(x)
        seen.append(count.macs)
        return result

    assert count_flops(lambda x: forward(x), (IMAGES,)).macs == CONV + HEAD


def test_tensors_without_data():
    with counting() as count:
        F.linear(torch.empty(4, 8, device="meta"), torch.empty(3, 8, device="meta"))
        with FakeTensorMode():
            layer = nn.Linear(8, 3)
            for _ in range(3):
                layer(torch.empty(4, 8))
    assert count.macs == 4 * 4 * 8 * 3


def test_work_of_other_threads_is_named():
    net = Net()
    with counting() as count:
        thread = threading.Thread(target=net, args=(IMAGES,))
        thread.start()
        thread.join()
        net(IMAGES)
    assert count.macs == CONV + HEAD
    assert count.assumed == (
        "the work of other threads is left out, where these modules ran: Net, Conv2d, BatchNorm2d, Linear",
    )
    assert "assumed: the work of other threads" in " ".join(str(count).split())


def test_gradients_of_gradients_belong_to_their_layers():
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    x = torch.randn(2, 4, requires_grad=True)
    with counting(net) as count:
        (slope,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
        slope.norm().backward()
    assert set(own(count)) == {"0", "2"}


def test_compiled_code_runs_uncompiled():
    """Its kernels cannot be seen; the stance of the compiler is as before, and so are the filters of warnings."""
    import warnings

    net = Net()
    compiled = torch.compile(net, backend="eager")
    filters = [*warnings.filters]
    with counting() as count:
        compiled(IMAGES)
        torch.compile(lambda x: x @ x.T, backend="eager")(torch.ones(2, 3))
    assert own(count) == {"": 12, "Net.conv": CONV, "Net.head": HEAD}
    assert [row.calls for row in count.modules if row.path == "Net"] == [1]
    assert warnings.filters == filters


def test_operators_without_a_rule_are_listed():
    with counting() as count:
        torch.linalg.eigh(torch.eye(3))
        torch.sparse.mm(torch.eye(4).to_sparse(), torch.ones(4, 4))
    assert {row.op for row in count.uncosted} >= {"aten._linalg_eigh", "unknown.aten._sparse_addmm"}


def test_layers_that_settle_in_the_block():
    lazy = nn.Sequential(nn.LazyLinear(5), nn.ReLU())
    with counting() as count:
        lazy(torch.ones(2, 7))
    assert (count.macs, count.params) == (2 * 7 * 5, 7 * 5 + 5)


def test_a_layer_that_is_made_in_the_block():
    class Late(nn.Module):
        def forward(self, x):
            if not hasattr(self, "layer"):
                self.layer = nn.Linear(7, 5)
            return self.layer(x)

    with counting() as count:
        late = Late()
        late(torch.ones(2, 7))
    assert (own(count), count.params) == ({"Late.layer": 2 * 7 * 5}, 40)


def test_modules_made_for_each_step_share_a_row():
    with counting() as count:
        for _ in range(3):
            nn.Linear(7, 5)(torch.ones(2, 7))
            gc.collect()
    assert own(count) == {"Linear": 3 * 2 * 7 * 5}
    assert count.params == 40


def test_a_teacher_out_of_sight_is_a_root():
    class Student(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(7, 5)
            self.teacher = [nn.Sequential(nn.Linear(7, 5))]

        def forward(self, x):
            return self.layer(x) - nn.Softmax(-1)(self.teacher[0](x))

    with counting() as count:
        student = Student()
        student(torch.ones(2, 7))
    assert own(count) == {"Student.layer": 70, "Sequential.0": 70}
    assert count.params == 80


def test_nothing_keeps_modules_or_results_alive():
    net = Net()
    gone = weakref.ref(net)
    with counting(models={"net": net}) as count:
        result = weakref.ref(net(IMAGES))
        assert result() is None
        other = nn.Linear(8, 8)
        other(torch.ones(1, 8))
        others = weakref.ref(other)
        del other
        gc.collect()
        assert others() is None
    del net
    gc.collect()
    assert gone() is None
    assert (count.macs, count.params) == (CONV + HEAD + 64, 285 + 72)


def test_it_is_a_report(tmp_path):
    net = Net()
    with counting(net) as count:
        net(IMAGES)
    data = json.loads(count.to_json())
    assert (data["model"], data["total"]["macs"], data["engine"]) == ("Net", CONV + HEAD, "code")
    (tmp_path / "count.json").write_text(count.to_json())
    saved = flopcount.read_report(tmp_path / "count.json")
    assert saved.total.macs == count.total.macs
    assert str(count).startswith("Net\n")
    assert count.flops == 2 * count.macs
    assert "\nconv,Conv2d,2×8×8×8,224,27648," in count.by_module().to_csv()
    assert count.by_operator().to_csv().startswith("operator,")
    assert repr(count) == f"<Counting over: {CONV + HEAD:,} MACs>"
    assert count.sentence() == "27.7 kMACs (55.5 kFLOPs), 285 parameters"


READERS = {
    "memory": lambda count: count.memory,
    "span": lambda count: count.span,
    "closed form": lambda count: count.formula("HW"),
    "receptive field": lambda count: count.receptive_field[""],
}


@pytest.mark.parametrize("reader", READERS)
def test_readers_that_need_a_module_refuse(reader):
    with counting() as count:
        torch.ones(2, 3) @ torch.ones(3, 4)
    with pytest.raises(InputError, match="cannot be computed: a block of code was counted, not a module") as caught:
        READERS[reader](count)
    assert "\n  fix     count the module: count_flops(module, input)" in str(caught.value)


def test_what_counting_refuses():
    with pytest.raises(InputError, match="counting follows modules, and model is a function"):
        counting(lambda x: x)
    with pytest.raises(InputError, match="counting follows modules, and a is a str"):
        counting(models={"a": "c3d"})
    with pytest.raises(InputError, match=r"a model is named 'a\.b'"):
        counting(models={"a.b": Net()})
    with pytest.raises(InputError, match="both model and models"):
        counting(Net(), models={"a": Net()})
    with counting() as count:
        pass
    with pytest.raises(InputError, match="this count is over"), count:
        pass


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_jagged_tensors_count_and_other_nested_ones_are_listed(layout):
    layer = nn.Linear(16, 4)
    given = torch.nested.nested_tensor([torch.ones(2, 16), torch.ones(1, 16)], layout=layout)
    with counting() as count:
        result = layer(given)
    assert torch.equal(result.unbind()[1], layer(given).unbind()[1])
    if layout == torch.jagged:  # 3 rows in all
        assert (count.macs, count.uncosted) == (3 * 16 * 4, ())
    else:
        assert next(row.upper_macs for row in count.uncosted if row.op == "unknown.aten.linear") >= 3 * 16 * 4
    assert count.to_json()
    assert count.params == 68
