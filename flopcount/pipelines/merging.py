"""A pipeline -> one result: its stages are modules, each with its layers below, and every operator runs so often.

So whatever reads a result reads a whole job: tables by module, operator and kind, JSON, diff, budget, page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..core.amount import Amount, in_brief, summed
from ..core.one_line import OneLine
from ..core.ops import CostedOp, ModuleCall, ModuleInfo, Spending, Workload
from ..core.protocol import Views
from ..core.quantity import counted
from ..core.result import ModuleRow, Result, ResultInput, SavedReport, UncostedRow
from ..core.units import plural
from .growing import Growing
from .leaf import Leaf
from .saved_stage import SavedStage

__all__ = ["Job", "merged", "repeated"]


@dataclass(frozen=True, slots=True)
class Job(OneLine):
    """A pipeline as its merging takes it: leaves, and the parameters of distinct weights by the place that has them."""

    name: str
    leaves: tuple[Leaf, ...]
    owners: Mapping[str, Amount]
    total: Amount
    assumed: tuple[str, ...]
    batch: int | None
    views: Views

    def _headline(self) -> str:
        return f"{self.name}: {plural(len(self.leaves), 'stage')}, {in_brief(self.total)}"


def merged(job: Job, priced: Sequence[Sequence[Result]] | None = None) -> Result | SavedReport:
    """The whole job as one result.

    With `priced` its operators spend what those passes of each leaf do, of a leaf that grows one pass of each piece.
    """
    if any(isinstance(leaf.stage.report, (SavedStage, SavedReport)) for leaf in job.leaves):
        return _saved(job)
    results = [_summed(leaf) for leaf in job.leaves]
    if priced is not None:
        of_leaves = zip(results, priced, job.leaves, strict=True)
        results = [_with_spending(result, of_device, leaf) for result, of_device, leaf in of_leaves]
    tree = [ModuleInfo("", "Pipeline", 0, 0)]
    above: set[str] = set()
    ops: list[CostedOp] = []
    calls: list[ModuleCall] = []
    used: list[str] = []
    for leaf, result in zip(job.leaves, results, strict=True):
        tree += (info for info in _above(leaf.place) if info.path not in above)
        above |= {info.path for info in _above(leaf.place)}
        tree += (_placed_info(info, leaf.place, owns=leaf.place in job.owners) for info in result.tree)
        runs = leaf.runs if isinstance(leaf.stage.report, Growing) else leaf.runs * leaf.passes
        ops += (repeated(op, runs, leaf.place) for op in result.ops) if runs else ()
        calls += (c._replace(module=_placed(c.module, leaf.place), times=c.times * runs) for c in result.calls)
        used += (_placed(path, leaf.place) for path in result.used_elsewhere)
    first = results[0]
    return Result(
        model=job.name,
        departures=tuple(dict.fromkeys(line for result in results for line in result.departures)),
        input=_input(job, results),
        views=job.views,
        ops=tuple(ops),
        tree=tuple(tree),
        calls=tuple(call for call in calls if call.times),
        engine=_engine(result.engine for result in results),
        versions=first.versions,
        assumed=tuple(dict.fromkeys((*job.assumed, *_assumed(job.leaves, results)))),
        used_elsewhere=tuple(used),
    )


def repeated(op: CostedOp, runs: int, place: str) -> CostedOp:
    """An operator of a stage, with what all its runs cost."""
    one = op.work
    work = Workload(*(n * runs for n in (one.macs, one.other_flops, one.bytes_read, one.bytes_written)))
    moved = op.op._replace(module=_placed(op.op.module, place))
    elements = op.elements and (op.elements[0] * runs, op.elements[1] * runs)
    spending = _spent(op.spending, runs)
    return op._replace(op=moved, work=work, times=op.times * runs, spending=spending, elements=elements)


def _spent(spending: Spending | None, runs: int) -> Spending | None:
    if spending is None:
        return None
    energy, money = (None if amount is None else amount * runs for amount in (spending.energy, spending.money))
    return Spending(spending.time * runs, energy, money, spending.limit)


def _summed(leaf: Leaf) -> Result:
    report = leaf.stage.report
    if isinstance(report, Growing):
        return report.summed(leaf.passes) if leaf.passes else replace(report.first, ops=(), calls=())
    assert isinstance(report, Result)
    return report


def _with_spending(result: Result, priced: Sequence[Result], leaf: Leaf) -> Result:
    """The operators with what a pass spends; of growing passes each spends what the priced one of its piece does."""
    if not isinstance(leaf.stage.report, Growing):
        return replace(result, ops=priced[0].ops)
    ops: list[CostedOp] = []
    for piece, of_piece in zip(leaf.stage.report.pieces(leaf.passes), priced, strict=True):
        for together, op in zip(piece.ops(), of_piece.ops, strict=True):
            ops.append(together._replace(spending=_spent(op.spending, piece.count)))
    return replace(result, ops=tuple(ops))


def _placed(path: str, place: str) -> str:
    return f"{place}.{path}" if path else place


def _above(place: str) -> Iterator[ModuleInfo]:
    """The pipelines that a nested stage is in."""
    parts = place.split(".")[:-1]
    for end in range(1, len(parts) + 1):
        yield ModuleInfo(".".join(parts[:end]), "Pipeline", 0, 0)


def _placed_info(info: ModuleInfo, place: str, *, owns: bool) -> ModuleInfo:
    params = (info.params, info.trainable_params) if owns else (0, 0)
    return ModuleInfo(_placed(info.path, place), info.type, *params)


def _assumed(leaves: Sequence[Leaf], results: Sequence[Result]) -> Iterator[str]:
    for leaf, result in zip(leaves, results, strict=True):
        yield from (f"{text} ({leaf.place})" for text in result.assumed)


def _engine(engines: Iterable[str]) -> str:
    names = tuple(dict.fromkeys(engines))
    return names[0] if len(names) == 1 else next((name for name in ("real", "fake") if name in names), names[0])


def _input(job: Job, results: Sequence[Result]) -> ResultInput:
    """A job has no tensor of its own that goes in."""
    return ResultInput(None, 1, None, (), job.batch, results[-1].input.dtype if results else "")


def _saved(job: Job) -> SavedReport:
    """Of saved stages there are no layers: each stage is one row."""
    rows = []
    none = {quantity.name: 0 for quantity in counted() if quantity.of_module is not None}
    for leaf in job.leaves:
        owned = job.owners.get(leaf.place)
        own = Amount({**leaf.total.counts, **(none if owned is None else owned.counts)})
        kind = leaf.type or leaf.stage.model
        rows.append(ModuleRow(leaf.place, kind, leaf.place.count(".") + 1, leaf.runs * leaf.passes, (), (), own, own))
    root = summed(row.own for row in rows)
    nothing = Amount(dict.fromkeys(root.counts, 0))
    return SavedReport(
        model=job.name,
        input=ResultInput(None, 1, None, (), job.batch, ""),
        views=job.views,
        total=job.total,
        modules=(ModuleRow("", "Pipeline", 0, 1, (), (), root, nothing), *rows),
        uncosted=tuple(_uncosted(job)),
        engine="saved",
        assumed=job.assumed,
    )


def _uncosted(job: Job) -> Iterator[UncostedRow]:
    for leaf in job.leaves:
        report, runs = leaf.stage.report, leaf.runs * leaf.passes
        rows = report.summed(leaf.passes).uncosted if isinstance(report, Growing) else leaf.one_pass.uncosted
        for row in rows:
            modules = tuple(_placed(path, leaf.place) for path in row.modules)
            yield UncostedRow(row.op, row.calls * runs, modules, row.elements * runs, row.upper_macs * runs)
