"""Prediction -> Table: time beside MACs, by module, by kind of kernel and by operator, in exact values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..core.amount import Amount, summed
from ..core.cost_table import CostColumn, cost_table
from ..core.errors import UnknownNameError
from ..core.layer_tree import Part, in_running_order, layer_tree, shown_modules
from ..core.ops import CostedOp, Kind
from ..core.pricing import unit_of
from ..core.quantity import PICO, TABLE, priced, quantity_column
from ..core.result import ModuleRow
from ..core.table import Column, Table
from ..core.wording import PRICE, title
from .cost_notes import notes
from .prediction import LIMITS, Prediction

__all__ = ["BY_TIME", "cost_table_by", "cost_table_of", "with_devices"]

BY_TIME = ("module", "kind", "operator")
_UNCOSTED = "uncosted"


@dataclass(frozen=True, slots=True)
class _Spent:
    """What a row costs, and what most of its time is."""

    amount: Amount
    limit: str = ""


def cost_table_by(cost: Prediction, by: str, depth: int = 2) -> Table:
    """The table by module (down to `depth`, -1: all levels), by kind of kernel, or by operator.

    Raises:
        UnknownNameError: no such table.
    """
    if by not in BY_TIME:
        raise UnknownNameError("table", by, BY_TIME, f"choose {', '.join(BY_TIME)}")
    return {"module": _by_module, "kind": _by_kind, "operator": _by_operator}[by](cost, depth)


def _by_module(cost: Prediction, depth: int) -> Table:
    """One row per module that does anything; a row above `depth` holds only its own operators.

    As text a tree, where a module holds what is below it.
    """
    result = cost.result
    own: dict[str, list[CostedOp]] = {}
    for op in cost.ran:
        own.setdefault(op.op.module, []).append(op)
    paths = {row.path for row in result.modules}
    own[""] = [op for path, ops in own.items() if path == "" or path not in paths for op in ops]

    def limit(path: str, *, whole: bool) -> str:
        within = [path] if not whole else [other for other in own if _within(other, path)]
        return _limit([op for other in within for op in own.get(other, ())])

    def worth(row: ModuleRow, part: Part) -> bool:
        amount = row.cost if part is Part.WHOLE else row.own
        return bool(amount["time"] or amount["macs"] or limit(row.path, whole=part is Part.WHOLE))

    ordered = in_running_order(result.modules, result.course)
    rows = [
        ((row.path or f"({result.model})", row.type), _Spent(amount, limit(row.path, whole=row.depth == depth)))
        for row, amount in shown_modules(ordered, depth)
        if worth(row, Part.WHOLE if row.depth == depth else Part.OWN)
    ]
    tree = []
    for branch in layer_tree(ordered, depth, result.course, summed, worth):
        kind = "" if branch.named is None else branch.named.type
        most = limit(branch.row.path, whole=branch.part is Part.WHOLE)
        tree.append((branch.level, (branch.label(result.model), kind), _Spent(branch.cost, most)))
    labels = (Column("layer", "text"), Column("type", "text", drop=1, tone="quiet"))
    return _table(cost, labels, rows, result.total, _beside_time(), tree)


def cost_table_of(cost: Prediction, paths: Sequence[str], more: Sequence[str]) -> Table:
    """One row for each of these modules with all that is in them, which together are the whole; `more` is a label."""
    rows = []
    for path, text in zip(paths, more, strict=True):
        row = cost.result.module(path)
        ops = [op for op in cost.ran if _within(op.op.module, path)]
        rows.append(((path, row.type, text), _Spent(row.cost, _limit(ops))))
    labels = (Column("stage", "text"), Column("type", "text", drop=1, tone="quiet"), Column("times", "text"))
    return _table(cost, labels, rows, cost.result.total, _beside_time())


def _within(path: str, parent: str) -> bool:
    return path == parent or not parent or path.startswith(f"{parent}.")


def _limit(ops: Iterable[CostedOp]) -> str:
    """What most of the time of these operators is; of one without a rule nobody knows."""
    sums = dict.fromkeys(LIMITS, 0)
    for op in ops:
        if op.kind is Kind.UNCOSTED:
            return _UNCOSTED
        if op.spending is not None and op.spending.limit:
            sums[op.spending.limit] += op.spending.time
    return max(LIMITS, key=lambda limit: sums[limit]) if any(sums.values()) else ""


def _by_operator(cost: Prediction, depth: int) -> Table:
    """One row per operator; views and what else takes no time are left out."""
    same: dict[str, list[CostedOp]] = {}
    for op in cost.ran:
        same.setdefault(op.name, []).append(op)
    ran = replace(cost.result, ops=cost.ran)
    rows = [
        ((row.op, row.kind.value, row.calls), _Spent(row.cost, _limit(same[row.op])))
        for row in ran.operators
        if row.cost["time"] or row.cost["macs"] or row.kind is Kind.UNCOSTED
    ]
    labels = (
        Column("operator", "text"),
        Column("kind", "text", drop=1, tone="quiet"),
        Column("calls", drop=2, tally=True),
    )
    return _table(cost, labels, rows, ran.total, _beside_time())


def _by_kind(cost: Prediction, depth: int) -> Table:
    """One row per kind of kernel, with the bytes that it moves in this precision."""
    times = _picoseconds(cost)
    rows = [
        ((kind.kind, kind.kernels), _Spent(Amount({"macs": kind.macs, "bytes": kind.nbytes, "time": time}), kind.limit))
        for kind, time in zip(cost.by_kind, times, strict=True)
    ]
    sums = {"macs": sum(kind.macs for kind in cost.by_kind), "bytes": sum(kind.nbytes for kind in cost.by_kind)}
    labels = (Column("kind", "text", tone="quiet"), Column("kernels", drop=2, tally=True))
    return _table(cost, labels, rows, Amount({**sums, "time": sum(times)}), ("bytes",))


def _picoseconds(cost: Prediction) -> list[int]:
    """The kinds' times in whole picoseconds that sum to the total: the longest takes what rounding leaves."""
    if not cost.by_kind:
        return []
    others = [round(kind.seconds * PICO) for kind in cost.by_kind[1:]]
    return [cost.result.total["time"] - sum(others), *others]


