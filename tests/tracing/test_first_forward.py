"""Layers made in the first forward pass have rows and parameters; layers used without a call are not "never called"."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from flopcount import count_flops
from flopcount.analysis.cost_tables import output_of

ENGINES = ["meta", "fake", "real"]
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning", "ignore:.torch.jit:FutureWarning")


class Late(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv3d(3, 8, 3, padding=1), None
        self.register_parameter("scale", None)

    def forward(self, x):
        y = self.conv(x)
        if self.head is None:
            self.positions = nn.Parameter(torch.zeros(1, *y.shape[1:], device=y.device))
            self.scale = nn.Parameter(torch.ones(8, 1, 1, 1, device=y.device), requires_grad=False)
            self.head = nn.Linear(8, 3, device=y.device)
        return self.head((y * self.scale + self.positions).mean((2, 3, 4)))


class Grows(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers, self.end = nn.ModuleList([nn.Linear(8, 8)]), nn.Linear(8, 2)

    def forward(self, x):
        while len(self.layers) < 3:
            self.layers.append(nn.Sequential(nn.Linear(8, 8), nn.ReLU()))
        for layer in self.layers:
            x = layer(x)
        self.add_module("last", nn.Linear(2, 2))
        self.register_buffer("shift", torch.ones(2))
        return self.last(self.end(x)) + self.shift


class LazyLate(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = None

    def forward(self, x):
        if self.layer is None:
            self.layer = nn.LazyLinear(4)
        return self.layer(x)


class NothingNew(nn.Module):
    """The same layer and weight under other names, a layer that replaces another, and one that goes again."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        self.again, self.weight = self.one, self.one.weight
        self.two = nn.Linear(8, 8)
        self.gone = nn.Linear(8, 8)
        x = nn.Linear(8, 8)(self.gone(x))
        del self.gone
        return self.two(self.again(x))


MADE = [
    # module, input, parameters, MACs, rows with parameters of their own, and those that are not trained
    (
        Late,
        (1, 3, 4, 8, 8),
        {"": 8 * 256 + 8, "conv": 8 * 81 + 8, "head": 8 * 3 + 3},
        {"conv": 256 * 8 * 81, "head": 8 * 3},
        8,
    ),
    (
        Grows,
        (4, 8),
        {"layers.0": 72, "layers.1.0": 72, "layers.2.0": 72, "end": 18, "last": 6},
        {"layers.0": 256, "layers.1.0": 256, "layers.2.0": 256, "end": 4 * 16, "last": 4 * 4},
        0,
    ),
    (NothingNew, (4, 8), {"one": 72, "two": 72}, {"": 2 * 256, "one": 256, "two": 256}, 0),
]


@pytest.mark.parametrize("engine", [*ENGINES, "auto"])
@pytest.mark.parametrize(("kind", "shape", "params", "macs", "frozen"), MADE, ids=[row[0].__name__ for row in MADE])
def test_what_the_first_forward_makes_is_counted_and_gone_again(kind, shape, params, macs, frozen, engine):
    module = kind()
    before = [name for name, _ in (*module.named_modules(), *module.named_parameters(), *module.named_buffers())]
    for _ in range(2):
        report = count_flops(module, shape, engine=engine)
        assert {row.path: row.own["params"] for row in report.modules if row.own["params"]} == params
        assert {row.path: row.own["macs"] for row in report.modules if row.own["macs"]} == macs
        assert (report.params, report.macs) == (sum(params.values()), sum(macs.values()))
        assert report.trainable_params == report.params - frozen
        assert all(report.module(path).calls == 1 for path in macs)
    after = [name for name, _ in (*module.named_modules(), *module.named_parameters(), *module.named_buffers())]
    assert after == before


def test_a_lazy_layer_may_be_made_too():
    report = count_flops(LazyLate(), (4, 8))
    assert (report.module("layer").params, report.module("layer").own["macs"], report.params) == (36, 4 * 8 * 4, 36)


class BesideOthers(nn.Module):
    """A new layer beside a compiled one and one for several devices, whose parameters are not new."""

    def __init__(self):
        super().__init__()
        self.script, self.replicas, self.lazy = scripted(), nn.DataParallel(nn.Linear(5, 5)), nn.LazyLinear(3)
        self.shared = nn.Linear(5, 5)
        self.shared.weight = self.replicas.module.weight

    def forward(self, x):
        self.late = nn.Linear(3, 2)
        return self.late(self.lazy(self.shared(self.replicas(self.script(x)))))


@pytest.mark.parametrize("engine", [*ENGINES, "train"])
def test_parameters_that_were_there_count_once(engine):
    options = {"mode": "train"} if engine == "train" else {"engine": engine}
    report = count_flops(BesideOthers(), (1, 3, 8, 8), **options)
    assert report.params == (8 * 27 + 8 + 8 * 5 + 5) + (25 + 5 + 5) + (5 * 3 + 3) + (3 * 2 + 2)


def test_new_rows_stand_behind_their_siblings():
    paths = [row.path for row in count_flops(Grows(), (4, 8)).modules]
    assert paths == [
        *("", "layers", "layers.0", "layers.1", "layers.1.0", "layers.1.1", "layers.2", "layers.2.0", "layers.2.1"),
        *("end", "last"),
    ]


