"""A forward's result and the trace of a training step -> a Training: the costs, with their tables as methods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from torch import nn

from ..core.ops import CostedOp, Op, Phase, Signature, Workload
from ..core.result import Result
from ..core.shown_as_tables import ShownAsTables
from ..core.table import Table
from ..models import recipe_of
from ..rules.costing import cost
from ..tracing.arguments import Input, arguments_of
from ..tracing.phases import PhaseNote
from ..tracing.training import TrainingTrace, trace_optimizer, trace_training
from .plan import Plan
from .step import OPTIMIZER, PhasedOp, Step
from .tables import by_kind, by_module, by_operator

__all__ = ["Training", "count_training", "training_of"]


class Training(Step, ShownAsTables):
    """What one training step costs, by module, operator or kind; see `Step` for its numbers."""

    def by_module(self, depth: int = 2) -> Table:
        """Modules down to `depth` (-1: all) as `Report.by_module` has them, a column per phase."""
        return by_module(self, depth)

    def by_operator(self) -> Table:
        """One row per operator, a column per phase."""
        return by_operator(self)

    def by_kind(self) -> Table:
        """One row per kind of operator, a column per phase."""
        return by_kind(self)

    def _tables(self) -> tuple[Table, ...]:
        return (self.by_module(),)


def count_training(result: Result, module: nn.Module, input: Input, engine: str, plan: Plan) -> Training:
    """The training step of a module in training mode, on the input of its counted forward pass."""
    args, kwargs = arguments_of(input, module)
    recipe = recipe_of(module)
    streams = recipe.streams if recipe and plan.loss is None else ()
    step = trace_training(module, args, kwargs, streams=streams, loss=plan.loss, engine=engine)
    return training_of(result, step, plan, streams)


def training_of(result: Result, trace: TrainingTrace, plan: Plan, streams: tuple[str, ...] = ()) -> Training:
    """Cost the operations of a traced step; the forward's come from the result, whose operators are whole."""
    costed = cost(trace.ops)
    forward = [PhasedOp(op, Phase.FORWARD) for op in result.ops]
    steps = cost(trace_optimizer(plan.optimizer.build, trace.trained) if plan.optimizer else ())
    update = [PhasedOp(op._replace(op=Op(op.op.signature, OPTIMIZER)), Phase.OPTIMIZER) for op in steps]
    return Training(
        forward_report=replace(result, assumed=tuple(dict.fromkeys((*result.assumed, *trace.assumed)))),
        ops=(*forward, *_split(zip(costed, trace.notes, strict=True)), *update),
        losses=trace.losses,
        streams=streams,
        frozen=plan.freeze,
        trained_params=sum(spec.numel for spec in trace.trained),
        untrained=trace.untrained,
        optimizer=plan.optimizer,
        engine=trace.engine,
        traced_forward_macs=sum(
            op.work.macs for op, note in zip(costed, trace.notes, strict=True) if note.phase is Phase.FORWARD
        ),
    )


def _split(ops: Iterable[tuple[CostedOp, PhaseNote]]) -> Iterator[PhasedOp]:
    """Every operation after the forward; one that makes both gradients is split into one for each."""
    weight_alone: dict[Signature, Signature] = {}
    for costed, note in ops:
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


def _less(whole: Workload, part: Workload) -> Workload:
    """The whole without one part; the tensors that both parts read are charged to that part."""
    return Workload(
        whole.macs - part.macs,
        whole.other_flops - part.other_flops,
        whole.bytes_read - part.bytes_read,
        whole.bytes_written - part.bytes_written,
    )
