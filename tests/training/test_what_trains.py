"""Kinds of modules in a training step, each on every engine: as torch's counter counts a real step, or by hand."""

import pytest
import torch
from modules import OfParameters
from states import global_state, module_state
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.checkpoint import checkpoint, checkpoint_sequential
from torchs_counter import counted_by_torch

from flopcount import InputError, count_flops
from flopcount.core.ops import Phase

ENGINES = ["meta", "fake", "real"]


class Net(nn.Module):
    """Two layers with something between them."""

    def __init__(self, between, *, last=None, **parts):
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), last or nn.Linear(8, 5)
        self.between = between
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.last(self.between(self, self.first(x)))


def packed(net, hidden):
    steps = pack_padded_sequence(hidden.expand(3, 4, 8), torch.tensor([4, 3, 2]), batch_first=True)
    return pad_packed_sequence(net.recurrent(steps)[0], batch_first=True)[0]


def without_gradient(net, hidden):
    with torch.no_grad():
        noise = net.layer(hidden)
    return net.layer(hidden) + noise


def frozen_copy(net, hidden):
    with torch.no_grad():
        for mine, theirs in zip(net.teacher.parameters(), net.layer.parameters(), strict=True):
            mine.mul_(0.9).add_(theirs, alpha=0.1)
        target = net.teacher(hidden)
    return net.layer(hidden) - target


def eight():
    return nn.Linear(8, 8)


def tied():
    layers = nn.Sequential(eight(), eight())
    layers[1].weight = layers[0].weight
    return layers


KINDS = {
    "checkpoint": lambda: Net(lambda net, h: checkpoint(net.layer, h, use_reentrant=False), layer=eight()),
    "reentrant checkpoint": lambda: Net(lambda net, h: checkpoint(net.layer, h, use_reentrant=True), layer=eight()),
    "nested checkpoints": lambda: Net(
        lambda net, h: checkpoint(
            lambda y: 2 * checkpoint(net.layer, y.relu(), use_reentrant=False), h, use_reentrant=False
        ),
        layer=eight(),
    ),
    "sequential checkpoint": lambda: Net(
        lambda net, h: checkpoint_sequential(net.layers, 2, h, use_reentrant=False),
        layers=nn.Sequential(*(eight() for _ in range(4))),
    ),
    "random checkpoint": lambda: Net(
        lambda net, h: checkpoint(lambda y: F.dropout(net.layer(y), 0.5), h, use_reentrant=False), layer=eight()
    ),
    "parameters in a list": lambda: Net(
        lambda net, h: h @ net.weights[0] @ net.weights[1],
        weights=nn.ParameterList(torch.randn(8, 8) for _ in range(2)),
    ),
    "parameters in a dict": lambda: Net(
        lambda net, h: h @ net.weights["query"], weights=nn.ParameterDict({"query": torch.randn(8, 8)})
    ),
    "tied": lambda: Net(lambda net, h: net.layers(h), layers=tied()),
    "frozen": lambda: Net(lambda net, h: net.layer(h), layer=eight().requires_grad_(False)),
    "a teacher": lambda: Net(frozen_copy, layer=eight(), teacher=eight().requires_grad_(False)),
    "partly without gradient": lambda: Net(without_gradient, layer=eight()),
    "detached": lambda: Net(lambda net, h: net.layer(h.detach()) + h, layer=eight()),
    "in place": lambda: Net(lambda net, h: h.clone().mul_(3).relu_()),
    "weight norm": lambda: Net(lambda net, h: net.layer(h), layer=parametrizations.weight_norm(eight())),
    "transformer": lambda: Net(
        lambda net, h: net.layer(h[None]), layer=nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    ),
    "lstm": lambda: Net(lambda net, h: net.recurrent(h[None])[0], recurrent=nn.LSTM(8, 4, 2, bidirectional=True)),
    "gru": lambda: Net(lambda net, h: net.recurrent(h[None])[0], recurrent=nn.GRU(8, 8)),
    "lstm cell": lambda: Net(lambda net, h: net.recurrent(h)[0], recurrent=nn.LSTMCell(8, 8)),
    "vmap": lambda: Net(lambda net, h: torch.func.vmap(net.layer)(h), layer=eight()),
    "transposed": lambda: Net(lambda net, h: net.layer(h[:, None])[..., :8], layer=nn.ConvTranspose1d(1, 2, 3)),
    "picked rows": lambda: Net(lambda net, h: h.index_select(0, torch.tensor([0, 3, 1]))),
}


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad=True")
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_is_what_torch_counts(kind):
    module = KINDS[kind]()
    before = module_state(module), global_state()
    found = [count_flops(module, (4, 6), mode="train", engine=engine).training for engine in ENGINES]
    assert (module_state(module), global_state()) == before
    right = counted_by_torch(KINDS[kind](), torch.randn(4, 6), trains=True)
    for training, engine in zip(found, ENGINES, strict=True):
        assert (training.total.macs, training.engine) == (right, engine)
        assert training.untrained == ()
        assert sum(row.own[phase].macs for row in training.rows for phase in Phase) == training.total.macs


