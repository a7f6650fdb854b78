"""Gradients that a module computes in its forward pass, and hooks of gradients: on shapes, as torch counts them."""

import pytest
import torch
from states import global_state, module_state
from torch import nn
from torch.nn import functional as F
from torchs_counter import counted_by_torch

from flopcount import ForwardError, TraceError, count_flops

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*torch.jit.script:DeprecationWarning", "ignore:.*torch.jit.script:FutureWarning"
)
ENGINES = ["meta", "fake", "real"]
SHAPE = (4, 6)


class Energy(nn.Module):
    """A small network, whose derivatives `differentiate` takes."""

    def __init__(self, differentiate):
        super().__init__()
        self.first, self.last = nn.Linear(6, 16), nn.Linear(16, 1)
        self.differentiate = differentiate

    def energy(self, x):
        return self.last(torch.tanh(self.first(x)))

    def forward(self, x):
        return self.differentiate(self, x)


FIRST, LAST = 4 * 6 * 16, 4 * 16


def forces(net, x):
    with torch.enable_grad():
        x = x.detach().requires_grad_(True)
        energy = net.energy(x)
        return energy, -torch.autograd.grad(energy.sum(), x, create_graph=True)[0]


def penalty(net, x):
    x = x.detach().requires_grad_()
    score = net.energy(x)
    ones = torch.ones(score.size())
    gradient = torch.autograd.grad(outputs=score, inputs=x, grad_outputs=ones, create_graph=True, retain_graph=True)[0]
    return score.mean() + 10 * ((gradient.norm(2, dim=1) - 1) ** 2).mean()


def by_backward(net, x):
    with torch.enable_grad():
        x = x.detach().requires_grad_(True)
        net.energy(x).sum().backward()
    return x.grad


def inner_step(net, x):
    with torch.enable_grad():
        weights = dict(net.named_parameters())
        loss = net.energy(x).square().mean()
        gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
        adapted = [weight - 0.1 * gradient for weight, gradient in zip(weights.values(), gradients, strict=True)]
    return F.linear(torch.tanh(F.linear(x, adapted[0], adapted[1])), adapted[2], adapted[3])


def second(net, x):
    x = x.detach().requires_grad_()
    u = net.energy(x)
    first = torch.autograd.grad(u.sum(), x, create_graph=True)[0]
    return u + torch.autograd.grad(first[:, 0].sum(), x, create_graph=True)[0][:, :1]


BY_INPUT = FIRST + LAST  # the gradient passes both layers back to the input
INSIDE = {
    "forces": (forces, FIRST + LAST + BY_INPUT),
    "penalty": (penalty, FIRST + LAST + BY_INPUT),
    # by every weight too, without create_graph
    "backward": (by_backward, 3 * (FIRST + LAST)),
    # the data gets no gradient: by both weights, by the input of the last; then the adapted network
    "inner step": (inner_step, (FIRST + LAST) + (FIRST + LAST + LAST) + (FIRST + LAST)),
    "grad": (lambda net, x: torch.func.grad(lambda y: net.energy(y).sum())(x), FIRST + LAST + BY_INPUT),
    "vjp": (lambda net, x: _vjp(net, x), FIRST + LAST + BY_INPUT),
    "jacrev": (lambda net, x: torch.func.jacrev(lambda y: net.energy(y).sum(0))(x), FIRST + LAST + BY_INPUT),
    "per sample": (lambda net, x: torch.func.vmap(torch.func.jacrev(net.energy))(x), FIRST + LAST + BY_INPUT),
    "jacobian": (
        lambda net, x: torch.autograd.functional.jacobian(lambda y: net.energy(y).sum(0), x, create_graph=True),
        FIRST + LAST + BY_INPUT,
    ),
    "jvp": (lambda net, x: torch.func.jvp(net.energy, (x,), (torch.ones_like(x),))[1], None),
    "hessian": (lambda net, x: torch.func.hessian(lambda y: net.energy(y).sum())(x), None),
    "second derivative": (second, None),
}


def _vjp(net, x):
    output, back = torch.func.vjp(net.energy, x)
    return back(torch.ones_like(output))[0]


