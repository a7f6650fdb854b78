"""Inputs as people have them: what the module itself takes is counted, on every engine, and stays as it is."""

import collections
import copy
import dataclasses
import enum
import threading
import types
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from modules import Apply
from torch import nn

import flopcount
from flopcount import ForwardError, InputError, TensorSpec, count_flops, literal
from flopcount.compat import FlopCountAnalysis, profile
from flopcount.models.torchvision_operators import ready_torchvision
from flopcount.tracing.arguments import Arguments, settled
from flopcount.tracing.holders import substituted, tensors_within
from flopcount.tracing.shape_arguments import with_specs

ENGINES = ("auto", "meta", "fake", "real")
MACS = 3 * 8 * 4  # of a linear layer of 8 to 4 features on 3 rows

Batch = collections.namedtuple("Batch", "x names", defaults=[("a", "b")])


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: object
    sizes: tuple = (2, 4)


@dataclasses.dataclass(slots=True)
class Slotted:
    x: object


class Features(collections.UserDict):
    """As a tokenizer or a processor returns it."""

    def __getattr__(self, name):
        try:
            return self.__dict__["data"][name]
        except KeyError:
            raise AttributeError(name) from None

    def to(self, device):
        return self


class ReadOnly(collections.abc.Mapping):
    def __init__(self, table):
        self._table = table

    def __getitem__(self, key):
        return self._table[key]

    def __iter__(self):
        return iter(self._table)

    def __len__(self):
        return len(self._table)


class Cyclic:
    def __init__(self, x):
        self.x, self.me, self.inner = x, self, {"again": [x]}


class Locked:
    """It has no deep copy."""

    def __init__(self, x):
        self.x, self.lock = x, threading.Lock()


class Mode(enum.Enum):
    FAST = 1


class Scaled(torch.Tensor):
    pass


def rows():
    return torch.randn(3, 8)


def scaled():
    x = rows().as_subclass(Scaled)
    x.factor = 2.0
    return x


def linear(function):
    return Apply(function, nn.Linear(8, 4))


def of_class(kind):
    def forward(value, layer):
        assert type(value) is kind, type(value)
        return layer(value["x"] if isinstance(value, collections.abc.Mapping) else value.x)

    return forward


def equal(*wanted):
    """Takes a tensor, and these values beside it, of these types."""

    def forward(x, *rest):
        *values, layer = rest
        assert [*map(type, values)] == [*map(type, wanted)]
        assert all(value == other for value, other in zip(values, wanted, strict=True))
        return layer(x)

    return forward


def pack():
    return nn.utils.rnn.pack_sequence([torch.randn(2, 8), torch.randn(1, 8)])


