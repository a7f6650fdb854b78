"""A training step, as data: what every phase costs, in every module, and over a whole run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NoReturn, Self

from ..core.amount import Amount, amount_of, in_brief, summed
from ..core.errors import InputError
from ..core.one_line import OneLine
from ..core.ops import CostedOp, Phase
from ..core.result import Result
from ..core.units import times
from ..tracing.phases import LOSS
from .optimizers import Optimizer

__all__ = ["BACKWARD", "OPTIMIZER", "PhasedOp", "Run", "Step", "StepRow", "by_phase"]

OPTIMIZER = "(optimizer)"
"""The path of operations that belong to the optimizer and to no module."""

BACKWARD = (Phase.BACKWARD_INPUT, Phase.BACKWARD_WEIGHT)
_SECONDS_PER_DAY = 86_400
_PETA = 10**15


@dataclass(frozen=True, slots=True)
class PhasedOp(OneLine):
    """A costed operation and its phase in the step."""

    costed: CostedOp
    phase: Phase

    def _headline(self) -> str:
        costed = self.costed
        return f"{costed.name} in {costed.op.module}, {self.phase.value}: {costed.work.macs:,} MACs"


@dataclass(frozen=True, slots=True)
class StepRow(OneLine):
    """Cost of a module by phase, with its children (`cost`) and of its own operations (`own`)."""

    path: str
    type: str
    depth: int
    cost: Mapping[Phase, Amount]
    own: Mapping[Phase, Amount]

    def _headline(self) -> str:
        of = f" ({self.type})" if self.type else ""
        return f"{self.path or 'the model itself'}{of}: {in_brief(summed(self.cost.values()))} per step"


@dataclass(frozen=True, slots=True)
class Run(OneLine):
    """A whole run: `steps` are optimizer steps; the last batch of an epoch may be smaller."""

    epochs: int
    samples: int
    steps: int
    cost: Amount

    @property
    def petaflop_days(self) -> float:
        """Days at 10^15 FLOPs per second, of contractions alone."""
        return self.cost.flops / (_PETA * _SECONDS_PER_DAY)

    def _headline(self) -> str:
        return f"{self.epochs:,} epochs of {self.samples:,} samples, {self.steps:,} steps: {in_brief(self.cost)}"


@dataclass(frozen=True)
class Step(OneLine):
    """What one training step on the input of a count costs, batch included.

    `ops` are the operations of all phases in order; those of the forward are the count's own. `losses` says what is
    differentiated, with a line for each stream that is trained separately. `trained_params` is the number of elements
    of parameters that get a gradient, `untrained` has the names of those that get none although they require one, and
    `frozen` the globs that froze others. `traced_forward_macs` is the MACs
    of the differentiated forward; they equal the count's unless the module takes another path with gradients. `over`
    sets `run`.
    """

    forward_report: Result
    ops: tuple[PhasedOp, ...]
    losses: tuple[str, ...]
    streams: tuple[str, ...]
    frozen: tuple[str, ...]
    trained_params: int
    untrained: tuple[str, ...]
    optimizer: Optimizer | None
    engine: str
    traced_forward_macs: int
    epochs: int | None = None
    samples: int | None = None

    @cached_property
    def phases(self) -> Mapping[Phase, Amount]:
        """Cost of every phase."""
        return by_phase(self.ops)

    @property
    def forward(self) -> Amount:
        """The forward pass: the count's own total."""
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
        """Both gradients, without what is recomputed for them."""
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
        return summed(self.phases.values())

    @cached_property
    def step(self) -> Result:
        """All operations as one result; loss and optimizer belong to the model itself."""
        return replace(self.forward_report, ops=tuple(op.costed for op in self.ops))

    @cached_property
    def rows(self) -> tuple[StepRow, ...]:
        """Every module in the order of its definition, then loss and optimizer; the `own` costs sum to the total."""
        groups: dict[str, list[PhasedOp]] = {}
        for op in self.ops:
            groups.setdefault(op.costed.op.module, []).append(op)
        modules = self.forward_report.modules
        own = {path: by_phase(groups.get(path, ())) for path in (*(row.path for row in modules), LOSS, OPTIMIZER)}
        whole = {path: dict(amounts) for path, amounts in own.items()}
        for row in reversed(modules):  # a module follows its parent
            if row.path:
                parent = whole[row.path.rpartition(".")[0]]
                for phase, amount in whole[row.path].items():
                    parent[phase] += amount
        rows = [StepRow(row.path, row.type, row.depth, whole[row.path], own[row.path]) for row in modules]
        return (*rows, *(StepRow(path, "", 1, whole[path], own[path]) for path in (LOSS, OPTIMIZER)))

    @property
    def run(self) -> Run | None:
        """The whole run, if epochs, samples and batch are known; an epoch takes ceil(samples / batch) steps."""
        batch = self.forward_report.input.batch
        if self.epochs is None or self.samples is None or batch is None:
            return None
        steps = self.epochs * -(-self.samples // batch)
        per_batch = summed(self.phases[phase] for phase in Phase if phase is not Phase.OPTIMIZER).growing("batch")
        cost = per_batch * (self.epochs * self.samples) // batch + self.optimizer_step * steps
        return Run(self.epochs, self.samples, steps, cost)

    def over(self, epochs: int, samples: int) -> Self:
        """The same with a whole run of `epochs` over a data set of `samples` clips.

        Raises:
            InputError: epochs or samples are not whole numbers above 0, or the batch is unknown.
        """
        if self.forward_report.input.batch is None:
            self._refuse_run()
        for name, value in (("epochs", epochs), ("samples", samples)):
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{name} is {value!r}", [("fix", "give a whole number above 0")])
        return replace(self, epochs=epochs, samples=samples)

    def _refuse_run(self) -> NoReturn:
        """Without a batch nobody knows how many samples a step sees."""
        shapes = ", ".join(times(shape) for shape in self.forward_report.input.shapes if shape)
        why = "a run over samples needs the batch, and the inputs share none"
        details = [
            *([("seen", shapes)] if shapes else []),
            ("fix", "say how many samples they hold: batch= or --batch"),
        ]
        raise InputError(why, details)

    def _headline(self) -> str:
        by = f", {self.optimizer.name}" if self.optimizer else ""
        trained = f"{self.trained_params:,} parameters trained{by}"
        return f"{self.forward_report.model}: {in_brief(self.total)} per step, {trained}"


def by_phase(ops: Iterable[PhasedOp]) -> dict[Phase, Amount]:
    """The cost of operations in every phase."""
    groups: dict[Phase, list[CostedOp]] = {phase: [] for phase in Phase}
    for op in ops:
        groups[op.phase].append(op.costed)
    return {phase: amount_of(costed) for phase, costed in groups.items()}
