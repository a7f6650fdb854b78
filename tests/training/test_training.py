"""Training: hand counts of every phase, laws, torch's FlopCounterMode as an oracle, no side effects, the command."""

import copy
import json
import subprocess
import sys
import warnings
from itertools import pairwise

import pytest
import torch
from modules import OfParameters
from states import Untidy, global_state, module_state
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode
from typer.testing import CliRunner
from zoo import UNLIKE, every

from flopcount import FlopcountError, InputError, UncostedError, UnknownNameError, count_flops, create_model, weightless
from flopcount.cli import app
from flopcount.core.amount import summed
from flopcount.core.errors import ForwardError
from flopcount.core.ops import Kind, Phase
from flopcount.models import CARDS
from flopcount.models.cards import ARCHITECTURES
from flopcount.training.optimizers import OPTIMIZERS
from flopcount.training.tables import training_table


def train(module, *shapes, **options):
    return count_flops(module, tuple(shapes), mode="train", **options).training


def macs(training, path):
    """Forward, backward by input, backward by weight, recomputation of one module with its children."""
    row = next(row for row in training.rows if row.path == path)
    return [row.cost[phase].macs for phase in Phase if phase not in (Phase.LOSS, Phase.OPTIMIZER)]


# ---- hand counts


def conv_net():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten(), nn.Linear(4 * 16, 5))


FIRST = 2 * 8 * 6 * 6 * 3 * 9  # outputs (2, 8, 6, 6), 3·3·3 taps
SECOND = 2 * 4 * 4 * 4 * 8 * 9
HEAD = 2 * 64 * 5


def test_each_layer_costs_its_forward_twice_and_the_first_once():
    training = train(conv_net(), (2, 3, 8, 8))
    assert macs(training, "0") == [FIRST, 0, FIRST, 0]  # a clip needs no gradient
    assert macs(training, "2") == [SECOND, SECOND, SECOND, 0]
    assert macs(training, "4") == [HEAD, HEAD, HEAD, 0]
    assert training.backward.macs == FIRST + 2 * (SECOND + HEAD)
    assert training.losses == ("sum of the output (2, 5)",)
    assert training.trained_params == 8 * 27 + 8 + 4 * 72 + 4 + 5 * 64 + 5


def test_other_flops_of_each_phase():
    training = train(conv_net(), (2, 3, 8, 8), optimizer="sgd")
    relu, first, second = 2 * 8 * 36, 2 * 8 * 36, 2 * 4 * 16
    assert training.forward.other_flops == relu + first + second + 10  # and the biases
    assert training.loss.other_flops == 10 - 1  # the sum of the scores, whose gradient is one everywhere
    assert training.backward_by_input.other_flops == relu
    # a bias's gradient is a sum over all but its channels
    assert training.backward_by_weight.other_flops == (first - 8) + (second - 4) + (10 - 5)
    assert training.optimizer_step.other_flops == 4 * training.trained_params


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("transposed", [False, True])
def test_groups_divide_both_gradients(groups, transposed):
    layer = nn.ConvTranspose2d if transposed else nn.Conv2d
    module = nn.Sequential(nn.Conv2d(3, 4, 1), layer(4, 8, 3, groups=groups))
    swept = 2 * 4 * 64 * 8 // groups * 9 if transposed else 2 * 8 * 36 * 4 // groups * 9
    assert macs(train(module, (2, 3, 8, 8)), "1") == [swept, swept, swept, 0]


def test_what_is_frozen_first_costs_no_backward():
    training = train(conv_net(), (2, 3, 8, 8), freeze=("0", "2"))
    assert macs(training, "0") == [FIRST, 0, 0, 0]
    assert macs(training, "2") == [SECOND, 0, 0, 0]
    assert macs(training, "4") == [HEAD, 0, HEAD, 0]


def test_what_is_frozen_in_the_middle_passes_gradients_on():
    training = train(conv_net(), (2, 3, 8, 8), freeze="2.*")
    assert macs(training, "0") == [FIRST, 0, FIRST, 0]
    assert macs(training, "2") == [SECOND, SECOND, 0, 0]
    assert training.frozen == ("2.*",)


