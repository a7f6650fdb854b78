"""One forward pass -> every ATen-level operation with its module path and shapes.

What enters is a module and its arguments (tensors or TensorSpecs); what leaves is a Trace. A ladder of engines serves:
meta tensors (shapes alone), then fake tensors (devices and literals too), then real ones, where the operators run. All
three write down the same composite operators, so the count does not depend on which one served.

Counts take turns: what a trace sets aside (random states, torch's fast paths, a module's attributes) belongs to the
whole process, so another thread waits until it is put back. A count within a forward pass that is being counted is its
own: neither sees the other's operations.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias, TypeVar

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import _disable_current_modes, _get_current_dispatch_mode_stack

from ..errors import FlopcountError, ForwardError, InputError, TraceError
from ..ops import Trace
from ..remembered import calls
from .attribution import ModulePath
from .building import lightest, require_room, weightless
from .engines import ENGINES, LADDER, SAVING, Start, Starter
from .following import Follower
from .inputs import map_tensors, specs_of
from .mode import RecordingMode, Unknown
from .preserve import TURN, collected, preserved, uncollected
from .uncountable import Uncountable, is_countable, refuse_tensor
from .walk import Inventory

__all__ = ["ENGINES", "TURN", "attempt", "climb", "lightest", "require_room", "trace", "weightless"]

ResultT = TypeVar("ResultT")
StarterT = TypeVar("StarterT")
Watch: TypeAlias = Callable[[ModulePath, Any], AbstractContextManager[Any]]

# In torch's errors: the module left the dispatcher (.numpy(), .tolist()), or a composite mixed a literal, which is real
# here, with a tensor that is not (quantile).
_ASKS_FOR_DATA = re.compile(r"\bmeta\b|same device", re.IGNORECASE)
_HAS_NO_DATA = "unallocated storage"  # of a weight on the meta device, which the real engine meets too
_ASKS_FOR_GRADIENTS = re.compile(r"\brequires?[_ ]grad")


def trace(
    module: nn.Module,
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    *,
    engine: str = "auto",
    fast: bool = True,
    dataflow: bool = False,
    saving: bool = False,
    owned: Inventory | None = None,
    watch: Watch | None = None,
) -> Trace:
    """Run `module` once without arithmetic and write down what it does.

    Arguments:
        module: any nn.Module; it is the same afterwards, also after an exception.
        args: positional arguments, tensors or TensorSpecs in nested containers.
        kwargs: keyword arguments alike.
        engine: "auto" climbs from meta to fake to real; or one of those names.
        fast: on the meta engine, look up what earlier calls worked out and work shapes out ourselves where we can;
            without, torch's own kernels answer every single call, and say the same.
        dataflow: also write down which data every op reads and writes, and how long memory lives.
        saving: as the forward pass of a training step: in training mode, and autograd keeps what it will need.
        owned: what the module is made of, where that is at hand.
        watch: makes what looks on, a mode above the one that writes down, of the module path and the inputs.

    Raises:
        ForwardError: the module raised; the message names the layer and what it was given.
        TraceError: no engine could run it (a module on meta that needs values, for one).
    """
    if engine != "auto" and engine not in ENGINES:
        raise InputError(f"no engine named {engine!r}", [("fix", f"choose auto, {', '.join(ENGINES)}")])
    owned = owned or Inventory.of(module)
    given = args, kwargs or {}
    _refuse_uncountable(module, owned, *given)

    def run(name: str, start: Starter) -> Trace:
        loaded = len(sys.modules)
        traced = _run(module, owned, *given, name, start, fast, dataflow, watch)
        if dataflow and len(sys.modules) > loaded:
            # an import leaves the frames around it, and whatever tensors they hold, to the garbage collector
            traced = _run(module, owned, *given, name, start, fast, dataflow, watch)
        return traced

    return climb(module, SAVING if saving else LADDER, engine, run)


def climb(
    module: nn.Module,
    ladder: Iterable[tuple[str, StarterT]],
    engine: str,
    run: Callable[[str, StarterT], ResultT],
) -> ResultT:
    """What the first attempt gives that meets nothing it does not know.

    Raises:
        TraceError: each of them did.
    """
    reasons: dict[str, str] = {}
    for name, start in ladder:
        if engine in ("auto", name):
            try:
                return run(name, start)
            except Unknown as unknown:
                reasons[name] = str(unknown)
    raise TraceError(
        f"{type(module).__name__} cannot be traced without its values",
        [
            *reasons.items(),
            ("fix", "give the module with real weights (not on the meta device) and real input tensors"),
        ],
    )


def _run(
    module: nn.Module,
    owned: Inventory,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    engine: str,
    start: Starter,
    fast: bool,
    dataflow: bool,
    watch: Watch | None,
) -> Trace:
    path = ModulePath(module, owned)

    def forward(begun: Start) -> tuple[Any, Any, Follower | None]:
        follower = begun.mode.follower = Follower(module, begun.mode.ops) if dataflow else None
        with torch.inference_mode(begun.inference), begun.below:
            given = map_tensors(begun.make, (args, kwargs))
            if follower is not None:
                follower.inputs(given)
            if begun.training:
                module.train()
            with begun.mode, watch(path, given) if watch else nullcontext():
                result = module(*given[0], **given[1])
        return specs_of(*given), result, follower

    (inputs, result, follower), mode, settled = attempt(module, path, engine, start, fast, forward)
    followed = follower.dataflow() if follower is not None else None
    del result  # held on to until now, as a caller would
    return Trace(tuple(mode.ops), tuple(path.calls), inputs, engine, settled, followed)


def attempt(
    module: nn.Module,
    path: ModulePath,
    engine: str,
    start: Starter,
    fast: bool,
    body: Callable[[Start], ResultT],
) -> tuple[ResultT, RecordingMode, dict[str, int]]:
    """Run `body` on one engine: its result, the mode that wrote down, and the elements of lazy parameters by name.

    Module and process are as before afterwards. What the module raises becomes an error that names the layer, or
    Unknown where another engine may serve.
    """
    collection = uncollected() if engine == "meta" else collected()
    kept = preserved(module, buffers=engine == "real", owned=path.owned)
    settled: dict[str, int] = {}
    with TURN, _set_aside(), _uncompiled(), collection, kept as lazy, path:
        begun = start(module, path, calls(torch.get_default_dtype()) if fast else None)
        try:
            result = body(begun)
            if lazy:
                settled = {name: p.numel() for name, p in module.named_parameters() if id(p) in lazy and not is_lazy(p)}
        except (FlopcountError, Unknown):
            raise
        except Uncountable as error:
            raise _uncountable(module, error, path.failure[0] if path.failure else "") from None
        except KeyboardInterrupt:  # the caller's own
            raise
        except BaseException as error:  # whatever a user's module raises, SystemExit included, told with its place
            if _next_may_serve(error, engine, begun.inference):
                raise Unknown(f"{type(error).__name__}: {_first_line(error)}") from error
            raise _forward_error(module, path, error) from error
        finally:
            begun.mode.restore()
    return result, begun.mode, settled


def _set_aside() -> Any:
    """Without the modes of a count that this one is nested in; a caller's own modes stay."""
    modes = _get_current_dispatch_mode_stack()
    return _disable_current_modes() if any(isinstance(mode, RecordingMode) for mode in modes) else nullcontext()


