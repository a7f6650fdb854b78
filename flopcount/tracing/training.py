"""One training step -> every operation of forward, loss, backward and optimizer, each with its phase.

What enters is a module and its arguments, as for `trace`; what leaves is a TrainingTrace of the same engines. Autograd
is on, so that its own backward runs, on parameters that stand in for the module's. Composite operators arrive in parts
here, attention and recurrent layers as well (what a fused kernel recomputes is the kernel's, not the network's), so the
forward to report is that of `trace`; this one is kept to compare with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parameter import is_lazy

from ..errors import FlopcountError
from ..ops import Op, Phase, TensorSpec
from . import attempt, climb
from .attribution import ModulePath
from .engines import LADDER, Start, Starter
from .inputs import map_tensors, specs_of, tensor_spec
from .journal import LOSS, Journal, Note, TrainingPath
from .kernels import meta_like
from .meta import MetaMode
from .mode import Unknown
from .walk import named_modules

__all__ = ["LOSS", "TrainingTrace", "trace_optimizer", "trace_training"]


@dataclass(frozen=True, slots=True)
class TrainingTrace:
    """Every operation of one step up to the gradients, in order, with a note for each.

    `losses` says what was differentiated, `trained` are the parameters that got a gradient.
    """

    ops: tuple[Op, ...]
    notes: tuple[Note, ...]
    losses: tuple[str, ...]
    trained: tuple[TensorSpec, ...]
    engine: str


class _Attempt(NamedTuple):
    start: Starter
    hides_floats: bool


def _ladder() -> Iterator[tuple[str, _Attempt]]:
    """As for a forward pass; first without the values of floating-point numbers, which few modules look at."""
    yield "meta", _Attempt(LADDER[0][1], True)
    for name, start in LADDER:
        yield name, _Attempt(start, False)


def trace_training(
    module: nn.Module,
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    *,
    batch: int = 1,
    streams: Sequence[str] = (),
    engine: str = "auto",
    fast: bool = True,
) -> TrainingTrace:
    """Forward, loss and backward of one step, in the module's own train or eval mode; it is the same afterwards.

    Arguments:
        module: any nn.Module; parameters without `requires_grad` are frozen.
        args: positional arguments, tensors or TensorSpecs in nested containers. They get no gradient.
        kwargs: keyword arguments alike.
        batch: samples in the input.
        streams: submodules with a loss of their own, each differentiated alone.
        engine: as `trace`.
        fast: as `trace`.

    Raises:
        ForwardError, TraceError: as `trace`.
    """

    def run(name: str, chosen: _Attempt) -> TrainingTrace:
        path = TrainingPath(module)

        def step(begun: Start) -> TrainingTrace:
            return _step(_Step(module, path, begun, name, chosen.hides_floats), args, kwargs or {}, batch, streams)

        return attempt(module, path, name, chosen.start, fast, step)[0]

    return climb(module, _ladder(), engine, run)


class _Step(NamedTuple):
    module: nn.Module
    path: TrainingPath
    begun: Start
    engine: str
    hides_floats: bool


def _step(
    step: _Step, args: tuple[Any, ...], kwargs: dict[str, Any], batch: int, streams: Sequence[str]
) -> TrainingTrace:
    module, begun = step.module, step.begun
    with torch.inference_mode(False), torch.enable_grad(), begun.below, _plain_kernels():
        journal = Journal(begun.mode, step.path, hides_floats=step.hides_floats)
        given, keywords = map_tensors(begun.make, (args, kwargs))
        journal.inputs((given, keywords))
        _stand_in(step, journal)
        step.path.mark()
        with _outputs_of(module, streams) as apart, begun.mode, journal:
            output = module(*given, **keywords)
            journal.enter(Phase.LOSS, LOSS)
            losses = [_loss(scores, batch) for scores in apart] if streams else [_loss((output,), batch)]
            _differentiate(step, journal, [loss for loss, _ in losses])
    trained = [p for p in module.parameters() if not is_lazy(p) and p.grad is not None]
    said = [f"{stream}: {what}" for stream, (_, what) in zip(streams, losses, strict=True)] if streams else []
    return TrainingTrace(
        journal.ops, tuple(journal.notes), tuple(said or [losses[0][1]]), specs_of(trained), step.engine
    )


@contextmanager
def _plain_kernels() -> Iterator[None]:
    """Attention as its two products, recurrent layers step by step: what is differentiated is the same everywhere."""
    libraries: tuple[Any, ...] = (torch.backends.mkldnn, torch.backends.cudnn)
    before = [library.set_flags(_enabled=False)[0] for library in libraries]
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        for library, enabled in zip(libraries, before, strict=True):
            library.set_flags(_enabled=enabled)


def _stand_in(step: _Step, journal: Journal) -> None:
    """Leaves of the engine's own in place of the module's parameters, until `preserved` puts these back.

    Gradients and hooks of the parameters are out of reach, and shared ones stay shared. Buffers and other tensors of
    the module are replaced by aliases, since autograd makes part of its graph what is written to.
    """
    to_leaf: dict[str, Callable[[Any], Any]] = {"meta": meta_like, "real": torch.Tensor.detach}
    stand_ins: dict[int, torch.Tensor] = {}
    for path, part in named_modules(step.module):
        for parameter in part.parameters(recurse=False):
            if is_lazy(parameter) or id(parameter) in stand_ins:
                continue
            if isinstance(part, torch.jit.ScriptModule):  # holds its own; what they have is put back
                stand_ins[id(parameter)], parameter.grad = parameter, None
            else:
                tensor = to_leaf.get(step.engine, step.begun.make)(parameter)
                stand_ins[id(parameter)] = nn.Parameter(tensor, parameter.requires_grad)
            journal.parameter(stand_ins[id(parameter)], path)
    for _, part in named_modules(step.module):
        if not isinstance(part, torch.jit.ScriptModule):
            _replace(part, stand_ins)


def _replace(part: nn.Module, stand_ins: dict[int, torch.Tensor]) -> None:
    owners: tuple[dict[str, Any], ...] = (part._parameters, part._buffers, part.__dict__)
    for owned in owners:
        for name, tensor in owned.items():
            if isinstance(tensor, torch.Tensor) and not is_lazy(tensor):
                if id(tensor) not in stand_ins:
                    stand_ins[id(tensor)] = tensor.detach()
                owned[name] = stand_ins[id(tensor)]


@contextmanager
def _outputs_of(module: nn.Module, streams: Sequence[str]) -> Iterator[list[list[Any]]]:
    """What each stream returned, call by call."""
    outputs: list[list[Any]] = [[] for _ in streams]
    hooks = [
        module.get_submodule(stream).register_forward_hook(lambda _, __, out, found=found: found.append(out))
        for stream, found in zip(streams, outputs, strict=True)
    ]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def _loss(output: Any, batch: int) -> tuple[torch.Tensor | None, str]:
    """Cross entropy on what looks like class scores, else the sum of all that is returned."""
    found = [tensor for tensor in _tensors(output) if tensor.is_floating_point() or tensor.is_complex()]
    scores = [tensor for tensor in found if tensor.ndim == 2 and tensor.shape[0] == batch]
    if scores:
        first = scores[0].shape
        alike = [tensor for tensor in scores if tensor.shape == first]  # auxiliary heads have the same classes
        target = torch.zeros(first[0], dtype=torch.int64, device=scores[0].device)
        several = f", of {len(alike)} heads" if len(alike) > 1 else ""
        return _total([F.cross_entropy(t, target) for t in alike]), f"cross entropy on scores {tuple(first)}{several}"
    if not found:
        return None, "none: nothing it returns is a floating-point number"
    sums = [(tensor.abs() if tensor.is_complex() else tensor).sum() for tensor in found]
    return _total(sums), "sum of the outputs, none of which has the form (batch, classes)"


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


def _differentiate(step: _Step, journal: Journal, losses: Sequence[torch.Tensor | None]) -> None:
    """The backward of each loss; one that no trainable parameter reaches has none."""
    wanted = [loss for loss in losses if loss is not None and loss.requires_grad]
    journal.enter(Phase.BACKWARD_INPUT)
    try:
        for loss in wanted:
            loss.backward()
    except (FlopcountError, Unknown):
        raise
    except Exception as error:
        if step.engine == "real":
            raise
        raise Unknown(
            f"backward: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        ) from error


def trace_optimizer(
    build: Callable[[list[nn.Parameter]], torch.optim.Optimizer], specs: Sequence[TensorSpec]
) -> tuple[Op, ...]:
    """What one step of an optimizer does to parameters of these shapes, once its state is there."""
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
            optimizer.step()  # the first makes its state
            mode.ops.clear()
            optimizer.step()
    return tuple(mode.ops)


def _meta(spec: TensorSpec) -> torch.Tensor:
    return torch.empty(tensor_spec(spec).shape, dtype=getattr(torch, spec.dtype), device="meta")