def test_parameters_frozen_by_the_module_itself():
    module = conv_net()
    module[0].weight.requires_grad_(False)  # its bias is still trained
    training = train(module, (2, 3, 8, 8))
    assert macs(training, "0") == [FIRST, 0, 0, 0]
    assert macs(training, "2") == [SECOND, SECOND, SECOND, 0]


def test_freezing_everything_costs_no_backward():
    report = count_flops(conv_net(), ((2, 3, 8, 8),), mode="train", optimizer="adamw", freeze="*")
    training = report.training
    assert training.backward.total_flops == training.optimizer_step.total_flops == training.trained_params == 0
    assert training.forward == report.total.only(training.forward.counts)
    assert report.trainable_params == 0


class OverFrames(nn.Module):
    """A CNN on every frame, an LSTM over its features: the lecture's CNN + RNN."""

    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())
        self.rnn = nn.LSTM(4 * 36, 16, batch_first=True)
        self.fc = nn.Linear(16, 5)

    def forward(self, x):  # (B, T, 3, 8, 8)
        states, _ = self.rnn(self.cnn(x.flatten(0, 1)).unflatten(0, x.shape[:2]))
        return self.fc(states[:, -1])


def test_the_lecture_trains_only_the_rnn():
    b, t = 2, 7
    training = train(OverFrames(), (b, t, 3, 8, 8), freeze="cnn")
    assert macs(training, "cnn") == [b * t * 4 * 36 * 27, 0, 0, 0]
    inputs, states = b * t * 64 * 144, b * t * 64 * 16  # 4·16 gates
    # neither features nor the first step's state, which is zero, get a gradient
    assert macs(training, "rnn") == [inputs + states, b * (t - 1) * 64 * 16, inputs + states, 0]
    assert macs(training, "fc") == [b * 80, b * 80, b * 80, 0]


def test_with_the_cnn_its_features_get_a_gradient():
    b, t = 2, 7
    training = train(OverFrames(), (b, t, 3, 8, 8))
    assert macs(training, "cnn") == [b * t * 4 * 36 * 27, 0, b * t * 4 * 36 * 27, 0]
    assert macs(training, "rnn")[1] == b * t * 64 * 144 + b * (t - 1) * 64 * 16


@pytest.mark.parametrize(("layer", "gates"), [(nn.GRU, 3), (nn.RNN, 1)])
def test_other_recurrent_layers(layer, gates):
    b, t, d, h = 2, 5, 6, 4
    module = layer(d, h)
    training = train(module, (t, b, d))
    both = b * t * gates * h * (d + h)
    assert macs(training, "") == [both, b * (t - 1) * gates * h * h, both, 0]


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 6, bias=False)
        self.again = self.layer

    def forward(self, x):
        return self.again(F.relu(self.layer(x)))


def test_a_shared_layer_is_differentiated_at_every_call():
    training = train(Shared(), (3, 6), optimizer="sgd")
    once = 3 * 6 * 6
    assert macs(training, "layer") == [2 * once, once, 2 * once, 0]
    assert training.trained_params == 36
    assert training.optimizer_step.other_flops == 4 * 36  # its two gradients are one


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.stem, self.block, self.head = nn.Linear(6, 8), nn.Sequential(nn.Linear(8, 8), nn.ReLU()), nn.Linear(8, 5)
        self.reentrant = reentrant

    def forward(self, x):
        return self.head(checkpoint(self._inside, self.stem(x), use_reentrant=self.reentrant))

    def _inside(self, x):
        return F.relu(self.block(x))  # a part of it is in no module


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints_count_what_they_compute_again(reentrant):
    training = train(Checkpointed(reentrant), (4, 6))
    assert macs(training, "block") == [4 * 64, 4 * 64, 4 * 64, 4 * 64]
    assert macs(training, "stem") == [4 * 48, 0, 4 * 48, 0]
    assert training.recomputation.macs == 4 * 64
    plain = 4 * (48 + 64 + 40)
    assert (training.forward.macs, training.backward.macs) == (plain, plain + 4 * (64 + 40))
    assert "recomputed" in str(training.by_module())
    # both relus are computed again; without reentrance torch stops at the last number that is needed
    assert training.recomputation.other_flops in (4 * 8 * 3, 4 * 8 * 2)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(8, 24, bias=False), nn.Linear(8, 8, bias=False)

    def forward(self, x):  # (B, N, 8), 2 heads of 4
        q, k, v = self.qkv(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)).mean(1)


