"""A forward pass that returns something lazy: it is consumed and counted, or the count is refused."""

import itertools
from array import array
from collections import UserList
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from modules import Apply
from torch import nn
from torch.utils.data import DataLoader, Subset

from flopcount import InputError, check, count_flops
from flopcount.core.errors import ForwardError
from flopcount.tracing.results import MOST_ITEMS

CLIP = (1, 3, 4, 8, 8)
FRAME = 8 * 64 * 27  # 8 channels of 8×8 positions, 3·3·3 taps
ENGINES = ("auto", "meta", "fake", "real")


def per_frame(wrap):
    """A module that convolves each frame when it is read."""
    return Apply(lambda clip, conv: wrap(map(conv, clip.unbind(2))), nn.Conv2d(3, 8, 3, padding=1))


@dataclass
class Output:
    frames: Any


class Slotted:
    __slots__ = ("frames",)

    def __init__(self, frames):
        self.frames = frames


class Stream:
    """A user's own iterator."""

    def __init__(self, frames):
        self.frames = frames

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.frames)


class Again:
    """Iterable, and works each time."""

    def __init__(self, frames):
        self.frames = frames

    def __iter__(self):
        yield from self.frames


class Indexed:
    """Like a data set: computes the item that is read."""

    def __init__(self, frames):
        self.frames = frames

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return next(self.frames)


def done(value):
    future = Future()
    future.set_result(value)
    return future


