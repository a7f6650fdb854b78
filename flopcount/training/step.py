"""A forward's report and the trace of a training step -> a Training: what every phase costs, in every module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from ..costing import cost
from ..errors import InputError
from ..ops import CostedOp, Op, Phase, Signature, Work
from ..report import Amount, Report
from ..tracing.journal import LOSS, Note
from ..tracing.training import TrainingTrace, trace_optimizer
from .optimizers import Optimizer
from .plan import Plan

if TYPE_CHECKING:
    from ..tables import Table

__all__ = ["BACKWARD", "OPTIMIZER", "PhasedOp", "Run", "StepRow", "Training", "training_of"]

OPTIMIZER = "(optimizer)"
"""Stands for a module's path where an operation belongs to the optimizer."""

BACKWARD = (Phase.BACKWARD_INPUT, Phase.BACKWARD_WEIGHT)
_SECONDS_PER_DAY = 86_400
_PETA = 10**15


@dataclass(frozen=True, slots=True)
class PhasedOp:
    """A costed operation and what the step does with it."""

    costed: CostedOp
    phase: Phase


@dataclass(frozen=True, slots=True)
class StepRow:
    """Cost of a module by phase, with its children (`cost`) and of its own operations (`own`)."""

    path: str
    type: str
    depth: int
    cost: Mapping[Phase, Amount]
    own: Mapping[Phase, Amount]


@dataclass(frozen=True, slots=True)
class Run:
    """A whole run: `steps` are optimizer steps, the last batch of an epoch may be smaller."""

    epochs: int
    samples: int
    steps: int
    cost: Amount

    @property
    def petaflop_days(self) -> float:
        """Days at 10^15 FLOPs per second, of contractions alone."""
        return self.cost.flops / (_PETA * _SECONDS_PER_DAY)


