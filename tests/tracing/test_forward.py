"""Law 4, no side effects; module paths; weightless building; error texts."""

import contextlib
import gc
import weakref

import pytest
import torch
from states import Untidy, full_module_state, global_state
from torch import nn

from flopcount import count_flops
from flopcount.core.errors import FlopcountError, ForwardError, InputError, TraceError
from flopcount.core.ops import TensorSpec
from flopcount.rules.costing import cost
from flopcount.tracing import trace, weightless

ENGINES = ("meta", "fake", "real")


def spec(*shape, dtype="float32"):
    return TensorSpec(shape, dtype)


def macs_by_module(module, *args, **kwargs):
    totals = {}
    for costed in cost(trace(module, args, kwargs).ops):
        if costed.work.macs:
            totals[costed.op.module] = totals.get(costed.op.module, 0) + costed.work.macs
    return totals


# Law 4


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("fast_path", [False, True])
def test_nothing_stays_behind(engine, fails, fast_path):
    module = Untidy(fails=fails)
    torch.backends.mha.set_fastpath_enabled(fast_path)
    try:
        before = full_module_state(module), global_state()
        for _ in range(2):
            if fails:
                with pytest.raises(Exception, match="half way"):
                    trace(module, (spec(4, 8),), engine=engine)
            else:
                trace(module, (spec(4, 8),), engine=engine)
            after = full_module_state(module), global_state()
            assert after[0] == before[0]
            assert after[1] == before[1]
    finally:
        torch.backends.mha.set_fastpath_enabled(True)


class Renames(nn.Module):
    """The same objects as before, in as many places, under another name; or a separate table of attributes."""

    def __init__(self, *, swaps):
        super().__init__()
        self.swaps, self.last = swaps, object()

    def forward(self, x):
        if self.swaps:
            self.__dict__ = dict(self.__dict__)
        else:
            self.other = self.__dict__.pop("last")
        return x + 1


@pytest.mark.parametrize("swaps", [False, True])
def test_attributes_keep_their_names(swaps):
    module = Renames(swaps=swaps)
    before = list(vars(module).items())
    trace(module, (spec(2, 3),))
    assert list(vars(module).items()) == before


@pytest.mark.parametrize("engine", ENGINES)
def test_a_second_call_says_the_same_and_training_goes_on(engine):
    module = Untidy()
    first, second = (trace(module, (spec(4, 8),), engine=engine) for _ in range(2))
    assert [str(op.signature) for op in first.ops] == [str(op.signature) for op in second.ops]
    module.norm(torch.randn(4, 8)).sum().backward()
    module.head(module.spectral(torch.randn(4, 8))).sum().backward()
    assert all(p.grad is not None for p in module.norm.parameters())
    assert module.head.weight.grad.abs().sum() > 0


def test_gradients_and_inputs_are_left_alone():
    layer, x = nn.Linear(4, 4), torch.randn(2, 4, requires_grad=True)
    layer(x).sum().backward()
    gradient, given, values = layer.weight.grad, x.grad, x.detach().clone()
    trace(nn.Sequential(layer, nn.ReLU(inplace=True)), (x,), engine="real")
    assert layer.weight.grad is gradient
    assert x.grad is given
    assert torch.equal(x, values)


def test_integer_inputs_are_not_written_to():
    class Shift(nn.Module):
        def forward(self, index):
            index += 1
            return index

    index = torch.zeros(3, dtype=torch.int64)
    for engine in ("meta", "real"):
        trace(Shift(), (index,), engine=engine)
        assert index.tolist() == [0, 0, 0]


def test_an_interrupt_leaves_nothing_behind():
    class Interrupted(nn.Module):
        def forward(self, x):
            self.x = x
            raise KeyboardInterrupt

    module = Interrupted()
    before = global_state()
    with pytest.raises(KeyboardInterrupt):
        trace(module, (spec(2),))
    assert global_state() == before
    assert not hasattr(module, "x")


