"""Step -> Table: a column of MACs per phase; each sums to its total."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..core.ops import Kind, Phase
from ..core.result import CONVENTION, Amount, Result
from ..core.table import Column, Table
from ..core.units import exact, si
from ..core.wording import cost_text, missing_lines, title
from ..tracing.phases import LOSS
from .step import BACKWARD, OPTIMIZER, PhasedOp, Run, Step

__all__ = ["by_kind", "by_module", "by_operator", "notes", "training_table"]

_HEADINGS = {
    Phase.FORWARD: "forward",
    Phase.BACKWARD_INPUT: "by input",
    Phase.BACKWARD_WEIGHT: "by weight",
    Phase.RECOMPUTATION: "again",
}
"""Phases that contract something; loss and optimizer have rows of their own."""

Amounts = Mapping[Phase, Amount]


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
    """One row per module down to `depth` (-1: all levels), then loss and optimizer.

    A row above that depth holds only its own operations; "ratio" is backward over forward.
    """
    rows = []
    for row in training.rows:
        if 0 <= depth < row.depth and row.path not in (LOSS, OPTIMIZER):
            continue
        amounts = row.cost if row.depth == depth else row.own
        if any(amount.total_flops for amount in amounts.values()):
            name = row.path or f"({training.forward_report.model})"
            rows.append((name, row.type, ratio(amounts), *_cells(training, amounts)))
    labels = (Column("layer", "text"), Column("type", "text", drop=1), Column("ratio", "text", drop=4))
    return _table(training, labels, rows, ratio(training.phases))


def by_operator(training: Step) -> Table:
    """One row per operator, by kind."""
    groups = _grouped(training, lambda op: (op.costed.name, op.costed.kind.value))
    order = [kind.value for kind in Kind]
    keys = sorted(groups, key=lambda key: (order.index(key[1]), key[0]))
    rows = [(*key, *_cells(training, groups[key])) for key in keys if _costs(groups[key])]
    return _table(training, (Column("operator", "text"), Column("kind", "text", drop=1)), rows)


def by_kind(training: Step) -> Table:
    """One row per kind of operator."""
    groups = _grouped(training, lambda op: (op.costed.kind.value,))
    keys = [(kind.value,) for kind in Kind if (kind.value,) in groups]
    rows = [(*key, *_cells(training, groups[key])) for key in keys if _costs(groups[key])]
    return _table(training, (Column("kind", "text"),), rows)


def _grouped(training: Step, key: Callable[[PhasedOp], tuple[str, ...]]) -> dict[tuple[str, ...], dict[Phase, Amount]]:
    groups: dict[tuple[str, ...], dict[Phase, Amount]] = {}
    for op in training.ops:
        amounts = groups.setdefault(key(op), dict.fromkeys(Phase, Amount()))
        amounts[op.phase] += Amount(op.costed.work.macs, op.costed.work.other_flops)
    return groups


def _costs(amounts: Amounts) -> bool:
    return any(amount.total_flops for amount in amounts.values())


def _shown(training: Step) -> list[Phase]:
    """Columns; nothing is recomputed in most networks."""
    again = training.recomputation.total_flops
    return [phase for phase in _HEADINGS if again or phase is not Phase.RECOMPUTATION]


def _cells(training: Step, amounts: Amounts) -> tuple[Any, ...]:
    macs = sum(amount.macs for amount in amounts.values())
    other = sum(amount.other_flops for amount in amounts.values())
    whole = training.total
    share = (macs, whole.macs) if whole.macs else (other, whole.other_flops)
    return (*(amounts[phase].macs for phase in _shown(training)), other, share)


def ratio(amounts: Amounts) -> str:
    """Backward over forward, both gradients together; nothing where the forward contracts nothing."""
    forward, backward = amounts[Phase.FORWARD].macs, sum(amounts[phase].macs for phase in BACKWARD)
    if not forward:
        return ""
    return f"{backward / forward:.2f}" if 200 * backward >= forward else "<0.01" if backward else "0"


def _table(training: Step, labels: tuple[Column, ...], rows: list[tuple[Any, ...]], whole: str = "") -> Table:
    phases = (Column(_HEADINGS[phase]) for phase in _shown(training))
    columns = (*labels, *phases, Column("other", drop=3), Column("share", "share", drop=7))
    total = ("total", *("" for _ in labels[2:]), *([whole] if labels[1:] else []), *_cells(training, training.phases))
    heading = f"{title(training.forward_report)}: MACs of a training step"
    return Table(heading, columns, tuple(rows), total, notes(training))


def notes(training: Step) -> tuple[str, ...]:
    """What stands under every table: gaps, totals, what was trained on what, the whole run, the convention."""
    result = training.forward_report
    lines = [*missing_lines(training.step), f"step: {cost_text(training.total)}", *_phase_lines(training)]
    if result.input.batch > 1:
        lines.append(f"per sample (batch {result.input.batch}): {cost_text(training.total // result.input.batch)}")
    lines += [f"loss: {loss}" for loss in training.losses]
    if training.streams:
        lines.append(
            f"trained stream by stream ({', '.join(training.streams)}): each on its own scores, no gradient passes "
            "their fusion, whose forward is counted"
        )
    lines += _parameter_lines(training, result)
    if training.run is not None:
        lines += _run_lines(training.run, result.input.batch)
    lines += [f"departs from the paper: {departure}" for departure in result.departures]
    again = "; again is what checkpoints compute a second time" if training.recomputation.total_flops else ""
    lines.append(f"by input and by weight are the backward's; ratio is backward over forward{again}")
    if any(op.costed.kind is Kind.ATTENTION for op in training.ops):
        lines.append("attention's backward is its four products; flash kernels compute the scores once more")
    if training.traced_forward_macs != result.macs:
        lines.append(
            f"with gradients the forward takes another path, of {si(training.traced_forward_macs, 'MACs')}: "
            "the backward is that path's"
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
    if training.optimizer is None:
        yield "optimizer: none given, its step is left out"
        return
    step = training.optimizer_step.other_flops
    each = f", {step // training.trained_params} per parameter" if training.trained_params else ""
    yield f"optimizer: {training.optimizer.title}: {si(step)} other FLOPs a step{each}"


def _run_lines(run: Run, batch: int) -> Iterable[str]:
    size = f"{exact(run.epochs)} epochs of {exact(run.samples)} samples"
    yield f"whole run: {size} = {exact(run.epochs * run.samples)} samples in {exact(run.steps)} steps of batch {batch}"
    yield (
        f"whole run: {exact(run.cost.flops)} FLOPs (2 × {exact(run.cost.macs)} MACs) = "
        f"{run.petaflop_days:.3g} PFLOP-days, and {si(run.cost.other_flops)} other FLOPs"
    )
