"""The ladder of engines and how each starts: meta tensors first, then fake tensors, then real ones.

What enters is the module; what leaves is the surrounding context, the recording mode, and the function that turns a
tensor or TensorSpec of the caller into a tensor of this engine. All engines record the same composite operators, so the
count does not depend on the engine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ..core.ops import TensorSpec
from .absent_devices import redirected, without_absent_devices
from .attribution import ModulePath
from .differentiable import plain_kernels
from .guard.keeper import Keeper
from .inputs import map_tensors, tensor_spec
from .kernels import meta_like
from .layout import layout_of
from .meta import KNOWN_LIMIT, LARGE_KNOWN_LIMIT, Calls, MetaMode
from .mode import RecordingMode
from .native import NativeMode
from .spec_values import made_tensor
from .torch_private import FAKE_TENSOR_LOG, fake_tensors, is_fake, refuse_data_pointers
from .uncountable import Unknown, refuse_tensor

__all__ = ["ENGINES", "LADDER", "Rung", "Start", "Starter", "elsewhere", "real_input"]


class Start(NamedTuple):
    """An engine at its start: the recording mode, the function that makes its tensors, and the surrounding context.

    In inference mode torch dispatches composite operators whole, but a module that differentiates cannot run in it.
    """

    mode: RecordingMode
    make: Callable[[Any], Any]
    below: AbstractContextManager[Any] = nullcontext()
    inference: bool = True


Starter: TypeAlias = Callable[[nn.Module, ModulePath, Calls, Keeper], Start]


@dataclass(frozen=True, slots=True)
class Rung:
    """One engine of the ladder, by name, and how it starts.

    `real`: operators run. `gradients`: a module that differentiates can run. `retries`: it is tried if the previous
    engine met something unknown, but not after an error, which it would raise too. `hides_floats`: as `FloatsHidden`.
    """

    name: str
    start: Starter
    real: bool = False
    gradients: bool = False
    retries: bool = False
    hides_floats: bool = False


def _meta(module: nn.Module, path: ModulePath, calls: Calls, keeper: Keeper) -> Start:
    return Start(MetaMode(path, calls=calls, keeper=keeper), lambda value: _meta_input(value, KNOWN_LIMIT))


def _meta_again(module: nn.Module, path: ModulePath, calls: Calls, keeper: Keeper) -> Start:
    """Slower, but more values are known: masks as large as an image, and literals on an unknown tensor's device."""
    mode = MetaMode(path, LARGE_KNOWN_LIMIT, calls, keeper)
    return Start(mode, lambda value: _meta_input(value, LARGE_KNOWN_LIMIT), _both(_LiteralsStay(), redirected()))


class _LiteralsStay(TorchFunctionMode):
    """`torch.tensor([2, 3], device=x.device)` keeps its values although x is on meta; torch would drop them."""

    literals = (torch.tensor, torch.as_tensor, torch.asarray, torch.scalar_tensor, torch.Tensor.new_tensor)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        return func(*args, **(kwargs | {"device": "cpu"} if func in self.literals else kwargs))


def _meta_input(value: torch.Tensor | TensorSpec, known_limit: int) -> torch.Tensor:
    """Floating-point inputs have no values; indices and masks have those that are given, or invented ones.

    In the second attempt the values of a floating-point spec that says them count too: a mask may be made of them.
    """
    spec = tensor_spec(value)
    said = isinstance(value, TensorSpec) and value.values is not None and known_limit > KNOWN_LIMIT
    if (spec.is_floating and not said) or spec.numel > known_limit:
        return _empty(spec, "meta") if isinstance(value, TensorSpec) else _on_meta(value)
    if isinstance(value, TensorSpec) or value.is_meta:
        return made_tensor(value)
    return value.detach().cpu().clone() if _has_data(value) else _on_meta(value)


def _on_meta(value: torch.Tensor) -> torch.Tensor:
    meta: torch.Tensor = layout_of(value).empty() if value.is_meta else meta_like(value)  # never the caller's own
    return meta


def _has_data(value: torch.Tensor) -> bool:
    return not value.is_meta and not is_fake(value)


def _empty(spec: TensorSpec, device: Any) -> torch.Tensor:
    return torch.empty(spec.shape, dtype=getattr(torch, spec.dtype), device=device)