@pytest.mark.parametrize("dataflow", [False, True])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_network_goes_as_soon_as_nobody_holds_it(engine, dataflow):
    """Not when Python next looks for circles, which it does so seldom that large networks would pile up."""
    trace(nn.Linear(8, 4), (spec(2, 8),), engine=engine)  # what this imports keeps its frames
    module = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.Sequential(nn.ReLU())).eval()
    held = weakref.ref(module[0].weight)
    gc.disable()
    try:
        traced = trace(module, (spec(2, 8),), engine=engine, dataflow=dataflow)
        del module
        assert held() is None
    finally:
        gc.enable()
    assert traced.ops


class Climbs(nn.Module):
    """Asks for a value, which the first engines do not have."""

    def __init__(self, widths):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(8, width) for width in widths)

    def forward(self, x):
        y = self.layers[0](x)
        return self.layers[1](y) if y.sum().item() < 1e9 else y


@pytest.mark.parametrize("build", [lambda: Climbs((8, 4)), lambda: nn.Sequential(nn.Linear(8, 8), nn.Linear(5, 5))])
def test_a_network_that_climbs_or_fails_goes_as_soon_too(build):
    def counted():
        module = build()
        held = weakref.ref(module)
        with contextlib.suppress(FlopcountError):
            count_flops(module, (2, 8))
        return held

    counted()  # what this imports keeps its frames
    gc.collect()
    gc.disable()
    try:
        assert counted()() is None
    finally:
        gc.enable()


def test_a_nested_count_that_lacks_weights_is_the_nested_counts_alone():
    with torch.device("meta"):
        inner = Climbs((8, 4))

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, x):
            with contextlib.suppress(TraceError):
                count_flops(inner, torch.zeros(2, 8, device="meta"))
            return self.layer(x)

    assert count_flops(Outer(), (2, 8)).macs == 2 * 8 * 8


def test_lazy_modules_stay_lazy():
    for engine in ENGINES:
        module = nn.Sequential(nn.LazyConv3d(4, 1), nn.LazyBatchNorm3d(), nn.Flatten(), nn.LazyLinear(3))
        found = trace(module, (spec(2, 3, 2, 5, 5),), engine=engine)
        assert sum(costed.work.macs for costed in cost(found.ops)) == 2 * (4 * 3 * 50 + 200 * 3)
        assert [type(part) for part in module[:2]] == [nn.LazyConv3d, nn.LazyBatchNorm3d]
        module(torch.randn(2, 7, 2, 4, 4))  # other channels than those of the count
        assert module[0].weight.shape == (4, 7, 1, 1, 1)


# Module paths


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = self.first
        self.inner = nn.Sequential(nn.Linear(4, 4))

    def forward(self, x):
        x = self.second(self.first(x))
        x = self.first(x) + nn.Linear(4, 4)(x)  # no module owns the last
        return self.inner[0].forward(x) @ x.mT


def test_a_shared_module_counts_every_call_under_its_first_name():
    found = trace(Twice(), (spec(2, 4),))
    assert macs_by_module(Twice(), spec(2, 4)) == {"first": 3 * 32, "": 32 + 32 + 2 * 2 * 4}
    assert [call.module for call in found.calls] == ["first", "first", "first", ""]
    assert found.calls[-1].inputs == ((2, 4),)
    assert found.calls[-1].outputs == ((2, 2),)


