"""Operators that return nothing: counted on every engine, nothing they write stays, and values are followed."""

import pytest
import torch
from modules import one_per_pair
from torch import nn

from flopcount import UncostedError, count_flops, rule

ENGINES = ["meta", "fake", "real"]


@torch.library.custom_op("voidtest::scale", mutates_args={"x"})
def scale(x: torch.Tensor, by: torch.Tensor) -> None:
    x.mul_(by)


@torch.library.custom_op("voidtest::product", mutates_args={"out"})
def product(out: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> None:
    out.copy_(a @ b)


@pytest.fixture(autouse=True)
def product_rule(own_rules):
    rule("voidtest.product")(one_per_pair)


@torch.library.custom_op("voidtest::log", mutates_args=())
def log(x: torch.Tensor) -> None:
    pass


class Two(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.one, self.two = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        with torch.no_grad():
            return self.function(self, x)


def kept(module, engine):
    before = {name: (p.detach().clone(), p._version) for name, p in module.named_parameters()}
    report = count_flops(module, (4, 8), engine=engine)
    for name, parameter in module.named_parameters():
        assert torch.equal(parameter.detach(), before[name][0])
        assert parameter._version == before[name][1]
    return report


def average(module, x):
    torch._foreach_lerp_(list(module.two.parameters()), list(module.one.parameters()), 0.1)
    return module.two(module.one(x))


@pytest.mark.parametrize("engine", ENGINES)
def test_an_average_of_weights_is_counted_and_undone(engine):
    report = kept(Two(average), engine)
    assert report.macs == 2 * 4 * 64
    assert report.other_flops == 2 * 4 * 8 + 3 * (64 + 8)  # two biases; subtract, multiply, add per weight
    assert report.engine == engine


def views(module, x):
    hidden = module.one(x)
    torch._foreach_mul_(list(hidden.unbind(0)), 2.0)
    torch._foreach_add_([module.two.weight[0], module.two.weight[1:3]], 1.0)
    return hidden


@pytest.mark.parametrize("engine", ENGINES)
def test_views_in_the_list(engine):
    assert kept(Two(views), engine).other_flops == 4 * 8 + 4 * 8 + 3 * 8


def known(module, x):
    counters = [torch.ones(2), torch.ones(3)]
    torch._foreach_add_(counters, 2.0)
    for _ in range(int(counters[1][0])):
        x = module.one(x)
    return x


@pytest.mark.parametrize("engine", ["meta", "real"])
def test_known_values_stay_known(engine):
    assert kept(Two(known), engine).macs == 3 * 4 * 64


def unknown(module, x):
    counters = [torch.ones(8), torch.ones(8)]
    torch._foreach_add_(counters, [x[0], x[1]])
    return module.one(x) if counters[0].sum() > -1e9 else x


def test_values_that_an_unknown_is_added_to_are_unknown():
    report = kept(Two(unknown), "auto")
    assert (report.engine, report.macs) == ("real", 4 * 64)


def custom(module, x):
    hidden = module.one(x)
    scale(hidden, hidden + 1)
    scale(module.two.weight, module.two.weight)
    return module.two(hidden)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_operator_of_the_users_own_is_listed_with_what_it_writes(engine):
    report = kept(Two(custom), engine)
    assert report.macs == 2 * 4 * 64
    (row,) = report.uncosted
    assert (row.op, row.calls) == ("voidtest.scale", 2)
    assert row.upper_macs == (2 * 32) * 32 + (2 * 64) * 64  # all that is read, for each element written
    with pytest.raises(UncostedError):
        count_flops(Two(custom), (4, 8), engine=engine, strict=True)


def into_empty(module, x):
    result = torch.empty(4, 8)
    product(result, module.one(x), module.two.weight)
    return result * 2


@pytest.mark.parametrize("engine", ENGINES)
def test_memory_that_it_fills_comes_from_nowhere_else(engine):
    report = kept(Two(into_empty), engine)
    assert (report.macs, report.uncosted) == (4 * 64 + 4 * 8 * 8, ())


@pytest.mark.parametrize("engine", ["meta", "real"])
def test_one_that_writes_nothing_is_listed(engine):
    report = kept(Two(lambda module, x: log(module.one(x))), engine)
    assert [(row.op, row.upper_macs) for row in report.uncosted] == [("voidtest.log", 32)]
