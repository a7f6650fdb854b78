"""Forward-mode derivatives count what torch really runs: the primal work and that of the tangents."""

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.func import hessian, jacfwd, jvp, linearize
from torch.utils.flop_counter import FlopCounterMode

from flopcount import count_flops

ENGINES = ["auto", "fake", "real"]
pytestmark = [  # of torch's own code
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning", "ignore:.torch.jit:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr:UserWarning"),
]


class Net(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.linear, self.conv, self.norm = nn.Linear(16, 16), nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4).eval()

    def forward(self, x):
        return self.function(self, x)


def dual(net, x):
    with forward_ad.dual_level():
        y = torch.tanh(net.linear(forward_ad.make_dual(x, torch.ones_like(x))))
        return forward_ad.unpack_dual(y)


def dual_convolution(net, x):
    with forward_ad.dual_level():
        y = net.norm(net.conv(forward_ad.make_dual(x[None, None], torch.ones_like(x)[None, None])))
        return forward_ad.unpack_dual(y).tangent


def by_jvp(net, x):
    return jvp(lambda t: torch.tanh(net.linear(t)), (x,), (torch.ones_like(x),))


def columns(net, x):
    return jacfwd(lambda t: torch.tanh(net.linear(t)))(x[0])


def second(net, x):
    return hessian(lambda t: torch.tanh(net.linear(t)).sum())(x[0])


def linear(net, x):
    y, tangent = linearize(lambda t: torch.tanh(net.linear(t)), x)
    return y, tangent(x)


def macs_by_torch(function):
    with FlopCounterMode(display=False) as counter:
        Net(function)(torch.randn(4, 16))
    return counter.get_total_flops() // 2


ONE = 4 * 16 * 16


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("function", [dual, dual_convolution, by_jvp, columns, linear])
def test_as_many_as_torch_runs(function, engine):
    assert count_flops(Net(function), (4, 16), engine=engine).macs == macs_by_torch(function)


@pytest.mark.parametrize("engine", ENGINES)
def test_by_hand(engine):
    # x W; the tangents of x times W, and x times the tangents of W, which torch makes zeros of
    report = count_flops(Net(dual), (4, 16), engine=engine)
    assert (report.macs, report.uncosted) == (3 * ONE, ())
    # for one sample: forward 1, backward 1, and for each of 16 inputs the tangents of both
    assert {count_flops(Net(second), (4, 16), engine=e).macs for e in ENGINES} == {9216}


def test_a_step_through_tangents():
    # by its weight: the gradient of the primal and of the tangent, each once
    assert count_flops(Net(dual), (4, 16), mode="train").training.total.macs == 3 * ONE + 2 * ONE
