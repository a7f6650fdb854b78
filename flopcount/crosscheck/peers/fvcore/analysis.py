"""fvcore's FlopCountAnalysis, run for real, and why its count differs: MACs, which it calls flops.

What enters is a real module with real tensors; what leaves is fvcore's count of each module, and the causes: its
formula for each of our operators, and whether its trace has it at all. That trace lacks what no output uses and what an
autograd.Function computes inside: an operator without its call there is missing. fvcore's logger is left as it was.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ....core.reason import Reason
from ....tracing.guard.preserve import preserved
from ....tracing.results import drain
from ....tracing.torch_private import pytree
from ...peer import Answer, Cause, Peer, PeerCount, RealOperator, Subject, quiet
from ..torch import run_torch
from .formulas import ExpectedNodes, TracedCall, expected_nodes, refusal

__all__ = ["PEER"]

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
    """Everything a module returns, in containers and in fields: fvcore drops what is not returned to it."""
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


def _run(subject: Subject) -> FvcoreRun:
    """What fvcore says of one forward pass under no_grad."""
    with quiet():  # importing it warns too
        from fvcore.nn import FlopCountAnalysis
        from fvcore.nn.flop_count import _DEFAULT_SUPPORTED_OPS as HANDLES  # no attribute has the handles

    module = subject.module
    positional = _Positional(module, subject.args, subject.kwargs)
    analysis = FlopCountAnalysis(positional, positional.tensors).tracer_warnings("none")
    calls: list[FvcoreCall] = []
    analysis.set_op_handle(**{kind: _recording(kind, handle, calls) for kind, handle in HANDLES.items()})
    try:
        with preserved(module, real=True), quiet(), _unlogged(), torch.no_grad():
            by_module = analysis.by_module_and_operator()
            unsupported = {path: analysis.unsupported_ops(path) for path, _ in positional.named_modules()}
    except Exception as error:  # fvcore's handles assert, and its tracer raises whatever the module does
        return FvcoreRun(PEER.failed(error))
    macs = {path: int(sum(ops.values())) for path, ops in _own(module, by_module).items()}
    functions = {
        path: tuple(kind.removeprefix(_FUNCTION) for kind in ops if kind.startswith(_FUNCTION))
        for path, ops in _own(module, unsupported).items()
    }
    return FvcoreRun(PEER.count(macs, sum(macs.values()), "flops (which are MACs)"), tuple(calls), functions)


def _recording(kind: str, handle: Callable[..., Any], calls: list[FvcoreCall]) -> Callable[..., Any]:
    """A handle of fvcore that records its calls; where it would raise it counts 0, so that the rest counts."""

    def recording_handle(inputs: list[Any], outputs: list[Any]) -> Any:
        shapes = [tuple(i.type().sizes()) if i.isCompleteTensor() else None for i in inputs]
        flops = Counter() if refusal(kind, shapes) else handle(inputs, outputs)
        amount = int(sum(flops.values()) if isinstance(flops, Counter) else flops)
        scope = outputs[0].node().scopeName().split("/")[-1]
        calls.append(FvcoreCall(kind, scope.removeprefix(_WRAPPED).removeprefix("."), amount))
        return flops

    return recording_handle


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


def _causes(operators: Iterable[RealOperator], run: FvcoreRun) -> Iterator[Cause]:
    """One cause per operator that fvcore counts differently."""
    by_path: dict[str, list[tuple[TracedCall, ExpectedNodes]]] = {}
    for call in _as_traced(operators):
        by_path.setdefault(call.parts[0].op.module, []).append((call, expected_nodes(call)))
    nodes: dict[tuple[str, str], list[int]] = {}
    for handled in run.calls:
        nodes.setdefault((handled.path, handled.kind), []).append(handled.amount)
    for path, calls in by_path.items():
        expectations = [expected for _, expected in calls]
        present = _present(expectations, {e.kind: nodes.get((path, e.kind), []) for e in expectations})
        for (call, expected), amounts in zip(calls, present, strict=True):
            missing = len(amounts) < len(expected.amounts)
            why = _absence(path, run) if missing else expected.why
            amount = sum(amounts) - expected.ours
            if why and (amount or expected.raises):
                yield Cause(PEER.name, path, call.op, why, amount)


def _as_traced(operators: Iterable[RealOperator]) -> Iterator[TracedCall]:
    """Composite calls are whole in fvcore's trace: their parts, side by side here, are one operator there."""
    groups: list[list[RealOperator]] = []
    for operator in operators:
        whole = operator.part_of
        if whole is not None and groups and groups[-1][0].part_of is whole:
            groups[-1].append(operator)
        else:
            groups.append([operator])
    for group in groups:
        signature = group[0].part_of or group[0].costed.op.signature
        yield TracedCall(signature, tuple(operator.costed for operator in group))


def _present(expectations: Sequence[ExpectedNodes], nodes: dict[str, list[int]]) -> list[list[int]]:
    """Of each call the amounts whose node is in fvcore's trace of this module (`nodes`: kind -> amounts).

    Both are in order of execution. As many nodes as expected: all are there. Fewer: each node matches the next
    expected amount that equals it, and the amounts passed over are missing.
    """
    wanted = Counter(expected.kind for expected in expectations for _ in expected.amounts)
    complete = {kind: len(amounts) >= wanted[kind] for kind, amounts in nodes.items()}
    left = {kind: deque(amounts) for kind, amounts in nodes.items()}
    present = []
    for expected in expectations:
        amounts = []
        for amount in expected.amounts:
            following = left[expected.kind]
            if complete[expected.kind]:
                amounts.append(amount)
            elif following and following[0] == amount:
                amounts.append(following.popleft())
        present.append(amounts)
    return present


def _absence(path: str, run: FvcoreRun) -> Reason:
    functions = run.functions.get(path, ())
    if functions:
        return Reason("does not see into the autograd.Function {}", (", ".join(functions),))
    return Reason("has no node for it in its trace, which drops what no output uses")


def _answer(subject: Subject) -> Answer:
    _, operators = subject.once(run_torch)  # which say what fvcore ought to see
    run = _run(subject)
    return Answer(run.count, tuple(_causes(operators, run)) if run.count.failure is None else ())


PEER = Peer("fvcore", _answer)