def test_attention_is_four_products_backward():
    b, n = 3, 5
    training = train(Attention(), (b, n, 8))
    products = b * n * n * 8  # Q·Kᵀ, and as many P·V
    assert macs(training, "qkv") == [b * n * 8 * 24, 0, b * n * 8 * 24, 0]
    assert macs(training, "out") == [b * n * 64] * 3 + [0]
    assert next(row for row in training.rows if not row.path).own[Phase.BACKWARD_INPUT].macs == 4 * products
    assert training.forward.macs == b * n * 8 * 32 + 2 * products


class Position(nn.Module):
    """A product with a parameter on either side, and one of two parameters."""

    def __init__(self):
        super().__init__()
        self.left, self.right, self.scale = (nn.Parameter(torch.ones(4, 4)) for _ in range(3))

    def forward(self, x):  # (4, 4)
        return self.left @ x @ (self.right @ self.scale)


def test_gradients_of_what_parameters_make_are_by_weight():
    training = train(Position(), (4, 4))
    # left: by weight alone, since x needs none; the outer product both; right @ scale by weight twice
    assert macs(training, "") == [3 * 64, 64, 64 + 64 + 2 * 64, 0]


def test_bilinear():
    b, i, j, o = 3, 4, 5, 6
    training = train(nn.Bilinear(i, j, o, bias=False), (b, i), (b, j))
    assert macs(training, "")[:2] == [b * o * (i * j + j), 0]
    assert macs(training, "")[2] == b * o * i + b * o * i * j  # gradient times x1, then times x2


def test_normalisation_splits_its_gradients():
    norm = nn.BatchNorm2d(4)
    training = train(nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), norm), (2, 3, 5, 5))
    row = next(row for row in training.rows if row.path == "1")
    n = 2 * 4 * 25
    assert row.own[Phase.BACKWARD_INPUT].other_flops == 4 * n
    assert row.own[Phase.BACKWARD_WEIGHT].other_flops == 5 * n


