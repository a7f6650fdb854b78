"""Layers in a block of code that are used without a call are not "never called", and layers that are only set are."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from flopcount import count_flops, counting

CLIPS = torch.randn(2, 5, 4)


class Tied(nn.Module):
    """A layer that is called, one whose weight alone is used, one within attention, and a spare one."""

    def __init__(self):
        super().__init__()
        self.first, self.head, self.spare = nn.Linear(4, 8), nn.Linear(8, 3), nn.Linear(2, 2)
        self.mha = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        x = self.first(x)
        return F.linear(self.mha(x, x, x)[0], self.head.weight)


def rows(count):
    """What is said of each layer that was not called."""
    return {row.path: row.used_elsewhere for row in count.modules if not row.calls and row.path and row.params}


def test_a_block_says_what_the_count_says():
    net = Tied()
    with counting(net) as count:
        net(CLIPS)
        assert rows(count) == {"head": True, "spare": False, "mha.out_proj": True}
    assert rows(count) == rows(count_flops(net, (CLIPS,)))
    assert str(count).count("used elsewhere") == 2
    spare = sum(weight.numel() for weight in net.spare.parameters())
    assert f"\nnever called: spare ({spare} parameters)\n" in str(count)


def test_an_optimizer_and_an_average_use_no_layer():
    net, average = Tied(), Tied()
    optimizer = torch.optim.AdamW(net.parameters())
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    with counting(models={"net": net, "average": average}) as count:
        net(CLIPS).sum().backward()
        optimizer.step()
        with torch.no_grad():
            for old, new in zip(average.parameters(), net.parameters(), strict=True):
                old.mul_(0.9).add_(new)
    assert {path for path, used in rows(count).items() if used} == {"net.head", "net.mha.out_proj"}


def test_layers_that_are_made_for_each_step():
    with counting() as count:
        for _ in range(2):
            Tied()(CLIPS)
    assert rows(count) == {"Tied.head": True, "Tied.spare": False, "Tied.mha.out_proj": True}


@pytest.mark.parametrize("engine", ["meta", "fake", "real"])
def test_layers_that_are_made_in_the_forward_pass(engine):
    class Late(nn.Module):
        def forward(self, x):
            if not hasattr(self, "layers"):
                self.layers = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3), nn.Linear(2, 2))
            return F.linear(self.layers[0](x), self.layers[1].weight)

    report = count_flops(Late(), (CLIPS,), engine=engine)
    assert rows(report) == {"layers": True, "layers.1": True, "layers.2": False}