@pytest.mark.parametrize("name", INSIDE)
def test_gradients_inside_a_forward_pass_are_counted_on_shapes(name):
    differentiate, right = INSIDE[name]
    x = torch.randn(SHAPE)
    report = count_flops(Energy(differentiate), (x,), mode="train")
    assert report.macs == counted_by_torch(Energy(differentiate), x.clone(), trains=False)
    assert report.training.total.macs == counted_by_torch(Energy(differentiate), x.clone(), trains=True)
    assert right is None or report.macs == right
    assert report.engine == report.training.engine == "meta"
    for engine in ENGINES:
        same = count_flops(Energy(differentiate), (x,), mode="train", engine=engine)
        assert (same.macs, same.training.total.macs) == (report.macs, report.training.total.macs)
    twice = count_flops(Energy(differentiate), (torch.randn(8, 6),))
    assert twice.macs == 2 * report.macs or name in ("hessian",)  # of all samples with all others


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", ["forward", "train"])
@pytest.mark.parametrize("name", INSIDE)
def test_they_leave_nothing_behind(name, mode, engine):
    module = Energy(INSIDE[name][0])
    module.first.weight.grad = gradient = torch.ones(16, 6)
    before = module_state(module), global_state()
    count_flops(module, SHAPE, mode=mode, engine=engine)
    assert (module_state(module), global_state()) == before
    assert module.first.weight.grad is gradient
    assert gradient.eq(1).all()
    assert module.last.weight.grad is None


def test_numbers_that_a_differentiating_module_reads():
    def scaled(make):
        return lambda net, x: [part * make().item() for part in forces(net, x)]

    for make, engine in (
        (lambda: torch.tensor(0.5), "meta"),  # a literal
        (lambda: torch.arange(3).sum(), "meta"),
        (lambda: torch.linspace(0, 1, 5)[2], "real"),  # hidden, since its gradient would be on another device
    ):
        report = count_flops(Energy(scaled(make)), SHAPE)
        assert (report.macs, report.engine) == (2 * (FIRST + LAST), engine)


RUNS = []


def test_an_error_of_a_differentiating_module_is_its_own():
    def wrong(net, x):
        _, force = forces(net, x)
        RUNS.append("real" if type(force) is torch.Tensor and not force.is_meta else "without data")
        return {"force": force}["positions"]

    RUNS.clear()
    with pytest.raises(ForwardError, match="Energy raised KeyError: 'positions'"):
        count_flops(Energy(wrong), SHAPE)
    assert RUNS == ["without data", "without data"]  # no list of its own, which a count would restore


def test_an_engine_that_lacks_a_number_says_so():
    def reads(net, x):
        energy, force = forces(net, x)
        return force if energy.sum().item() else energy

    with pytest.raises(TraceError, match="the module reads a number"):
        count_flops(Energy(reads), SHAPE, engine="meta")
    assert count_flops(Energy(reads), SHAPE).engine == "real"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_module_that_keeps_a_gradient(engine):
    def retains(net, x):
        hidden = net.first(x)
        hidden.retain_grad()
        return net.last(hidden)

    assert count_flops(Energy(retains), SHAPE, engine=engine).macs == FIRST + LAST


# ---- inputs that require a gradient


@pytest.mark.parametrize("engine", ENGINES)
def test_an_input_that_requires_a_gradient_gets_one(engine):
    x = torch.randn(SHAPE, requires_grad=True)
    training = count_flops(
        nn.Sequential(nn.Linear(6, 16), nn.Linear(16, 3)), (x,), mode="train", engine=engine
    ).training
    first, last = 4 * 6 * 16, 4 * 16 * 3
    assert training.backward_by_input.macs == training.backward_by_weight.macs == first + last
    assert x.grad is None
    frozen = count_flops(nn.Linear(6, 16).requires_grad_(False), (x,), mode="train", engine=engine).training
    assert (frozen.backward_by_input.macs, frozen.backward_by_weight.macs) == (first, 0)


@pytest.mark.parametrize("engine", ["meta", "fake"])
def test_an_input_on_meta_keeps_its_gradient(engine):
    x = torch.randn(2, 3, 8, 8, device="meta", requires_grad=True)
    module = nn.Conv2d(3, 4, 3)
    training = count_flops(module, {"input": x}, mode="train", engine=engine).training
    assert training.backward_by_input.macs == training.backward_by_weight.macs == 2 * 4 * 36 * 27
    assert x.grad is None