def test_arguments_of_every_kind():
    class Fuse(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.words = nn.Linear(4, 4), nn.Embedding(10, 4)

        def forward(self, clips, *, index, options=None, scale=1.0):
            fused = clips[0] + clips[1] + self.words(index) + options["bias"][0]
            return {"fused": self.linear(fused) * scale, "none": None}

    found = trace(
        Fuse(),
        ([spec(2, 4), torch.randn(2, 4)],),
        {"index": spec(2, dtype="int64"), "options": {"bias": (spec(4),)}, "scale": 2.0},
    )
    assert sum(costed.work.macs for costed in cost(found.ops)) == 2 * 4 * 4
    assert list(map(str, found.inputs)) == ["f32[2,4]", "f32[2,4]", "i64[2]", "f32[4]"]
    assert found.calls[-1].inputs == ((2, 4), (2, 4), (2,), (4,))
    assert found.calls[-1].outputs == ((2, 4),)


def test_integers_have_values():
    class Shorten(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x, lengths):
            return self.linear(x[:, : lengths.max().item()])

    found = trace(Shorten(), (spec(2, 9, 4), torch.tensor([3, 5])))
    assert found.engine == "meta"
    assert sum(costed.work.macs for costed in cost(found.ops)) == 2 * 5 * 16


# Errors


def test_the_error_of_a_nested_layer_names_it_and_what_it_was_given():
    network = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(12, 4), nn.Linear(5, 2)))
    with pytest.raises(ForwardError) as caught:
        trace(network, (spec(2, 3, 4),))
    assert str(caught.value).splitlines()[1:] == [
        "  in      1.1 (Linear)",
        "  given   f32[2,4]",
        "  fix     Linear takes 5 features on the last axis, and it gets 4",
    ]
    assert str(caught.value).startswith("Sequential raised RuntimeError: ")
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_an_error_that_the_module_handles_is_not_the_one_reported():
    class Careful(nn.Module):
        def __init__(self):
            super().__init__()
            self.wrong, self.right = nn.Linear(5, 2), nn.Linear(6, 2)

        def forward(self, x):
            try:
                return self.wrong(x)
            except RuntimeError:
                return self.right(x)

    with pytest.raises(ForwardError, match=r"right \(Linear\)"):
        trace(Careful(), (spec(2, 4),))
    assert macs_by_module(Careful(), spec(2, 6)) == {"right": 2 * 6 * 2}


def test_an_error_of_the_model_itself():
    class Refuses(nn.Module):
        def forward(self, x):
            raise ValueError

    with pytest.raises(ForwardError, match=r"Refuses raised ValueError: no message\n  in      the model itself"):
        trace(Refuses(), (spec(2),))


def test_an_engine_that_does_not_exist():
    with pytest.raises(InputError, match="no engine named 'cuda'\n  fix     choose auto, meta, fake, real"):
        trace(nn.ReLU(), (spec(2),), engine="cuda")


# Building without weights


class Tied(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.words = nn.Embedding(1000, width)
        self.out = nn.Linear(width, 1000, bias=False)
        self.out.weight = self.words.weight
        self.token = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1, width), std=0.02), requires_grad=False)
        self.rates = [rate.item() for rate in torch.linspace(0, 0.3, 4)]
        self.register_buffer("index", torch.arange(6).view(2, 3).flip(0))
        self.register_buffer("large", torch.zeros(300, 300))


def test_weightless_has_shapes_ties_and_small_values():
    state = torch.get_rng_state()
    module = weightless(Tied, width=16)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.is_meta for parameter in module.parameters())
    assert module.out.weight is module.words.weight
    assert [parameter.requires_grad for parameter in module.parameters()] == [False, True]
    assert module.index.tolist() == [[3, 4, 5], [0, 1, 2]]
    assert module.large.is_meta
    assert module.rates == pytest.approx([0, 0.1, 0.2, 0.3])
    real = Tied(width=16)
    assert {n: p.shape for n, p in module.state_dict().items()} == {n: p.shape for n, p in real.state_dict().items()}


def test_weightless_allocates_nothing():
    module = weightless(lambda: nn.Sequential(*(nn.Linear(10**6, 10**6) for _ in range(4))))
    assert sum(parameter.numel() for parameter in module.parameters()) == 4 * (10**12 + 10**6)
    assert macs_by_module(module, spec(3, 10**6)) == {str(i): 3 * 10**12 for i in range(4)}


def test_weightless_builds_for_real_what_reads_large_values():
    class Reads(nn.Linear):
        def reset_parameters(self):
            super().reset_parameters()
            self.largest = self.weight.abs().max().item()

    module = weightless(Reads, 200, 200)
    assert 0 < module.largest < 1
    assert module.weight.is_meta


def test_weightless_passes_the_builders_error_on():
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match="divisible by groups"):
        weightless(nn.Conv3d, 3, 4, 3, groups=2)
    assert torch.equal(torch.get_rng_state(), state)
