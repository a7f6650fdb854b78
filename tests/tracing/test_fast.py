"""Fast and slow counts are the same, operator by operator; the memo never answers for a different call."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from zoo import UNLIKE, every

from flopcount import ForwardError, TensorSpec, Work, count_flops, create_model, rule, weightless
from flopcount.core import memo as remembered
from flopcount.models.cards import ARCHITECTURES
from flopcount.tracing.inputs import map_tensors
from flopcount.tracing.meta import MetaMode, Parts
from flopcount.tracing.walk import Inventory, named_modules


@pytest.fixture(autouse=True)
def nothing_remembered():
    remembered.forget()
    yield
    remembered.forget()


def operators(report):
    """Everything that a count says about each operator."""
    return [
        (c.op.module, c.name, c.kind, c.work, s.op, s.overload, s.arguments, s.outputs, s.is_view)
        for c in report.ops
        for s in [c.op.signature]
    ]


FEWER_STEPS = {"optical_flow_tvl1": {"warps": 1, "iterations": 2}}  # the others are the same calls again


@pytest.mark.parametrize("name", every(UNLIKE))
def test_fast_is_slow_operator_by_operator(name, compared):
    if ARCHITECTURES[name].requires:
        pytest.importorskip(ARCHITECTURES[name].requires)
    model = weightless(create_model, name, **FEWER_STEPS.get(name, {})).eval()
    given = tuple((1, *shape) for shape in model.recipe.inputs)
    first = count_flops(model, given, engine="meta")
    asked = len(compared)
    again = count_flops(model, given, engine="meta")
    slow = count_flops(model, given, engine="meta", fast=False)
    assert operators(first) == operators(again) == operators(slow)
    assert first.modules == again.modules == slow.modules
    assert asked
    assert len(compared) == asked, "the second count asked again what the first had worked out"


class Products(nn.Module):
    """An einsum, which torch composes of views and a product."""

    def __init__(self, equation):
        super().__init__()
        self.equation = equation
        self.weight = nn.Parameter(torch.rand(3, 4))

    def forward(self, x):
        return torch.einsum(self.equation, x, self.weight).relu_()


def remembered_composites():
    return [key[1][0] for key in remembered.calls(torch.float32) if key[0] is Parts]


@pytest.mark.parametrize(
    ("equation", "shape"), [("abc,cd->abd", (2, 5, 3)), ("ab,cd->abcd", (5, 3)), ("abc,cd->da", (2, 5, 3))]
)
def test_composites_remembered_whole_are_what_they_are_made_of(equation, shape):
    first, again, slow = (count_flops(Products(equation), shape, fast=fast) for fast in (True, True, False))
    assert operators(first) == operators(again) == operators(slow)
    assert operators(count_flops(Products(equation), shape).with_dataflow()) == operators(slow)
    assert remembered_composites() == [id(torch.ops.aten.einsum.default)]


class Turned(nn.Module):
    """An einsum that is only a view of its input."""

    def forward(self, x):
        return torch.einsum("ab->ba", x)


def test_composites_are_taken_apart_each_time_where_autocast_has_a_say_in_the_parts():
    with torch.autocast("cpu", torch.bfloat16):
        first, again = (count_flops(Products("abc,cd->abd"), (2, 5, 3)) for _ in range(2))
    assert operators(first) == operators(again)
    assert remembered_composites() == []


def test_composites_that_give_an_argument_back_are_not_remembered():
    for _ in range(2):
        count_flops(Turned(), (2, 3))
    assert remembered_composites() == []


def test_slow_asks_torch_for_every_call_and_remembers_nothing(compared):
    report = count_flops(nn.Sequential(nn.ReLU(), nn.ReLU()), (2, 3), fast=False)
    assert len(report.ops) == 2
    assert not remembered.calls(torch.float32)
    assert not remembered.works()


def test_all_that_a_slow_report_counts_again_is_slow(compared):
    report = count_flops(nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU()), (1, 3, 4, 8, 8), fast=False, mode="train")
    assert report.span.span
    assert report.receptive_field()
    assert not remembered.works()
    assert not remembered._calls


class Nesting(nn.Module):
    """Counts another module in its forward pass, and may raise after that."""

    def __init__(self, fails):
        super().__init__()
        self.fails = fails

    def forward(self, x):
        count_flops(nn.Sigmoid(), (7,), fast=True)
        assert not self.fails
        return x.tanh()


@pytest.mark.parametrize("fails", [True, False])
def test_a_count_within_a_slow_one_is_slow_and_one_after_it_is_not(fails):
    with pytest.raises(ForwardError) if fails else nullcontext():
        count_flops(Nesting(fails), (7,), fast=False)
    assert not remembered._calls
    assert not remembered.works()
    count_flops(nn.ReLU(), (7,))
    assert remembered.works()


def test_a_slow_count_leaves_other_threads_alone():
    with remembered.anew(), ThreadPoolExecutor(1) as pool:
        pool.submit(count_flops, nn.ReLU(), (7,)).result()
        assert not remembered.works()
    assert remembered.works()


class Joined(nn.Module):
    def forward(self, x, y):
        return torch.cat([x, y])


@pytest.mark.parametrize("fast", [True, False])
def test_what_torch_refuses_is_refused_each_time(fast):
    for _ in range(2):
        assert count_flops(Joined(), ((2, 3), (4, 3)), fast=fast).macs == 0
        with pytest.raises(ForwardError, match="Expected 3 in dimension 1 but got 5"):
            count_flops(Joined(), ((2, 3), (4, 5)), fast=fast)


class Scaled(nn.Module):
    def __init__(self, number):
        super().__init__()
        self.number = number

    def forward(self, x):
        return torch.div(x, self.number), torch.pow(x, self.number)


def test_numbers_of_different_type_are_different_calls():
    """1 == 1.0 == True, but dividing an integer tensor by each, or raising it to each, gives other dtypes."""
    x = TensorSpec((300, 300), torch.int64)
    for number in (True, 1, 1.0, 1, True):
        dtypes = [c.op.signature.outputs[0].dtype for c in count_flops(Scaled(number), (x,)).ops]
        expected = Scaled(number)(torch.ones(2, dtype=torch.int64))
        assert dtypes == [str(result.dtype).removeprefix("torch.") for result in expected]


def test_the_default_dtype_is_part_of_the_question():
    x = TensorSpec((300, 300), torch.int64)
    before = torch.get_default_dtype()
    try:
        for dtype in (torch.float32, torch.float64, torch.float32):
            torch.set_default_dtype(dtype)
            quotient = count_flops(Scaled(2), (x,)).ops[0].op.signature.outputs[0]
            assert quotient == TensorSpec((300, 300), dtype)
    finally:
        torch.set_default_dtype(before)


class Halved(nn.Module):
    def forward(self, x):
        return torch.ops.flopcount_fast.halve(x)


def test_operators_of_others_and_new_rules_are_asked_anew(own_rules):
    """A notebook defines an operator, counts, and defines it again."""
    with torch.library._scoped_library("flopcount_fast", "DEF") as library:
        library.define("halve(Tensor x) -> Tensor")
        library.impl("halve", lambda x: x[: len(x) // 2].clone(), "Meta")
        assert count_flops(Halved(), (8,)).ops[0].op.signature.outputs == (TensorSpec((4,)),)
        library.impl("halve", lambda x: x[: len(x) // 4].clone(), "Meta", allow_override=True)
        report = count_flops(Halved(), (8,))
        assert report.ops[0].op.signature.outputs == (TensorSpec((2,)),)
        assert report.uncosted
        for macs in (3, 5):

            @rule("flopcount_fast.halve")
            def halve(x, *, out):
                return Work(macs=macs * out.numel)  # noqa: B023

            assert count_flops(Halved(), (8,)).macs == 2 * macs


def test_there_is_a_limit(monkeypatch):
    monkeypatch.setattr(remembered, "LIMIT", 3)
    model = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid(), nn.GELU())
    for size in range(1, 9):
        count_flops(model, (size,))
        assert len(remembered.calls(torch.float32)) <= 4
        assert len(remembered.works()) <= 4
    assert count_flops(model, (4,)).other_flops == count_flops(model, (4,), fast=False).other_flops


def test_no_tensor_is_remembered():
    x = torch.ones(3, 3)
    count_flops(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Flatten(0), nn.Dropout()), (x,))
    kept = []
    for known in remembered.calls(torch.float32).values():
        map_tensors(lambda value: kept.append(value), (known.result, tuple(known.signature.arguments.values())))
    assert kept
    assert not any(isinstance(value, torch.Tensor) for value in kept)


def test_an_inventory_has_every_tensor_once_under_its_first_name():
    network = nn.Sequential(nn.BatchNorm1d(3), nn.LazyLinear(3), nn.Linear(3, 3, bias=False))
    network[2].weight = network[1].weight
    network.register_buffer("nothing", None)
    owned = Inventory.of(network)
    assert list(map(id, owned.parameters)) == list(map(id, network.parameters()))
    assert list(map(id, owned.buffers)) == list(map(id, network.buffers()))
    assert owned.lazy == {id(network[1].weight), id(network[1].bias)}
    named = (*network.named_parameters(), *network.named_buffers())
    assert [owned.name_of(tensor) for _, tensor in named] == [name for name, _ in named]


class Strangers(nn.Module):
    """A mask of every position against every other, from known numbers of positions."""

    def forward(self, x):
        places = torch.arange(x.shape[1])
        return x, places[:, None] != places, places == places.flip(0)


@pytest.mark.parametrize("fast", [True, False])
def test_masks_larger_than_what_is_kept_are_not_computed(fast, monkeypatch):
    computed = []
    compute = MetaMode._compute

    def watched(self, func, args, kwargs):
        result = compute(self, func, args, kwargs)
        computed.append((func, tuple(result.shape)))
        return result

    monkeypatch.setattr(MetaMode, "_compute", watched)
    report = count_flops(Strangers(), (1, 400), fast=fast)
    assert (torch.ops.aten.eq.Tensor, (400,)) in computed
    assert not any(len(shape) == 2 for _, shape in computed)
    outputs = [c.op.signature.outputs for c in report.ops if c.name == "aten.ne"]
    assert outputs == [(TensorSpec((400, 400), torch.bool),)]


def test_the_walk_is_torchs():
    """Shared modules, missing ones, a module that holds itself."""
    shared = nn.Linear(2, 2)
    network = nn.Sequential(shared, nn.Sequential(shared, nn.ReLU(), nn.Sequential(nn.Tanh())), nn.GELU())
    network.missing = None
    network.register_module("nothing", None)
    network[1].above = network
    assert named_modules(network) == list(network.named_modules())
    mvit = weightless(create_model, "mvitv2_s_16x4")
    assert named_modules(mvit) == list(mvit.named_modules())
