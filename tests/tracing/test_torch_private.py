"""What flopcount takes from torch beyond its public names does what is promised, in the version that is installed."""

import sys

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from flopcount.tracing.torch_private import (
    applied_code,
    blind_transforms,
    function_with_forward,
    out_of_sight,
    refuse_data_pointer,
    refuse_data_pointers,
    scripted_attributes,
    set_version,
)


def test_version_counters_are_set_for_a_tensor_and_its_views():
    x = torch.zeros(3)
    view = x[1:]
    view.add_(1)
    assert (x._version, view._version) == (1, 1)
    set_version(x, 0)
    assert (x._version, view._version) == (0, 0)
    weight = nn.Parameter(torch.zeros(2))
    set_version(weight, 5)
    assert weight._version == 5


def test_who_asks_a_refused_tensor_for_its_address_gets_an_error():
    tensor = torch.empty(3, device="meta")
    assert tensor.data_ptr() == 0
    refuse_data_pointer(tensor)
    for ask in (lambda: tensor.data_ptr(), lambda: tensor[1:].data_ptr(), lambda: tensor.untyped_storage().data_ptr()):
        with pytest.raises(RuntimeError):
            ask()
    assert (tensor + 1).shape == (3,)


def test_fake_tensors_refuse_too():
    from torch._subclasses.fake_tensor import FakeTensorMode

    mode = FakeTensorMode()
    refuse_data_pointers(mode)
    with mode:
        tensor = torch.empty(3) + 1
    with pytest.raises(RuntimeError):
        tensor.data_ptr()


class Operators(TorchDispatchMode):
    seen = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen += 1
        return func(*args, **(kwargs or {}))


class Functions(TorchFunctionMode):
    seen = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.seen += 1
        return func(*args, **(kwargs or {}))


def test_no_mode_sees_what_is_out_of_sight():
    with Operators() as operators, Functions() as functions:
        with out_of_sight():
            torch.ones(2).add(1)
        assert (operators.seen, functions.seen) == (0, 0)
        torch.ones(2)
        assert (operators.seen, functions.seen) == (1, 1)


def test_the_function_that_runs_is_told_by_its_frames():
    """By that of `apply`, where it has one, and by that of `forward`."""
    frames = []

    class Twice(torch.autograd.Function):
        @staticmethod
        @torch.amp.custom_fwd(device_type="cpu")
        def forward(ctx, x, *, factor=2):
            frame = sys._getframe()
            while frame is not None:
                frames.append(frame)
                frame = frame.f_back
            return x * factor

    class Again(Twice):
        pass

    class Other(nn.Module):
        def forward(self, x):
            return x

    x = torch.ones(3)
    Again.apply(x)
    assert function_with_forward(frames[0].f_code) is Twice  # which has the code
    assert function_with_forward(Other.forward.__code__) is None
    of_apply = [frame.f_locals for frame in frames if frame.f_code is applied_code()]
    assert len(of_apply) == (applied_code() is not None)
    for given in of_apply:
        assert (given["cls"], given["args"], given["kwargs"]) == (Again, (x,), {})


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning", "ignore:.*torch.jit.script:FutureWarning")
def test_transforms_differentiate_in_inference_mode_or_say_that_they_cannot(monkeypatch):
    for owner, name, begin, seeing in blind_transforms():
        assert getattr(owner, name) is begin
        monkeypatch.setattr(owner, name, seeing)
    x = torch.tensor(3.0)
    for differentiate in (torch.func.grad(torch.square), lambda x: torch.func.jvp(torch.square, (x,), (x / x,))[1]):
        assert differentiate(x) == 6
        with torch.inference_mode():
            given = x.clone()
            if blind_transforms():
                with pytest.raises(RuntimeError, match="inference mode"):
                    differentiate(given)
            else:
                assert differentiate(given) == 6


class Steps(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.last, self.step = nn.Linear(2, 2), torch.zeros(2), 0

    def forward(self, x):
        self.last, self.step = self.layer(x + self.last), self.step + 1
        return self.last


@pytest.mark.filterwarnings("ignore:.*torch.jit.*is (deprecated|not supported):DeprecationWarning")
def test_attributes_of_a_scripted_module_are_named():
    scripted = torch.jit.script(Steps())
    assert {"last", "step", "training"} <= {*scripted_attributes(scripted._c)}
    assert {"weight", "bias"} <= {*scripted_attributes(scripted.layer._c)}
    scripted._c.setattr("step", 3)
    assert scripted.step == scripted._c.getattr("step") == 3
