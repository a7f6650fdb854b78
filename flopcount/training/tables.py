"""Step -> Table: a column of MACs per phase; each sums to its total."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from ..core.amount import Amount, summed
from ..core.cost_table import CostColumn, cost_table
from ..core.layer_tree import Part, in_running_order, layer_tree, shown_modules
from ..core.ops import Kind, Phase
from ..core.quantity import Quantity, of_operators, quantity_column
from ..core.result import CONVENTION, Result
from ..core.table import Column, Table
from ..core.units import exact, si
from ..core.wording import cost_text, missing_lines, title
from ..tracing.phases import LOSS
from .step import BACKWARD, OPTIMIZER, PhasedOp, Run, Step, StepRow, by_phase

__all__ = ["by_kind", "by_module", "by_operator", "notes", "training_table"]

_HEADINGS = {
    Phase.FORWARD: ("forward", "forward"),
    Phase.BACKWARD_INPUT: ("by input", "backward_by_input"),
    Phase.BACKWARD_WEIGHT: ("by weight", "backward_by_weight"),
    Phase.RECOMPUTATION: ("recomputed", "recomputed"),
}
"""Phases that have MACs: their column's heading, and its name in data; loss and optimizer have rows instead."""

Amounts: TypeAlias = Mapping[Phase, Amount]


def training_table(training: Step, by: str, depth: int) -> Table:
    """The table by module, operator or kind."""
    return (
        by_module(training, depth)
        if by == "module"
        else by_operator(training)
        if by == "operator"
        else by_kind(training)
    )


def by_module(training: Step, depth: int = 2) -> Table:
    """Modules down to `depth` (-1: all levels) in the order in which the forward runs them, then loss and optimizer.

    As text a tree with subtotals; as data a row above that depth holds only its own operations. "ratio" is backward
    over forward.
    """
    result = training.forward_report
    always = (LOSS, OPTIMIZER)
    modules = in_running_order([row for row in training.rows if row.path not in always], result.course)
    others = [row for row in training.rows if row.path in always and _costs(row.own)]

    def named(label: str, row: StepRow | None) -> tuple[str, ...]:
        return label, "" if row is None else row.type

    rows = [
        (named(row.path or f"({result.model})", row), cost)
        for row, cost in (*shown_modules(modules, depth), *((row, row.own) for row in others))
        if _costs(cost)
    ]
    branches = layer_tree(modules, depth, result.course, _together, _worth)
    tree = [(b.level, named(b.label(result.model), b.named), b.cost) for b in branches]
    tree += [(0, named(row.path, row), row.own) for row in others]
    labels = (Column("layer", "text"), Column("type", "text", drop=1, tone="quiet"))
    return _table(training, labels, rows, [CostColumn(Column("ratio", "text", drop=4), ratio)], tree)


def _worth(row: StepRow, part: Part) -> bool:
    return _costs(row.cost if part is Part.WHOLE else row.own)


def _together(amounts: Iterable[Amounts]) -> Amounts:
    """The sum, phase by phase."""
    parts = list(amounts)
    return {phase: summed(part[phase] for part in parts) for phase in parts[0]}


def by_operator(training: Step) -> Table:
    """One row per operator, by kind."""
    groups = _grouped(training, lambda op: (op.costed.name, op.costed.kind.value))
    order = [kind.value for kind in Kind]
    keys = sorted(groups, key=lambda key: (order.index(key[1]), key[0]))
    labels = (Column("operator", "text"), Column("kind", "text", drop=1, tone="quiet"))
    return _table(training, labels, [(key, groups[key]) for key in keys if _costs(groups[key])])


def by_kind(training: Step) -> Table:
    """One row per kind of operator."""
    groups = _grouped(training, lambda op: (op.costed.kind.value,))
    keys = [(kind.value,) for kind in Kind if (kind.value,) in groups]
    rows = [(key, groups[key]) for key in keys if _costs(groups[key])]
    return _table(training, (Column("kind", "text", tone="quiet"),), rows)


def _grouped(training: Step, key: Callable[[PhasedOp], tuple[str, ...]]) -> dict[tuple[str, ...], Amounts]:
    groups: dict[tuple[str, ...], list[PhasedOp]] = {}
    for op in training.ops:
        groups.setdefault(key(op), []).append(op)
    return {key: by_phase(ops) for key, ops in groups.items()}


def _costs(amounts: Amounts) -> bool:
    return any(amounts.values())


def _shown(training: Step) -> list[Phase]:
    """The phases with a column; most networks recompute nothing."""
    again = training.recomputation.total_flops
    return [phase for phase in _HEADINGS if again or phase is not Phase.RECOMPUTATION]


