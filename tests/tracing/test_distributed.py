"""Modules wrapped for several processes, in a group of one: counted like the plain module, or refused."""

import pytest
import torch
from modules import Apply
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor import Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)

from flopcount import ForwardError, InputError, count_flops, counting

SHAPE = (4, 16)
MACS = 4 * (16 * 32 + 32 * 10)


@pytest.fixture(scope="module")
def mesh():
    """A process group of this process alone."""
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    torch.distributed.destroy_process_group()


def plain():
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))


def fsdp2(mesh):
    module = plain()
    for layer in (module[0], module[2], module):
        fully_shard(layer, mesh=mesh)
    return module


def fsdp2_inside(mesh):
    module = plain()
    fully_shard(module[2], mesh=mesh)
    return module


SHARDED = {
    "fully sharded": fsdp2,
    "a layer fully sharded": fsdp2_inside,
    "fully sharded, the older way": lambda mesh: FullyShardedDataParallel(plain(), device_id=torch.device("cpu")),
    "tensor parallel": lambda mesh: parallelize_module(plain(), mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()}),
    "sequence parallel": lambda mesh: nn.Sequential(
        *plain(), parallelize_module(nn.LayerNorm(10), mesh, SequenceParallel())
    ),
    "a part of several": lambda mesh: nn.Sequential(fsdp2(mesh), nn.Linear(10, 3)),
}


def step(module):
    """Whether one training step yields gradients."""
    module.zero_grad()
    module(torch.randn(SHAPE)).sum().backward()
    return all(parameter.grad is not None for parameter in module.parameters())


OLDER = "fully sharded, the older way"


def state_of(module):
    """Parameters and hooks by name."""
    parameters = {name: (p, p._version, p.requires_grad, p.grad) for name, p in module.named_parameters()}
    hooks = {name: (*part._forward_pre_hooks, *part._forward_hooks) for name, part in module.named_modules()}
    return {name: [*map(id, values)] for name, values in parameters.items()}, hooks


@pytest.mark.parametrize("name", [name for name in SHARDED if name != OLDER])
def test_shards_count_as_the_module_they_are_of(mesh, name):
    module = SHARDED[name](mesh)
    extra = 4 * 10 * 3 if name == "a part of several" else 0  # a layer behind it
    before = state_of(module)
    report = count_flops(module, SHAPE)
    training = count_flops(module, (torch.randn(SHAPE),), mode="train").training
    assert state_of(module) == before
    assert (report.macs, report.engine, report.assumed) == (MACS + extra, "meta", ())
    assert report.params == sum(p.numel() for p in plain().parameters()) + {"sequence parallel": 20}.get(
        name, 33 * bool(extra)
    )
    # every layer by weight, all but the first by input
    assert training.total.macs == 2 * (MACS + extra) + 4 * 32 * 10 + extra
    assert all("FSDP" not in row.type for row in report.modules)
    assert step(module)


def test_an_input_that_does_not_fit_a_sharded_module(mesh):
    with pytest.raises(ForwardError, match=r"raised RuntimeError: (.|\n)*in      0 \(FSDPLinear\)"):
        count_flops(SHARDED["fully sharded"](mesh), (4, 17))


def test_a_sharded_module_that_reads_values_is_refused(mesh):
    class Reads(nn.Sequential):
        def forward(self, x):
            return super().forward(x) * x.sum().item()

    module = Reads(*plain())
    fully_shard(module, mesh=mesh)
    with pytest.raises(InputError, match="Reads is distributed over processes: the model itself is sharded by FSDP"):
        count_flops(module, (torch.randn(SHAPE),))
    assert step(module)


def test_a_sharded_module_whose_parameters_are_gathered(mesh):
    module = plain()
    fully_shard(module, mesh=mesh)
    module(torch.randn(SHAPE))  # its own parameters stay gathered until the backward pass
    assert count_flops(module, SHAPE).macs == MACS
    assert step(module)


@pytest.mark.filterwarnings("ignore")  # torch's own, of a backend for other devices
def test_shards_in_two_dimensions(mesh):
    both = init_device_mesh("cpu", (1, 1), mesh_dim_names=("data", "tensor"))
    module = parallelize_module(plain(), both["tensor"], {"0": ColwiseParallel(), "2": RowwiseParallel()})
    fully_shard(module, mesh=both["data"])
    assert count_flops(module, SHAPE).macs == MACS
    assert step(module)