class Functions(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x @ weight

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        return gradient @ weight.t(), x.t() @ gradient


class Custom(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.weight = nn.Linear(6, 6), nn.Parameter(torch.ones(6, 5))

    def forward(self, x):
        return Functions.apply(self.stem(x), self.weight)


def test_an_autograd_function_of_the_users():
    training = train(Custom(), (4, 6))
    assert macs(training, "") == [4 * (36 + 30), 4 * 30, 4 * (36 + 30), 0]
    assert macs(training, "stem") == [4 * 36, 0, 4 * 36, 0]


class Outputs(nn.Module):
    def __init__(self, choose):
        super().__init__()
        self.fc, self.choose = nn.Linear(6, 5), choose

    def forward(self, x):
        return self.choose(self.fc(x))


# ---- optimizers and whole runs


@pytest.mark.parametrize(("name", "each", "tensors"), [("sgd", 4, 0), ("adam", 13, 1), ("adamw", 14, 1)])
def test_an_optimizer_costs_so_much_per_parameter(name, each, tensors):
    """SGD: decay and add the momentum (2), scale and subtract (2). AdamW: decay 1, first moment 3, second 4, its root,
    its correction and epsilon 3, update 3; and each tensor's count of steps. Adam: the same without decay.
    """
    training = train(conv_net(), (2, 3, 8, 8), optimizer=name)
    assert training.optimizer_step.other_flops == each * training.trained_params + 6 * tensors
    assert training.optimizer_step.macs == 0
    assert any(f"{each} per parameter" in note for note in training.by_module().notes)


def test_a_whole_run():
    training = train(conv_net(), (2, 3, 8, 8), optimizer="sgd").over(3, 7)
    run = training.run
    assert (run.steps, run.epochs, run.samples) == (3 * 4, 3, 7)  # batches of 2, the last of an epoch has one
    per_batch = 3 * (FIRST + SECOND + HEAD) - FIRST
    assert run.cost.macs == per_batch * 21 // 2
    update = training.optimizer_step.other_flops
    assert run.cost.other_flops == (training.total.other_flops - update) * 21 // 2 + 12 * update
    assert run.petaflop_days == run.cost.flops / 86_400e15
    assert f"{run.cost.flops:,} FLOPs" in str(training.by_module().notes)


@pytest.mark.parametrize("given", [(0, 7), (3, 0), (3, 0.5)])
def test_a_run_has_whole_epochs_and_samples(given):
    with pytest.raises(InputError, match=r"(epochs|samples) is"):
        train(conv_net(), (2, 3, 8, 8)).over(*given)


# ---- laws, over the zoo at its smallest clips


@pytest.fixture(params=every(UNLIKE), scope="module")
def network(request):
    card = ARCHITECTURES[request.param]
    if card.requires:
        pytest.importorskip(card.requires)
    model = weightless(create_model, card.name, clip=card.smallest, num_classes=3)
    return model, count_flops(model, shapes_of(model, 2), mode="train", strict=True)


def shapes_of(model, batch):
    return tuple((batch, *shape) for shape in model.recipe.inputs)


def test_forward_is_that_of_the_ordinary_count(network):
    model, report = network
    training = report.training
    assert count_flops(model, shapes_of(model, 2)).macs == report.macs == training.forward.macs
    assert training.traced_forward_macs == report.macs  # composites in parts are the same products
    assert training.engine == "meta"


def test_modules_operators_and_phases_sum_to_the_step(network):
    training = network[1].training
    for phase in Phase:
        assert summed(row.own[phase] for row in training.rows) == training.phases[phase]
    whole = training.total.counts
    assert training.step.total.only(whole) == training.total == training.step.modules[0].cost.only(whole)
    assert sum(row.own.total_flops for row in training.step.modules) == training.total.total_flops
    for by in ("module", "operator", "kind"):
        table = training_table(training, by, 1)
        for at, column in enumerate(table.columns):
            if column.kind == "count":
                assert sum(row[at] for row in table.rows) == table.total[at], (by, column.name)


# A layer, and in how many of its calls the input is made of weights alone: then its gradient is by weights too.
OF_WEIGHTS_ALONE = {
    "xclip_b32": ("prompts_generator.decoder.0.cross_attn.q_proj", (1, 1)),  # the embedded names of the classes
    "uniformerv2_b16_ssv2": ("global_blocks.0.attn.q", (1, 1)),  # a learned token asks the first block
    "vjepa2_vit_l": ("model.pooler.cross_attention_layer.cross_attn.q_proj", (1, 1)),  # a learned token pools
    "raft_small": ("update_block.motion_encoder.convflow2.0", (1, 12)),  # the first of 12 steps has a flow of zeros
}
SCAN_BACKWARD = 5  # contractions of a selective scan's states for its one: by B, C, A, Δ, and what u and Δ share


def test_nothing_costs_more_backward_than_two_forwards(network, request):
    """Every product has two operands; attention has four products for its two, and no first layer has an input's."""
    name, (_, report) = request.node.callspec.params["network"], network
    training = report.training
    own = {row.path: row.own for row in training.rows}
    layer, (calls, of) = OF_WEIGHTS_ALONE.get(name, ("", (0, 0)))
    more = own[layer][Phase.FORWARD].macs * calls // of if layer else 0
    scans = sum(op.work.macs for op in report.ops if op.name == "flopcount.selective_scan")
    assert training.backward_by_weight.macs <= training.forward.macs + more
    assert training.backward.macs <= 2 * training.forward.macs + (SCAN_BACKWARD - 2) * scans
    for row in training.rows:
        holds = not row.path or layer == row.path or layer.startswith(row.path + ".")
        most = row.cost[Phase.FORWARD].macs + (more if holds else 0)
        assert row.cost[Phase.BACKWARD_WEIGHT].macs <= most, row.path
    if layer:
        assert own[layer][Phase.BACKWARD_WEIGHT].macs == own[layer][Phase.FORWARD].macs + more


LINEAR = ("c3d", "cnn_lstm", "two_stream", "slowfast_r50_4x16", "x3d_s", "timesformer_b", "swin3d_t")


@pytest.mark.parametrize("name", LINEAR)
def test_linear_in_the_batch(name):
    model = weightless(create_model, name, clip=CARDS[name].smallest, num_classes=3)
    two, six = (count_flops(model, shapes_of(model, batch), mode="train").training for batch in (2, 6))
    for phase in Phase:
        assert six.phases[phase].macs == 3 * two.phases[phase].macs, phase


def test_freezing_more_never_costs_more():
    model = weightless(create_model, "r3d_18", clip=CARDS["r3d_18"].smallest, num_classes=3)
    layers = [name for name, _ in model.named_children() if any(True for _ in getattr(model, name).parameters())]
    trained = [
        count_flops(model, shapes_of(model, 2), mode="train", freeze=layers[:count]).training.backward.macs
        for count in range(len(layers) + 1)
    ]
    assert all(less < more for more, less in pairwise(trained))
    assert trained[-1] == 0


def test_two_streams_are_trained_one_by_one():
    model = weightless(create_model, "two_stream", clip=CARDS["two_stream"].smallest, num_classes=3)
    both = count_flops(model, shapes_of(model, 1), mode="train", optimizer="sgd").training
    assert both.streams == ("spatial", "temporal")
    assert [loss.split(":")[0] for loss in both.losses] == ["spatial", "temporal"]
    assert "each stream (spatial, temporal) is trained on its own scores" in " ".join(both.by_module().notes)
    apart = []
    for stream in both.streams:
        alone = weightless(create_model, "two_stream", clip=CARDS["two_stream"].smallest, num_classes=3, stream=stream)
        apart.append(count_flops(alone, shapes_of(alone, 1), mode="train", optimizer="sgd").training)
    for phase in Phase:  # only the fusion's forward, which a single stream does not have
        whole, parts = both.phases[phase], [training.phases[phase] for training in apart]
        assert whole.macs == sum(part.macs for part in parts)
        if phase is not Phase.FORWARD:
            assert whole.other_flops == sum(part.other_flops for part in parts)
    one = count_flops(model, shapes_of(model, 1), mode="train", freeze="spatial").training
    assert one.backward == apart[1].backward


# ---- torch's FlopCounterMode

ORACLE = (
    *("c3d", "cnn_lstm", "recurrent_cnn", "two_stream", "i3d_nl_r50", "slowfast_r50_4x16", "r2plus1d_18", "s3d"),
    *("x3d_s", "ir_csn_152", "cnn_attention", "timesformer_b", "mvitv2_s_16x4", "swin3d_t", "tsm_r50", "vgg16"),
)


def on_meta(model):
    bare = copy.deepcopy(model).to("meta")
    for part in bare.modules():
        for name, value in vars(part).items():
            if isinstance(value, torch.Tensor):
                setattr(part, name, value.to("meta"))
    return bare


def counted_by_torch(model, shapes, streams):
    """Forward and backward of a real step under FlopCounterMode, attention decomposed."""
    outputs = []
    for stream in streams:
        model.get_submodule(stream).register_forward_hook(lambda _, __, out: outputs.append(out))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        scores = model(*(torch.empty(shape, device="meta") for shape in shapes))
        for found in outputs or [scores]:
            found.sum().backward()
    return counter.get_total_flops()


def too_large_for_groups(training):
    """The excess of FlopCounterMode's formula, which multiplies all channels, although a group has only its own."""
    return sum(
        2 * (op.costed.op.signature.arguments["groups"] - 1) * op.costed.work.macs
        for op in training.ops
        if op.costed.name == "aten.convolution_backward" and op.phase is Phase.BACKWARD_WEIGHT
    )


@pytest.mark.parametrize("name", every(ORACLE))
def test_contractions_are_those_torch_counts(name):
    model = weightless(create_model, name, clip=CARDS[name].smallest, num_classes=3).train()
    training = count_flops(model, shapes_of(model, 2), mode="train").training
    theirs = counted_by_torch(on_meta(model), shapes_of(model, 2), model.recipe.streams)
    assert theirs == training.total.flops + too_large_for_groups(training)


def test_torchs_formula_for_groups_is_the_difference():
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, groups=4), nn.Flatten())
    training = train(model, (2, 3, 8, 8))
    assert too_large_for_groups(training) == 2 * 3 * (2 * 8 * 36 * 2 * 9)
    theirs = counted_by_torch(on_meta(model), [(2, 3, 8, 8)], ())
    assert theirs == training.total.flops + too_large_for_groups(training)