def test_a_step_trains_what_was_made():
    step = count_flops(Late(), (1, 3, 4, 8, 8), mode="train").training
    assert step.trained_params == 8 * 256 + 8 * 81 + 8 + 8 * 3 + 3
    assert step.total.macs == 2 * 256 * 8 * 81 + 3 * 8 * 3


# ---- layers that are used without a call


class Layers(nn.Module):
    def __init__(self, function=None):
        super().__init__()
        self.function = function
        self.conv, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 5)
        self.norm, self.spare = nn.BatchNorm2d(8).eval(), nn.Linear(3, 3)

    def forward(self, x):
        return self.function(self, x)


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.conv(x).mean((2, 3)))


def direct(net, x):
    return net.head.forward(net.norm.forward(net.conv.forward(x)).mean((2, 3)))


def by_weights(net, x):
    y = F.conv2d(x, net.conv.weight, net.conv.bias, padding=1)
    y = F.batch_norm(y, net.norm.running_mean, net.norm.running_var, net.norm.weight, net.norm.bias)
    return y.mean((2, 3)) @ net.head.weight.t() + net.head.bias


def in_a_list(net, x):
    torch._foreach_mul([net.conv.weight, net.norm.weight, net.head.bias], 1.0)
    return F.linear(F.conv2d(x, net.conv.weight.detach()).mean((2, 3)), net.head.weight.float())


def only_written(net, x):
    with torch.no_grad():
        torch._foreach_mul_([net.norm.weight, net.norm.bias], 1.0)
    return F.linear(F.conv2d(x, net.conv.weight).mean((2, 3)), net.head.weight)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_write_to_weights_is_no_use_of_their_layer(engine):
    report = count_flops(Layers(only_written), (1, 3, 8, 8), engine=engine)
    assert (texts(report)["norm"], texts(report)["conv"]) == ("never called", "used elsewhere")


class AfterManyTensors(nn.Module):
    def forward(self, x):
        for _ in range(40):
            x = torch.relu(x.clone())
        if not hasattr(self, "layers"):
            self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(40)])
        return x


@pytest.mark.parametrize("engine", ENGINES)
def test_a_new_weight_at_the_address_of_a_former_tensor_is_not_used(engine):
    report = count_flops(AfterManyTensors(), (2, 4), engine=engine)
    assert [row.path for row in report.modules if row.used_elsewhere] == []


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleDict({"verb": nn.Linear(8, 3), "noun": nn.Linear(8, 4)})
        self.spare = nn.ModuleDict({"verb": nn.Linear(8, 3)})

    def forward(self, x):
        return self.heads["verb"].forward(x)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_container_is_used_as_its_layers_are(engine):
    report = count_flops(nn.Sequential(Heads()), (2, 8), engine=engine)
    assert texts(report) == {
        **{"0": "3", "0.heads": "used elsewhere", "0.heads.verb": "used elsewhere", "0.heads.noun": "never called"},
        **{"0.spare": "never called", "0.spare.verb": "never called"},
    }
    assert report.macs == 2 * 8 * 3


def texts(report):
    return {row.path: output_of(row, report) for row in report.modules if row.path and row.params}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("function", [direct, by_weights, in_a_list])
def test_a_layer_used_without_a_call_says_so(function, engine):
    report = count_flops(Layers(function), (1, 3, 8, 8), engine=engine)
    elsewhere = "used elsewhere"
    assert texts(report) == {"conv": elsewhere, "head": elsewhere, "norm": elsewhere, "spare": "never called"}
    assert sum(row.own["macs"] for row in report.modules) == report.macs
    assert str(report).count(elsewhere) == 3
    assert "used elsewhere" in str(report.explain("conv"))


def scripted():
    return torch.jit.script(Plain().eval())


def traced():
    return torch.jit.trace(Plain().eval(), torch.zeros(1, 3, 8, 8))


def exported():
    return torch.export.export(Plain().eval(), (torch.zeros(1, 3, 8, 8),)).module()


@pytest.mark.parametrize("build", [scripted, traced, exported, lambda: nn.Sequential(nn.Identity(), scripted())])
@pytest.mark.parametrize("engine", ENGINES)
def test_layers_of_a_compiled_module_are_not_never_called(build, engine):
    report = count_flops(build(), (1, 3, 8, 8), engine=engine)
    assert report.macs == 64 * 8 * 27 + 40
    assert "never called" not in str(report)
    assert list(texts(report).values())[-2:] == ["used elsewhere"] * 2


def test_attention_uses_its_last_layer():
    report = count_flops(nn.MultiheadAttention(8, 2, batch_first=True), ((2, 5, 8),) * 3)
    assert texts(report) == {"out_proj": "used elsewhere"}


def test_a_layer_that_is_called_as_well_has_its_shapes():
    report = count_flops(Layers(lambda net, x: (net.conv(x), F.conv2d(x, net.conv.weight))), (1, 3, 8, 8))
    assert texts(report)["conv"] == "8×8×8"
    assert texts(report)["head"] == "never called"
