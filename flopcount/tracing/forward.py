"""One forward pass -> every ATen-level operation with its module path and shapes.

What enters is a module and its arguments (tensors or TensorSpecs); what leaves is a Trace. The engines of the ladder
are meta tensors (shapes alone), then fake tensors (devices and literals too), then real ones, where the operators run.
All of them record the same composite operators, so the count does not depend on the engine.

Counts take turns: a trace changes state of the whole process (random states, torch's fast paths, a module's
attributes), so other threads wait until it is restored. A count inside a forward pass that is itself being counted is
separate: neither sees the other's operations.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias

import torch
from torch import nn

from ..core.errors import InputError
from ..core.memo import anew
from ..core.ops import Trace
from .attempts import attempt, refuse_uncountable
from .attribution import ModulePath
from .autocast import explicit_casts
from .callables import as_module
from .climbing import climb
from .dataflow import DataflowRecorder
from .differentiable import FloatsHidden
from .engines import ENGINES, LADDER, Rung, Start
from .holders import substituted, tensors_within
from .inputs import specs_of
from .invented import ELSEWHERE
from .results import drain
from .stand_ins import leaves_by, stand_in
from .uncountable import Unknown
from .walk import Inventory

__all__ = ["Watch", "trace"]

Watch: TypeAlias = Callable[[ModulePath, Any], AbstractContextManager[Any]]


def trace(
    module: Callable[..., Any],
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    *,
    engine: str = "auto",
    fast: bool = True,
    dataflow: bool = False,
    owned: Inventory | None = None,
    watch: Watch | None = None,
) -> Trace:
    """Run `module` once without arithmetic and record its operations.

    Arguments:
        module: any nn.Module or other callable; it is the same afterwards, also after an exception.
        args: positional arguments, tensors or TensorSpecs in nested containers.
        kwargs: keyword arguments, likewise.
        engine: "auto" climbs from meta to fake to real; or the name of one of them.
        fast: on the meta engine, use the memo and flopcount's own shape functions; without it, torch's own kernels
            run every single call, with the same results.
        dataflow: also record which data every op reads and writes, and how long memory lives.
        owned: the modules, parameters and buffers of the module, if the caller has them.
        watch: makes a mode above the recording mode, from the module path and the inputs.

    Raises:
        ForwardError: the module raised; the message names the layer and its input.
        TraceError: no engine could run the module (for example a module on meta that needs values).
    """
    module = as_module(module)
    if engine != "auto" and engine not in ENGINES:
        raise InputError(f"no engine named {engine!r}", [("fix", f"choose auto, {', '.join(ENGINES)}")])
    owned = owned or Inventory.of(module)
    arguments = args, kwargs or {}
    refuse_uncountable(module, owned, *arguments)

    def run(rung: Rung) -> Trace:
        loaded = len(sys.modules)
        traced = _run(module, owned, *arguments, rung, dataflow, watch)
        if len(sys.modules) > loaded and (dataflow or ELSEWHERE in traced.assumed):
            # only the garbage collector frees the frames around an import, with all tensors in them; and an import may
            # draw random numbers
            traced = _run(module, owned, *arguments, rung, dataflow, watch)
        return traced

    with anew(not fast):
        return climb(module, arguments, LADDER, engine, run)


def _run(
    module: nn.Module,
    owned: Inventory,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    rung: Rung,
    dataflow: bool,
    watch: Watch | None,
) -> Trace:
    path = ModulePath(module, owned)

    def forward(begun: Start) -> tuple[Any, Any, DataflowRecorder | None]:
        follower = begun.mode.follower = DataflowRecorder(module, begun.mode.ops) if dataflow else None
        begun.mode.inference = begun.inference
        with torch.inference_mode(begun.inference), begun.below:
            then = begun.mode.keeper.then
            make = begun.make if begun.inference else leaves_by(begun.make, then)
            inputs = substituted(make, (args, kwargs))
            tensors = tensors_within(inputs)
            begun.mode.given(tensors)
            begun.mode.invented.inputs(args, kwargs, tensors)
            casts: AbstractContextManager[Any] = nullcontext()
            if follower is not None:
                follower.inputs(tensors)
                if begun.inference:  # otherwise torch itself keeps the casts of weights
                    follower.keeps_casts, casts = True, explicit_casts()
            if rung.gradients and not rung.real:
                if begun.mode.has_optimizer:
                    raise Unknown("the module's optimizer only knows the module's own parameters")
                stand_in(module, rung.name, begun.make, then)
            hidden = FloatsHidden() if rung.hides_floats else nullcontext()
            with begun.mode, hidden, casts, watch(path, tensors) if watch else nullcontext():
                result = module(*inputs[0], **inputs[1])
                result = result, drain(result, type(module).__name__, lambda: len(begun.mode.ops))
            begun.mode.returned(result)
        return specs_of(tensors), result, follower

    (inputs, result, follower), mode, ending = attempt(module, path, rung, forward)
    followed = follower.dataflow() if follower is not None else None
    del result  # alive until now, as for a caller
    return Trace(
        tuple(mode.ops),
        tuple(path.calls),
        inputs,
        rung.name,
        ending.settled,
        followed,
        mode.assumed,
        mode.invented.leave_it_to_chance,
        ending.made,
        ending.used,
    )