@pytest.mark.filterwarnings("ignore")  # torch's own, of the older way
@pytest.mark.parametrize("options", [{}, {"mode": "train"}, {"engine": "fake"}, {"engine": "real"}], ids=str)
@pytest.mark.parametrize("name", SHARDED)
def test_shards_are_refused_before_anything_runs_on_data(mesh, name, options):
    if name != OLDER and options.get("engine") is None:
        return
    module = SHARDED[name](mesh)
    ran = []
    handle = module.register_forward_pre_hook(lambda *_: ran.append(1))
    with pytest.raises(InputError, match=r"is distributed over processes: .*FSDP") as caught:
        count_flops(module, (torch.randn(SHAPE),), **options)
    assert not isinstance(caught.value, ForwardError)
    assert "\n  fix     count the module before sharding" in str(caught.value)
    assert ran == []
    handle.remove()
    assert step(module)


def test_sharded_tensors_are_refused_wherever_they_are(mesh):
    def distributed(placement=None):
        return distribute_tensor(torch.randn(SHAPE), mesh, [placement or Replicate()])

    held = Apply(lambda x, layer: layer(x), nn.Linear(16, 3))
    held.table = [{"deep": distributed(Shard(0))}]
    for module, given, where in (
        (plain(), (distributed(),), "an input or attribute"),
        (held, SHAPE, "an input or attribute"),
    ):
        with pytest.raises(InputError, match=f"{where} is a DTensor, sharded by FSDP or for tensor parallel layers"):
            count_flops(module, given)


REPLICATED = {
    "data parallel": lambda mesh: nn.DataParallel(plain()),
    "distributed": lambda mesh: nn.parallel.DistributedDataParallel(plain()),
    "with buffers": lambda mesh: nn.parallel.DistributedDataParallel(nn.Sequential(*plain(), nn.BatchNorm1d(10))),
    "inside": lambda mesh: nn.Sequential(nn.parallel.DistributedDataParallel(plain())),
}


@pytest.mark.parametrize("name", REPLICATED)
def test_replicas_count_as_the_module_they_hold(mesh, name):
    module = REPLICATED[name](mesh)
    assert count_flops(module, SHAPE).macs == MACS
    training = count_flops(module, SHAPE, mode="train").training
    assert training.total.macs == MACS + 4 * (16 * 32 + 2 * 32 * 10)  # the first layer's input needs no gradient
    assert "forward" not in vars(module)
    assert step(module)
    step_again = count_flops(module, SHAPE, mode="train").training
    assert step_again.total == training.total


def test_modules_of_a_replica_keep_their_names(mesh):
    report = count_flops(nn.parallel.DistributedDataParallel(plain()), SHAPE)
    assert [(row.path, row.calls) for row in report.modules] == [
        *(("", 1), ("module", 1)),
        *((f"module.{part}", 1) for part in range(3)),
    ]


def test_wrappers_around_each_other_have_the_names_of_the_modules(mesh):
    inner = plain()
    inner[0] = torch.compile(inner[0], backend="eager")
    inner[2] = checkpoint_wrapper(inner[2])
    module = torch.compile(nn.parallel.DistributedDataParallel(inner), backend="eager")
    report = count_flops(module, SHAPE)
    assert [(row.path, row.type, row.calls, row.cost.macs) for row in report.modules] == [
        ("", "DistributedDataParallel", 1, MACS),
        ("module", "Sequential", 1, MACS),
        ("module.0", "Linear", 1, 4 * 16 * 32),
        ("module.1", "ReLU", 1, 0),
        ("module.2", "Linear", 1, 4 * 32 * 10),
    ]
    assert report.params == sum(p.numel() for p in plain().parameters())
    training = count_flops(module, SHAPE, mode="train").training
    assert training.backward.macs == MACS + 4 * 32 * 10
    with torch.compiler.set_stance("force_eager"):
        assert step(module)


def test_the_whole_of_several_processes_is_said(mesh, monkeypatch):
    module = parallelize_module(plain(), mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})
    monkeypatch.setattr(type(mesh), "size", lambda self, dim=None: 4)
    assert count_flops(module, SHAPE).assumed == ("the work of all 4 processes that share the module counts together",)


SAID = "communication between processes is left out: fsdp.chunk_cat"


def test_shards_in_a_block_are_counted_as_they_run(mesh):
    """What one process does; what it exchanges with others is named, and no arithmetic."""
    module = SHARDED["fully sharded"](mesh)
    with counting() as count:
        step(module)
    assert count.macs == 2 * MACS + 4 * 32 * 10
    assert count.uncosted == ()
    (assumed,) = count.assumed
    assert assumed in (SAID, f"{SAID}, c10d._reduce_scatter_base_", f"{SAID}_mixed_dtype")  # torch 2.9 and 2.15
