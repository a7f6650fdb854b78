"""The ladder: how each engine starts. Meta tensors first, then fake ones, last real ones.

What enters is the module; what leaves is the surrounding context, the mode that writes down, and the function that
turns a tensor or TensorSpec of the caller into what this engine computes with. All write down the same composite
operators, so the count does not depend on which one served.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ..ops import TensorSpec
from .attribution import ModulePath
from .differentiable import Differentiable
from .inputs import map_tensors, tensor_spec
from .kernels import meta_like
from .meta import KNOWN_LIMIT, LARGE_KNOWN_LIMIT, Calls, MetaMode
from .mode import NativeMode, RecordingMode, Unknown
from .uncountable import refuse_tensor

__all__ = ["ENGINES", "LADDER", "SAVING", "Start", "Starter", "real_input"]

_SEED = 0


class Start(NamedTuple):
    """What an engine runs under, what writes down, and what makes its tensors.

    In inference mode torch hands composite operators over whole; a module that differentiates cannot run in it.
    `training` puts the module into training mode.
    """

    mode: RecordingMode
    make: Callable[[Any], Any]
    below: AbstractContextManager[Any] = nullcontext()
    inference: bool = True
    training: bool = False


Starter: TypeAlias = Callable[[nn.Module, ModulePath, Calls], Start]


def _meta(module: nn.Module, path: ModulePath, calls: Calls) -> Start:
    return Start(MetaMode(path, calls=calls), lambda value: _meta_input(value, KNOWN_LIMIT))


def _meta_again(module: nn.Module, path: ModulePath, calls: Calls) -> Start:
    """Slower and further: masks as large as an image are known, and so are literals made beside unknown tensors."""
    mode = MetaMode(path, LARGE_KNOWN_LIMIT, calls)
    return Start(mode, lambda value: _meta_input(value, LARGE_KNOWN_LIMIT), _LiteralsStay())


class _LiteralsStay(TorchFunctionMode):
    """`torch.tensor([2, 3], device=x.device)` keeps its values although x is on meta; torch would drop them."""

    literals = (torch.tensor, torch.as_tensor, torch.asarray, torch.scalar_tensor, torch.Tensor.new_tensor)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        return func(*args, **(kwargs | {"device": "cpu"} if func in self.literals else kwargs))


def _meta_input(value: torch.Tensor | TensorSpec, known_limit: int) -> torch.Tensor:
    """Floating-point inputs have no values; indices and masks keep theirs (zeros where only a shape is given)."""
    spec = tensor_spec(value)
    if spec.is_floating or spec.numel > known_limit:
        return _empty(spec, "meta") if isinstance(value, TensorSpec) else _on_meta(value)
    if isinstance(value, TensorSpec):
        return torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype))
    return value.detach().cpu().clone() if not value.is_meta else value


def _on_meta(value: torch.Tensor) -> torch.Tensor:
    meta = meta_like(value)
    return meta if isinstance(meta, torch.Tensor) else value


def _empty(spec: TensorSpec, device: Any) -> torch.Tensor:
    return torch.empty(spec.shape, dtype=getattr(torch, spec.dtype), device=device)


def _fake(module: nn.Module, path: ModulePath, calls: Calls) -> Start:
    """Fake tensors: a device without data. Real ones are not passed on, since torch would write to them."""
    from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode  # over a second to import

    device = _device_of(module)
    fakes: dict[int, tuple[Any, Any]] = {}

    def fake(value: Any) -> Any:
        if isinstance(value, FakeTensor):
            return value
        if id(value) not in fakes:  # the original is kept, so that its id is not used again
            fakes[id(value)] = value, _fake_like(value, device)
        return fakes[id(value)][1]

    mode = NativeMode(path, lambda values: map_tensors(fake, values))
    return Start(mode, lambda value: fake(tensor_spec(value)), FakeTensorMode(allow_non_fake_inputs=True))


def _fake_like(value: torch.Tensor | TensorSpec, device: torch.device) -> torch.Tensor:
    if isinstance(value, TensorSpec):
        return _empty(value, device)
    refuse_tensor(value, "an argument")
    where = device if value.is_meta else value.device
    with torch.inference_mode(value.is_inference()):  # torch ties a view to its source, and insists
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=where)


def _real(module: nn.Module, path: ModulePath, calls: Calls) -> Start:
    """Real tensors: the operators run. Shapes become random numbers of a fixed seed, indices zeros."""
    if any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
        raise Unknown("the module has no weights (it is on the meta device)")
    device = _device_of(module)
    return Start(NativeMode(path, lambda values: values), lambda value: real_input(value, device))


def real_input(value: torch.Tensor | TensorSpec, device: torch.device) -> torch.Tensor:
    """A real tensor on `device`: a copy of the one given, or for a shape random numbers (indices: zeros)."""
    if isinstance(value, torch.Tensor) and not value.is_meta:
        return value.detach().clone().to(device)
    spec = tensor_spec(value)
    dtype = getattr(torch, spec.dtype)
    if not spec.is_floating:
        return torch.zeros(spec.shape, dtype=dtype, device=device)
    generator = torch.Generator().manual_seed(_SEED)  # torch's own random state stays as it is
    return torch.randn(spec.shape, generator=generator, dtype=torch.float32).to(device, dtype)


def _real_with_gradients(module: nn.Module, path: ModulePath, calls: Calls) -> Start:
    """For a module that calls `torch.autograd.grad` in its forward pass; composites arrive in parts."""
    return _real(module, path, calls)._replace(inference=False)


def _saving(module: nn.Module, path: ModulePath, calls: Calls) -> Start:
    """As the first engine, in training mode and with autograd, which keeps what the backward pass will need."""
    return _meta(module, path, calls)._replace(below=Differentiable(), inference=False, training=True)


def _saving_again(module: nn.Module, path: ModulePath, calls: Calls) -> Start:
    """As the second."""
    start = _meta_again(module, path, calls)
    return start._replace(below=Differentiable(start.below), inference=False, training=True)


def _device_of(module: nn.Module) -> torch.device:
    """Where the weights are; a module without weights, or without their data, counts as on the CPU."""
    tensor = next((t for t in (*module.parameters(), *module.buffers()) if not t.is_meta), None)
    return tensor.device if tensor is not None else torch.device("cpu")


SAVING: tuple[tuple[str, Starter], ...] = (("meta", _saving), ("meta", _saving_again))
"""The engines of a forward pass that a backward pass would follow."""

LADDER: tuple[tuple[str, Starter], ...] = (
    ("meta", _meta),
    ("meta", _meta_again),
    ("fake", _fake),
    ("real", _real),
    ("real", _real_with_gradients),
)
"""Engine names with how they start; each attempt is made only if the one before met something it does not know."""

ENGINES = tuple(dict.fromkeys(name for name, _ in LADDER))