def _table(
    cost: Prediction,
    labels: Sequence[Column],
    rows: Iterable[tuple[tuple[Any, ...], _Spent]],
    total: Amount,
    more: Sequence[str],
    tree: Sequence[tuple[int, tuple[Any, ...], _Spent]] = (),
) -> Table:
    """The rows with MACs and their share, time and its share, what limits it, and `more` quantities between."""

    def share(name: str) -> Any:
        return lambda spent: (spent.amount[name], total[name])

    columns: list[CostColumn[_Spent]] = [
        CostColumn(replace(quantity_column(TABLE["macs"]), drop=3, tone=""), lambda spent: spent.amount["macs"]),
        CostColumn(Column("of MACs", "share", drop=5, key="macs_share"), share("macs")),
        *(_column(name, cost) for name in more if name == "bytes" or total.knows(TABLE[name])),
        CostColumn(Column("limit", "text", drop=4, tone="quiet"), lambda spent: spent.limit),
        CostColumn(replace(quantity_column(TABLE["time"]), drop=0), lambda spent: spent.amount["time"]),
        CostColumn(Column("of time", "share", drop=7, key="time_share"), share("time")),
    ]
    rows = list(rows)
    mode = replace(cost.conditions, training=False)
    shares = [(names[0], spent.amount["macs"], spent.amount["time"]) for names, spent in rows]
    heading = f"{title(cost.result)}: {'training step' if cost.conditions.training else 'time'} on {mode}"
    return cost_table(heading, labels, rows, columns, _Spent(total), notes(cost, shares), tree)


def _beside_time() -> tuple[str, ...]:
    """What a device spends besides time."""
    return tuple(quantity.name for quantity in priced() if quantity.name != "time")


def _column(name: str, cost: Prediction) -> CostColumn[_Spent]:
    if name == "bytes":
        return CostColumn(Column("bytes", unit="B", drop=2), lambda spent: spent.amount.counts["bytes"])
    column = replace(quantity_column(TABLE[name]), unit=unit_of(TABLE[name], cost.result))
    return CostColumn(column, lambda spent: spent.amount[name])


def with_devices(tables: Sequence[Table], names: Sequence[str]) -> Table:
    """Tables of the same columns as one, with the device of each row first: a file has one heading.

    A quantity that is not known on each of them is left out.
    """
    shared = [column for column in tables[0].columns if all(column in table.columns for table in tables)]
    rows = tuple(
        (name, *(row[table.columns.index(column)] for column in shared))
        for table, name in zip(tables, names, strict=True)
        for row in table.rows
    )
    notes = [
        note.replace(PRICE, f"{PRICE}{name}: ", 1) if note.startswith(PRICE) else note
        for table, name in zip(tables, names, strict=True)
        for note in table.notes
    ]
    return Table(tables[0].title, (Column("device", "text"), *shared), rows, None, tuple(dict.fromkeys(notes)))