WRAPS = {
    "map": lambda frames: frames,
    "generator": lambda frames: (frame * 2 for frame in frames),
    "zip": lambda frames: zip(frames, range(9), strict=False),
    "filter": lambda frames: filter(lambda frame: frame.ndim, frames),
    "enumerate": enumerate,
    "islice": lambda frames: itertools.islice(frames, 9),
    "chain": lambda frames: itertools.chain([1], frames),
    "generator of generators": lambda frames: ((inner for inner in [frame]) for frame in frames),
    "in a list": lambda frames: [1, None, frames],
    "in a dict": lambda frames: {"frames": frames, "name": "x"},
    "deep": lambda frames: ([{"a": (frames,)}], 3),
    "dataclass": Output,
    "slots": Slotted,
    "attribute": lambda frames: [Output(Output(frames))],
    "iterator of one's own": Stream,
    "iterable of one's own": Again,
    "sequence of one's own": Indexed,
    "future": done,
    "reversed map of a list": lambda frames: map(torch.relu, reversed([frames.__next__() for _ in range(4)])),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("wrap", WRAPS)
def test_what_is_lazy_is_taken(wrap, engine):
    assert count_flops(per_frame(WRAPS[wrap]), CLIP, engine=engine).macs == 4 * FRAME


class Computes:
    """Holds the layer and the clip, and does the work of four frames on request."""

    def __init__(self, conv, clip):
        self.conv, self.clip = conv, clip

    def frame(self, number):
        return self.conv(self.clip[:, :, number])


class ByIndex(Computes):
    """Has only this method: Python iterates over it until it raises."""

    def __getitem__(self, index):
        return self.frame(index)


class DataSet(ByIndex):
    def __len__(self):
        return 4


class ByProperty(Computes):
    @property
    def frames(self):
        return [self.frame(number) for number in range(4)]

    @property
    def missing(self):
        raise KeyError("missing")


class Cached(ByProperty):
    @cached_property
    def frames(self):
        return [self.frame(number) for number in range(4)]


class Values(dict, Computes):
    def __init__(self, conv, clip):
        super().__init__(frames=None)
        Computes.__init__(self, conv, clip)

    def values(self):
        return map(self.frame, range(4))


class Items(Values):
    values = dict.values

    def __getitem__(self, name):
        return [self.frame(number) for number in range(4)]


class Listed(list, Computes):
    def __init__(self, conv, clip):
        super().__init__([None])
        Computes.__init__(self, conv, clip)

    def __iter__(self):
        return map(self.frame, range(4))


class Told:
    """Iterating over it yields names; the work is in its contents."""

    def __init__(self, conv, clip):
        self.frames = DataSet(conv, clip)

    def __iter__(self):
        yield "frames"


def once(wrap):
    """The frames as a map, which can be consumed only once."""
    return lambda conv, clip: wrap(map(conv, clip.unbind(2)))


COMPUTING = {
    "indices": ByIndex,
    "a data set": DataSet,
    "a loader": lambda conv, clip: DataLoader(DataSet(conv, clip)),
    "a subset": lambda conv, clip: Subset(DataSet(conv, clip), range(4)),
    "properties": ByProperty,
    "cached properties": Cached,
    "values": Values,
    "items": Items,
    "a list": Listed,
    "names": Told,
    "an array of objects": once(lambda frames: np.array([frames, None], dtype=object)),
    "repeated": once(lambda frames: itertools.repeat(frames, 2)),
    "as a key": once(lambda frames: {("frames", frames): 1}),
}


@pytest.mark.parametrize("engine", ["auto", "real"])
@pytest.mark.parametrize("computes", COMPUTING.values(), ids=COMPUTING)
def test_what_computes_when_it_is_asked_is_asked_once(computes, engine):
    module = Apply(lambda clip, conv: computes(conv, clip), nn.Conv2d(3, 8, 3, padding=1))
    assert count_flops(module, (2, 3, 4, 8, 8), engine=engine).macs == 2 * 4 * FRAME


class Yields(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, clip):
        for frame in clip.unbind(2):
            yield self.conv(frame)


def test_a_forward_that_yields():
    report = count_flops(Yields(), CLIP)
    assert (report.macs, report.module("conv").cost.macs, report.module("conv").calls) == (4 * FRAME, 4 * FRAME, 4)
    assert count_flops(Apply(lambda clip, frames: list(frames(clip)), Yields()), CLIP).macs == 4 * FRAME


def test_what_is_yielded_is_trained():
    steps = Apply(lambda x, layer: map(layer, x.unbind(1)), nn.Linear(8, 5))
    training = count_flops(steps, (2, 3, 8), mode="train").training
    assert training.forward.macs == 3 * 2 * 8 * 5
    assert (training.backward_by_weight.macs, training.backward_by_input.macs) == (3 * 2 * 8 * 5, 0)


def test_other_counters_are_given_it_too():
    result = check(Yields(), CLIP)
    assert result.agrees
    assert {tuple(row.counts.values()) for row in result.rows} == {(4 * FRAME, 4 * FRAME)}


def test_memory_and_span_see_it_too():
    report = count_flops(per_frame(WRAPS["generator"]), CLIP).with_dataflow()
    assert report.memory.inference > 0
    assert report.span.work == report.total_flops


async def awaited(frames):
    return list(frames)


async def streamed(frames):
    for frame in frames:
        yield frame


ENDLESS = {
    "coroutine": awaited,
    "asynchronous generator": streamed,
    "cycle": itertools.cycle,
    "stream without end": lambda frames: itertools.chain(frames, itertools.repeat(1)),
}


def waits_to_be_called(clip, conv):
    return lambda: conv(clip[:, :, 0])


def waits_with_arguments(clip, conv):
    return clip, partial(conv, clip[:, :, 0])


def waits_as_a_method(clip, conv):
    return [conv.forward]


@pytest.mark.parametrize("wrap", ENDLESS)
def test_what_has_no_end_is_refused_with_its_reason(wrap):
    with pytest.raises(
        InputError, match=r"Apply returns something lazy, of type .*: (its work happens only|it did not end)"
    ) as caught:
        count_flops(per_frame(ENDLESS[wrap]), CLIP)
    assert not isinstance(caught.value, ForwardError)
    assert "\n  fix     return what it yields" in str(caught.value)


@pytest.mark.parametrize("forward", [waits_to_be_called, waits_with_arguments, waits_as_a_method])
def test_what_waits_to_be_called_is_refused(forward):
    with pytest.raises(InputError, match="its work happens only when it is called"):
        count_flops(Apply(forward, nn.Conv2d(3, 8, 3)), CLIP)


def test_what_does_no_work_is_left_alone():
    with Path(__file__).open() as file:
        given = [
            itertools.count(),
            itertools.repeat(1),
            file,
            torch.relu,
            nn.Linear,
            Apply,
            range(10**12),
            "text",
            b"b",
        ]
        assert count_flops(Apply(lambda x: [x, *given]), (2, 3)).macs == 0
        assert file.tell() == 0


def test_as_many_items_as_allowed():
    assert count_flops(Apply(lambda x: (x for _ in range(MOST_ITEMS))), (1,)).macs == 0
    with pytest.raises(InputError, match="it did not end within 10,000 items"):
        count_flops(Apply(lambda x: (x for _ in range(MOST_ITEMS + 1))), (1,))


def test_an_error_while_it_is_taken_is_the_modules_own():
    def forward(clip, conv):
        yield conv(clip[:, :, 0])
        raise KeyError("frame")

    with pytest.raises(ForwardError, match="Apply raised KeyError: 'frame'"):
        count_flops(Apply(forward, nn.Conv2d(3, 8, 3)), CLIP)


class Indexes:
    """Can be iterated over, and then raises, like caches of transformers."""

    def __iter__(self):
        yield self.missing


class Fields(dict):
    """Has an attribute of every name."""

    __getattr__ = dict.get


class Records:
    def __len__(self):
        return 3

    def __getitem__(self, name):
        return {"boxes": 1}[name]


def test_finished_containers_are_gone_through_whatever_their_size():
    large = [
        array("d", range(20_000)),
        UserList(range(20_000)),
        dict.fromkeys(range(20_000)).keys(),
        Fields(a=1),
        Records(),
    ]
    assert count_flops(Apply(lambda x, layer: (layer(x), *large), nn.Linear(8, 5)), (2, 8)).macs == 80


class Private:
    __slots__ = ("__frames",)

    def __init__(self, frames):
        self.__frames = frames


class Inherits(Slotted):
    __slots__ = "more"


def test_slots_of_every_kind_are_seen():
    for wrap in (Private, Inherits):
        assert count_flops(per_frame(wrap), CLIP).macs == 4 * FRAME


@pytest.mark.parametrize(
    "forward",
    [
        lambda clip, conv: (lambda held: lambda: held["conv"](clip))({"conv": conv}),
        lambda clip, conv: lambda layer=conv: layer,
        lambda clip, conv: Output([conv, clip]).__eq__,
    ],
)
def test_what_waits_deep_in_a_function_is_refused(forward):
    with pytest.raises(InputError, match="its work happens only when it is called"):
        count_flops(Apply(forward, nn.Conv2d(3, 8, 3)), CLIP)


def test_what_nobody_meant_to_go_through_is_no_error():
    assert count_flops(Apply(lambda x, layer: (layer(x), Indexes()), nn.Linear(8, 5)), (2, 8)).macs == 80


leaf = st.sampled_from(["frame", "none", "number", "text"])
shapes = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["list", "tuple", "dict", "generator", "map", "object", "iterator"]), st.lists(inner))
    ),
    max_leaves=8,
)


