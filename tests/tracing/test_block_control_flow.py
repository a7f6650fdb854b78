"""Control flow that is an operator runs in a block of code as without it, gradients of captured weights included."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch._higher_order_ops import map as mapped
from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.while_loop import while_loop

from flopcount import count_flops, counting

ROWS = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
CLIPS = torch.stack([ROWS, ROWS + 1, ROWS - 1])
STEP = 2 * 8 * 8


def conditional(layer):
    return torch.cond(ROWS.sum() > -1e9, lambda x: layer(x), lambda x: x.clone(), (ROWS,))


def scanned(layer):
    return scan(lambda c, x: (c + x, layer(x)), ROWS, CLIPS)[1]


def scanned_by_name(layer):
    return scan(lambda c, x: ({"sum": c["sum"] + x["x"]}, layer(x["x"])), {"sum": ROWS}, {"x": CLIPS})[1]


def over_frames(layer):
    return mapped(lambda x: layer(x), CLIPS)


def repeated(layer):
    return while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, torch.tanh(layer(x))), (torch.tensor(0), ROWS))[1]


TRIPS = {conditional: 1, scanned: 3, scanned_by_name: 3, over_frames: 3, repeated: 3}
FUNCTIONS = [pytest.param(function, id=function.__name__) for function in TRIPS]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_it_computes_and_counts_as_plain_python(function):
    layer = nn.Linear(8, 8, bias=False)
    with torch.no_grad():
        alone = function(layer)
        with counting() as count:
            watched = function(layer)
    assert torch.equal(alone, watched)
    assert (count.macs, count.uncosted) == (TRIPS[function] * STEP, ())
    assert count_flops(lambda: function(layer), ()).macs == count.macs


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("function", [param for param in FUNCTIONS if param.values[0] is not repeated])
def test_its_gradients_are_those_without_the_block(function):
    layer = nn.Linear(8, 8, bias=False)
    function(layer).sum().backward()
    alone = layer.weight.grad.clone()
    layer.zero_grad()
    with counting() as count:
        function(layer).sum().backward()
    torch.testing.assert_close(layer.weight.grad, alone)
    assert count.macs == 2 * TRIPS[function] * STEP  # no input needs a gradient


@pytest.mark.filterwarnings("ignore")
def test_the_gradients_of_a_loop_are_those_of_its_trips():
    """Torch's own gradients of captured weights are others (torch 2.13), so the loop is written out here."""
    layer, x = nn.Linear(8, 8, bias=False), ROWS
    for _ in range(3):
        x = torch.tanh(layer(x))
    x.sum().backward()
    alone = layer.weight.grad.clone()
    layer.zero_grad()
    with counting() as count:
        repeated(layer).sum().backward()
    torch.testing.assert_close(layer.weight.grad, alone)
    assert count.macs == (3 + 3 + 2) * STEP  # the first trip's input needs no gradient


@pytest.mark.filterwarnings("ignore")
def test_nothing_stays_replaced():
    places = torch.compile, torch._ops.HigherOrderOperator.__call__
    with counting(), counting():
        pass
    assert places == (torch.compile, torch._ops.HigherOrderOperator.__call__)


FRESH = """
import torch, flopcount
layer, x = torch.nn.Linear(8, 8), torch.randn(2, 8)
with flopcount.counting() as count:
    torch.cond(x.sum() > -1e9, lambda x: layer(x), lambda x: x.clone(), (x,)).sum().backward()
    plain = count.macs
    torch.compile(lambda x: layer(x), backend="eager")(x)
print(plain, count.macs, layer.weight.grad is not None)
"""


def test_the_compiler_is_not_loaded_yet():
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", FRESH], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [str(2 * STEP), str(3 * STEP), "True"]
