"""One training step with its data: which memory lives during each operation of forward, loss and backward.

What enters is a module and its arguments, as for `trace`; what leaves is a Trace whose dataflow covers the whole step,
and says where the forward pass ends. Autograd runs its own backward on tensors without data, so that saved tensors,
recomputed activations and gradients are born and freed in the order of a real step. Parameters have a gradient before
it, as in any step but the first.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from ..core.errors import FlopcountError
from ..core.ops import Phase, Trace
from .attempts import attempt
from .climbing import climb
from .dataflow import DataflowRecorder
from .differentiable import Differentiable
from .engines import LADDER, Rung, Start
from .inputs import map_tensors, specs_of
from .origin import failure_of, first_line
from .phases import LOSS, PhaseRecorder, TrainingPath
from .results import drain, leaves_of
from .stand_ins import stand_in
from .uncountable import Unknown

__all__ = ["trace_step"]

_LADDER = (replace(LADDER[0], hides_floats=True), *LADDER[:2])
"""The engines of a step, on meta; the first one hides numbers, which few modules read."""


def trace_step(module: nn.Module, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Trace:
    """Follow the data of one step in training mode, whose loss is the sum of all outputs; the module does not change.

    Raises:
        ForwardError, TraceError: as for `trace`.
    """

    def run(rung: Rung) -> Trace:
        path = TrainingPath(module)

        def step(begun: Start) -> tuple[PhaseRecorder, DataflowRecorder, int, Any]:
            begun.mode.inference = False
            with torch.inference_mode(False), Differentiable(begun.below):
                recorder = PhaseRecorder(begun.mode, path, hides_floats=rung.hides_floats)
                inputs = map_tensors(begun.make, (args, kwargs or {}))
                begun.mode.given(inputs)
                recorder.inputs(inputs)
                stand_in(module, rung.name, begun.make, recorder.parameter)
                follower = begun.mode.follower = DataflowRecorder(module, begun.mode.ops)
                follower.inputs(inputs)
                _have_gradients(module, follower)
                module.train()
                path.mark()
                with begun.mode, recorder:
                    loss, forward = _forward(module, inputs, begun, recorder)
                    _backward(module, loss, recorder)
            return recorder, follower, forward, specs_of(*inputs)

        loaded = len(sys.modules)
        (recorder, follower, forward, inputs), mode, settled = attempt(module, path, rung, step)
        if len(sys.modules) > loaded:
            return run(rung)  # as `trace`: the frames around an import hold tensors
        data = replace(follower.dataflow(), forward=forward)
        return Trace(recorder.ops, (), inputs, rung.name, settled, data, tuple(mode.assumed))

    return climb(module, _LADDER, "auto", run)


def _have_gradients(module: nn.Module, follower: DataflowRecorder) -> None:
    """Give each parameter a gradient, which a backward pass adds to."""
    for parameter in module.parameters():
        if parameter.requires_grad and parameter.is_meta and not nn.parameter.is_lazy(parameter):
            parameter.grad = torch.empty_like(parameter)
            follower.gradient(parameter.grad)


def _forward(module: nn.Module, inputs: Any, begun: Start, recorder: PhaseRecorder) -> tuple[torch.Tensor | None, int]:
    """The sum of all outputs, and the number of operations before it; the outputs themselves are let go."""
    result = module(*inputs[0], **inputs[1])
    result = result, drain(result, type(module).__name__, lambda: len(begun.mode.ops))
    begun.mode.returned(result)
    recorder.rest()
    forward = len(begun.mode.ops)
    recorder.enter(Phase.LOSS, LOSS)
    loss = None
    for leaf in leaves_of(result):
        if isinstance(leaf, torch.Tensor) and leaf.requires_grad:
            term = (leaf.abs() if leaf.is_complex() else leaf).sum()
            loss = term if loss is None else loss + term
    return loss, forward


def _backward(module: nn.Module, loss: torch.Tensor | None, recorder: PhaseRecorder) -> None:
    recorder.enter(Phase.BACKWARD_INPUT)
    if loss is None:
        return
    try:
        loss.backward()
    except (FlopcountError, Unknown):
        raise
    except Exception as error:
        if failure_of(error, "", module, ()).by_caller:
            raise
        raise Unknown(f"backward: {type(error).__name__}: {first_line(error)}") from error
