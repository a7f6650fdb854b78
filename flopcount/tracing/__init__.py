"""One forward pass -> every ATen-level operation with its module path and shapes.

What enters is a module and its arguments (tensors or TensorSpecs); what leaves is a Trace. A ladder of engines serves:
meta tensors (shapes alone), then fake tensors (devices and literals too), then real ones, where the operators run. All
three write down the same composite operators, so the count does not depend on which one served.
"""

from __future__ import annotations

import re
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

from ..errors import FlopcountError, ForwardError, InputError, TraceError
from ..ops import Trace
from ..remembered import calls
from .attribution import ModulePath
from .building import weightless
from .engines import ENGINES, LADDER, Starter
from .inputs import map_tensors, specs_of
from .mode import Unknown
from .preserve import preserved, uncollected

__all__ = ["ENGINES", "trace", "weightless"]

_ASKS_FOR_DATA = re.compile(r"\bmeta\b", re.IGNORECASE)  # in torch's errors: the module left the dispatcher (.numpy())
_ASKS_FOR_GRADIENTS = re.compile(r"\brequires?[_ ]grad")


def trace(
    module: nn.Module,
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    *,
    engine: str = "auto",
    fast: bool = True,
) -> Trace:
    """Run `module` once without arithmetic and write down what it does.

    Arguments:
        module: any nn.Module; it is the same afterwards, also after an exception.
        args: positional arguments, tensors or TensorSpecs in nested containers.
        kwargs: keyword arguments alike.
        engine: "auto" climbs from meta to fake to real; or one of those names.
        fast: on the meta engine, look up what earlier calls worked out and work shapes out ourselves where we can;
            without, torch's own kernels answer every single call, and say the same.

    Raises:
        ForwardError: the module raised; the message names the layer and what it was given.
        TraceError: no engine could run it (a module on meta that needs values, for one).
    """
    if engine != "auto" and engine not in ENGINES:
        raise InputError(f"no engine named {engine!r}", [("fix", f"choose auto, {', '.join(ENGINES)}")])
    reasons: dict[str, str] = {}
    for name, start in LADDER:
        if engine in ("auto", name):
            try:
                return _run(module, args, kwargs or {}, name, start, fast)
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
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    engine: str,
    start: Starter,
    fast: bool,
) -> Trace:
    path = ModulePath(module)
    with uncollected() if engine == "meta" else nullcontext(), preserved(module, buffers=engine == "real"), path:
        mode, make, below, inference = start(module, path, calls(torch.get_default_dtype()) if fast else None)
        try:
            with torch.inference_mode(inference), below:
                args, kwargs = map_tensors(make, (args, kwargs))
                with mode:
                    module(*args, **kwargs)
        except (FlopcountError, Unknown):
            raise
        except Exception as error:  # whatever a user's module raises, told with its place
            if _next_may_serve(error, engine, inference):
                raise Unknown(f"{type(error).__name__}: {error}".splitlines()[0]) from error
            raise _forward_error(module, path, error) from error
        finally:
            mode.restore()
    return Trace(tuple(mode.ops), tuple(path.calls), specs_of(args, kwargs), engine)


def _next_may_serve(error: Exception, engine: str, inference: bool) -> bool:
    """Whether the engine is to blame, not the module."""
    without_data = engine == "meta" and _ASKS_FOR_DATA.search(str(error))
    return engine == "fake" or bool(without_data) or (inference and bool(_ASKS_FOR_GRADIENTS.search(str(error))))


def _forward_error(module: nn.Module, path: ModulePath, error: Exception) -> ForwardError:
    where, layer, args = path.failure or ("", module, ())
    seen = ", ".join(map(str, specs_of(args)))
    message = str(error).strip().splitlines()[0] if str(error).strip() else "no message"
    details = [("in", f"{where or 'the model itself'} ({type(layer).__name__})")]
    if seen:
        details.append(("given", seen))
    details.append(("fix", "check the input's shape against what this layer needs"))
    return ForwardError(f"{type(module).__name__} raised {type(error).__name__}: {message}", details)
