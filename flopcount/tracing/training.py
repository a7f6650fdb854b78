"""One training step -> every operation of forward, loss, backward and optimizer, each with its phase.

What enters is a module and its arguments, as for `trace`; what leaves is a TrainingTrace of the same engines. Autograd
runs its own backward, on stand-ins for the module's parameters. Composite operators arrive in parts here, also
attention and recurrent layers (what a fused kernel recomputes is not the network's work). So the reported forward is
that of `trace`; the forward here only serves to compare.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ..core.ops import Op, TensorSpec
from .attempts import attempt
from .attribution import ModulePath
from .climbing import climb
from .differentiable import plain_kernels
from .differentiation import Differentiation
from .engines import LADDER, Rung, Start
from .inputs import specs_of, tensor_spec
from .losses import Asked
from .meta import MetaMode
from .phases import LOSS, PhaseNote, PhaseRecorder, TrainingPath
from .results import drain

__all__ = ["LOSS", "TrainingTrace", "trace_optimizer", "trace_training"]


@dataclass(frozen=True, slots=True)
class TrainingTrace:
    """Every operation of one step up to the gradients, in order, with a note for each.

    `losses` says what is differentiated, `trained` are the parameters that get a gradient, and `untrained` the names of
    those that get none although they require one. `assumed` is that of a `Trace`.
    """

    ops: tuple[Op, ...]
    notes: tuple[PhaseNote, ...]
    losses: tuple[str, ...]
    trained: tuple[TensorSpec, ...]
    untrained: tuple[str, ...]
    engine: str
    assumed: tuple[str, ...] = ()


_HIDING = replace(LADDER[0], hides_floats=True)
_LADDER = (_HIDING, *(rung for rung in LADDER if not rung.gradients))
"""The engines of a forward pass, all with gradients; the first one hides numbers, which few modules read."""


def trace_training(
    module: nn.Module,
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    *,
    streams: Sequence[str] = (),
    loss: Asked = None,
    engine: str = "auto",
) -> TrainingTrace:
    """Forward, loss and backward of one step, in the module's own train or eval mode; the module does not change.

    Arguments:
        module: any nn.Module; parameters without `requires_grad` are frozen.
        args: positional arguments, tensors or TensorSpecs in nested containers. Those that require a gradient get one.
        kwargs: keyword arguments, likewise.
        streams: submodules with a loss of their own, each differentiated alone.
        loss: as `loss_of`; without it the module's output decides.
        engine: as for `trace`.

    Raises:
        ForwardError, TraceError: as for `trace`.
        InputError: as `loss_of`.
    """

    def run(rung: Rung) -> TrainingTrace:
        path = TrainingPath(module)

        def step(begun: Start) -> TrainingTrace:
            return _step(_Step(module, path, begun, rung.name, rung.hides_floats), args, kwargs or {}, streams, loss)

        return attempt(module, path, rung, step)[0]

    return climb(module, (args, kwargs or {}), _LADDER, engine, run)


class _Step(NamedTuple):
    module: nn.Module
    path: TrainingPath
    begun: Start
    engine: str
    hides_floats: bool


def _step(
    step: _Step, args: tuple[Any, ...], kwargs: dict[str, Any], streams: Sequence[str], asked: Asked
) -> TrainingTrace:
    module, begun = step.module, step.begun
    begun.mode.inference = False
    with torch.inference_mode(False), torch.enable_grad(), begun.below, plain_kernels():
        recorder = PhaseRecorder(begun.mode, step.path, hides_floats=step.hides_floats)
        differentiation = Differentiation(module, begun, step.engine, recorder, asked, streams)
        (given, keywords), _ = differentiation.inputs((args, kwargs))
        step.path.mark()
        with differentiation.prepared() as apart, begun.mode, recorder:
            output = module(*given, **keywords)
            drained = drain(output, type(module).__name__, lambda: len(begun.mode.ops))
            begun.mode.returned((output, drained))
            recorder.rest()
            losses = differentiation.losses(output, drained, apart)
            differentiation.backward([loss.value for loss in losses])
    parameters = [(name, p) for name, p in module.named_parameters() if not is_lazy(p)]
    trained = [p for _, p in parameters if p.grad is not None]
    untrained = tuple(name for name, p in parameters if p.grad is None and p.requires_grad)
    words = [loss.words for loss in losses]
    said = [f"{stream}: {what}" for stream, what in zip(streams, words, strict=True)] if streams else words
    notes = tuple(recorder.notes)
    return TrainingTrace(
        recorder.ops, notes, tuple(said), specs_of(trained), untrained, step.engine, begun.mode.assumed
    )


def trace_optimizer(
    build: Callable[[list[nn.Parameter]], torch.optim.Optimizer], specs: Sequence[TensorSpec]
) -> tuple[Op, ...]:
    """The operations of one optimizer step on parameters of these shapes, after its state exists."""
    if not specs:
        return ()
    path = ModulePath(nn.Module())
    mode = MetaMode(path, calls={})
    with torch.inference_mode(False), torch.no_grad():
        parameters = [nn.Parameter(_meta(spec)) for spec in specs]
        for parameter, spec in zip(parameters, specs, strict=True):
            parameter.grad = _meta(spec)
        with mode:
            optimizer = build(parameters)
            optimizer.step()  # the first step creates the state
            mode.ops.clear()
            optimizer.step()
    return tuple(mode.ops)


def _meta(spec: TensorSpec) -> torch.Tensor:
    return torch.empty(tensor_spec(spec).shape, dtype=getattr(torch, spec.dtype), device="meta")