def _uncompiled() -> Any:
    """Compiled modules run as they were written; Dynamo would trace through this very trace."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


def _refuse_uncountable(module: nn.Module, owned: Inventory, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Sparse, nested and quantized tensors that are there before anything runs."""
    given: list[Any] = []
    map_tensors(given.append, (args, kwargs))
    try:
        for position, tensor in enumerate(given):
            if isinstance(tensor, torch.Tensor):
                refuse_tensor(tensor, f"input {position}")
        for tensor in (*owned.parameters, *owned.buffers):
            if id(tensor) not in owned.lazy and not is_countable(tensor):
                refuse_tensor(tensor, owned.name_of(tensor))
    except Uncountable as error:
        raise _uncountable(module, error, "") from None


def _uncountable(module: nn.Module, error: Uncountable, where: str) -> InputError:
    place = where or f"the model itself ({type(module).__name__})"
    return InputError(f"{error.what}, which cannot be counted", [("in", place), ("fix", error.fix)])


def _next_may_serve(error: BaseException, engine: str, inference: bool) -> bool:
    """Whether the engine is to blame, not the module."""
    text = _text(error)
    without_data = (engine == "meta" and _ASKS_FOR_DATA.search(text)) or _HAS_NO_DATA in text
    return engine == "fake" or bool(without_data) or (inference and bool(_ASKS_FOR_GRADIENTS.search(text)))


def _text(error: BaseException) -> str:
    """An exception's own words; what cannot even say those has none."""
    try:
        return str(error).strip()
    except Exception:
        return ""


def _first_line(error: BaseException) -> str:
    return next(iter(_text(error).splitlines()), "no message")


def _forward_error(module: nn.Module, path: ModulePath, error: BaseException) -> ForwardError:
    where, layer, args = path.failure or ("", module, ())
    seen = ", ".join(map(str, specs_of(args)))
    message = _first_line(error)
    details = [("in", f"{where or 'the model itself'} ({type(layer).__name__})")]
    if seen:
        details.append(("given", seen))
    several = "a norm in training needs several values per channel: give a larger batch (or clip), or .eval() the norm"
    single = "more than 1 value per channel" in message
    details.append(("fix", several if single else "check the input's shape against what this layer needs"))
    return ForwardError(f"{type(module).__name__} raised {type(error).__name__}: {message}", details)
