"""fvcore's FlopCountAnalysis, run for real: MACs, which it calls flops.

What enters is a real module with real tensors; what leaves is fvcore's count of each module, every call of its handles,
and the autograd functions that it could not look into. Its logger is as before.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from ...tracing.guard.preserve import preserved
from ...tracing.results import drain
from ..peer import PeerCount, failure_of, quiet
from .fvcore_formulas import refusal

__all__ = ["FvcoreCall", "FvcoreRun", "run_fvcore"]

_WRAPPED = "module"
_FUNCTION = "prim::PythonOp."


@dataclass(frozen=True, slots=True)
class FvcoreCall:
    """One operator of fvcore's trace that it has a handle for, and what the handle said."""

    kind: str
    path: str
    amount: int


@dataclass(frozen=True, slots=True)
class FvcoreRun:
    """fvcore's count, the calls of its handles in order, and per module the autograd functions that hide their body."""

    count: PeerCount
    calls: tuple[FvcoreCall, ...] = ()
    functions: dict[str, tuple[str, ...]] = field(default_factory=dict)


class _Positional(nn.Module):
    """The module as fvcore wants it: positional tensors in, a tuple of tensors out."""

    def __init__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__()
        self.module = module
        self.training = module.training  # without .train(), which would reach its parts
        leaves, self.structure = pytree.tree_flatten((args, kwargs))
        self.constants = [None if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
        self.places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
        self.tensors = tuple(leaf for leaf in leaves if isinstance(leaf, torch.Tensor))

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        leaves = list(self.constants)
        for place, tensor in zip(self.places, tensors, strict=True):
            leaves[place] = tensor
        args, kwargs = pytree.tree_unflatten(leaves, self.structure)
        result = self.module(*args, **kwargs)
        return tuple(_tensors_in([result, drain(result, type(self.module).__name__)]))


def _tensors_in(result: Any) -> Iterator[torch.Tensor]:
    """Everything a module returns, in containers and in fields: what fvcore is not given back, it drops."""
    if isinstance(result, torch.Tensor):
        yield result
    elif isinstance(result, Mapping):
        for value in result.values():
            yield from _tensors_in(value)
    elif isinstance(result, (tuple, list)):
        for value in result:
            yield from _tensors_in(value)
    elif dataclasses.is_dataclass(result) and not isinstance(result, type):
        for part in dataclasses.fields(result):
            yield from _tensors_in(getattr(result, part.name))


def run_fvcore(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> FvcoreRun:
    """What fvcore says of one forward pass under no_grad."""
    from importlib.metadata import version

    with quiet():  # importing it warns too
        from fvcore.nn import FlopCountAnalysis
        from fvcore.nn.flop_count import _DEFAULT_SUPPORTED_OPS as HANDLES  # the handles are no attribute

    wrapped = _Positional(module, args, kwargs)
    analysis = FlopCountAnalysis(wrapped, wrapped.tensors).tracer_warnings("none")
    calls: list[FvcoreCall] = []
    analysis.set_op_handle(**{kind: _recorded(kind, handle, calls) for kind, handle in HANDLES.items()})
    try:
        with preserved(module, real=True), quiet(), _unlogged(), torch.no_grad():
            counted = analysis.by_module_and_operator()
            unsupported = {path: analysis.unsupported_ops(path) for path, _ in wrapped.named_modules()}
    except Exception as error:  # fvcore's handles assert, and its tracer raises whatever the module does
        return FvcoreRun(PeerCount("fvcore", version("fvcore"), failure=failure_of(error)))
    macs = {path: int(sum(ops.values())) for path, ops in _own(module, counted).items()}
    functions = {
        path: tuple(kind.removeprefix(_FUNCTION) for kind in ops if kind.startswith(_FUNCTION))
        for path, ops in _own(module, unsupported).items()
    }
    total = sum(macs.values())
    count = PeerCount("fvcore", version("fvcore"), macs, printed=total, unit="flops (which are MACs)")
    return FvcoreRun(count, tuple(calls), functions)


def _recorded(kind: str, handle: Callable[..., Any], calls: list[FvcoreCall]) -> Callable[..., Any]:
    """A handle of fvcore, written down; where it is known to raise it counts nothing, so that the rest is counted."""

    def recorded(inputs: list[Any], outputs: list[Any]) -> Any:
        shapes = [tuple(i.type().sizes()) if i.isCompleteTensor() else None for i in inputs]
        counted = Counter() if refusal(kind, shapes) else handle(inputs, outputs)
        amount = int(sum(counted.values()) if isinstance(counted, Counter) else counted)
        scope = outputs[0].node().scopeName().split("/")[-1]
        calls.append(FvcoreCall(kind, scope.removeprefix(_WRAPPED).removeprefix("."), amount))
        return counted

    return recorded


def _own(module: nn.Module, by_module: Mapping[str, Counter[str]]) -> dict[str, Counter[str]]:
    """What a module adds itself: its inclusive count, under the wrapper's name, less that of its children."""
    inclusive = {path: by_module.get(f"{_WRAPPED}.{path}" if path else _WRAPPED, Counter()) for path in _paths(module)}
    own = {path: Counter(ops) for path, ops in inclusive.items()}
    for path, ops in inclusive.items():
        parent = path.rpartition(".")[0]
        if path and parent in own:
            own[parent].subtract(ops)
    return {path: Counter({op: n for op, n in ops.items() if n}) for path, ops in own.items()}


def _paths(module: nn.Module) -> list[str]:
    return [path for path, _ in module.named_modules()]


@contextmanager
def _unlogged() -> Iterator[None]:
    """Without fvcore's log of every operator that it does not know."""
    logger = logging.getLogger("fvcore.nn.jit_analysis")
    disabled = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = disabled
