"""For any input: a report, or one of our errors with a clear message. Never a traceback, never half a file."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from typer.testing import CliRunner

from flopcount import FlopcountError, ForwardError, InputError, Report, TensorSpec, count_flops
from flopcount.cli import app

run = CliRunner().invoke
FEW = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

sizes = st.one_of(st.integers(-2, 9), st.sampled_from([0, 10**6, 2**31, 2**63, 10**30, -(10**20)]))
atoms = st.one_of(
    st.none(),
    st.booleans(),
    sizes,
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=3),
    st.builds(object),
    st.builds(
        TensorSpec,
        st.lists(st.one_of(sizes, st.floats(), st.none()), max_size=5).map(tuple),
        st.sampled_from(["float32", "int64", "bool", "float33", "", "quint8", "complex64"]),
    ),
    st.lists(sizes, max_size=6).map(tuple),
    st.just(torch.ones(2, 3, 4, 5, 5)),
    st.just(torch.ones(2, 3).to_sparse()),
    st.just(nn.Linear(2, 2)),
    st.just(torch.float32),
)
inputs = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(st.text(max_size=3), st.integers(), st.none()), inner, max_size=2),
    ),
    max_leaves=5,
)

NETWORKS = [
    lambda: nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), nn.BatchNorm3d(4), nn.AdaptiveAvgPool3d(1), nn.Flatten()),
    lambda: nn.Linear(3, 4),
    lambda: nn.LSTM(3, 4),
    lambda: nn.MultiheadAttention(4, 2),
    lambda: nn.Embedding(5, 3),
    lambda: nn.Identity(),
    lambda: nn.ModuleList([nn.Linear(2, 2)]),
]


def counted_or_refused(call):
    """The report, or None where one of our errors was raised, with a message."""
    try:
        return call()
    except FlopcountError as error:
        words = str(error)
    assert words.strip()
    return None


@given(st.sampled_from(NETWORKS), inputs)
@FEW
def test_any_input_is_counted_or_refused(build, given_input):
    report = counted_or_refused(lambda: count_flops(build(), given_input))
    assert report is None or isinstance(report, Report)


@given(inputs, inputs, inputs, inputs)
@FEW
def test_any_option_is_taken_or_refused(views, stride, fps, batch):
    given = {"views": views, "stride": stride, "fps": fps, "batch": batch}
    report = counted_or_refused(lambda: count_flops(nn.Linear(3, 4), (2, 3), **given))
    if report is not None:
        assert str(report)
        assert report.to_json()


@given(inputs)
@FEW
def test_any_module_is_counted_or_refused(module):
    if callable(module):
        return
    with pytest.raises(InputError, match=r"takes a module or a callable, not (a|the)"):
        count_flops(module, (2, 3))


def test_an_input_that_contains_itself():
    loop = [(2, 3)]
    loop.append(loop)
    with pytest.raises(InputError, match="nested too deep, or contains itself"):
        count_flops(nn.Linear(3, 4), loop)


class Odd(nn.Module):
    """A module whose forward pass runs `act`."""

    def __init__(self, act):
        super().__init__()
        self.act = act

    def forward(self, x):
        return self.act(x)


class Silent(Exception):
    def __str__(self):
        raise ValueError("no words")


def raising(error):
    def act(x):
        raise error

    return act


ERRORS = [
    *(ValueError("why"), KeyError("k"), RecursionError(), MemoryError(), StopIteration(), AssertionError()),
    *(SystemExit(3), GeneratorExit(), NotImplementedError(), Silent(), UnicodeError("ä"), OSError(5, "io")),
    *(AttributeError("no attribute"), IndexError("out"), TypeError("type"), RuntimeError("line one\nline two")),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_whatever_a_module_raises_is_told_with_its_place(error):
    with pytest.raises(ForwardError, match=f"Sequential raised {type(error).__name__}") as raised:
        count_flops(nn.Sequential(nn.Identity(), Odd(raising(error))), (2, 3))
    if isinstance(error, Exception):  # torch calls its hooks for no other
        assert "in      1 (Odd)" in str(raised.value)
    assert "line two" not in str(raised.value)


def looped(x):
    result = [x]
    result.append(result)
    return result


RETURNS = [
    *(lambda x: None, lambda x: 5, lambda x: "text", lambda x: {1: x, None: [x]}, lambda x: iter([x])),
    *(looped, lambda x: type("Thing", (), {"x": x})(), lambda x: x.shape, lambda x: (x for _ in range(2)), print),
]


@pytest.mark.parametrize("act", RETURNS)
def test_whatever_a_module_returns(act, capsys):
    report = count_flops(nn.Sequential(nn.Linear(3, 4), Odd(act)), (2, 3))
    assert report.macs == 24
    assert report.to_json()


words = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [
            "",
            "-1",
            "0",
            "1x2",
            "4x32x32",
            "16x0x0",
            "1e9",
            "10x3",
            "nan",
            "inf",
            "3x",
            "x",
            "٣x٣",
            "99999999999999999999",
        ]
    ),
    st.integers(-3, 10**19).map(str),
)
COMMANDS = ["model", "explain", "verify", "list", "survey", "rules", "check"]
OPTIONS = [
    "--clip",
    "--batch",
    "--views",
    "--fps",
    "--stride",
    "--dtype",
    "--input",
    "--num-classes",
    "--set",
    "--depth",
    "--by",
]


@given(st.sampled_from(COMMANDS), st.lists(st.tuples(st.sampled_from(OPTIONS), words), max_size=3), words)
@settings(max_examples=100, deadline=None)
def test_the_command_never_shows_a_traceback(command, pairs, word):
    arguments = [command, *([word] if command in ("verify", "survey", "check") else ["x3d_xs"])]
    arguments += [word] if command == "explain" else []
    result = run(app, [*arguments, *(part for pair in pairs for part in pair)])
    assert result.exit_code in (0, 1, 2, 3), result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    if result.exit_code == 2:
        assert result.stderr.strip()


@pytest.mark.parametrize("option", [["--write"], ["--format", "csv", "--write"], ["--summary"]])
def test_no_part_of_a_file_is_left(tmp_path, option):
    target = tmp_path / "folder that is not there" / "out.csv"
    result = run(app, ["survey", "zoo:x3d_xs", *option, str(target / "deep")])
    assert result.exit_code in (0, 2)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in left if "unfinished" in path.name] == []
    taken = tmp_path / "a folder"
    taken.mkdir()
    refused = run(app, ["survey", "zoo:x3d_xs", *option, str(taken)])
    assert refused.exit_code == 2
    assert "cannot write" in refused.stderr
    assert list(taken.iterdir()) == []
