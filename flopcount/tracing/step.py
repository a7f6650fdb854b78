"""One training step with its data: which memory lives during each operation of forward, loss and backward.

What enters is a module and its arguments, as for `trace`; what leaves is a Trace whose dataflow covers the whole step,
and says where the forward pass ends. Autograd runs its own backward on tensors without data, so that saved tensors,
recomputed activations and gradients are born and freed in the order of a real step. Parameters have a gradient before
it, as in any step but the first.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from ..core.ops import Trace
from .attempts import attempt
from .climbing import climb
from .dataflow import DataflowRecorder
from .differentiable import Differentiable
from .differentiation import Differentiation
from .engines import LADDER, Rung, Start
from .inputs import specs_of
from .losses import Asked
from .phases import PhaseRecorder, TrainingPath
from .results import drain

__all__ = ["trace_step"]

_LADDER = (replace(LADDER[0], hides_floats=True), *(rung for rung in LADDER if not (rung.gradients or rung.real)))
"""The engines of a step, without data; the first one hides numbers, which few modules read."""


def trace_step(
    module: nn.Module,
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    *,
    streams: Sequence[str] = (),
    loss: Asked = None,
) -> Trace:
    """Follow the data of one step in training mode; the module does not change. Arguments as for `trace_training`.

    Raises:
        ForwardError, TraceError: as for `trace`.
        InputError: as `loss_of`.
    """
    arguments = args, kwargs or {}

    def run(rung: Rung) -> Trace:
        path = TrainingPath(module)

        def step(begun: Start) -> tuple[PhaseRecorder, DataflowRecorder, int, Any, str]:
            begun.mode.inference = False
            with torch.inference_mode(False), Differentiable(begun.below):
                recorder = PhaseRecorder(begun.mode, path, hides_floats=rung.hides_floats)
                differentiation = Differentiation(module, begun, rung.name, recorder, loss, streams)
                inputs, tensors = differentiation.inputs(arguments)
                follower = begun.mode.follower = DataflowRecorder(module, begun.mode.ops)
                follower.inputs(tensors)
                _have_gradients(module, follower)
                module.train()
                path.mark()
                with differentiation.prepared(follower.beside) as apart, begun.mode, recorder:
                    losses, words, forward = _forward(differentiation, inputs, apart)
                    differentiation.backward(losses)
            return recorder, follower, forward, specs_of(tensors), words

        loaded = len(sys.modules)
        (recorder, follower, forward, inputs, words), mode, ending = attempt(module, path, rung, step)
        if len(sys.modules) > loaded:
            return run(rung)  # as `trace`: the frames around an import hold tensors
        data = replace(follower.dataflow(), forward=forward)
        return Trace(recorder.ops, (), inputs, rung.name, ending.settled, data, mode.assumed, loss=words)

    return climb(module, arguments, _LADDER, "auto", run)


def _have_gradients(module: nn.Module, follower: DataflowRecorder) -> None:
    """Give each parameter a gradient, which a backward pass adds to."""
    for parameter in module.parameters():
        if parameter.requires_grad and not nn.parameter.is_lazy(parameter):
            parameter.grad = torch.empty_like(parameter)
            follower.gradient(parameter.grad)


def _forward(
    differentiation: Differentiation, inputs: Any, apart: list[list[Any]]
) -> tuple[list[torch.Tensor | None], str, int]:
    """The losses, what they are, and the number of operations before them; the outputs themselves are let go."""
    module, recorder, mode = differentiation.module, differentiation.recorder, differentiation.begun.mode
    result = module(*inputs[0], **inputs[1])
    drained = drain(result, type(module).__name__, lambda: len(mode.ops))
    mode.returned((result, drained))
    recorder.rest()
    forward = len(mode.ops)
    losses = differentiation.losses(result, drained, apart)
    return [loss.value for loss in losses], "; ".join(loss.words for loss in losses), forward