class Flash(nn.Module):
    """Attention of a fused kernel that is called by name."""

    def __init__(self, shape):
        super().__init__()
        self.given = nn.ParameterList(torch.zeros(shape) for _ in range(3))

    def forward(self, x):
        return torch.ops.aten._scaled_dot_product_flash_attention(*self.given)[0] + x


def test_flash_attention_computes_the_scores_once_more():
    shape = b, h, n, d = 2, 3, 16, 8
    product = b * h * n * n * d
    flash = Flash(shape)
    with FlopCounterMode(display=False) as counter:
        on_meta(flash)(torch.empty(shape, device="meta")).sum().backward()
    assert counter.get_total_flops() == 2 * (2 + 5) * product
    assert train(flash, shape).total.macs == (2 + 5) * product
    decomposed = OfParameters(F.scaled_dot_product_attention, [shape] * 3)
    assert train(decomposed, (1,)).total.macs == (2 + 4) * product


@pytest.mark.parametrize("engine", ["meta", "fake", "real"])
def test_every_engine_says_the_same(engine):
    for module in (conv_net(), OverFrames()):
        shape = (2, 3, 8, 8) if isinstance(module, nn.Sequential) else (2, 7, 3, 8, 8)
        found, meta = train(module, shape, engine=engine, optimizer="sgd"), train(module, shape, optimizer="sgd")
        assert found.engine == engine
        for phase in Phase:
            assert found.phases[phase].macs == meta.phases[phase].macs, phase
        assert [macs(found, row.path) for row in meta.rows] == [macs(meta, row.path) for row in meta.rows]