def _fake(module: nn.Module, path: ModulePath, calls: Calls, keeper: Keeper) -> Start:
    """Fake tensors have a device and no data. Real tensors are replaced, since torch would write to them.

    Fake tensors could be on a device that is not here, but then not meet the weights.
    """
    FakeTensor, FakeTensorMode = fake_tensors()

    device = _device_of(module)
    fakes: dict[int, tuple[Any, Any]] = {}

    def fake(value: Any) -> Any:
        if isinstance(value, FakeTensor):
            return value
        if id(value) not in fakes:  # the original stays alive, so that its id is not reused
            fakes[id(value)] = value, _fake_like(value, device)
            mode.sources.made((fakes[id(value)][1],))
        return fakes[id(value)][1]

    def given(value: Any) -> Any:
        tensor = _fake_input(value, device)
        mode.sources.made((tensor,))
        return tensor

    mode = NativeMode(path, lambda values: map_tensors(fake, values), keeper)
    faking = FakeTensorMode(allow_non_fake_inputs=True)
    refuse_data_pointers(faking)
    return Start(mode, given, _both(_silently(faking), redirected()))


@contextmanager
def _silently(below: AbstractContextManager[Any]) -> Iterator[None]:
    """Silence the log of fake tensors for operators that raise: the module may expect it, or another engine may run."""
    log = logging.getLogger(FAKE_TENSOR_LOG)
    before, log.disabled = log.disabled, True
    try:
        with below:
            yield
    finally:
        log.disabled = before


def _fake_input(value: torch.Tensor | TensorSpec, device: torch.device) -> torch.Tensor:
    """A tensor of the caller's on the device of the weights."""
    if isinstance(value, TensorSpec):
        return _empty(value, device)
    refuse_tensor(value, "an argument")
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=device)


def _fake_like(value: torch.Tensor, device: torch.device) -> torch.Tensor:
    refuse_tensor(value, "an argument")
    where = device if value.is_meta else value.device
    with torch.inference_mode(value.is_inference()):  # torch requires the inference mode of the source
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=where)


def _real(module: nn.Module, path: ModulePath, calls: Calls, keeper: Keeper) -> Start:
    """Real tensors: the operators run. Shapes become random numbers of a fixed seed, indices zeros."""
    if any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
        raise Unknown("the module has no weights (it is on the meta device)")
    device = _device_of(module)
    mode = NativeMode(path, keeper=keeper)
    mode.invented.weights(module)
    return Start(mode, lambda value: real_input(value, device), redirected())


def real_input(value: torch.Tensor | TensorSpec, device: torch.device) -> torch.Tensor:
    """A real tensor on `device`: a copy of the caller's, or one of a given shape with its values."""
    if isinstance(value, torch.Tensor) and _has_data(value):
        return value.detach().clone().to(device)
    return made_tensor(value, device)


def _with_gradients(start: Starter) -> Starter:
    """For a module that differentiates in its forward pass, or checks whether it could; composites arrive in parts."""

    def started(module: nn.Module, path: ModulePath, calls: Calls, keeper: Keeper) -> Start:
        begun = start(module, path, calls, keeper)
        return begun._replace(below=_differentiating(begun.below), inference=False)

    return started


@contextmanager
def _differentiating(below: AbstractContextManager[Any]) -> Iterator[None]:
    """Gradients enabled, whatever the caller's setting."""
    with torch.enable_grad(), plain_kernels(), below:
        yield


def elsewhere(rung: Rung) -> Rung:
    """The same engine for a module that asks for an accelerator which is not here."""

    def started(module: nn.Module, path: ModulePath, calls: Calls, keeper: Keeper) -> Start:
        begun = rung.start(module, path, calls, keeper)
        return begun._replace(below=_both(begun.below, without_absent_devices()))

    return replace(rung, start=started)


@contextmanager
def _both(below: AbstractContextManager[Any], above: AbstractContextManager[Any]) -> Iterator[None]:
    with below, above:
        yield


def _device_of(module: nn.Module) -> torch.device:
    """The device of the weights; it is the CPU for a module without weights, or with weights on meta."""
    tensor = next((t for t in (*module.parameters(), *module.buffers()) if not t.is_meta), None)
    return tensor.device if tensor is not None else torch.device("cpu")


LADDER = (
    Rung("meta", _meta),
    Rung("meta", _meta_again, retries=True),
    Rung("meta", _with_gradients(_meta), gradients=True, hides_floats=True),
    Rung("fake", _fake),
    Rung("fake", _with_gradients(_fake), gradients=True),
    Rung("real", _real, real=True),
    Rung("real", _with_gradients(_real), real=True, gradients=True),
)
"""The engines in their order; `climbing` decides whether an attempt is needed."""

ENGINES = tuple(dict.fromkeys(rung.name for rung in LADDER))
"""The names of engines, each once."""
