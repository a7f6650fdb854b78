"""Collectives in a forward pass, in a group of one: no work of the network, and named."""

import random

import pytest
import torch
from modules import Apply
from operators import needs_module
from torch import distributed, nn
from torch.distributed import _functional_collectives as functional
from torch.distributed.nn import functional as differentiable

from flopcount import count_flops, counting
from flopcount.tracing.engines import ENGINES

MACS = 2 * 8 * 16 + 2 * 16 * 4


@pytest.fixture(scope="module", autouse=True)
def group():
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def into(collective):
    """A collective that fills one new tensor."""

    def gathered(y):
        out = torch.empty_like(y)
        collective(out, y)
        return out

    return gathered


def each(collective):
    """A collective that fills a list of new tensors."""

    def gathered(y):
        outs = [torch.empty_like(y)]
        collective(outs, y)
        return outs[0]

    return gathered


def same(collective):
    """A collective that writes to its argument, or has none."""

    def changed(y):
        collective(y)
        return y

    return changed


COLLECTIVES = {
    "allreduce_": same(distributed.all_reduce),
    "allreduce_ later": same(lambda y: distributed.all_reduce(y, async_op=True).wait()),
    "broadcast_": same(lambda y: distributed.broadcast(y, 0)),
    "reduce_": same(lambda y: distributed.reduce(y, 0)),
    "barrier": same(lambda _: distributed.barrier()),
    "allgather_": each(distributed.all_gather),
    "gather_": each(lambda outs, y: distributed.gather(y, outs)),
    "_allgather_base_": into(distributed.all_gather_into_tensor),
    "reduce_scatter_": into(lambda out, y: distributed.reduce_scatter(out, [y])),
    "_reduce_scatter_base_": into(distributed.reduce_scatter_tensor),
    "scatter_": into(lambda out, y: distributed.scatter(out, [y])),
    "alltoall_base_": into(distributed.all_to_all_single),
    "allgather_ with gradients": lambda y: differentiable.all_gather(y)[0],
    "allreduce_ with gradients": differentiable.all_reduce,
    "all_reduce": lambda y: functional.all_reduce(y, "sum", distributed.group.WORLD),
    "all_gather_into_tensor": lambda y: functional.all_gather_tensor(y, 0, distributed.group.WORLD),
    "all_gather_into_tensor with gradients": lambda y: functional.all_gather_tensor_autograd(
        y, 0, distributed.group.WORLD
    ),
}


def module_of(collective):
    return Apply(lambda x, first, last: last(collective(first(x))), nn.Linear(8, 16), nn.Linear(16, 4))


def without_data(engine):
    """Torch has kernels of its collectives for tensors without data; an older one counts on real tensors alone."""
    if engine in ("meta", "fake"):
        needs_module("torch.distributed._meta_registrations")


def said(name):
    name = name.split()[0]
    return f"{'_c10d_functional' if name.startswith('all_') else 'c10d'}.{name}"


@pytest.mark.filterwarnings("ignore")  # torch's own, of collectives without gradients
@pytest.mark.parametrize("engine", ["auto", *ENGINES])
@pytest.mark.parametrize("name", COLLECTIVES)
def test_a_collective_is_left_out_and_named(name, engine):
    without_data(engine)
    words = (f"communication between processes is left out: {said(name)}",)
    module = module_of(COLLECTIVES[name])
    report = count_flops(module, (2, 8), engine=engine)
    assert (report.macs, report.uncosted, report.assumed) == (MACS, (), words)
    training = count_flops(module, (2, 8), engine=engine, mode="train")
    assert (training.macs, training.uncosted, training.assumed) == (MACS, (), words)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("engine", ["auto", *ENGINES])
def test_the_gradient_goes_through(engine):
    without_data(engine)
    training = count_flops(module_of(COLLECTIVES["allreduce_"]), (2, 8), engine=engine, mode="train").training
    assert training.total.macs == MACS + MACS + 2 * 16 * 4  # the first layer's input needs no gradient


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", COLLECTIVES)
def test_memory_is_the_same_without_data(name):
    without_data("meta")
    module = module_of(COLLECTIVES[name])
    assert (
        len({count_flops(module, (2, 8), engine=engine).memory.inference for engine in ("meta", "fake")}) == 1
    )  # threads may hold real ones


@pytest.mark.parametrize("name", ["allreduce_", "all_reduce"])
def test_a_block_says_the_same(name):
    module = module_of(COLLECTIVES[name])
    with counting() as count, torch.no_grad():
        module(torch.zeros(2, 8))
    assert (count.macs, count.assumed) == (MACS, count_flops(module, (2, 8)).assumed)


@pytest.mark.parametrize("engine", ["meta", "fake"])
def test_random_numbers_of_the_module_itself_are_still_named(engine):
    without_data(engine)

    def drawn(y):
        distributed.all_reduce(y)
        return y * random.random()

    assert len(count_flops(module_of(drawn), (2, 8), engine=engine).assumed) == 2


@pytest.mark.parametrize("engine", ENGINES)
def test_unseen_work_before_a_collective_is_still_unseen(engine):
    without_data(engine)

    def lost(y):
        outs = [torch.empty_like(y)]
        distributed.all_gather(outs, torch.empty_like(y))
        return outs[0] + y

    (row,) = count_flops(module_of(lost), (2, 8), engine=engine).uncosted
    assert row.op.startswith("unknown.")


@pytest.mark.parametrize("engine", ["meta", "real"])
def test_a_count_of_all_processes_is_known(engine):
    def padded(y):
        longest = torch.tensor([3])
        distributed.all_reduce(longest, op=distributed.ReduceOp.MAX)
        return y[: longest.item() - 2]

    assert count_flops(module_of(padded), (2, 8), engine=engine).macs == 2 * 8 * 16 + 16 * 4


OBJECTS = {
    "all_gather_object": lambda: distributed.all_gather_object([None], {"a": 1}),
    "gather_object": lambda: distributed.gather_object("abc", [None]),
    "broadcast_object_list": lambda: distributed.broadcast_object_list(["abc"], 0),
}


@pytest.mark.parametrize("engine", ["auto", "meta", "real"])
@pytest.mark.parametrize("name", OBJECTS)
def test_objects_between_processes_are_no_work_either(name, engine):
    report = count_flops(module_of(same(lambda _: OBJECTS[name]())), (2, 8), engine=engine)
    assert (report.macs, report.uncosted, len(report.assumed)) == (MACS, (), 1)
    assert report.assumed[0].startswith("communication between processes is left out: c10d.")