# ---- no side effects


@pytest.mark.parametrize("engine", ["meta", "fake", "real"])
@pytest.mark.parametrize("fails", [False, True])
def test_nothing_stays_behind(engine, fails):
    torch.manual_seed(0)
    model = Untidy(fails=fails).eval()
    model.head.weight.grad = gradient = torch.ones_like(model.head.weight)
    before = module_state(model), global_state(), torch.backends.mkldnn.enabled
    if fails:
        with pytest.raises(FlopcountError, match="half way"):
            train(model, (4, 8), engine=engine, freeze="norm.*", optimizer="sgd")
    else:
        train(model, (4, 8), engine=engine, freeze="norm.*", optimizer="sgd")
    assert (module_state(model), global_state(), torch.backends.mkldnn.enabled) == before
    assert model.head.weight.grad is gradient
    assert gradient.eq(1).all()


class Boom(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise ValueError("no way back")


def test_a_failing_backward_leaves_nothing_behind_and_says_so():
    model = Outputs(Boom.apply)
    before = module_state(model), global_state()
    with pytest.raises(ForwardError, match="ValueError: no way back"):
        train(model, (4, 6))
    assert (module_state(model), global_state()) == before


@pytest.mark.parametrize("name", ["s3d", "cnn_lstm", "swin3d_t"])
def test_training_goes_on_after_a_count(name):
    torch.manual_seed(0)
    model = create_model(name, clip=CARDS[name].smallest, num_classes=3).train()
    before = module_state(model), global_state()
    first, second = (train(model, *shapes_of(model, 2), optimizer="adamw", freeze="*bias") for _ in range(2))
    assert first.phases == second.phases
    assert (module_state(model), global_state()) == before
    scores = model(*(torch.rand(shape) for shape in shapes_of(model, 2)))
    scores.sum().backward()
    assert all(p.grad is not None and not p.grad.is_meta for p in model.parameters() if p.requires_grad)


def test_norms_in_training_want_several_values():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.BatchNorm1d(4))
    with pytest.raises(ForwardError, match="give a larger batch"):
        train(model, (1, 3, 4))
    assert train(model, (2, 3, 4)).backward.macs == 2 * 48


