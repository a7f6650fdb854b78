"""Values that a count invents: followed to where they decide what is counted, and named there, on every engine."""

import random
import weakref

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import flopcount
from flopcount import TensorSpec, count_flops
from flopcount.core.errors import ForwardError, TraceError
from flopcount.tracing import invented, trace
from flopcount.tracing.invented import Invented
from flopcount.tracing.spec_values import made_tensor

KNOWING = ("meta", "real")  # fake tensors have no values to read
CERTAIN, PERHAPS = "depends on", "may depend on"


def spec(*shape, dtype="int64", values=None):
    return TensorSpec(shape, dtype, values)


def mask(*shape, values=None):
    return spec(*shape, dtype="bool", values=values)


def net(forward, **parts):
    """A module that runs a function on one linear layer of 16 inputs and 8 outputs, with a policy and an embedding."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.policy, self.embedding = nn.Linear(16, 8), nn.Linear(16, 1), nn.Embedding(100, 16)
            for name, part in parts.items():
                setattr(self, name, part)

        def forward(self, *inputs):
            return forward(self, *inputs)

    return Net().eval()


def by_length(self, x, lengths):
    return self.linear(x[torch.arange(x.shape[1]) < lengths[:, None]])


def to_the_longest(self, x, lengths):
    return self.linear(x[:, : lengths.max()])


def as_a_list(self, x, lengths):
    return [self.linear(part) for part in x[0].split([*lengths.tolist(), x.shape[1] - sum(lengths.tolist())])]


def by_mask(self, x, kept):
    return self.linear(x[kept])


def by_a_mask_of_numpy(self, x, kept):
    return self.linear(x[torch.from_numpy(kept.numpy())])


def by_what_is_not_zero(self, x, kept):
    return self.linear(x[torch.where(kept)])


def distinct(self, words):
    return self.linear(self.embedding(words.unique()))


def one_hot(self, classes):
    return self.linear(F.pad(F.one_hot(classes).float(), (0, 16 - 1 - int(classes.max()))))


def in_parts(self, x, ends):
    return [self.linear(part) for part in x[0].tensor_split(ends, 0) if part.numel() > 16]


def through_memory(self, x, lengths):
    counter = torch.zeros(3, dtype=torch.int64)
    counter[1] += lengths[0]
    return self.linear(x[:, : int(counter.add_(1)[1])])


def by_branch(self, x, lengths):
    return torch.cond(lengths.sum() > 2, self.linear, lambda x: self.linear(x) + self.linear(x), (x,))


def packed(self, x, lengths):
    return self.linear(nn.utils.rnn.pack_padded_sequence(x, lengths, True, enforce_sorted=False).data)


FRAMES = 16 * 8  # MACs of one frame


@pytest.mark.parametrize("engine", KNOWING)
@pytest.mark.parametrize(
    ("forward", "x", "shape", "given", "frames", "zeros", "how"),
    [
        (by_length, (2, 5, 16), spec(2), (5, 3), 5 + 3, 0, CERTAIN),
        (to_the_longest, (2, 5, 16), spec(2), (4, 3), 2 * 4, 0, PERHAPS),
        (as_a_list, (1, 5, 16), spec(2), (3, 1), 3 + 1 + 1, 5, PERHAPS),
        (by_mask, (2, 5, 16), mask(2, 5), 0.6, 2 * 3, 0, CERTAIN),
        (by_a_mask_of_numpy, (2, 5, 16), mask(2, 5), 0.6, 2 * 3, 0, PERHAPS),
        (by_what_is_not_zero, (2, 5, 16), mask(2, 5), 0.6, 2 * 3, 0, CERTAIN),
        (in_parts, (1, 5, 16), spec(2), (1, 2), 3, 5, CERTAIN),
        (through_memory, (2, 5, 16), spec(2), (2, 9), 2 * 3, 2 * 1, PERHAPS),
        (by_branch, (2, 16), spec(2), (3, 4), 2, 2 * 2, PERHAPS),
    ],
)
def test_an_input_whose_values_decide(engine, forward, x, shape, given, frames, zeros, how):
    """Given values are counted as given, and zeros that stand for them are named, once."""
    module = net(forward)
    said = count_flops(module, (x, TensorSpec(shape.shape, shape.dtype, given)), engine=engine)
    assert (said.macs, said.assumed) == (frames * FRAMES, ())
    guessed = count_flops(module, (x, shape), engine=engine)
    assert guessed.macs == zeros * FRAMES
    (assumed,) = guessed.assumed
    what = "all False" if shape.dtype == "bool" else "zeros"
    start = f"the values of input 1 are {what}, since only its shape is given; what is counted in the model itself "
    assert assumed.startswith(start + how)


@pytest.mark.parametrize("engine", KNOWING)
@pytest.mark.parametrize(("forward", "given", "rows"), [(distinct, (3, 3, 4, 5), 3), (one_hot, (0, 1, 2, 3), 4)])
def test_one_input_is_the_input(engine, forward, given, rows):
    said = count_flops(net(forward), spec(4, values=given), engine=engine)
    assert (said.macs, said.assumed) == (rows * FRAMES, ())
    assert count_flops(net(forward), spec(4), engine=engine).assumed[0].startswith("the values of the input are zeros")


@pytest.mark.parametrize("engine", ["meta", "fake", "real"])
@pytest.mark.parametrize(
    ("forward", "inputs"),
    [
        (lambda self, words: self.linear(self.embedding(words)), (spec(2, 5),)),
        (lambda self, x, kept: self.linear(x.masked_fill(kept[..., None], 0)), ((2, 5, 16), mask(2, 5))),
        (lambda self, x, n: self.linear(x[:, : n.numel()]), ((2, 5, 16), spec(2))),
        (lambda self, x, n: self.linear(x[:, : torch.zeros_like(n).shape[0]]), ((2, 5, 16), spec(2))),
        (lambda self, x: self.linear(x.gather(1, self.policy(x).topk(3, 1).indices.expand(-1, -1, 16))), ((2, 5, 16),)),
        (lambda self, x: self.linear(F.dropout(x, 0.5, self.training)), ((2, 5, 16),)),
    ],
)
def test_what_values_do_not_decide_is_not_mentioned(engine, forward, inputs):
    """Also of values that are read, but not for a size: words, masks that are multiplied, the best three frames."""
    assert count_flops(net(forward), inputs, engine=engine).assumed == ()


@pytest.mark.parametrize("engine", KNOWING)
def test_numbers_that_the_module_makes_itself_are_its_own(engine):
    def forward(self, x, n):
        kept = torch.zeros_like(n).bool()
        kept[0] = True
        return self.linear(x[:, kept])

    report = count_flops(net(forward), ((2, 5, 16), spec(5)), engine=engine)
    assert (report.macs, report.assumed) == (2 * FRAMES, ())


def picks(self, x):
    return self.linear(x[self.policy(x)[..., 0] > 0])


def experts(self, x):
    wanted = self.policy(x)[..., 0].sigmoid() > 0.5
    return [self.linear(x[torch.where(wanted == which)]) for which in (True, False)]


def leaves_early(self, x):
    for _ in range(4):
        y = self.linear(x)
        if y.softmax(-1).max() > 0.9:
            break
    return y


@pytest.mark.parametrize("forward", [picks, experts, leaves_early])
def test_a_shape_decides_by_random_numbers_and_a_tensor_by_its_own(forward):
    module = net(forward)
    (assumed,) = count_flops(module, (2, 5, 16)).assumed
    assert assumed.startswith("the values of the input are random numbers of a fixed seed, since only its shape is ")
    assert count_flops(module, torch.randn(2, 5, 16)).assumed == ()
    weights = flopcount.tracing.weighted(lambda: net(forward))
    (of_weights,) = count_flops(weights, torch.randn(2, 5, 16)).assumed
    assert of_weights.startswith("the weights are those that the model's builder makes with a fixed seed")
    assert len(count_flops(weights, (2, 5, 16)).assumed) == 2


def test_a_time_step_is_given_as_a_number():
    def forward(self, x, t):
        return self.linear(x) if t > 0.5 else self.linear(x) + self.linear(x)

    for dtype, early, late in (("float32", 0.25, 0.75), ("int64", 0, 999)):
        for value, macs in ((early, 2 * 2 * FRAMES), (late, 2 * FRAMES)):
            report = count_flops(net(forward), ((2, 16), TensorSpec((1,), dtype, value)))
            assert (report.macs, report.assumed) == (macs, ())
    assert "random numbers" in count_flops(net(forward), ((2, 16), (1,))).assumed[0]


@pytest.mark.parametrize("engine", KNOWING)
def test_numbers_drawn_in_the_forward_are_those_of_a_fixed_seed(engine):
    def forward(self, x):
        return self.linear(x[:, torch.rand(x.shape[1]) > 0.5])

    torch.manual_seed(0)
    kept = int((torch.rand(8) > 0.5).sum())
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        report = count_flops(net(forward), (2, 8, 16), engine=engine)
        assert report.macs == 2 * kept * FRAMES
        assert report.assumed == (
            "the random numbers that the forward pass draws are those of a fixed seed; what is counted in the model "
            "itself depends on them",
        )
        torch.manual_seed(seed)
        net(forward)  # whose weights are drawn too
        assert torch.equal(torch.get_rng_state(), before) is False
    seeded = net(lambda self, x: self.linear(x[:, torch.rand(8, generator=torch.Generator().manual_seed(3)) > 0.5]))
    assert count_flops(seeded, (2, 8, 16), engine=engine).assumed == ()  # the caller's own seed


@pytest.mark.parametrize("engine", ["meta", "fake", "real"])
@pytest.mark.parametrize("draw", [lambda: random.random() < 0.5, lambda: np.random.rand() < 0.5])
def test_numbers_drawn_outside_of_torch_are_those_of_a_fixed_seed(engine, draw):
    def forward(self, x):
        return [self.linear(x) for _ in range(8) if draw()]

    def states():
        kind, keys, *rest = np.random.get_state()
        return random.getstate(), (kind, keys.tolist(), rest)

    random.seed(0)
    np.random.seed(0)
    times = sum(draw() for _ in range(8))
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        before = states()
        report = count_flops(net(forward), (2, 16), engine=engine)
        assert report.macs == times * 2 * FRAMES
        assert report.assumed == (invented.ELSEWHERE,)
        assert states() == before


def test_dropout_decides_in_training_alone():
    module = net(lambda self, x: self.linear(x[F.dropout(x, 0.5, self.training).sum(1) > 0]))
    given = torch.randn(4, 16)
    assert count_flops(module, given).assumed == ()
    assert count_flops(module.train(), given).assumed[0].startswith("the random numbers that the forward pass draws")


def test_numbers_without_values_are_taken_to_be_finite_only_where_that_is_asked():
    module = net(lambda self, x: self.linear(x) if torch.isfinite(x).all() else x)
    assert count_flops(module, (2, 16)).assumed == (
        "numbers without values are taken to be finite; what is counted in the model itself may depend on that",
    )
    assert count_flops(net(lambda self, x: self.linear(x * torch.isfinite(x))), (2, 16)).assumed == ()


def test_the_layers_are_named_and_many_are_counted():
    class Pool(nn.Module):
        def forward(self, x, lengths):
            return x[:, : int(lengths.max()) + 1]

    def forward(self, x, lengths):
        for pool in self.pools:
            x = pool(x, lengths)
        return self.linear(x)

    for number, places in ((1, "pools.0"), (5, "pools.0, pools.1, pools.2 and 2 more")):
        module = net(forward, pools=nn.ModuleList(Pool() for _ in range(number)))
        (assumed,) = count_flops(module, ((2, 5, 16), spec(2))).assumed
        assert f"what is counted in {places} may depend on them" in assumed


def test_inputs_have_the_names_of_their_places():
    def forward(self, x, more):
        return self.linear(x[:, : int(more["lengths"][1].max())])

    (assumed,) = count_flops(net(forward), ((2, 5, 16), {"lengths": [spec(1), spec(2)]})).assumed
    assert "input 1['lengths'][1]" in assumed

    class Named(nn.Module):
        def forward(self, x, lengths):
            return x[:, : int(lengths.max())]

    (assumed,) = count_flops(Named(), {"x": (2, 5), "lengths": spec(2)}).assumed
    assert "input 'lengths'" in assumed


@pytest.mark.parametrize("fast", [True, False])
def test_a_second_count_says_the_same(fast):
    module = net(by_length)
    first, second = (count_flops(module, ((2, 5, 16), spec(2)), fast=fast).assumed for _ in range(2))
    assert first == second != ()


def test_a_composite_that_draws_and_reads_is_noted_each_time():
    """Its parts are kept in the memo only where nothing had to be assumed."""

    def forward(self, x):
        return self.linear(F.fractional_max_pool2d(x[None, None], 2, output_size=(2, 16)) if self.training else x)

    module = net(forward)
    assert count_flops(module, (5, 16)).assumed == count_flops(module, (5, 16)).assumed


def test_a_meta_tensor_of_whole_numbers_is_as_its_shape():
    with torch.device("meta"):
        module, lengths = net(by_length), torch.empty(2, dtype=torch.int64)
    by_spec = count_flops(module, ((2, 5, 16), spec(2)))
    by_tensor = count_flops(module, ((2, 5, 16), lengths))
    assert (by_tensor.macs, by_tensor.assumed[-1:]) == (by_spec.macs, by_spec.assumed)  # it reads (2, 5, 16) first


@pytest.mark.parametrize(
    "given",
    [
        spec(2, 3, values=range(-5, 5)),
        spec(2, 3, values=(1, 2, 3, 4, 5, 6)),
        spec(2, 3, values=7),
        mask(2, 7, values=0.5),
        mask(2, 7, values=True),
        mask(values=1.0),
        TensorSpec((3,), "float16", 0.5),
        TensorSpec((2, 0), "float32", ()),
        spec(2, 3),
        TensorSpec((3,), "bfloat16"),
    ],
)
def test_every_engine_makes_the_same_values(given):
    one, other = made_tensor(given), made_tensor(given)
    assert torch.equal(one, other)
    assert (tuple(one.shape), str(one.dtype)) == (given.shape, f"torch.{given.dtype}")
    if isinstance(given.values, range):
        assert all(int(number) in given.values for number in one.flatten())
    if isinstance(given.values, tuple):
        assert one.flatten().tolist() == list(given.values)
    if given.values == 0.5 and given.dtype == "bool":
        assert one.sum(-1).tolist() == [3, 3]


def test_memory_that_is_freed_is_followed_no_longer():
    followed = Invented()
    tensor = torch.zeros(3)
    followed.mark((tensor,), frozenset(("a cause",)))
    view = tensor[1:]
    assert followed.causes_of([view]) == {"a cause"}
    gone = weakref.ref(tensor)
    del tensor
    assert followed.causes_of((view,)) == {"a cause"}
    del view
    assert gone() is None
    assert not followed


def test_zeros_that_the_module_refuses_are_named_beside_its_error():
    with pytest.raises(ForwardError, match="greater than 0") as refused:
        count_flops(net(packed), ((2, 5, 16), spec(2)))
    details = dict(refused.value.details)
    assert details["assumed"].startswith("the values of input 1 are zeros")
    assert "values=(5, 3, 2, 2)" in details["fix"]
    assert count_flops(net(packed), ((2, 5, 16), spec(2, values=(5, 3)))).macs == 8 * FRAMES
    with pytest.raises(ForwardError) as plain:
        count_flops(net(by_length), ((2, 5, 15), spec(2, values=3)))
    assert "assumed" not in dict(plain.value.details)


# The line that asks for a value


class Pool(nn.Module):
    def forward(self, x):
        n = int(x.abs().max())
        return x[:, :n]


class Catches(nn.Module):
    def forward(self, x):
        try:
            n = x.mean().item()
        except Exception:
            n = 1
        return x[:, :n]


class Branches(nn.Module):
    def forward(self, x):
        return x if x.mean() > 0 else -x


class Lists(nn.Module):
    def forward(self, x):
        return x[:, : x.sum().long().tolist()]


class Numpy(nn.Module):
    def forward(self, x):
        return torch.from_numpy(x.numpy())


@pytest.mark.parametrize("engine", ["auto", "meta", "fake"])
@pytest.mark.parametrize(
    ("part", "line"),
    [
        (Pool, "n = int(x.abs().max())"),
        (Catches, "n = x.mean().item()"),
        (Branches, "return x if x.mean() > 0 else -x"),
        (Lists, "return x[:, : x.sum().long().tolist()]"),
        (Numpy, "return torch.from_numpy(x.numpy())"),
    ],
)
def test_a_count_that_lacks_values_names_the_line_that_asks(engine, part, line):
    with torch.device("meta"):
        module = nn.Sequential(nn.Linear(8, 8), nn.ModuleDict({"pool": part()})["pool"])
    with pytest.raises(TraceError, match="cannot be traced without its values") as refused:
        count_flops(module, (2, 8), engine=engine)
    place = dict(refused.value.details)["in"]
    file, _, number = place.removeprefix(f"1 ({part.__name__}), ").partition(":")[0:3]
    assert place == f"1 ({part.__name__}), {file}:{number}"
    assert file.endswith("test_invented.py")
    assert not file.startswith("/")
    assert number.partition(": ")[2] == line


def test_a_trace_says_whether_chance_determines_sizes():
    assert trace(net(picks), (TensorSpec((2, 5, 16)),)).by_chance
    assert not trace(net(by_length), (TensorSpec((2, 5, 16)), spec(2))).by_chance
    assert not trace(net(leaves_early), (TensorSpec((2, 5, 16)),)).by_chance