def made_of(shape, frame):
    """A result of a random shape, and the number of frames that its consumption computes."""
    if shape == "frame":
        return frame(), 1
    if isinstance(shape, str):
        return {"none": None, "number": 3, "text": "x"}[shape], 0
    kind, parts = shape

    def items():
        for part in parts:
            yield made_of(part, frame)[0]

    built = {
        "list": lambda: list(items()),
        "tuple": lambda: tuple(items()),
        "dict": lambda: dict(enumerate(items())),
        "object": lambda: Output(list(items())),
        "generator": items,
        "map": lambda: map(Output, items()),
        "iterator": lambda: Stream(items()),
    }[kind]()
    return built, sum(made_of(part, lambda: None)[1] for part in parts)


@given(shapes)
@settings(max_examples=60, deadline=None)
def test_any_nesting_counts_every_frame(shape):
    layer = nn.Linear(4, 3)
    _, frames = made_of(shape, lambda: None)
    report = count_flops(Apply(lambda x, part: made_of(shape, lambda: part(x))[0], layer), (2, 4))
    assert report.macs == frames * 2 * 4 * 3


class Endless:
    """Has a length, but does not end."""

    def __init__(self, layer, x):
        self.layer, self.x = layer, x

    def __len__(self):
        return 10**12

    def __getitem__(self, place):
        return place


@pytest.mark.parametrize(
    ("give", "why"),
    [
        (lambda layer, x: torch.futures.Future(), "waits for an answer from elsewhere"),
        (Endless, "did not end within"),
    ],
)
def test_what_nobody_answers_or_ends_is_refused(give, why):
    module = Apply(lambda x, layer: (layer(x), give(layer, x)), nn.Linear(8, 8))
    with pytest.raises(InputError, match=why):
        count_flops(module, (4, 8))


class Computed(dict):
    """It has the keys, and computes values on reading."""

    def __init__(self, layer, x):
        super().__init__(a=None)
        self.layer, self.x = layer, x

    def __iter__(self):
        return super().__iter__()

    def __getitem__(self, key):
        return self.layer(self.x)


def test_a_mapping_that_computes_its_values_and_names_its_keys_is_asked_for_them():
    module = Apply(lambda x, layer: Computed(layer, x), nn.Linear(8, 8))
    assert count_flops(module, (4, 8)).macs == 4 * 8 * 8