def test_a_module_in_training_keeps_what_it_set_for_its_parts():
    module = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Dropout(0.5)).train()
    module[2].eval()
    training = train(module, (3, 4))
    forward = {row.path: row.own[Phase.FORWARD].other_flops for row in training.rows}
    assert (forward["1"], forward["2"]) == (3 * 4 * 2, 0)
    both = train(module.eval(), (3, 4))
    assert {row.path: row.own[Phase.FORWARD].other_flops for row in both.rows}["2"] == 3 * 4 * 2
    assert not module.training


# ---- bad input


@pytest.mark.parametrize(
    ("options", "message", "near"),
    [
        ({"mode": "trian"}, "no mode named 'trian'", "train"),
        ({"mode": "train", "optimizer": "adamx"}, "no optimizer named 'adamx'", "adam, adamw"),
        ({"mode": "train", "freeze": "cnm.*"}, "no parameter or layer to freeze named 'cnm.*'", "cnn.*"),
        ({"mode": None}, "no mode named 'None'", "forward"),
        ({"mode": "train", "optimizer": 3}, "no optimizer named '3'", "sgd"),
        ({"mode": "train", "freeze": 5}, "freeze is 5", "cnn.*"),
        ({"mode": "train", "freeze": [5]}, "freeze is [5]", "cnn.*"),
        ({"optimizer": "sgd"}, "optimizer is 'sgd', but the mode is not train", 'mode="train"'),
        ({"freeze": "cnn"}, "freeze is ('cnn',), but the mode is not train", 'mode="train"'),
    ],
)
def test_bad_input(options, message, near):
    with pytest.raises(InputError) as raised:
        count_flops(OverFrames(), (2, 7, 3, 8, 8), **options)
    assert raised.value.message == message
    assert near in str(raised.value)
    assert isinstance(raised.value, UnknownNameError) == message.startswith("no ")