INPUTS = {
    "mapping of a processor": (lambda layer, x: layer(x), lambda: Features(x=rows())),
    "mapping proxy": (lambda layer, x: layer(x), lambda: types.MappingProxyType({"x": rows()})),
    "read-only mapping of shapes": (lambda layer, x: layer(x), lambda: ReadOnly({"x": (3, 8)})),
    "ordered shapes": (lambda layer, x: layer(x), lambda: collections.OrderedDict(x=(3, 8))),
    "a mapping argument": (of_class(Features), lambda: (Features(x=rows()),)),
    "its methods": (lambda batch, layer: layer(batch.to("cpu").x), lambda: (Features(x=rows()),)),
    "shapes in it": (of_class(Features), lambda: (Features(x=(3, 8)),)),
    "a proxy argument": (of_class(types.MappingProxyType), lambda: (types.MappingProxyType({"x": (3, 8)}),)),
    "a read-only argument": (of_class(ReadOnly), lambda: (ReadOnly({"x": rows()}),)),
    "named tuple": (of_class(Batch), lambda: (Batch(rows()),)),
    "named tuple alone": (of_class(Batch), lambda: Batch(rows())),
    "named tuple of shapes": (of_class(Batch), lambda: (Batch((3, 8)),)),
    "nested": (lambda batches, layer: layer(batches[0].x.x), lambda: ([Batch(Batch(rows()))],)),
    "return type": (lambda pair, layer: layer(pair.values), lambda: (torch.max(torch.randn(3, 2, 8), 1),)),
    "frozen dataclass": (of_class(Frozen), lambda: (Frozen(rows()),)),
    "its spec": (of_class(Frozen), lambda: (Frozen(TensorSpec((3, 8))),)),
    "dataclass with slots": (of_class(Slotted), lambda: Slotted(rows())),
    "object that holds itself": (of_class(Cyclic), lambda: (Cyclic(rows()),)),
    "object without a deep copy": (of_class(Locked), lambda: (Locked(rows()),)),
    "packed sequence": (lambda packed, layer: layer(packed.data), pack),
    "set": (lambda tensors, layer: layer(tensors.pop()), lambda: ({rows()},)),
    "deque": (lambda tensors, layer: layer(tensors.popleft()), lambda: (collections.deque([rows()]),)),
    "array": (lambda array, layer: layer(torch.from_numpy(array)), lambda: np.zeros((3, 8), "float32")),
    "array beside": (lambda x, y, layer: layer(x) * float(y.mean()), lambda: (rows(), np.ones((2, 2)))),
    "numbers of NumPy": (equal(np.float32(2), np.int64(3)), lambda: (rows(), np.float32(2), np.int64(3))),
    "device and dtype": (
        lambda x, device, dtype, layer: layer(x.to(device, dtype)),
        lambda: (rows(), torch.device("cpu"), torch.float32),
    ),
    "plain values": (
        equal(slice(0, 2), Mode.FAST, "text", None, 1j, b"bytes", True, [True, False], range(3), torch.relu),
        lambda: (rows(), slice(0, 2), Mode.FAST, "text", None, 1j, b"bytes", True, [True, False], range(3), torch.relu),
    ),
    "sizes": (equal((2, 4, 4)), lambda: (rows(), (2, 4, 4))),
    "sizes in a list": (equal([2, 4, 4]), lambda: (rows(), [2, 4, 4])),
    "size of a tensor": (equal(torch.Size((3, 4))), lambda: (rows(), torch.Size((3, 4)))),
    "sizes beside a tensor in a list": (
        lambda pair, layer: layer(pair[0]) if pair[1] == [2, 4, 4] else None,
        lambda: ([rows(), [2, 4, 4]],),
    ),
    "boxes": (equal([[1, 2, 3, 4], [5, 6, 7, 8]]), lambda: (rows(), [[1, 2, 3, 4], [5, 6, 7, 8]])),
    "a shape beside a tensor": (lambda x, y, layer: layer(y) * x.shape[0], lambda: (rows(), (3, 8))),
    "sizes and a shape beside a tensor": (
        lambda x, sizes, y, layer: layer(y) if sizes == (2, 4, 4) else None,
        lambda: (rows(), (2, 4, 4), (3, 8)),
    ),
    "the shape of a tensor, alone": (lambda x, layer: layer(x), lambda: rows().shape),
    "the shape of a tensor": (lambda x, layer: layer(x), lambda: (rows().shape,)),
    "literal": (equal((2, 4, 4)), lambda: ((3, 8), literal((2, 4, 4)))),
    "literal in a list": (equal([(2, 4)]), lambda: ((3, 8), [literal((2, 4))])),
    "literal by name": (
        lambda layer, x, sizes: layer(x) if sizes == (2, 4) else None,
        lambda: {"x": (3, 8), "sizes": literal((2, 4))},
    ),
    "metadata": (equal([{"size": (2, 4)}]), lambda: ((3, 8), [{"size": (2, 4)}])),
    "numbers by name": (equal({"size": (2, 4)}), lambda: ((3, 8), {"size": (2, 4)})),
    "shapes by name": (lambda batch, layer: layer(batch["x"]), lambda: ({"x": (3, 8)},)),
    "records": (
        lambda records, layer: layer(records[0]["image"]) if records[0]["height"] == 3 else None,
        lambda: [{"image": (3, 8), "height": 3}],
    ),
    "dataclass of shapes": (of_class(Frozen), lambda: (Frozen((3, 8), "two"),)),
    "dataclasses of shapes in a list": (lambda items, layer: layer(items[0].x), lambda: [Slotted((3, 8))]),
    "parameter": (lambda x, layer: layer(x), lambda: (nn.Parameter(rows()),)),
    "expanded": (lambda x, layer: layer(x), lambda: (torch.randn(1, 8).expand(3, 8),)),
    "transposed": (lambda x, layer: layer(x) if not x.is_contiguous() else None, lambda: (torch.randn(8, 3).t(),)),
    "on meta": (lambda x, layer: layer(x), lambda: (torch.empty(3, 8, device="meta"),)),
    "the same twice": (lambda x, y, layer: layer(x) if x is y else None, lambda: (rows(),) * 2),
    "an iterator that can be copied": (lambda items, layer: layer(next(items)), lambda: (iter([rows()]),)),
    "a generator of numbers": (
        lambda x, generator, layer: layer(x + torch.rand(8, generator=generator)),
        lambda: (rows(), torch.Generator().manual_seed(3)),
    ),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", INPUTS)
def test_what_the_module_takes_is_counted(name, engine):
    function, made = INPUTS[name]
    if list(function.__code__.co_varnames[:1]) == ["layer"]:
        module = Apply(lambda *layers, **given: function(*layers, **given), nn.Linear(8, 4))
    else:
        module = linear(function)
    value = made()
    for _ in range(2):  # the input is as before
        assert count_flops(module, value, engine=engine).macs == MACS


@pytest.mark.parametrize("engine", ENGINES)
def test_fake_tensors_are_counted(engine):
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        x, rows_of = torch.randn(3, 8), torch.zeros(3, dtype=torch.int64)
    assert count_flops(linear(lambda x, layer: layer(x)), (x,), engine=engine).macs == MACS
    assert count_flops(linear(lambda x, i, layer: layer(x[i])), (rows(), rows_of), engine=engine).macs == MACS


@pytest.mark.parametrize("engine", ["meta", "real"])
def test_a_class_of_tensors_keeps_its_name_and_its_attributes(engine):
    module = linear(lambda x, layer: layer(x) * x.factor if isinstance(x, Scaled) else None)
    assert count_flops(module, (scaled(),), engine=engine).macs == MACS


def test_boxes_of_torchvision_keep_their_canvas():
    ready_torchvision()
    tv = pytest.importorskip("torchvision.tv_tensors")
    boxes = tv.BoundingBoxes(torch.ones(2, 4), format="XYXY", canvas_size=(3, 4))
    assert count_flops(linear(lambda x, b, layer: layer(x) * b.canvas_size[0]), (rows(), boxes)).macs == MACS


# Which numbers are a shape is said, and decided once


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ((rows(), (2, 4, 4)), ("input 1, (2, 4, 4), is taken for numbers, not for a shape",)),
        ((rows(), (3, 8)), ("input 1, (3, 8), is taken for a shape, since the module raises on numbers there",)),
        (((3, 8), (3, 8)), ()),
        (((3, 8), literal((2, 4, 4))), ()),
        (
            ((3, 8), {"n": (2, 4)}),
            ("input 1['n'], (2, 4), is taken for numbers, since the module raises on a tensor there",),
        ),
    ],
)
def test_the_result_says_how_numbers_were_read(value, told):
    def forward(x, y, layer):
        if isinstance(y, dict):
            return layer(x) * sum(divmod(*y["n"]))
        return layer(x) if len(y) == 3 and y != (3, 8) and not isinstance(y, torch.Tensor) else layer(y)

    report = count_flops(linear(forward), value)
    assert report.assumed == told
    assert all(f"assumed: {text}" in " ".join(str(report).split()) for text in told)