def ratio(amounts: Amounts) -> str:
    """Backward over forward, both gradients together; "" where the forward has no MACs."""
    forward, backward = amounts[Phase.FORWARD].macs, sum(amounts[phase].macs for phase in BACKWARD)
    if not forward:
        return ""
    return f"{backward / forward:.2f}" if 200 * backward >= forward else "<0.01" if backward else "0"


def _table(
    training: Step,
    labels: Sequence[Column],
    rows: Iterable[tuple[tuple[str, ...], Amounts]],
    first: Sequence[CostColumn[Amounts]] = (),
    tree: Iterable[tuple[int, tuple[str, ...], Amounts]] = (),
) -> Table:
    """MACs of each phase, other quantities of all phases together, and the share of all MACs (if 0, of all FLOPs)."""
    total = summed(training.phases.values())
    whole = "macs" if total.macs else "total_flops"
    phases = [_of_phase(phase) for phase in _shown(training)]
    others = [_of_all(quantity) for quantity in of_operators() if not (quantity.made_of or quantity.name == "macs")]
    share: CostColumn[Amounts] = CostColumn(
        Column("share", "share", drop=7), lambda cost: (summed(cost.values())[whole], total[whole])
    )
    heading = f"{title(training.forward_report)}: MACs of a training step"
    columns = (*first, *phases, *others, share)
    return cost_table(heading, labels, rows, columns, training.phases, notes(training), tree)


def _of_phase(phase: Phase) -> CostColumn[Amounts]:
    heading, key = _HEADINGS[phase]
    return CostColumn(Column(heading, key=f"{key}_macs"), lambda cost: cost[phase].macs)


def _of_all(quantity: Quantity) -> CostColumn[Amounts]:
    return CostColumn(quantity_column(quantity), lambda cost: summed(cost.values())[quantity.name])


def notes(training: Step) -> tuple[str, ...]:
    """The lines under every table: gaps, totals, losses, parameters, the whole run, the convention."""
    result = training.forward_report
    lines = [*missing_lines(training.step), f"step: {cost_text(training.total)}", *_phase_lines(training)]
    batch = result.input.batch
    if batch is not None and batch != 1:
        lines.append(f"per sample (batch {batch}): {cost_text(training.total // batch)}")
    lines += [f"loss: {loss}" for loss in training.losses]
    if training.streams:
        lines.append(
            f"each stream ({', '.join(training.streams)}) is trained on its own scores: no gradient passes their "
            "fusion, whose forward is counted"
        )
    lines += _parameter_lines(training, result)
    if training.run is not None and batch is not None:
        lines += _run_lines(training.run, batch)
    lines += [f"departs from the paper: {departure}" for departure in result.departures]
    again = "; recomputed is what checkpoints compute a second time" if training.recomputation.total_flops else ""
    lines.append(f"by input and by weight are the two parts of the backward; ratio is backward over forward{again}")
    if any(op.costed.kind is Kind.ATTENTION for op in training.ops):
        lines.append("the backward of attention is its four products; flash kernels also recompute the scores")
    if training.traced_forward_macs != result.macs:
        lines.append(
            f"with gradients the forward takes another path, of {si(training.traced_forward_macs, 'MACs')}, "
            "and the backward belongs to that path"
        )
    lines.append(f"convention: {CONVENTION}")
    if training.engine != "meta":
        lines.append(f"engine: {training.engine} tensors, since the module could not run on shapes alone")
    return tuple(lines)


def _phase_lines(training: Step) -> Iterable[str]:
    parts = [f"{phase.value} {si(training.phases[phase].macs, 'MACs')}" for phase in _shown(training)]
    yield f"{', '.join(parts)}"
    backward = ratio(training.phases)
    if backward:
        yield f"backward is {backward} × forward"


def _parameter_lines(training: Step, result: Result) -> Iterable[str]:
    frozen = f", frozen: {', '.join(training.frozen)}" if training.frozen else ""
    yield f"trained: {si(training.trained_params)} of {si(result.params)} parameters{frozen}"
    if training.untrained:
        yield f"no gradient: {_listed(training.untrained)}, though it would take one"
    if training.optimizer is None:
        yield "optimizer: none, so the total has no optimizer step"
        return
    step = training.optimizer_step.other_flops
    each = f", {step // training.trained_params} per parameter" if training.trained_params else ""
    yield f"optimizer: {training.optimizer.title}: {si(step)} other FLOPs a step{each}"


_SHOWN = 6


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def _run_lines(run: Run, batch: int) -> Iterable[str]:
    size = f"{exact(run.epochs)} epochs of {exact(run.samples)} samples"
    yield f"whole run: {size} = {exact(run.epochs * run.samples)} samples in {exact(run.steps)} steps of batch {batch}"
    yield (
        f"whole run: {exact(run.cost.flops)} FLOPs (2 × {exact(run.cost.macs)} MACs) = "
        f"{run.petaflop_days:.3g} PFLOP-days, and {si(run.cost.other_flops)} other FLOPs"
    )
