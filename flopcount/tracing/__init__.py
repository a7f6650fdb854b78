"""One forward pass -> every ATen-level operation with its module path and shapes.

What enters is a module and its arguments (tensors or TensorSpecs); what leaves is a Trace. A ladder of engines serves:
meta tensors (shapes alone), then fake tensors (devices and literals too), then real ones, where the operators run. All
three write down the same composite operators, so the count does not depend on which one served.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from ..errors import FlopcountError, ForwardError, InputError, TraceError
from ..ops import TensorSpec, Trace
from .attribution import ModulePath
from .inputs import map_tensors, specs_of, tensor_spec
from .meta import KNOWN_LIMIT, MetaMode, meta_like
from .mode import NativeMode, RecordingMode, Unknown
from .preserve import preserved

__all__ = ["ENGINES", "trace", "weightless"]

ENGINES = ("meta", "fake", "real")

_ASKS_FOR_DATA = re.compile(r"\bmeta\b", re.IGNORECASE)  # in torch's errors: the module left the dispatcher (.numpy())
_SEED = 0

ModuleT = TypeVar("ModuleT")


def trace(
    module: nn.Module, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None, *, engine: str = "auto"
) -> Trace:
    """Run `module` once without arithmetic and write down what it does.

    Arguments:
        module: any nn.Module; it is the same afterwards, also after an exception.
        args: positional arguments, tensors or TensorSpecs in nested containers.
        kwargs: keyword arguments alike.
        engine: "auto" climbs from meta to fake to real; or one of those names.

    Raises:
        ForwardError: the module raised; the message names the layer and what it was given.
        TraceError: no engine could run it (a module on meta that needs values, for one).
    """
    if engine != "auto" and engine not in ENGINES:
        raise InputError(f"no engine named {engine!r}", [("fix", f"choose auto, {', '.join(ENGINES)}")])
    if any(isinstance(parameter, UninitializedParameter) for parameter in module.parameters()):
        module = copy.deepcopy(module)  # a lazy module settles its shapes for good when it runs
    reasons = []
    for name in ENGINES if engine == "auto" else (engine,):
        try:
            return _run(module, args, kwargs or {}, name)
        except Unknown as unknown:
            reasons.append((name, str(unknown)))
    raise TraceError(
        f"{type(module).__name__} cannot be traced without its values",
        [*reasons, ("fix", "give the module with real weights (not on the meta device) and real input tensors")],
    )


def _run(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], engine: str) -> Trace:
    path = ModulePath(module)
    with preserved(module, buffers=engine == "real"), torch.inference_mode(), path:
        start = {"meta": _start_meta, "fake": _start_fake, "real": _start_real}[engine]
        below, mode, make = start(module, path)
        try:
            with below:
                args, kwargs = map_tensors(make, (args, kwargs))
                with mode:
                    module(*args, **kwargs)
        except (FlopcountError, Unknown):
            raise
        except Exception as error:  # whatever a user's module raises, told with its place
            if engine == "fake" or (engine == "meta" and _ASKS_FOR_DATA.search(str(error))):
                raise Unknown(f"{type(error).__name__}: {error}".splitlines()[0]) from error
            raise _forward_error(module, path, error) from error
    return Trace(tuple(mode.ops), tuple(path.calls), specs_of(args, kwargs), engine)


Start = tuple[Any, RecordingMode, Callable[[Any], Any]]


def _start_meta(module: nn.Module, path: ModulePath) -> Start:
    return torch.no_grad(), MetaMode(path), _meta_input


def _meta_input(value: torch.Tensor | TensorSpec) -> torch.Tensor:
    """Floating-point inputs have no values; small indices and masks keep theirs (zeros where only a shape is given)."""
    spec = tensor_spec(value)
    if spec.is_floating or spec.numel > KNOWN_LIMIT:
        return _empty(spec, "meta") if isinstance(value, TensorSpec) else _on_meta(value)
    if isinstance(value, TensorSpec):
        return torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype))
    return value.detach().cpu().clone() if not value.is_meta else value


def _on_meta(value: torch.Tensor) -> torch.Tensor:
    meta = meta_like(value)
    return meta if isinstance(meta, torch.Tensor) else value


def _empty(spec: TensorSpec, device: Any) -> torch.Tensor:
    return torch.empty(spec.shape, dtype=getattr(torch, spec.dtype), device=device)


def _start_fake(module: nn.Module, path: ModulePath) -> Start:
    from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode  # over a second to import

    fake_mode = FakeTensorMode(allow_non_fake_inputs=True)
    device = _device_of(module)
    fakes: dict[int, tuple[Any, Any]] = {}

    def fake(value: Any) -> Any:
        if isinstance(value, FakeTensor) or not (isinstance(value, TensorSpec) or value.is_meta):
            return value
        if id(value) not in fakes:  # the original is kept, so that its id is not used again
            fakes[id(value)] = value, _empty(tensor_spec(value), device)
        return fakes[id(value)][1]

    def fake_input(value: Any) -> Any:
        return fake(tensor_spec(value))

    return fake_mode, NativeMode(path, lambda values: map_tensors(fake, values)), fake_input


def _start_real(module: nn.Module, path: ModulePath) -> Start:
    if any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
        raise Unknown("the module has no weights (it is on the meta device)")
    device = _device_of(module)
    generator = torch.Generator().manual_seed(_SEED)  # torch's own random state stays as it is

    def real(value: torch.Tensor | TensorSpec) -> torch.Tensor:
        if isinstance(value, torch.Tensor):
            return value.detach().clone().to(device) if not value.is_meta else real(tensor_spec(value))
        dtype = getattr(torch, value.dtype)
        if value.is_floating:
            return torch.randn(value.shape, generator=generator, dtype=torch.float32).to(device, dtype)
        return torch.zeros(value.shape, dtype=dtype, device=device)

    return torch.no_grad(), NativeMode(path, lambda values: values), real


def _device_of(module: nn.Module) -> torch.device:
    """Where the weights are; a module without weights, or without their data, counts as on the CPU."""
    tensor = next((t for t in (*module.parameters(), *module.buffers()) if not t.is_meta), None)
    return tensor.device if tensor is not None else torch.device("cpu")


def _forward_error(module: nn.Module, path: ModulePath, error: Exception) -> ForwardError:
    where, layer, args = path.failure or ("", module, ())
    seen = ", ".join(map(str, specs_of(args)))
    message = str(error).strip().splitlines()[0] if str(error).strip() else "no message"
    details = [("in", f"{where or 'the model itself'} ({type(layer).__name__})")]
    if seen:
        details.append(("given", seen))
    details.append(("fix", "check the input's shape against what this layer needs"))
    return ForwardError(f"{type(module).__name__} raised {type(error).__name__}: {message}", details)


class _BuildMode(MetaMode):
    """Builds without recording: initialisation writes to nothing, small buffers keep their values."""

    def record(self, signature: object) -> None:
        """Building is not counted."""

    def may_write(self, tensor: torch.Tensor) -> bool:
        """What is being built may be written."""
        return True

    def _record_in_place(self, func: Any, args: Any, kwargs: Any) -> None:
        """Nothing to check: an initialisation fills what it is given."""


def weightless(build: Callable[..., ModuleT], *args: Any, **kwargs: Any) -> ModuleT:
    """Build a module without allocating its weights: `weightless(create_model, "c3d")`.

    Parameters and large buffers end up on the meta device, small buffers keep their values. Unlike a plain
    `torch.device("meta")`, code that reads values while building (`torch.linspace(...).item()`) works, and no
    initialisation runs. Random states are as before.
    """
    built: Any
    with preserved(nn.Module(), buffers=False), torch.no_grad(), _BuildMode(ModulePath(nn.Module())):
        built = build(*args, **kwargs)
    if isinstance(built, nn.Module):
        _parameters_to_meta(built)
    return built  # type: ignore[no-any-return]


def _parameters_to_meta(module: nn.Module) -> None:
    """Small parameters were made for real; like the rest they have no values. Sharing is kept."""
    moved: dict[int, nn.Parameter] = {}
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None and not parameter.is_meta:
                if id(parameter) not in moved:
                    moved[id(parameter)] = nn.Parameter(meta_like(parameter), parameter.requires_grad)
                part._parameters[name] = moved[id(parameter)]
