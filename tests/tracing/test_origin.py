"""Law 8: the place of an error decides which engine is tried, never its words."""

import ctypes

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from modules import TORCH, Apply
from torch import nn
from torch.nn import functional as F

from flopcount import ForwardError, InputError, count_flops, count_model
from flopcount.core.errors import TraceError
from flopcount.core.ops import TensorSpec

SHAPE, MACS = (4, 8), 4 * 64
MODES = ("forward", "train")


def own_path(kinds, error):
    """Raises on tensors of other devices."""

    def forward(x, layer):
        if x.device.type not in kinds:
            raise error
        return layer(x)

    return forward


def on_a_tensor_itself(x, layer):
    if x.device.type != "cpu":
        raise TypeError("a kernel of the CPU")
    if type(x) is not torch.Tensor:
        raise TypeError("a kernel for plain tensors")
    return layer(x)


def where_gradients_are(x, layer):
    y = layer(x)
    if not y.requires_grad:
        raise RuntimeError("this is for training")
    return y


def gradient_of_itself(x, layer):
    x = x.detach().requires_grad_()
    y = layer(x)
    return torch.autograd.grad(y.sum(), x, create_graph=True)[0] + y


def logs(text):
    return lambda x, layer: (text(x.mean()), layer(x))[1]


# what a module does -> the engine that runs it
RUNS = {
    "device": (own_path(("cpu", "cuda"), RuntimeError("the kernel is not built for this GPU")), "fake"),
    "device, in odd words": (own_path(("cpu",), KeyError("shape requires grad")), "fake"),
    "device, without a word": (own_path(("cpu",), AssertionError()), "fake"),
    "device and type": (on_a_tensor_itself, "real"),
    "not meta": (lambda x, layer: layer(x) if not x.is_meta else 1 / 0, "fake"),
    "gradients": (where_gradients_are, "fake"),
    "a hook": (lambda x, layer: (y := layer(x), y.register_hook(lambda g: g))[0], "meta"),
    "the graph": (lambda x, layer: (y := layer(x), y.grad_fn.name())[0], "fake"),
    "gradient of the input": (gradient_of_itself, "meta"),
    "format": (logs(lambda mean: f"{mean:.3f}"), "real"),
    "old format": (logs(lambda mean: "%.3f" % mean), "real"),  # noqa: UP031
    "format method": (logs("{:e}".format), "real"),
    "shown": (logs(lambda mean: f"{mean} {mean!r}"), "meta"),
    "float": (logs(float), "real"),
    "complex": (logs(complex), "real"),
    "int": (lambda x, layer: layer(x[: max(4, int(x.sum() * 0))]), "real"),
    "index": (lambda x, layer: layer(x[sorted(range(4), key=lambda row: x[row, 0])]), "real"),
    "contains": (lambda x, layer: layer(x) if 3.5 not in x else x, "real"),
    "list": (lambda x, layer: layer(x)[: len(x.tolist())], "real"),
    "numpy": (lambda x, layer: layer(x) if np.isfinite(x.detach().numpy()).all() else x, "real"),
    "address": (lambda x, layer: (layer(x), ctypes.c_float.from_address(x.data_ptr()))[0], "real"),
    "aligned": (lambda x, layer: layer(x) if x.data_ptr() % 4 == 0 and x.data_ptr() else x[:0], "real"),
    "storage": (lambda x, layer: (layer(x), x.untyped_storage()[0])[0], "real"),
    "quantile of a literal": (lambda x, layer: (layer(x), x.quantile(0.5))[0], "fake" if TORCH >= (2, 12) else "real"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", RUNS)
def test_a_module_that_runs_is_counted(name, mode):
    forward, engine = RUNS[name]
    report = count_flops(Apply(forward, nn.Linear(8, 8)), SHAPE, mode=mode)
    expected = 2 * MACS if name == "gradient of the input" else MACS
    assert report.module("parts.0").cost.macs == MACS
    assert (report.macs, report.engine) == (expected, engine)


def test_a_model_by_name_is_built_for_real_where_shapes_do_not_do(tmp_path, monkeypatch):
    (tmp_path / "logs.py").write_text(
        "from torch import nn\n"
        "class Logs(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.layer = nn.Linear(8, 8)\n"
        "    def forward(self, x):\n"
        "        return self.layer(x) if f'{x.mean():.2f}' else x\n"
    )
    monkeypatch.chdir(tmp_path)
    report = count_model("logs.py:Logs", inputs=[("", TensorSpec(SHAPE))])
    assert (report.macs, report.engine) == (MACS, "real")


def test_without_weights_the_reasons_are_told():
    module = Apply(on_a_tensor_itself, nn.Linear(8, 8, device="meta"))
    with pytest.raises(TraceError) as caught:
        count_flops(module, SHAPE)
    assert "  meta    TypeError: a kernel of the CPU" in str(caught.value)
    assert "  real    the module has no weights" in str(caught.value)


class Watched:
    """A layer that raises at the end, and notes whether it ever ran on real tensors."""

    def __init__(self, fail):
        self.fail, self.ran = fail, False

    def __call__(self, x, layer):
        y = layer(x)
        self.ran |= type(y) is torch.Tensor and not y.is_meta
        self.fail(y)
        return y


def raising(error):
    def fail(_):
        raise error

    return fail


WORDS = [
    *("no meta information", "expected all tensors to be on the same device", "requires_grad", "unallocated storage"),
    *("Tensor.item() cannot be called on meta tensors", "can't convert meta device type tensor to numpy", "fake", ""),
    "Cannot access data pointer of Tensor (e.g. FakeTensor, FunctionalTensor).",
]
OWN = {
    "a missing key": (lambda y: {"scale": 1}["meta"], "KeyError: 'meta'"),
    "a missing index": (lambda y: [y][5], "IndexError: list index out of range"),
    "a missing attribute": (lambda y: y.metadata, "AttributeError: 'Tensor' object has no attribute 'metadata'"),
    "compiled code": (lambda y: int("meta"), "ValueError: invalid literal for int() with base 10: 'meta'"),
    "a method of a dictionary": (lambda y: {}.pop("meta"), "KeyError: 'meta'"),
    "unpacking": (lambda y: (lambda a, b: a)(*[y]), "TypeError: "),
    "division": (lambda y: 1 // 0, "ZeroDivisionError: "),
    "a method that is not there": (raising(NotImplementedError("meta kernel")), "NotImplementedError: meta kernel"),
    **{f"in the words {words!r}": (raising(RuntimeError(words)), f"RuntimeError: {words}") for words in WORDS[:-2]},
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", OWN)
def test_a_users_error_is_shown_as_it_is_and_starts_no_real_run(name, mode):
    fail, told = OWN[name]
    forward = Watched(fail)
    with pytest.raises(ForwardError) as caught:
        count_flops(Apply(forward, nn.Linear(8, 8)), SHAPE, mode=mode)
    first, *rest = str(caught.value).splitlines()
    assert first.startswith(f"Apply raised {told}")
    assert not forward.ran
    assert not [line for line in rest if "fix" in line]  # the fault in the user's code is unknown


@given(
    st.sampled_from([ValueError, RuntimeError, KeyError, TypeError, AssertionError, NotImplementedError, IndexError]),
    st.one_of(
        st.sampled_from(WORDS), st.text(max_size=20), st.lists(st.sampled_from(" ".join(WORDS).split())).map(" ".join)
    ),
)
@settings(max_examples=60, deadline=None)
def test_no_word_starts_a_real_run(kind, words):
    forward = Watched(raising(kind(words)))
    with pytest.raises(ForwardError, match=f"Apply raised {kind.__name__}: "):
        count_flops(Apply(forward, nn.Linear(8, 8)), SHAPE)
    assert not forward.ran


def test_advice_fits_or_is_absent():
    def advice(module, shape, **options):
        with pytest.raises(ForwardError) as caught:
            count_flops(module, shape, **options)
        return [line.split(maxsplit=1)[1] for line in str(caught.value).splitlines() if line.startswith("  fix")]

    assert advice(nn.Linear(16, 4), (2, 8)) == ["Linear takes 16 features on the last axis, and it gets 8"]
    (rank,) = advice(nn.BatchNorm2d(4), (2, 4, 8))
    assert rank.startswith("BatchNorm2d takes 4 axes (batch, channels, height, width), and it gets 3")
    (several,) = advice(nn.BatchNorm1d(4), (1, 4))
    assert "several values per channel" in several
    assert advice(nn.LSTM(4, 4), (2, 3, 8)) == ["LSTM takes 4 features on the last axis, and it gets 8"]
    assert advice(Apply(lambda x: x.view(5)), (2, 3)) == ["check the input's shape against what this layer needs"]
    assert advice(Apply(lambda x: x / {}["norm"]), (2, 3)) == []
    for unfit in (
        lambda x, layer: layer.nope(x),
        lambda x, layer: F.linear(x, None),
        lambda x, layer: nn.ModuleList()[0](x),
        lambda x, layer: nn.Module()(x),
        lambda x, layer: layer.register_parameter("a.b", None),
        lambda x, layer: setattr(layer.weight, "data", torch.zeros(8, 8, dtype=torch.int64)),
    ):
        assert advice(Apply(unfit, nn.Linear(8, 8)), (2, 8)) == []
    (in_words,) = [advice(Apply(raising(ValueError("more than 1 value per channel"))), (2, 3))]
    assert in_words == []


class Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, gradient):
        raise KeyError("meta")


def test_an_error_in_a_users_backward_is_the_users():
    with pytest.raises(ForwardError, match="Apply raised KeyError: 'meta'"):
        count_flops(Apply(lambda x, layer: Backward.apply(layer(x)), nn.Linear(8, 8)), SHAPE, mode="train")


def test_an_operator_whose_fake_kernel_raises_in_any_words():
    library = torch.library.Library("flopcount_origin", "FRAGMENT")
    library.define("double(Tensor x) -> Tensor")
    library.impl("double", lambda x: x * 2, "CPU")

    def without_data(x):
        raise ValueError("shapes alone do not do")

    library.impl("double", without_data, "Meta")
    try:
        double = torch.ops.flopcount_origin.double
        report = count_flops(Apply(lambda x, layer: double(layer(x)), nn.Linear(8, 8)), SHAPE)
    finally:
        library._destroy()
    assert (report.macs, report.engine, [row.op for row in report.uncosted]) == (
        MACS,
        "real",
        ["flopcount_origin.double"],
    )


def catches(x, layer):
    """Goes on with another number if it cannot read the first."""
    try:
        times = int((x.abs() >= 0).sum() // 8)
    except Exception:
        times = 0
    for _ in range(times):
        x = layer(x)
    return x


def wraps(x, layer):
    try:
        return layer(x) if float(x.mean()) < 1e9 else x
    except Exception as error:
        raise RuntimeError(f"in this block: {error}") from error


def catches_what_fake_tensors_raise(x, layer):
    if x.device.type != "cpu":
        raise RuntimeError("a kernel of the CPU")
    try:
        return layer(x) if bool(x.sum() < 1e9) else x
    except RuntimeError:
        return layer(layer(x))


ASKS = {
    "item": lambda x: x.sum().item(),
    "bool": lambda x: bool(x.sum() > 9),
    "nonzero": lambda x: x.sum().is_nonzero(),
    "contains": lambda x: 1.0 in x,
    "equal": lambda x: torch.equal(x, x),
    "allclose": lambda x: torch.allclose(x, x),
    "sorted": lambda x: sorted(x[0]),
    "list": lambda x: x.tolist(),
    "dlpack": torch.from_dlpack,
    "one-hot": lambda x: F.one_hot(x.long().abs()),
    "quantile": lambda x: x.quantile(0.5),
    "storage": lambda x: x.untyped_storage().tolist(),
    "typed storage": lambda x: x.storage()[0],
}


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_every_way_to_ask_for_a_value_is_noted(ask):
    """A module that reads a value in a `try` takes the branch of real tensors, not that of the error."""

    def forward(x, layer):
        try:
            ask(layer(x))
        except Exception:
            return x
        return layer(x)

    reports = [count_flops(Apply(forward, nn.Linear(8, 8)), SHAPE, engine=engine) for engine in ("auto", "real")]
    assert [report.macs for report in reports] == [2 * MACS] * 2


def test_what_a_count_refuses_cannot_be_caught_by_the_module():
    def forward(x, layer):
        try:
            return layer(x).to_sparse().to_dense()
        except Exception:
            return x

    with pytest.raises(InputError, match="is a sparse tensor, which cannot be counted"):
        count_flops(Apply(forward, nn.Linear(8, 8)), SHAPE)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("forward", "times"), [(catches, 4), (wraps, 1), (catches_what_fake_tensors_raise, 1)])
def test_what_an_engine_raises_cannot_be_caught_by_the_module(forward, times, mode):
    report = count_flops(Apply(forward, nn.Linear(8, 8)), SHAPE, mode=mode)
    assert (report.macs, report.engine) == (times * MACS, "real")


def test_a_refusal_of_a_count_within_a_forward_may_be_caught():
    sparse = nn.Linear(8, 8)
    sparse.weight = nn.Parameter(sparse.weight.detach().to_sparse())

    def forward(x, layer):
        with pytest.raises(InputError, match="sparse"):
            count_flops(sparse, SHAPE)
        return layer(x)

    assert count_flops(Apply(forward, nn.Linear(8, 8)), SHAPE).macs == MACS


def test_what_torch_says_before_any_value_is_asked_is_the_users_error():
    for wrong, told in (
        (lambda y: bool(y > 0), "RuntimeError: Boolean value of Tensor with more than one value is ambiguous"),
        (lambda y: y.item(), "RuntimeError: a Tensor with 32 elements cannot be converted to Scalar"),
        (lambda y: float(y), " only one element tensors can be converted to Python scalars"),
        (lambda y: nn.Module()(y), 'NotImplementedError: Module [Module] is missing the required "forward" function'),
        (lambda y: F.interpolate(y[None], 9, mode="bicubic"), "NotImplementedError: "),
    ):
        forward = Watched(wrong)
        with pytest.raises(ForwardError) as caught:
            count_flops(Apply(forward, nn.Linear(8, 8)), SHAPE)
        assert told in str(caught.value).splitlines()[0]
        assert not forward.ran


def test_a_statement_over_several_lines_is_whole():
    class Waits(nn.Module):
        def forward(self, x):
            # fmt: off
            if bool(
                x.sum()
            ):
                return x
            # fmt: on
            return -x

    with pytest.raises(TraceError) as raised:
        count_flops(Waits(), (2, 3), engine="meta")
    assert "if bool( x.sum() ):" in str(raised.value)
    assert "test_origin.py:" in str(raised.value)
