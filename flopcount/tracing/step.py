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
from .holders import substituted, tensors_within
from .inputs import specs_of
from .losses import loss_of
from .origin import failure_of, first_line
from .phases import LOSS, PhaseRecorder, TrainingPath
from .results import drain
from .stand_ins import leaves_by, stand_in
from .uncountable import Unknown

__all__ = ["trace_step"]

_LADDER = (replace(LADDER[0], hides_floats=True), *LADDER[:2])
"""The engines of a step, on meta; the first one hides numbers, which few modules read."""


def trace_step(module: nn.Module, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Trace:
    """Follow the data of one step in training mode, on the loss of `loss_of`; the module does not change.

    Raises:
        ForwardError, TraceError: as for `trace`.
    """
    arguments = args, kwargs or {}

    def run(rung: Rung) -> Trace:
        path = TrainingPath(module)

        def step(begun: Start) -> tuple[PhaseRecorder, DataflowRecorder, int, Any]:
            begun.mode.inference = False
            with torch.inference_mode(False), Differentiable(begun.below):
                recorder = PhaseRecorder(begun.mode, path, hides_floats=rung.hides_floats)
                then = begun.mode.keeper.then
                inputs = substituted(leaves_by(begun.make, then), arguments)
                tensors = tensors_within(inputs)
                begun.mode.given(tensors)
                begun.mode.invented.inputs(*arguments, tensors)
                recorder.inputs(tensors)
                stand_in(module, rung.name, begun.make, then, recorder.parameter)
                follower = begun.mode.follower = DataflowRecorder(module, begun.mode.ops)
                follower.inputs(tensors)
                _have_gradients(module, follower)
                module.train()
                path.mark()
                with begun.mode, recorder:
                    loss, forward = _forward(module, inputs, begun, recorder)
                    _backward(module, loss, recorder)
            return recorder, follower, forward, specs_of(tensors)

        loaded = len(sys.modules)
        (recorder, follower, forward, inputs), mode, ending = attempt(module, path, rung, step)
        if len(sys.modules) > loaded:
            return run(rung)  # as `trace`: the frames around an import hold tensors
        data = replace(follower.dataflow(), forward=forward)
        return Trace(recorder.ops, (), inputs, rung.name, ending.settled, data, mode.assumed)

    return climb(module, arguments, _LADDER, "auto", run)


def _have_gradients(module: nn.Module, follower: DataflowRecorder) -> None:
    """Give each parameter a gradient, which a backward pass adds to."""
    for parameter in module.parameters():
        if parameter.requires_grad and parameter.is_meta and not nn.parameter.is_lazy(parameter):
            parameter.grad = torch.empty_like(parameter)
            follower.gradient(parameter.grad)


def _forward(module: nn.Module, inputs: Any, begun: Start, recorder: PhaseRecorder) -> tuple[torch.Tensor | None, int]:
    """The loss, and the number of operations before it; the outputs themselves are let go."""
    result = module(*inputs[0], **inputs[1])
    drained = drain(result, type(module).__name__, lambda: len(begun.mode.ops))
    begun.mode.returned((result, drained))
    recorder.rest()
    forward = len(begun.mode.ops)
    recorder.enter(Phase.LOSS, LOSS)
    return loss_of(result, None, drained).value, forward


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
