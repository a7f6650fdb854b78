"""Control flow as operators: what a body costs, as often as it runs, on every engine and in training."""

import pytest
import torch
from modules import TORCH
from torch import nn
from torch._higher_order_ops.map import map as mapped
from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.while_loop import while_loop

from flopcount import TraceError, count_flops

ENGINES = ["meta", "fake", "real"]
ONE = 4 * 16 * 16  # MACs of one linear layer on (4, 16)


class Net(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.one, self.two = nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, x):
        return self.function(self, x)


def scanned(net, x):
    def body(state, frame):
        state = torch.tanh(net.one(state) + frame)
        return state, state.clone()

    return scan(body, torch.zeros_like(x[0]), x)[1]


def scanned_trees(net, x):
    def body(state, frame):
        hidden, trips = state
        hidden = torch.tanh(net.one(hidden) + frame["clip"])
        return (hidden, trips + 1), {"out": hidden.clone(), "sum": hidden.sum()}

    state, result = scan(body, (torch.zeros_like(x[:, 0]), torch.zeros(())), {"clip": x}, dim=1, reverse=True)
    moved = (4, 5, 16) if TORCH < (2, 10) else (5, 4, 16)  # torch 2.9 leaves the axis that it scans in front
    assert (result["out"].shape, result["sum"].shape) == (moved, (4,))
    return net.two(state[0])


def looped(net, x):
    return while_loop(lambda i, _: i < 3, lambda i, h: (i + 1, net.one(h)), (torch.tensor(0), x[0]))[1]


def never(net, x):
    return net.two(while_loop(lambda i, _: i < 0, lambda i, h: (i + 1, net.one(h)), (torch.tensor(0), x[0]))[1])


def each(net, x):
    return mapped(lambda frame, weight: {"y": net.one(frame) @ weight}, x, net.two.weight)["y"]


def nested(net, x):
    def frame(t):
        return while_loop(lambda i, _: i < 3, lambda i, h: (i + 1, net.one(h)), (torch.tensor(0), t))[1]

    def body(state, t):
        branch = torch.cond(t.shape[0] > 2, net.two, lambda y: net.one(net.one(y)), (state,))
        return branch + t, branch.clone()

    return scan(body, torch.zeros_like(x[0]), mapped(frame, x))[0]


def chosen(net, x):
    return torch.cond(torch.tensor(False), net.one, lambda y: net.two(net.two(y)), (x[0],))


def under_vmap(net, x):
    return torch.vmap(lambda t: torch.cond(t.sum() > 0, net.one, net.two, (t,)))(x[0])


CASES = [
    # function, MACs, calls of one and two, MACs of the step: its weights' and its inputs' gradients too
    (scanned, 5 * ONE, (5, 0), (5 + 5 + 4) * ONE),  # the first state is a constant
    (scanned_trees, (4 * 5 * 16 * 16) + 5 * 16 * 16, (4, 1), None),
    (looped, 3 * ONE, (3, 0), (3 + 3 + 2) * ONE),
    (never, ONE, (0, 1), 2 * ONE),
    (each, 10 * ONE, (5, 0), (10 + 5 + 10) * ONE),
    (nested, (15 + 5) * ONE, (15, 5), None),
    (chosen, 2 * ONE, (0, 2), (2 + 2 + 1) * ONE),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("function", "macs", "calls", "step"), CASES, ids=[case[0].__name__ for case in CASES])
def test_a_body_counts_as_often_as_it_runs(function, macs, calls, step, engine):
    net = Net(function)
    report = count_flops(net, (5, 4, 16), engine=engine)
    assert (report.macs, report.uncosted, report.engine) == (macs, (), engine)
    assert (report.module("one").calls, report.module("two").calls) == calls
    assert sum(row.own["macs"] for row in report.modules) == macs
    if step is not None:
        assert count_flops(net, (5, 4, 16), mode="train").training.total.macs == step


def test_both_branches_run_under_vmap():
    assert count_flops(Net(under_vmap), (5, 4, 16)).macs == 2 * ONE


def by_value(net, x):
    return torch.cond(x.sum() > 0, net.one, lambda y: net.two(net.two(y)), (x[0],))


def until_large(net, x):
    return while_loop(lambda h: h.sum() < 1e5, lambda h: (net.one(h) * 0 + h * 10,), (x[0],))[0]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_branch_that_values_decide_is_that_of_the_values(sign):
    report = count_flops(Net(by_value), (sign * torch.ones(5, 4, 16),))
    assert (report.macs, report.engine) == ({1: ONE, -1: 2 * ONE}[sign], "real")
    train = count_flops(Net(by_value), (sign * torch.ones(5, 4, 16),), mode="train")
    assert train.training.total.macs == {1: 2 * ONE, -1: 5 * ONE}[sign]


def test_trips_that_values_decide():
    x = torch.ones(5, 4, 16)
    assert count_flops(Net(until_large), (x,)).macs == 4 * ONE  # the sum is 64, 640, ... and 640,000 after four
    for function in (by_value, until_large):
        with pytest.raises(TraceError):
            count_flops(Net(function), (5, 4, 16), engine="meta")


def test_an_exported_program_takes_its_branch():
    program = torch.export.export(Net(by_value), (torch.ones(5, 4, 16),))
    assert count_flops(program.module(), (-torch.ones(5, 4, 16),)).macs == 2 * ONE


def test_torchs_operators_are_its_own_again():
    before = torch._ops.HigherOrderOperator.__call__
    count_flops(Net(chosen), (5, 4, 16))
    assert torch._ops.HigherOrderOperator.__call__ is before
