"""Operators of the user's own without a form for tensors that have no data: run for real and listed, or refused."""

import pytest
import torch
from modules import one_per_pair
from torch import nn

from flopcount import ForwardError, TraceError, UncostedError, count_flops, rule

Tensor = torch.Tensor


@torch.library.custom_op("owntest::product", mutates_args=())
def product(a: Tensor, b: Tensor) -> Tensor:
    return a @ b


@torch.library.custom_op("owntest::ruled", mutates_args=())
def ruled(a: Tensor, b: Tensor) -> Tensor:
    return a @ b


@pytest.fixture(autouse=True)
def ruled_rule(own_rules):
    rule("owntest.ruled")(one_per_pair)


@torch.library.custom_op("owntest::pair", mutates_args=())
def pair(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return a @ b, a.sum()


@torch.library.custom_op("owntest::several", mutates_args=())
def several(a: Tensor, b: Tensor) -> list[Tensor]:
    return [a @ b, a + 1]


@torch.library.custom_op("owntest::number", mutates_args=())
def number(a: Tensor) -> float:
    return float(a.sum())


@torch.library.custom_op("owntest::differentiable", mutates_args=())
def differentiable(a: Tensor, b: Tensor) -> Tensor:
    return a @ b


def backward(ctx, gradient):
    a, b = ctx.saved_tensors
    return gradient @ b.T, a.T @ gradient


differentiable.register_autograd(backward, setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs))


@torch.library.custom_op("owntest::only_cuda", mutates_args=(), device_types="cuda")
def only_cuda(a: Tensor, b: Tensor) -> Tensor:
    return a @ b


LIBRARY = torch.library.Library("ownold", "DEF")
LIBRARY.define("product(Tensor a, Tensor b) -> Tensor")
LIBRARY.impl("product", torch.mm, "CPU")
LIBRARY.define("nowhere(Tensor a, Tensor b) -> Tensor")


class Net(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.enter, self.weight, self.leave = nn.Linear(8, 16), nn.Parameter(torch.randn(16, 4)), nn.Linear(4, 8)

    def forward(self, x):
        return self.leave(self.function(self.enter(x), self.weight))


REST = 4 * 8 * 16 + 4 * 4 * 8


@pytest.mark.parametrize(
    ("function", "name", "upper"),
    [
        # all that is read, for each element written
        (product, "owntest.product", (4 * 16 + 16 * 4) * 16),
        (torch.ops.ownold.product, "ownold.product", (4 * 16 + 16 * 4) * 16),
        (lambda a, b: pair(a, b)[0], "owntest.pair", (4 * 16 + 16 * 4) * (16 + 1)),
        (lambda a, b: several(a, b)[0], "owntest.several", (4 * 16 + 16 * 4) * (16 + 4 * 16)),
        (lambda a, b: a[:, :4] * number(a), "owntest.number", 4 * 16),  # a number counts as one element
    ],
)
def test_an_operator_without_a_form_for_shapes_is_listed_by_its_name(function, name, upper):
    for engine in ("auto", "real"):
        report = count_flops(Net(function), (4, 8), engine=engine)
        assert (report.macs, report.engine) == (REST, "real")
        assert [(row.op, row.calls, row.upper_macs) for row in report.uncosted] == [(name, 1, upper)]
        with pytest.raises(UncostedError, match=name):
            count_flops(Net(function), (4, 8), engine=engine, strict=True)


def test_with_a_rule_of_the_user_it_is_counted():
    report = count_flops(Net(ruled), (4, 8), strict=True)
    assert (report.macs, report.uncosted) == (REST + 4 * 16 * 4, ())


def test_gradients_of_an_operator_are_those_that_it_registers():
    step = count_flops(Net(differentiable), (4, 8), mode="train").training
    rest = 2 * 4 * 8 * 16 + 3 * 4 * 4 * 8  # the first layer's input is the data
    assert step.total.macs == rest + 2 * 4 * 16 * 4


@pytest.mark.parametrize(
    ("function", "name"), [(only_cuda, "owntest.only_cuda"), (torch.ops.ownold.nowhere, "ownold.nowhere")]
)
@pytest.mark.parametrize("engine", ["auto", "real"])
def test_a_kernel_that_is_not_here_is_named_with_what_helps(function, name, engine):
    with pytest.raises(TraceError) as raised:
        count_flops(Net(function), (4, 8), engine=engine)
    assert str(raised.value).splitlines()[0] == f"Net needs {name}, which has no kernel for cpu tensors"
    assert f'register_fake("{name.replace(".", "::")}")' in str(raised.value)
    assert not isinstance(raised.value, ForwardError)


def test_a_module_may_go_on_without_a_kernel():
    def either(a, b):
        try:
            return only_cuda(a, b)
        except NotImplementedError:
            return a @ b

    assert count_flops(Net(either), (4, 8), engine="real").macs == REST + 4 * 16 * 4