@pytest.mark.parametrize("engine", ["meta", "real"])
def test_packed_sequences(engine):
    module = Net(packed, recurrent=nn.GRU(8, 8, batch_first=True))
    training = count_flops(module, (1, 4, 6), mode="train", engine=engine).training
    assert training.total.macs == counted_by_torch(module, torch.randn(1, 4, 6), trains=True)
    steps = 4 + 3 + 2
    assert training.forward.macs == 4 * 6 * 8 + steps * 3 * 8 * 16 + 3 * 4 * 8 * 5


def test_weights_outside_of_modules_are_counted_and_left_alone():
    for weights in ([nn.Parameter(torch.ones(8, 8))], [eight()]):
        module = Net(lambda net, h, weights=weights: F.linear(h, getattr(weights[0], "weight", weights[0])))
        training = count_flops(module, (4, 6), mode="train").training
        assert training.backward.macs == 4 * 6 * 8 + 2 * 4 * 64 + 2 * 4 * 40
        weight = getattr(weights[0], "weight", weights[0])
        assert weight.grad is None
        assert not weight.is_meta


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("layer", [nn.Embedding, nn.EmbeddingBag])
def test_sparse_embeddings_train_as_dense_ones(layer, engine):
    module = nn.Sequential(layer(10, 8, sparse=True), nn.Linear(8, 5))
    indices, options = torch.arange(6).view(3, 2), {"mode": "train", "optimizer": "sgd", "engine": engine}
    sparse = count_flops(module, indices, **options).training
    dense = count_flops(nn.Sequential(layer(10, 8), nn.Linear(8, 5)), indices, **options).training
    assert sparse.phases == dense.phases
    assert module[0].sparse
    lookup = OfParameters(lambda w: F.embedding(torch.arange(3), w, sparse=True), [(10, 8)])
    with pytest.raises(InputError, match="sparse tensor, which cannot be counted"):
        count_flops(lookup, (1,), mode="train", engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_lazy_layers_train(engine):
    module = nn.Sequential(nn.Linear(6, 8), nn.LazyLinear(5))
    training = count_flops(module, (4, 6), mode="train", engine=engine).training
    assert training.total.macs == 2 * 4 * 6 * 8 + 3 * 4 * 8 * 5
    assert training.trained_params == 6 * 8 + 8 + 8 * 5 + 5
    assert module[1].has_uninitialized_params()


@pytest.mark.filterwarnings("ignore:Using `torch.compile:UserWarning")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_compiled_module_trains(engine):
    module = torch.compile(Net(lambda net, h: torch.compile(torch.relu, backend="eager")(h)), backend="eager")
    training = count_flops(module, (4, 6), mode="train", engine=engine).training
    assert training.total.macs == 2 * 4 * 6 * 8 + 3 * 4 * 8 * 5
    assert training.trained_params == 6 * 8 + 8 + 8 * 5 + 5


def test_a_part_in_eval_mode_stays_so():
    norm = nn.BatchNorm1d(8)
    module = Net(lambda net, h: net.norm(h), norm=norm).train()
    norm.eval()
    training = count_flops(module, (4, 6), mode="train").training
    row = next(row for row in training.rows if row.path == "norm")
    assert row.own[Phase.BACKWARD_INPUT].other_flops == 4 * 8  # a scaling; in training mode 4 per element
    assert not norm.training