class Reads(nn.Module):
    """Counts as often as its sizes say, and needs gradients in training; a shape there would be 4 axes."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(4, 4, 3, padding=1, groups=4)

    def forward(self, x, sizes):
        t, h, w = sizes
        return self.conv(x.reshape(x.shape[0], 4, t, h, w))


def test_all_that_counts_again_reads_the_input_alike():
    x, macs = torch.zeros(1, 4, 2, 4, 4), 4 * 32 * 27
    report = count_flops(Reads(), (x, (2, 4, 4)), mode="train")
    assert (report.macs, report.training.total.macs) == (macs, 2 * macs)  # the input gets no gradient
    assert report.memory.training.nbytes > 0
    assert report.receptive_field()["conv"][0].sizes == (3, 3, 3)
    assert report.formula("B", layout="BCTHW").at("macs", B=3) == 3 * macs
    shapes = count_flops(linear(lambda x, y, layer: layer(x) + layer(y)), (rows(), (3, 8)), mode="train")
    assert (shapes.macs, shapes.training.total.macs) == (2 * MACS, 4 * MACS)
    assert shapes.formula("B", layout="BC").at("macs", B=3) == 2 * MACS
    assert FlopCountAnalysis(Reads(), (x, (2, 4, 4))).total() == macs
    with pytest.warns(UserWarning, match="taken for numbers, not for a shape"):
        assert profile(Reads(), (x, (2, 4, 4)), verbose=False)[0] == macs


def test_a_reading_is_an_input_itself():
    module = Reads()
    arguments = settled((torch.zeros(1, 4, 2, 4, 4), (2, 4, 4)), module)
    assert isinstance(arguments, Arguments)
    assert settled(arguments, module) is arguments
    assert count_flops(module, arguments).assumed == arguments.assumed


def test_if_no_reading_runs_the_error_is_that_of_numbers():
    with pytest.raises(ForwardError, match="ValueError: of numbers"):
        count_flops(linear(lambda x, y, layer: (_ for _ in ()).throw(ValueError(f"of {kind(y)}"))), (rows(), (3, 8)))


def kind(value):
    return "a tensor" if isinstance(value, torch.Tensor) else "numbers"


@given(st.lists(st.integers(0, 6), min_size=1, max_size=4), st.booleans())
@settings(max_examples=30, deadline=None)
def test_numbers_alone_are_a_shape_and_beside_a_tensor_numbers(sizes, beside):
    seen = []

    def forward(x, y, layer):
        seen.append(y)
        return layer(x)

    count_flops(linear(forward), (rows() if beside else (3, 8), sizes))
    if beside:
        assert all(value == sizes for value in seen)
    else:
        assert all(list(value.shape) == sizes for value in seen)


# What has no meaning is refused


@pytest.mark.parametrize(
    ("value", "message"),
    [
        *[(value, f"input is {value!r}, not a tensor or a shape") for value in (5, 2.5, 1j, True, "video", b"x", None)],
        (nn.Linear(2, 2), "input is a Linear, not a tensor or a shape"),
        (torch.relu, "input is a builtin_function_or_method, not"),
        (torch.float32, "input is a dtype, not"),
        ((3, 8.5), r"input has a size that is not an integer: \(3, 8.5\)"),
        ((x for x in [1]), "input is a generator, which can be read only once"),
        (((3, 8), (x for x in [1])), "input 1 is a generator"),
        ((rows(), torch.utils.data.DataLoader([1, 2]).__iter__()), "can be read only once"),
        ({1: (3, 8)}, "a keyword argument is named 1, which is no text"),
        ((Frozen(TensorSpec((3, -8))),), "input 0 has a negative size"),
        ((Frozen(TensorSpec((3, 8), "float33")),), "no dtype of input 0 named 'float33'"),
        ([rows(), [(rows().to_sparse(),)]], "is a sparse tensor, which cannot be counted"),
        ((Frozen(rows().to_sparse()),), "is a sparse tensor, which cannot be counted"),
    ],
    ids=lambda value: str(type(value)),
)
def test_what_has_no_meaning_is_refused(value, message):
    with pytest.raises(InputError, match=message):
        count_flops(nn.Linear(8, 4), value)


def test_a_named_tuple_for_several_arguments():
    class Two(nn.Module):
        def forward(self, x, names):
            return x @ x.T if names == ("a", "b") else None

    assert count_flops(Two(), Batch(rows())).macs == 3 * 3 * 8


# Gradients of the input


@pytest.mark.parametrize("engine", ["auto", "fake", "real"])
@pytest.mark.parametrize("leaf", [True, False])
def test_a_derivative_by_the_input(engine, leaf):
    x = rows().requires_grad_()

    def forward(x, layer):
        return torch.autograd.grad(layer(x).sum(), x)[0]

    assert count_flops(linear(forward), (x if leaf else x * 2,), engine=engine).macs == 2 * MACS
    assert x.grad is None


def test_an_input_that_requires_a_gradient_gets_one_in_training():
    module = linear(lambda x, layer: layer(x))
    assert count_flops(module, (rows(),), mode="train").training.total.macs == 2 * MACS
    x = rows().requires_grad_()
    assert count_flops(module, (x,), mode="train").training.total.macs == 3 * MACS
    assert x.grad is None


# The original stays


class Changeable:
    def __init__(self):
        self.x, self.items, self.array = torch.ones(3, 8), [1], np.zeros(3)
        self.table = {"rows": torch.zeros(3, dtype=torch.int64)}


@pytest.mark.parametrize("mode", ["forward", "train"])
@pytest.mark.parametrize("engine", ["meta", "fake", "real"])
def test_what_the_module_changes_is_a_copy(engine, mode):
    def forward(thing, tensors, batch, layer):
        thing.items.append(2)
        thing.array[0] = 5
        thing.x.add_(1)
        thing.new = thing.table.pop("rows").add_(1)
        batch.pop("x")
        return layer(thing.x + tensors.pop())

    thing, tensors, batch = Changeable(), collections.deque([torch.ones(3, 8)]), Features(x=rows())
    before, version = copy.deepcopy(vars(thing)), thing.x._version
    assert count_flops(linear(forward), (thing, tensors, batch), engine=engine, mode=mode).macs == MACS
    assert vars(thing).keys() == before.keys()
    assert (thing.items, thing.array.tolist(), thing.x._version) == ([1], [0, 0, 0], version)
    assert torch.equal(thing.x, before["x"])
    assert torch.equal(thing.table["rows"], before["table"]["rows"])
    assert (len(tensors), list(batch)) == (1, ["x"])


def test_copies_keep_identities():
    x = rows()
    one, two = Cyclic(x), Features(x=x)
    copied, other = substituted(lambda tensor: tensor.clone(), (one, two))
    assert copied.me is copied
    assert copied.inner["again"][0] is copied.x is other["x"] is not x
    assert one.x is two["x"] is x
    assert tensors_within((one, [two, x]), TensorSpec((2,))) == [x, x, x, TensorSpec((2,))]


def test_trace_takes_records_too():
    traced = flopcount.trace(linear(lambda batch, layer: layer(batch.x)), (Frozen(rows()),))
    assert traced.inputs == (TensorSpec((3, 8)),)


def test_a_reading_that_is_tried_warns_of_nothing(recwarn):
    def forward(x, y, layer):
        if not isinstance(y, torch.Tensor):
            warnings.warn("numbers", stacklevel=1)
            return layer(y)
        return layer(x)

    assert count_flops(linear(forward), (rows(), (3, 8))).macs == MACS
    assert not [warning for warning in recwarn if "numbers" in str(warning.message)]


def test_shapes_of_a_recipe_are_shapes_beside_its_tensors():
    made = with_specs({"x": (3, 8), "mask": torch.ones(3, 1), "grid": [(2, 4)]}, nn.Linear(8, 4).to(torch.bfloat16))
    assert (made["x"], made["grid"]) == (TensorSpec((3, 8), "bfloat16"), [TensorSpec((2, 4), "bfloat16")])
    module = Apply(lambda layer, x, mask: layer(x) * mask, nn.Linear(8, 4))
    report = count_flops(module, with_specs({"x": (3, 8), "mask": torch.ones(3, 1)}, module))
    assert (report.macs, report.assumed) == (MACS, ())