@dataclass(frozen=True)
class Training:
    """What one training step on the report's input costs, batch included.

    `ops` are those of all phases in order; the forward's are the report's own. `losses` says what is differentiated,
    one line for each stream that is trained apart. `trained_params` are elements of parameters that get a gradient,
    `frozen` the globs that froze others, `traced_forward_macs` those of the forward that was differentiated, which are
    the report's unless the module takes another path with gradients. `run` is there where `over` said how long.
    """

    forward_report: Report
    ops: tuple[PhasedOp, ...]
    losses: tuple[str, ...]
    streams: tuple[str, ...]
    frozen: tuple[str, ...]
    trained_params: int
    optimizer: Optimizer | None
    engine: str
    traced_forward_macs: int
    epochs: int | None = None
    samples: int | None = None

    @cached_property
    def phases(self) -> Mapping[Phase, Amount]:
        """Cost of every phase."""
        return _by_phase(self.ops)

    @property
    def forward(self) -> Amount:
        """The forward pass: the report's own total."""
        return self.phases[Phase.FORWARD]

    @property
    def loss(self) -> Amount:
        """The loss, forward."""
        return self.phases[Phase.LOSS]

    @property
    def backward_by_input(self) -> Amount:
        """Gradients of what depends on the input, the loss's own included."""
        return self.phases[Phase.BACKWARD_INPUT]

    @property
    def backward_by_weight(self) -> Amount:
        """Gradients of parameters."""
        return self.phases[Phase.BACKWARD_WEIGHT]

    @property
    def backward(self) -> Amount:
        """Both gradients; what is recomputed for them is apart."""
        return self.backward_by_input + self.backward_by_weight

    @property
    def recomputation(self) -> Amount:
        """Forward operations that activation checkpoints run again."""
        return self.phases[Phase.RECOMPUTATION]

    @property
    def optimizer_step(self) -> Amount:
        """The optimizer's arithmetic."""
        return self.phases[Phase.OPTIMIZER]

    @cached_property
    def total(self) -> Amount:
        """The whole step."""
        return _total(self.phases)

    @cached_property
    def step(self) -> Report:
        """All operations as a report of their own; loss and optimizer are the model's."""
        return replace(self.forward_report, ops=tuple(op.costed for op in self.ops), training=None)

    @cached_property
    def rows(self) -> tuple[StepRow, ...]:
        """Every module in the report's order, then loss and optimizer; the `own` costs sum to the total."""
        groups: dict[str, list[PhasedOp]] = {}
        for op in self.ops:
            groups.setdefault(op.costed.op.module, []).append(op)
        modules = self.forward_report.modules
        own = {path: _by_phase(groups.get(path, ())) for path in (*(row.path for row in modules), LOSS, OPTIMIZER)}
        whole = {path: dict(amounts) for path, amounts in own.items()}
        for row in reversed(modules):  # a module stands behind the one that holds it
            if row.path:
                parent = whole[row.path.rpartition(".")[0]]
                for phase, amount in whole[row.path].items():
                    parent[phase] += amount
        rows = [StepRow(row.path, row.type, row.depth, whole[row.path], own[row.path]) for row in modules]
        return (*rows, *(StepRow(path, "", 1, whole[path], own[path]) for path in (LOSS, OPTIMIZER)))

    @property
    def run(self) -> Run | None:
        """The whole run, where epochs and samples are known: every sample once an epoch, a step per batch begun."""
        if self.epochs is None or self.samples is None:
            return None
        batch = self.forward_report.input.batch
        steps = self.epochs * -(-self.samples // batch)
        per_batch = sum((self.phases[phase] for phase in Phase if phase is not Phase.OPTIMIZER), Amount())
        cost = per_batch * (self.epochs * self.samples) // batch + self.optimizer_step * steps
        return Run(self.epochs, self.samples, steps, cost)

    def over(self, epochs: int, samples: int) -> Training:
        """The same with a whole run of `epochs` over a data set of `samples` clips.

        Raises:
            InputError: fewer than one of either.
        """
        for name, value in (("epochs", epochs), ("samples", samples)):
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{name} is {value!r}", [("fix", "give a whole number above 0")])
        return replace(self, epochs=epochs, samples=samples)

    def by_module(self, depth: int = 2) -> Table:
        """One row per module down to `depth` (-1: all), a column per phase."""
        from .tables import by_module

        return by_module(self, depth)

    def by_operator(self) -> Table:
        """One row per operator, a column per phase."""
        from .tables import by_operator

        return by_operator(self)

    def by_kind(self) -> Table:
        """One row per kind of operator, a column per phase."""
        from .tables import by_kind

        return by_kind(self)

    def __str__(self) -> str:
        return str(self.by_module())

    def _repr_html_(self) -> str:
        return self.by_module()._repr_html_()


def training_of(
    report: Report, trace: TrainingTrace, plan: Plan, streams: tuple[str, ...] = (), *, fast: bool = True
) -> Training:
    """Cost the operations of a traced step; the forward's are those of the report, whose operators are whole."""
    costed = cost(trace.ops, fast=fast)
    forward = [PhasedOp(op, Phase.FORWARD) for op in report.ops]
    steps = cost(trace_optimizer(plan.optimizer.build, trace.trained) if plan.optimizer else (), fast=fast)
    update = [PhasedOp(op._replace(op=Op(op.op.signature, OPTIMIZER)), Phase.OPTIMIZER) for op in steps]
    return Training(
        forward_report=report,
        ops=(*forward, *_split(zip(costed, trace.notes, strict=True)), *update),
        losses=trace.losses,
        streams=streams,
        frozen=plan.freeze,
        trained_params=sum(spec.numel for spec in trace.trained),
        optimizer=plan.optimizer,
        engine=trace.engine,
        traced_forward_macs=sum(
            op.work.macs for op, note in zip(costed, trace.notes, strict=True) if note.phase is Phase.FORWARD
        ),
    )


def _split(noted: Iterable[tuple[CostedOp, Note]]) -> Iterator[PhasedOp]:
    """Everything behind the forward; what makes both gradients at once becomes one operation for each."""
    weight_alone: dict[Signature, Signature] = {}
    for costed, note in noted:
        if note.phase is Phase.FORWARD:
            continue
        signature = costed.op.signature
        by_input, *others = signature.arguments["output_mask"] if note.splits else (True, False)
        if not by_input:
            yield PhasedOp(costed, Phase.BACKWARD_WEIGHT)
        elif not any(others):
            yield PhasedOp(costed, note.phase)
        else:
            if signature not in weight_alone:
                arguments = {**signature.arguments, "output_mask": (False, *others)}
                weight_alone[signature] = replace(signature, arguments=arguments)
            (part,) = cost([Op(weight_alone[signature], costed.op.module)])
            yield PhasedOp(costed._replace(work=_less(costed.work, part.work)), Phase.BACKWARD_INPUT)
            yield PhasedOp(part, Phase.BACKWARD_WEIGHT)


def _less(whole: Work, part: Work) -> Work:
    """What one of two parts costs; the tensors that both read are charged to the other."""
    return Work(
        whole.macs - part.macs,
        whole.other_flops - part.other_flops,
        (whole.bytes_read or 0) - (part.bytes_read or 0),
        (whole.bytes_written or 0) - (part.bytes_written or 0),
    )


def _total(amounts: Mapping[Phase, Amount]) -> Amount:
    return sum(amounts.values(), Amount())


def _by_phase(ops: Iterable[PhasedOp]) -> dict[Phase, Amount]:
    amounts = {phase: [0, 0] for phase in Phase}
    for op in ops:
        found = amounts[op.phase]
        found[0] += op.costed.work.macs
        found[1] += op.costed.work.other_flops
    return {phase: Amount(macs, other) for phase, (macs, other) in amounts.items()}
