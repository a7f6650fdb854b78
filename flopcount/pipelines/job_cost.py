"""A whole job on a device: the time, energy and money of its stages, each as often as it runs.

A stage is priced by one pass. Of passes that grow each piece is priced at the one in its middle, since their times grow
almost in proportion.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from ..core.errors import InputError
from ..core.one_line import OneLine
from ..core.pricing import Times
from ..core.result import CONVENTION, Result
from ..core.table import Table
from ..core.units import exact
from ..hardware.cost import Cost
from ..hardware.cost_tables import cost_table_by, cost_table_of
from ..hardware.energy import Energy
from ..hardware.money import Money
from ..hardware.prediction import KindTime, UnitCost
from ..hardware.pricing import pricing_of
from ..hardware.setting import Setting
from .growing import Growing
from .leaf import Leaf
from .merging import Job, merged
from .unit import PerUnit

__all__ = ["JobCost", "StageCost", "cost_of_pass", "job_cost"]


@runtime_checkable
class _FollowsItself(Protocol):
    """A report that follows its own data where a cost needs them."""

    def cost_under(self, setting: Setting) -> Cost: ...


@dataclass(frozen=True, slots=True)
class StageCost(OneLine):
    """What all passes of a stage cost together."""

    leaf: Leaf
    times: Times
    energy: Energy | None
    money: Money | None

    def _headline(self) -> str:
        return f"{self.leaf.place}: {self.times}"


@dataclass(frozen=True, repr=False)
class JobCost(Cost):
    """What a whole job costs on a device; the numbers of `Cost` are per job, and `stages` has those of each stage.

    `setting` is what it was priced under, so that other passes can be.
    """

    stages: tuple[StageCost, ...] = ()
    lines: tuple[str, ...] = ()
    setting: Setting | None = None

    def table(self, by: str = "stage", depth: int = 2) -> Table:
        """The table by stage, by module (down to `depth`, -1: all), kind of kernel or operator.

        Raises:
            UnknownNameError: no such table.
        """
        table = self._by_stage() if by == "stage" else cost_table_by(self, by, depth)
        at = table.notes.index(f"convention: {CONVENTION}")
        return replace(table, notes=(*table.notes[:at], *self.lines, *table.notes[at:]))

    def _by_stage(self) -> Table:
        leaves = [stage.leaf for stage in self.stages]
        runs = [exact(leaf.runs * leaf.passes) for leaf in leaves]
        return cost_table_of(self, [leaf.place for leaf in leaves], runs)


def job_cost(job: Job, units: Sequence[PerUnit], setting: Setting, lines: Sequence[str] = ()) -> JobCost:
    """The cost of a job under a setting.

    Arguments:
        job: the stages.
        units: what it is paid by.
        setting: the device, and how networks run on it.
        lines: what else stands under its tables.

    Raises:
        InputError: a stage was saved, or was counted without its dataflow.
    """
    priced = [list(_priced(leaf, setting)) for leaf in job.leaves]
    stages = tuple(_stage(leaf, passes) for leaf, passes in zip(job.leaves, priced, strict=True))
    whole = merged(job, [[cost.result for _, cost in passes] for passes in priced])
    assert isinstance(whole, Result)
    costs = [(count * leaf.runs, cost) for leaf, ps in zip(job.leaves, priced, strict=True) for count, cost in ps]
    if not costs:
        why = f"no time of {job.name}: none of its stages runs"
        raise InputError(why, [("fix", "change its parameters so that at least one runs")])
    longest = max(costs, key=lambda part: part[0] * part[1].estimate)[1]
    times = _summed(stage.times for stage in stages)
    energy = _energy(stage.energy for stage in stages)
    money = _money([stage.money for stage in stages])
    words = "; ".join(dict.fromkeys(cost.basis_words for _, cost in costs))
    widened = tuple(dict.fromkeys(kind for _, cost in costs for kind in cost.widened))
    pricing = pricing_of(str(longest.conditions), times, words, widened, money)
    result = replace(whole, pricing=pricing)
    return JobCost(
        longest.conditions,
        times.bound,
        times.estimate,
        times.low,
        times.high,
        longest.basis,
        words,
        energy,
        money,
        widened,
        tuple(_by_kind(costs)),
        result,
        sum(count * cost.roofline for count, cost in costs),
        result.ops,
        job=tuple(_units(units, times, energy, money, stages)),
        stages=stages,
        lines=tuple(lines),
        setting=setting,
    )


def _priced(leaf: Leaf, setting: Setting) -> Iterator[tuple[int, Cost]]:
    """How many passes cost alike, and the cost of one of them."""
    report = leaf.stage.report
    if isinstance(report, Growing):
        for piece in report.pieces(leaf.passes):
            yield piece.count, _cost(report.at(piece.start + (piece.count - 1) // 2), setting, leaf)
    else:
        yield leaf.passes, _cost(report, setting, leaf)


def cost_of_pass(leaf: Leaf, number: int, setting: Setting) -> Cost:
    """What one pass of a stage costs: that of this number, from 0, where passes grow, and any of them elsewhere.

    Raises:
        InputError: the stage was saved, or was counted without its dataflow.
    """
    report = leaf.stage.report
    return _cost(report.at(number) if isinstance(report, Growing) else report, setting, leaf)


def _cost(report: object, setting: Setting, leaf: Leaf) -> Cost:
    if isinstance(report, _FollowsItself):
        return report.cost_under(setting)
    if isinstance(report, Result) and report.dataflow is not None:
        return setting.cost(report)
    why = "was saved, without its operators" if not isinstance(report, Result) else "was counted without its dataflow"
    raise InputError(f"no time of stage {leaf.place}: it {why}", [("fix", "count it again")])


def _stage(leaf: Leaf, passes: Sequence[tuple[int, Cost]]) -> StageCost:
    units = [cost.over(count * leaf.runs) for count, cost in passes]
    times = _summed(Times(unit.bound, unit.estimate, unit.low, unit.high) for unit in units)
    return StageCost(leaf, times, _energy(unit.energy for unit in units), _money([unit.money for unit in units]))


def _summed(times: Iterable[Times]) -> Times:
    parts = list(times)
    names = ("bound", "estimate", "low", "high")
    return Times(*(sum(getattr(part, name) for part in parts) for name in names))


def _energy(parts: Iterable[Energy | None]) -> Energy | None:
    known = list(parts)
    if any(part is None for part in known):
        return None
    return Energy(*(sum(getattr(part, name) for part in known) for name in ("low", "mid", "high")))


def _money(parts: Sequence[Money | None]) -> Money | None:
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or not known:
        return None
    return replace(known[0], amount=sum(part.amount for part in known))


def _by_kind(costs: Sequence[tuple[int, Cost]]) -> list[KindTime]:
    """Kinds of kernels of all stages; what limits a kind is what limits most of its time."""
    kinds: dict[str, list[tuple[int, KindTime]]] = {}
    for count, cost in costs:
        for kind in cost.by_kind:
            kinds.setdefault(kind.kind, []).append((count, kind))
    rows = []
    for name, parts in kinds.items():
        longest = max(parts, key=lambda part: part[0] * part[1].seconds)[1]
        sums: dict[str, Any] = {
            field: sum(count * getattr(kind, field) for count, kind in parts)
            for field in ("macs", "nbytes", "seconds", "kernels")
        }
        rows.append(KindTime(name, sums["macs"], sums["nbytes"], sums["seconds"], sums["kernels"], longest.limit))
    return sorted(rows, key=lambda kind: -kind.seconds)


def _units(
    units: Sequence[PerUnit],
    times: Times,
    energy: Energy | None,
    money: Money | None,
    stages: Sequence[StageCost],
) -> Iterator[UnitCost]:
    """What one of each unit costs, of the whole job or of a stage."""
    for unit in units:
        of = [s for s in stages if unit.unit.stage in ("", s.leaf.place, s.leaf.place.partition(".")[0])]
        share = 1 / float(unit.count)
        part = _summed(stage.times for stage in of).scaled(share)
        joules = _energy(stage.energy for stage in of)
        amount = _money([stage.money for stage in of])
        yield UnitCost(
            unit.words,
            f"{unit.unit.count} = {float(unit.count):g}" if unit.unit.count.names else "",
            share,
            part.bound,
            part.estimate,
            part.low,
            part.high,
            joules and Energy(*(getattr(joules, name) * share for name in ("low", "mid", "high"))),
            amount and replace(amount, amount=amount.amount * share),
        )
