"""Anything that can be called is counted: methods, functions, partial arguments, objects; each with its modules."""

import functools
import types
import weakref
from collections import namedtuple

import pytest
import torch
from modules import changes_of
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

import flopcount
from flopcount import ForwardError, InputError, closed_form, count_flops, receptive_field

ENGINES = ("meta", "fake", "real")
IMAGE = (2, 3, 8, 8)
CONV = 2 * 64 * 8 * 27  # 2 images, 8×8 positions, 8 channels of 3×3×3
HEAD = 2 * 8 * 5


class Two(nn.Module):
    """An encoder of images with a head, which forward leaves out."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 5)
        self.cache = None
        self.seen = []

    def forward(self, x):
        return self.conv(x).mean((2, 3))

    def encode(self, x, scale=1.0):
        self.cache = self.conv(x)
        self.seen.append(self.cache)
        return self.cache.mean((2, 3)) * scale

    def classify(self, x):
        return self.head(self(x))

    def training_step(self, batch, index):
        x, y = batch
        return F.cross_entropy(self.classify(x), y)

    @classmethod
    def gram(cls, x):
        return x @ x.T


NETWORK = Two()
LAYER = nn.Linear(16, 4)
ROWS = (2, 16)
LINEAR = 2 * 16 * 4
COUNTER = 0
HEARD = []  # by hooks; a list that they hold themselves would be restored


def by_global(x):
    return LAYER(x)


def by_helper(x):
    return by_global(x) + 1


def by_default(x, layer=LAYER):
    return layer(x)


def counts_itself(x):
    global COUNTER
    COUNTER += 1
    return LAYER(x)


def yields(x):
    for row in x:
        yield LAYER(row)


class Pipeline:
    """An object that is no module and holds some."""

    def __init__(self):
        self.encoder = NETWORK.conv
        self.parts = {"head": NETWORK.head, "more": [LAYER]}
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        return self.parts["head"](self.encoder(x).mean((2, 3)))

    def run(self, x):
        return self(x)


MODULE_OF_PYTHON = types.ModuleType("networks")
MODULE_OF_PYTHON.layer = LAYER

FUNCTIONS = {
    "a global": (by_global, {"LAYER": "Linear"}),
    "a helper's global": (by_helper, {"LAYER": "Linear"}),
    "a default": (by_default, {"layer": "Linear"}),
    "a lambda": (lambda x: LAYER(x), {"LAYER": "Linear"}),
    "of a module of Python": (lambda x: MODULE_OF_PYTHON.layer(x), {"layer": "Linear"}),
    "a partial argument": (functools.partial(lambda layer, x: layer(x), LAYER), {"layer": "Linear"}),
    "a keyword": (functools.partial(by_default, layer=LAYER), {"layer": "Linear"}),
    "a generator": (yields, {"LAYER": "Linear"}),
    "a function of rows": (torch.vmap(lambda row: LAYER(row)), {"LAYER": "Linear"}),
    "of given weights": (
        lambda x: functional_call(LAYER, dict(LAYER.named_parameters()), (x,)),
        {"LAYER": "Linear"},
    ),
    "under no_grad": (torch.no_grad()(by_global), {"LAYER": "Linear"}),
    "compiled": (torch.compile(by_global, backend="eager"), {"LAYER": "Linear"}),
}


def paths(report):
    return {row.path: row.type for row in report.modules if row.path}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_modules_of_a_function_have_the_names_of_its_variables(name, engine):
    function, tree = FUNCTIONS[name]
    report = count_flops(function, ROWS, engine=engine)
    assert (report.macs, report.params, paths(report)) == (LINEAR, 16 * 4 + 4, tree)
    assert sum(row.own.macs for row in report.modules) == LINEAR
    assert [row.calls for row in report.modules][1:] == [2 if name == "a generator" else 1]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_method_has_the_tree_of_its_module(engine):
    network = Two()
    whole = count_flops(network, IMAGE)
    for method, macs, name in (
        (network.encode, CONV, "Two.encode"),
        (network.classify, CONV + HEAD, "Two.classify"),
        (network.forward, CONV, "Two.forward"),
        (network.__call__, CONV, "Two"),
        (functools.partial(network.encode, scale=2.0), CONV, "Two.encode"),
        (torch.no_grad()(network.encode), CONV, "Two.encode"),
        (torch.compile(network.encode, backend="eager"), CONV, "Two.encode"),
        (functools.partial(network), CONV, "Two"),
        (torch.compile(network, backend="eager"), CONV, "Two"),
        (torch.compile(network, backend="eager").encode, CONV, "Two.encode"),
    ):
        report = count_flops(method, IMAGE, engine=engine)
        assert (report.macs, report.model) == (macs, name)
        assert (report.params, paths(report)) == (whole.params, paths(whole))
        assert [row.calls for row in report.modules] == [1, 1, int(macs > CONV)]


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_changes(engine):
    network, pipeline = Two(), Pipeline()
    norm = nn.BatchNorm1d(4)
    hidden = weakref.ref(norm)
    for called, given in (
        (network.encode, IMAGE),
        (lambda x: network.encode(x), IMAGE),
        (pipeline, IMAGE),
        (lambda x: hidden()(LAYER(x)), ROWS),  # no variable holds the norm, whose buffers a run would move
    ):
        for mode in ("forward", "train"):
            _, changed = changes_of((network, norm, LAYER), lambda c=called, g=given, m=mode: count_flops(c, g, mode=m))
            assert changed == []
    assert (network.cache, network.seen, pipeline.calls) == (None, [], 0)
    count_flops(counts_itself, ROWS, engine=engine)
    assert COUNTER == 0


def test_nothing_changes_after_an_error_either():
    network = Two()

    def fails(x):
        network.encode(x)
        raise ValueError("of the user")

    with pytest.raises(ForwardError, match="fails raised ValueError: of the user"):
        count_flops(fails, IMAGE)
    assert (network.cache, network.seen) == (None, [])


def test_an_object_has_the_modules_of_its_attributes():
    for called, name in ((Pipeline(), "Pipeline"), (Pipeline().run, "Pipeline.run")):
        report = count_flops(called, IMAGE)
        assert (report.model, report.macs) == (name, CONV + HEAD)
        assert paths(report) == {
            "encoder": "Conv2d",
            "parts": "dict",
            "parts.head": "Linear",
            "parts.more": "list",
            "parts.more.0": "Linear",
        }


@pytest.mark.parametrize("engine", ENGINES)
def test_a_module_that_no_variable_holds_is_found_by_a_run(engine):
    hidden = weakref.ref(LAYER)
    report = count_flops(lambda x: hidden()(x), ROWS, engine=engine)
    assert (report.macs, report.params, paths(report)) == (LINEAR, 68, {"Linear": "Linear"})
    training = count_flops(lambda x: hidden()(x), ROWS, engine=engine, mode="train").training
    assert (training.total.macs, training.trained_params) == (2 * LINEAR, 68)


def test_a_module_that_is_built_in_each_run_is_counted_once():
    def builds(x):
        return nn.Linear(16, 4)(x)

    assert count_flops(builds, ROWS).macs == LINEAR


def test_a_part_of_a_module_is_named_once():
    head = NETWORK.head
    report = count_flops(lambda x: head(NETWORK(x)), IMAGE)
    assert paths(report) == {"NETWORK": "Two", "NETWORK.conv": "Conv2d", "NETWORK.head": "Linear"}


def test_bare_parameters_are_parameters():
    weight = nn.Parameter(torch.randn(4, 16))
    report = count_flops(lambda x: F.linear(x, weight), ROWS, mode="train")
    assert (report.macs, report.params) == (LINEAR, 64)
    assert (report.training.total.macs, report.training.trained_params) == (2 * LINEAR, 64)
    assert weight.grad is None


@pytest.mark.parametrize("engine", ENGINES)
def test_a_training_step_of_a_method(engine):
    network = Two()
    batch = (torch.randn(IMAGE), torch.tensor([0, 1])), 0
    by_method = count_flops(network.training_step, batch, mode="train", engine=engine).training
    assert by_method.total.macs == (CONV + HEAD) + (CONV + HEAD) + HEAD  # by weight all, by input the head
    assert {
        row.path: sum(a.macs for a in row.own.values()) for row in by_method.rows if row.path in ("conv", "head")
    } == {
        "conv": 2 * CONV,
        "head": 3 * HEAD,
    }
    by_function = count_flops(lambda b, i: network.training_step(b, i), batch, mode="train", engine=engine).training
    assert by_function.total.macs == by_method.total.macs
    assert all(p.grad is None for p in network.parameters())
    frozen = count_flops(network.training_step, batch, mode="train", freeze="conv.*").training
    assert frozen.trained_params == 8 * 5 + 5


def test_a_method_is_put_into_training_mode_as_its_module():
    class Frozen(Two):
        def train(self, mode=True):
            super().train(mode)
            self.head.eval()
            return self

    network = Frozen().eval()
    HEARD.clear()
    network.head.register_forward_pre_hook(lambda part, _: HEARD.append((network.training, part.training)))
    count_flops(network.classify, IMAGE, mode="train")
    assert set(HEARD) == {(True, False)}
    assert not network.training


def test_the_hooks_of_a_module_do_not_run_for_its_method():
    network = Two()
    HEARD.clear()
    network.register_forward_hook(lambda *_: HEARD.append("the module's"))
    network.conv.register_forward_hook(lambda *_: HEARD.append("the layer's"))
    report = count_flops(network.encode, IMAGE)
    assert HEARD == ["the layer's"]
    assert report.modules[0].calls == 1


def test_readers_take_callables():
    network = Two()
    report = count_flops(network.encode, IMAGE)
    whole = count_flops(network, IMAGE)
    assert report.memory.inference == whole.memory.inference  # both have their peak in the convolution
    assert report.span.work > 0
    form = report.formula("HW")
    assert form.at("macs", H=16, W=8) == 2 * CONV
    assert closed_form(lambda x: network.encode(x), IMAGE, "HW").at("macs", H=16, W=8) == 2 * CONV
    assert receptive_field(network.encode, IMAGE)["conv"] == receptive_field(network, IMAGE)["conv"]
    assert flopcount.check(network.encode, IMAGE, against="torch").report.macs == CONV
    assert flopcount.streaming(network.encode, (1, 3, 8, 8)).window.macs == CONV // 2
    assert flopcount.trace(network.encode, (torch.zeros(IMAGE),)).ops
    swept = flopcount.sweep(lambda size: (network.encode, (1, 3, size, 8)), {"size": [8, 16]})
    assert [row.macs for row in swept.rows] == [CONV // 2, CONV]
    from flopcount.compat import FlopCountAnalysis, profile

    assert profile(network.encode, (torch.zeros(IMAGE),), verbose=False)[0] == CONV
    assert FlopCountAnalysis(network.encode, torch.zeros(IMAGE)).by_module()["conv"] == CONV


@pytest.mark.filterwarnings("ignore:.*torch.jit.*is (deprecated|not supported):DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated:FutureWarning")  # since torch 2.15
def test_scripted_functions_and_methods():
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(16, 4)

        @torch.jit.export
        def encode(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    report = count_flops(torch.jit.script(Encoder()).encode, ROWS)
    assert (report.macs, report.params, report.model) == (LINEAR, 68, "Encoder.encode")
    gram = torch.jit.trace(lambda x: x @ x.T, torch.ones(ROWS))
    assert count_flops(gram, ROWS).macs == 2 * 2 * 16


def test_what_uses_no_module():
    assert count_flops(torch.matmul, ((2, 3), (3, 4))).macs == 24
    assert count_flops(Two.gram, ROWS).macs == 2 * 2 * 16
    x = torch.ones(ROWS)
    assert count_flops(lambda: LAYER(x), ()).macs == LINEAR


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Two, "the class Two\n  fix     make an object of it: count_flops\\(Two\\(...\\), input\\)"),
        ("c3d", "the text 'c3d'\n  fix     count_model\\('c3d'\\) counts a model by its name"),
        (None, "a NoneType"),
        (torch.ones(2), "a Tensor"),
        ([LAYER], "a list\n  fix     give a torch.nn.Module, one of its methods, or a function that uses modules"),
    ],
    ids=["a class", "a name", "None", "a tensor", "a list"],
)
def test_what_cannot_be_counted(target, words):
    with pytest.raises(InputError, match=f"^count_flops takes a module or a callable, not {words}"):
        count_flops(target, IMAGE)


def test_errors_are_the_users_own():
    with pytest.raises(ForwardError, match=r"Two.encode raised TypeError: .*takes from 2 to 3 positional arguments"):
        count_flops(NETWORK.encode, (IMAGE, 1.0, 2.0))
    with pytest.raises(ForwardError, match="lambda raised NameError: name 'missing' is not defined"):
        count_flops(lambda x: missing(x), IMAGE)  # noqa: F821
    with pytest.raises(ForwardError, match=r"\n  in      conv \(Conv2d\)"):
        count_flops(NETWORK.encode, (2, 4, 8, 8))


def test_nothing_keeps_a_module_alive():
    network = Two()
    gone = weakref.ref(network)
    count_flops(network.encode, IMAGE).released()
    count_flops(lambda x, n=network: n.encode(x), IMAGE).released()
    del network
    import gc

    gc.collect()
    assert gone() is None


def test_a_method_that_hooks_of_a_library_replace():
    """As accelerate does: a partial of a function of the module, which says whose forward it wraps."""
    network = Two()

    def hooked(module, *args):
        return 2 * module.forward_before(*args)

    network.forward_before = network.forward
    network.forward = functools.update_wrapper(functools.partial(hooked, network), network.forward)
    report = count_flops(network.forward, IMAGE)
    assert (report.model, report.macs, [*paths(report)]) == ("Two.forward", CONV, ["conv", "head"])


def test_a_function_by_hand_of_everything():
    """An encoder by its method, a list of layers, a weight and a helper's default, each under its own name."""
    layers = [nn.Linear(8, 8), nn.Linear(8, 8)]
    weight = nn.Parameter(torch.ones(8, 8))

    def function(x):
        y = NETWORK.encode(x)
        for layer in layers:
            y = layer(y)
        return by_default_of_eight(y @ weight)

    report = count_flops(function, IMAGE)
    assert report.macs == CONV + 3 * 2 * 8 * 8 + 2 * 8 * 3
    assert {row.path: row.own.macs for row in report.modules if row.own.macs} == {
        "": 2 * 8 * 8,
        "NETWORK.conv": CONV,
        "layers.0": 2 * 8 * 8,
        "layers.1": 2 * 8 * 8,
        "head": 2 * 8 * 3,
    }
    assert report.params == (8 * 27 + 8) + (8 * 5 + 5) + 2 * (8 * 8 + 8) + 8 * 8 + (8 * 3 + 3)


def by_default_of_eight(x, head=nn.Linear(8, 3)):  # noqa: B008
    return head(x)


def test_a_named_tuple_is_read_as_the_function_takes_it():
    pair = namedtuple("pair", "one other")(torch.ones(2, 3), torch.ones(3, 4))
    assert count_flops(lambda both: both.one @ both.other, pair).macs == 24
    assert count_flops(lambda one, other: one @ other, pair).macs == 24
