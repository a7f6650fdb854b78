"""One training step -> every operation of forward, loss, backward and optimizer, each with its phase.

What enters is a module and its arguments, as for `trace`; what leaves is a TrainingTrace of the same engines. Autograd
runs its own backward, on stand-ins for the module's parameters. Composite operators arrive in parts here, also
attention and recurrent layers (what a fused kernel recomputes is not the network's work). So the reported forward is
that of `trace`; the forward here only serves to compare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.parameter import is_lazy

from ..core.errors import FlopcountError
from ..core.ops import Op, Phase, TensorSpec
from .attempts import attempt
from .attribution import ModulePath
from .climbing import climb
from .differentiable import plain_kernels
from .engines import LADDER, Rung, Start
from .holders import substituted, tensors_within
from .inputs import specs_of, tensor_spec
from .meta import MetaMode
from .origin import failure_of, first_line
from .phases import LOSS, PhaseNote, PhaseRecorder, TrainingPath
from .results import drain
from .stand_ins import stand_in
from .uncountable import Unknown

__all__ = ["LOSS", "TrainingTrace", "trace_optimizer", "trace_training"]


@dataclass(frozen=True, slots=True)
class TrainingTrace:
    """Every operation of one step up to the gradients, in order, with a note for each.

    `losses` says what is differentiated, and `trained` are the parameters that get a gradient.
    """

    ops: tuple[Op, ...]
    notes: tuple[PhaseNote, ...]
    losses: tuple[str, ...]
    trained: tuple[TensorSpec, ...]
    engine: str


_HIDING = replace(LADDER[0], hides_floats=True)
_LADDER = (_HIDING, *(rung for rung in LADDER if not rung.gradients))
"""The engines of a forward pass, all with gradients; the first one hides numbers, which few modules read."""


def trace_training(
    module: nn.Module,
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    *,
    batch: int | None = 1,
    streams: Sequence[str] = (),
    engine: str = "auto",
) -> TrainingTrace:
    """Forward, loss and backward of one step, in the module's own train or eval mode; the module does not change.

    Arguments:
        module: any nn.Module; parameters without `requires_grad` are frozen.
        args: positional arguments, tensors or TensorSpecs in nested containers. One gets a gradient only if
            it requires it.
        kwargs: keyword arguments, likewise.
        batch: samples in the input; None where that is unknown.
        streams: submodules with a loss of their own, each differentiated alone.
        engine: as for `trace`.

    Raises:
        ForwardError, TraceError: as for `trace`.
    """

    def run(rung: Rung) -> TrainingTrace:
        path = TrainingPath(module)

        def step(begun: Start) -> TrainingTrace:
            return _step(_Step(module, path, begun, rung.name, rung.hides_floats), args, kwargs or {}, batch, streams)

        return attempt(module, path, rung, step)[0]

    return climb(module, (args, kwargs or {}), _LADDER, engine, run)


class _Step(NamedTuple):
    module: nn.Module
    path: TrainingPath
    begun: Start
    engine: str
    hides_floats: bool


def _step(
    step: _Step, args: tuple[Any, ...], kwargs: dict[str, Any], batch: int | None, streams: Sequence[str]
) -> TrainingTrace:
    module, begun = step.module, step.begun
    begun.mode.inference = False
    with torch.inference_mode(False), torch.enable_grad(), begun.below, plain_kernels():
        recorder = PhaseRecorder(begun.mode, step.path, hides_floats=step.hides_floats)
        given, keywords = substituted(begun.make, (args, kwargs))
        tensors = tensors_within(given, keywords)
        begun.mode.given(tensors)
        recorder.inputs(tensors)
        stand_in(module, step.engine, begun.make, recorder.parameter)
        step.path.mark()
        with _outputs_of(module, streams) as apart, begun.mode, recorder:
            output = module(*given, **keywords)
            output = output, drain(output, type(module).__name__, lambda: len(begun.mode.ops))
            begun.mode.returned(output)
            recorder.rest()
            recorder.enter(Phase.LOSS, LOSS)
            losses = [_loss(scores, batch) for scores in apart] if streams else [_loss(output, batch)]
            _differentiate(step, recorder, [loss for loss, _ in losses])
    trained = [p for p in module.parameters() if not is_lazy(p) and p.grad is not None]
    said = [f"{stream}: {what}" for stream, (_, what) in zip(streams, losses, strict=True)] if streams else []
    return TrainingTrace(
        recorder.ops, tuple(recorder.notes), tuple(said or [losses[0][1]]), specs_of(trained), step.engine
    )


@contextmanager
def _outputs_of(module: nn.Module, streams: Sequence[str]) -> Iterator[list[list[Any]]]:
    """The outputs of each stream, call by call."""
    outputs: list[list[Any]] = [[] for _ in streams]
    hooks = [
        module.get_submodule(stream).register_forward_hook(lambda _, __, out, calls=calls: calls.append(out))
        for stream, calls in zip(streams, outputs, strict=True)
    ]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def _loss(output: Any, batch: int | None) -> tuple[torch.Tensor | None, str]:
    """Cross entropy on outputs in the shape of class scores, else the sum of all outputs."""
    floats = [tensor for tensor in _tensors(output) if tensor.is_floating_point() or tensor.is_complex()]
    scores = [tensor for tensor in floats if tensor.ndim == 2 and tensor.shape[0] == batch]
    if scores:
        first = scores[0].shape
        alike = [tensor for tensor in scores if tensor.shape == first]  # auxiliary heads have the same classes
        target = torch.zeros(first[0], dtype=torch.int64, device=scores[0].device)
        several = f", of {len(alike)} heads" if len(alike) > 1 else ""
        return _total([F.cross_entropy(t, target) for t in alike]), f"cross entropy on scores {tuple(first)}{several}"
    if not floats:
        return None, "none: the module returns no floating-point tensor"
    sums = [(tensor.abs() if tensor.is_complex() else tensor).sum() for tensor in floats]
    why = "none of which has the shape (batch, classes)" if batch is not None else "since the batch is unknown"
    return _total(sums), f"sum of the outputs, {why}"


def _total(terms: list[torch.Tensor]) -> torch.Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _tensors(value: Any, depth: int = 8) -> Iterator[torch.Tensor]:
    """Every tensor in nested containers and in the attributes of other objects."""
    if isinstance(value, torch.Tensor):
        yield value
    elif depth and not isinstance(value, nn.Module):
        held = value if isinstance(value, (tuple, list, Mapping)) else getattr(value, "__dict__", {})
        for item in held.values() if isinstance(held, Mapping) else held:
            yield from _tensors(item, depth - 1)


def _differentiate(step: _Step, recorder: PhaseRecorder, losses: Sequence[torch.Tensor | None]) -> None:
    """Run the backward of each loss; a loss that depends on no trainable parameter has none."""
    wanted = [loss for loss in losses if loss is not None and loss.requires_grad]
    recorder.enter(Phase.BACKWARD_INPUT)
    try:
        for loss in wanted:
            loss.backward()
    except (FlopcountError, Unknown):
        raise
    except Exception as error:
        if step.engine == "real" or failure_of(error, "", step.module, ()).by_caller:
            raise
        raise Unknown(f"backward: {type(error).__name__}: {first_line(error)}") from error


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