def test_only_the_input_that_requires_a_gradient_gets_one():
    module = nn.Bilinear(5, 6, 7, bias=False)
    x, y = torch.randn(4, 5), torch.randn(4, 6)
    none, one, both = (
        count_flops(module, (x.requires_grad_(a), y.requires_grad_(b)), mode="train").training.backward_by_input.macs
        for a, b in ((False, False), (False, True), (True, True))
    )
    assert none == 0 < one < both


@pytest.mark.parametrize("engine", ENGINES)
def test_hooks_of_an_input_run(engine):
    x = torch.randn(SHAPE, requires_grad=True)
    x.register_hook(lambda gradient: gradient @ torch.ones(6, 6))
    handle = x.register_hook(lambda gradient: (handle.remove(), gradient)[1])
    training = count_flops(nn.Linear(6, 16), (x,), mode="train", engine=engine).training
    assert training.backward.macs == 2 * 4 * 6 * 16 + 4 * 36
    assert (len(x._backward_hooks), x.grad) == (2, None)


# ---- hooks


class Hooked(nn.Module):
    """A gradient passes between two layers; `hook` registers what happens to it."""

    def __init__(self, hook=lambda net: None, between=lambda hidden: hidden):
        super().__init__()
        self.first, self.last, self.log = nn.Linear(6, 8), nn.Linear(8, 5), []
        self.between = between
        hook(self)

    def forward(self, x):
        return self.last(self.between(self.first(x)))


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return -gradient @ torch.ones(8, 8)


def times(gradient):
    size = gradient.shape[-1]
    return gradient @ torch.ones(size, size)


def hooks_a_tensor(hidden):
    if hidden.requires_grad:
        hidden.register_hook(times)
    return hidden


def after_accumulation(net):
    def hook(parameter):
        net.log.append(1)
        parameter.grad = times(parameter.grad)

    net.last.weight.register_post_accumulate_grad_hook(hook)


def once(net):
    handle = net.last.weight.register_hook(lambda gradient: (handle.remove(), times(gradient))[1])


PLAIN = 4 * (6 * 8 + 8 * 5) * 2 + 4 * 8 * 5
HOOKS = {
    "a tensor": (Hooked(between=hooks_a_tensor), 4 * 8 * 8),
    "a parameter": (Hooked(lambda net: net.last.weight.register_hook(times)), 5 * 8 * 8),
    "a parameter, once": (Hooked(once), 5 * 8 * 8),
    "an accumulated gradient": (Hooked(after_accumulation), 5 * 8 * 8),
    "a frozen parameter": (
        Hooked(lambda net: (net.first.weight.register_hook(times), net.first.requires_grad_(False))),
        -4 * 6 * 8 - 4 * 8 * 5,
    ),
    "a layer": (
        Hooked(lambda net: net.last.register_full_backward_hook(lambda _, by_input, out: (times(by_input[0]),))),
        4 * 8 * 8,
    ),
    "before a layer": (
        Hooked(lambda net: net.last.register_full_backward_pre_hook(lambda _, out: (times(out[0]),))),
        4 * 5 * 5,
    ),
    "the first layer": (Hooked(lambda net: net.first.register_full_backward_hook(lambda *_: None)), 0),
    "reversal": (Hooked(between=Reversed.apply), 4 * 8 * 8),
    "what it keeps": (Hooked(lambda net: net.last.weight.register_hook(net.log.append)), 0),
}


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", HOOKS)
def test_what_hooks_do_to_gradients_is_counted(name, engine):
    module, more = HOOKS[name]
    before = module_state(module), global_state(), [len(p._backward_hooks or ()) for p in module.parameters()]
    for _ in range(2):  # a hook that removes itself is there again
        training = count_flops(module, SHAPE, mode="train", engine=engine).training
        assert training.total.macs == PLAIN + more
        assert (training.engine, module.log) == (engine, [])
    assert (module_state(module), global_state()) == before[:2]
    assert [len(p._backward_hooks or ()) for p in module.parameters()] == before[2]


def test_hooks_that_read_values_climb():
    def clipped(hidden):
        if hidden.requires_grad:
            hidden.register_hook(lambda gradient: gradient / max(1.0, gradient.norm().item()))
        return hidden

    training = count_flops(Hooked(between=clipped), SHAPE, mode="train").training
    assert (training.engine, training.total.macs) == ("real", PLAIN)