@torch.library.custom_op("flopcount_tests::twice", mutates_args=())
def twice(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


@twice.register_fake
def _(x):
    return torch.empty_like(x)


@torch.library.custom_op("flopcount_tests::twice_backward", mutates_args=())
def twice_backward(gradient: torch.Tensor) -> torch.Tensor:
    return 2 * gradient


@twice_backward.register_fake
def _(gradient):
    return torch.empty_like(gradient)


twice.register_autograd(lambda ctx, gradient: twice_backward(gradient))


def test_a_backward_operator_without_a_rule_is_listed():
    training = train(Outputs(twice), (4, 6))
    assert [row.op for row in training.step.uncosted] == ["flopcount_tests.twice", "flopcount_tests.twice_backward"]
    assert training.by_module().notes[0].startswith("UNCOSTED flopcount_tests.twice")
    with pytest.raises(UncostedError, match="twice_backward"):
        train(Outputs(twice), (4, 6), strict=True)


# ---- tables and texts


def test_the_report_is_the_forwards_and_shows_the_step():
    plain = count_flops(conv_net().train(), (2, 3, 8, 8))
    report = count_flops(conv_net(), (2, 3, 8, 8), mode="train")
    assert plain.training is None
    assert (report.total, report.modules) == (plain.total, plain.modules)
    assert "by weight" in str(report)
    assert "by weight" in report._repr_html_()
    assert report.to_pandas()["backward_by_weight_macs"].sum() == report.training.backward_by_weight.macs
    assert str(report.training) == str(report)
    assert all(Kind.VIEW.value not in row for row in report.training.by_kind().rows)


@pytest.fixture
def run(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    return lambda *words: CliRunner().invoke(app, words, catch_exceptions=False)


def test_the_command(run):
    words = ("model", "cnn_lstm", "--clip", "2x67x67", "--train", "--freeze", "cnn", "--optimizer", "adamw")
    result = run(*words, "--epochs", "196", "--samples", "240436", "--format", "json")
    data = json.loads(result.stdout)["training"]
    assert (data["frozen"], data["optimizer"], data["streams"]) == (["cnn"], "adamw", [])
    assert data["run"]["steps"] == 196 * 240_436
    assert data["run"]["macs"] == 196 * 240_436 * data["total"]["macs"]
    rows = {row["path"]: row for row in data["modules"]}
    assert rows["cnn"]["backward_by_input"]["macs"] == rows["cnn"]["backward_by_weight"]["macs"] == 0
    assert rows["lstm"]["backward_by_weight"]["macs"] > 0
    assert rows["(optimizer)"]["optimizer"]["other_flops"] == data["phases"]["optimizer"]["other_flops"]
    table = run(*words, "--epochs", "196", "--samples", "240436")
    assert max(map(len, table.stdout.splitlines())) <= 80
    assert "PFLOP-days" in table.stdout


@pytest.mark.parametrize("form", ["markdown", "latex", "csv"])
@pytest.mark.parametrize("by", ["module", "operator", "kind"])
def test_every_format(run, form, by):
    result = run("model", "cnn_lstm", "--clip", "2x67x67", "--train", "--format", form, "--by", by)
    assert result.exit_code == 0
    assert "by weight" in result.stdout


ERRORS = {
    "--train --optimizer adma": "error: no optimizer named 'adma'\n  near    adam, adamw\n",
    "--train --freeze cn.*": "error: no parameter or layer to freeze named 'cn.*'\n  near    cnn.*, ",
    "--train --epochs 3": "error: --epochs 3 alone does not say how long the run is\n  fix     give --samples too\n",
    "--train --samples 3": "error: --samples 3 alone does not say how long the run is\n  fix     give --epochs too\n",
    "--train --epochs 0 --samples 3": "error: --epochs is 0\n",
    "--optimizer sgd": "error: --optimizer needs --train\n",
    "--freeze cnn": "error: --freeze needs --train\n",
    "--epochs 3 --samples 3": "error: --epochs needs --train\n",
}


@pytest.mark.parametrize("words", ERRORS)
def test_bad_options_are_one_message_and_exit_code_2(run, words):
    result = run("model", "cnn_lstm", "--clip", "2x67x67", *words.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(ERRORS[words])
    assert "Traceback" not in result.stderr


def test_plain_counting_loads_nothing_of_it():
    code = (
        "import sys, flopcount; from torch import nn; flopcount.count_flops(nn.Linear(3, 4), (2, 3));"
        "assert not {'flopcount.training', 'flopcount.tracing.training', 'flopcount.tracing.phases'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_reentrant_checkpoints_without_a_gradient_warn_as_torch_does():
    class First(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 5)

        def forward(self, x):
            return checkpoint(self.fc, x, use_reentrant=True)

    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        training = train(First(), (4, 6))
    assert training.backward.macs == 0  # torch gives none either: no input of the checkpoint wants a gradient


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=list(OPTIMIZERS))
def test_an_optimizer_keeps_as_many_numbers_as_is_said(optimizer):
    """The factor of parameters in flopcount.memory, against the state of torch's optimizer after a step."""
    parameter = nn.Parameter(torch.zeros(10))
    parameter.grad = torch.ones(10)
    torchs = optimizer.build([parameter])
    torchs.step()
    kept = [value for value in torchs.state[parameter].values() if isinstance(value, torch.Tensor) and value.ndim]
    assert sum(value.numel() for value in kept) == 10 * optimizer.state


def test_a_lazy_parameter_cannot_be_frozen():
    with pytest.raises(InputError, match=r"freeze='\*' names a lazy parameter"):
        count_flops(nn.LazyLinear(4), (2, 3), mode="train", freeze="*")
