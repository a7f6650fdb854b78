"""Two reports, layer by layer: what was added, removed or changed, and by how much.

What enters are two reports, counted now or saved as JSON; what leaves is a frozen Diff. Layers are matched by their
path alone: a renamed layer is removed under one name and added under the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeAlias

from ..core.amount import Amount, summed
from ..core.one_line import OneLine
from ..core.pricing import currency_of, pricing_lines, unit_of
from ..core.quantity import TABLE, Quantity, of_modules, of_operators, quantity_column
from ..core.result import ModuleRow, Result, SavedReport
from ..core.shown_as_tables import ShownAsTable
from ..core.table import Column, Table
from ..core.units import si, signed, times
from ..core.wording import assumed_lines, uncosted_lines

__all__ = ["LABELS", "Change", "Counted", "Diff", "LayerDiff", "ShownLayer", "TotalDiff", "diff"]

Counted: TypeAlias = Result | SavedReport


class Change(StrEnum):
    """What became of a layer."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class LayerDiff(OneLine):
    """One layer in both reports; None where a report lacks it. It changed if anything but its children did."""

    path: str
    old: ModuleRow | None
    new: ModuleRow | None

    @property
    def row(self) -> ModuleRow:
        """What the new report says of it, or the old one where it was removed."""
        return self.sides[-1]

    @property
    def sides(self) -> tuple[ModuleRow, ...]:
        """What those reports say of it that have it, the old one first."""
        return tuple(row for row in (self.old, self.new) if row is not None)

    @property
    def change(self) -> Change:
        """What became of it."""
        if self.old is None or self.new is None:
            return Change.ADDED if self.old is None else Change.REMOVED
        both = self.old.own.counts.keys() & self.new.own.counts.keys()  # an older version saved fewer quantities
        return Change.UNCHANGED if _says(self.old, both) == _says(self.new, both) else Change.CHANGED

    def _headline(self) -> str:
        return f"{self.path or 'the model itself'}: {self.change.value}"


def _says(row: ModuleRow, quantities: Iterable[str]) -> tuple[Any, ...]:
    """All that a report says of a layer itself."""
    return row.type, row.calls, row.input_shapes, row.output_shapes, row.own.only(quantities)


@dataclass(frozen=True, slots=True)
class TotalDiff:
    """The totals of one quantity, each a number and its unit; None where a report lacks it."""

    quantity: Quantity
    old: tuple[int | float, str] | None
    new: tuple[int | float, str] | None

    @property
    def compares(self) -> bool:
        """Whether both are known, in one unit: amounts of money in two currencies have no difference."""
        return self.old is not None and self.new is not None and self.old[1] == self.new[1]

    @property
    def step(self) -> int | float:
        """The new one less the old one; only where they compare."""
        assert self.old is not None
        assert self.new is not None
        return self.new[0] - self.old[0]

    @property
    def relative(self) -> str:
        """The difference in percent of the old one; empty where that is nothing."""
        assert self.old is not None
        return f"{100 * self.step / self.old[0]:+.1f}%".replace("-", "−") if self.old[0] else ""

    def __str__(self) -> str:
        """Both and their difference: "39.8 M → 27.2 M (−12.6 M, −31.7%)"; only where they compare."""
        assert self.old is not None
        assert self.new is not None
        (old, unit), (new, _) = self.old, self.new
        if old == new:
            return f"{si(old, unit)}, the same"
        step = ", ".join(filter(None, (signed(self.step, unit), self.relative)))
        return f"{si(old, unit)} → {si(new, unit)} ({step})"


@dataclass(frozen=True)
class Diff(ShownAsTable):
    """Every layer of either report, in the new one's order; a removed layer follows the one that it followed before."""

    old: Counted
    new: Counted
    layers: tuple[LayerDiff, ...]

    @cached_property
    def different(self) -> bool:
        """Whether any layer was added, removed or changed; the models' names do not matter."""
        return any(layer.change is not Change.UNCHANGED for layer in self.layers)

    @property
    def macs(self) -> int:
        """MACs of the new report less those of the old one."""
        return self.new.total.macs - self.old.total.macs

    @property
    def flops(self) -> int:
        """2 * macs."""
        return 2 * self.macs

    @property
    def other_flops(self) -> int:
        """Other FLOPs of the new report less those of the old one."""
        return self.new.total.other_flops - self.old.total.other_flops

    @property
    def params(self) -> int:
        """Parameters of the new report less those of the old one."""
        return self.new.params - self.old.params

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The quantities that both reports have of each layer, in column order; an older version saved fewer.

        Amounts of money in two currencies have no difference.
        """
        amounts = [row.own for report in (self.old, self.new) for row in report.modules]
        shown = (*of_modules(), *of_operators(self.new.total))
        return tuple(q for q in shown if all(amount.knows(q) for amount in amounts) and self._compares(q))

    def _compares(self, quantity: Quantity) -> bool:
        return not quantity.in_currency or len({currency_of(report) for report in (self.old, self.new)}) == 1

    def table(self, depth: int = -1) -> Table:
        """One row per layer that differs, down to `depth` (-1: all levels), and one for all that do not.

        A row at that depth holds the layer with its children, a row above it only the layer's own operators. Layers
        without cost and parameters get no row; a note names those that changed. Every count column sums to its total
        row.
        """
        rows, steps = self.rows(depth), self.steps
        differing = [row for row in rows if row.differs]
        cells = [row.cells(self.name_of(row.path), steps) for row in differing if row.counts]
        silent = [self.name_of(row.path) for row in differing if not row.counts and (row.rebuilt or not cells)]
        same = [row for row in rows if not row.differs and row.counts]
        if same:
            label = f"({len(same)} unchanged)" if cells else f"(all {len(same)} unchanged)"
            cells.append((label, "", "", "", *_numbers(same, steps)))
        total = ("total", "", "", "", *_numbers(rows, steps))
        return Table(self._title, self.columns(steps), tuple(cells), total, tuple(self._notes(silent)))

    def rows(self, depth: int = -1) -> tuple[ShownLayer, ...]:
        """Every layer down to `depth` (-1: all levels), at that depth with its children, above it without."""
        layers = [layer for layer in self.layers if depth < 0 or layer.row.depth <= depth]
        return tuple(ShownLayer.of(layer, depth, self._inside) for layer in layers)

    def columns(self, quantities: Iterable[Quantity]) -> tuple[Column, ...]:
        """Those of a table whose rows are `ShownLayer.cells` of these quantities."""
        numbers = (column for quantity in quantities for column in _columns(quantity, unit_of(quantity, self.new)))
        return (*LABELS, *numbers)

    @property
    def steps(self) -> tuple[Quantity, ...]:
        """The quantities of a row, each with its old, its new and their difference: those that none is made of."""
        return tuple(quantity for quantity in self.quantities if not quantity.made_of)

    @property
    def totals(self) -> tuple[TotalDiff, ...]:
        """The total of every quantity that either report has."""
        sides = (self.old, self.new)
        either = [q for q in TABLE.values() if q.of_layers and any(side.total.knows(q) for side in sides)]
        return tuple(TotalDiff(q, *(_total(q, side) for side in sides)) for q in either)

    @property
    def missing(self) -> tuple[str, ...]:
        """What the totals lack: a line for each operator without a rule, of either report."""
        return tuple(f"{line} ({side})" for side, report in self._sides for line in uncosted_lines(report.uncosted))

    @property
    def assumed(self) -> tuple[str, ...]:
        """What either count had to assume, once, and of which it is where that is not both."""
        texts = dict.fromkeys((*self.old.assumed, *self.new.assumed))
        having = {text: [side for side, report in self._sides if text in report.assumed] for text in texts}
        return tuple(
            line + (f" ({sides[0]})" if len(sides) == 1 else "")
            for text, sides in having.items()
            for line in assumed_lines([text])
        )

    @property
    def conditions(self) -> tuple[str, ...]:
        """What differs in how the two were counted, and what their times are those of."""
        lines = list(pricing_lines(dict(self._sides)))
        if self.old.views != self.new.views:
            lines.append(f"views: {self.old.views} → {self.new.views}; the table shows one view")
        for name in sorted({*self.old.versions, *self.new.versions}):
            before, after = (report.versions.get(name, "none") for report in (self.old, self.new))
            if before != after:
                lines.append(f"counted with {name}: {before} → {after}")
        return tuple(lines)

    @property
    def _sides(self) -> tuple[tuple[str, Counted], ...]:
        return ("old", self.old), ("new", self.new)

    @cached_property
    def _inside(self) -> frozenset[str]:
        """Modules that contain a layer that differs."""
        paths: set[str] = set()
        for layer in self.layers:
            path = layer.path
            while path and layer.change is not Change.UNCHANGED:
                path = path.rpartition(".")[0]
                paths.add(path)
        return frozenset(paths)

    @property
    def _title(self) -> str:
        return f"{_titled(self.old)} → {_titled(self.new)}"

    def name_of(self, path: str) -> str:
        """What a layer is called: its path, or the model for the outermost."""
        return path or (f"({self.old.model})" if self.old.model == self.new.model else "(the model itself)")

    def _notes(self, silent: list[str]) -> Iterator[str]:
        yield from self.missing
        yield from self.assumed
        if not self.different:
            yield "no layer differs"
        if silent:
            more = f" and {len(silent) - _NAMED} more" if len(silent) > _NAMED else ""
            yield f"also changed, without cost or parameters: {', '.join(silent[:_NAMED])}{more}"
        yield from (f"{total.quantity.title}: {total}" for total in self.totals if total.compares)
        yield from self.conditions

    def _headline(self) -> str:
        return f"{self._title}: {signed(self.macs, 'MACs')}, {signed(self.params)} parameters"


_NAMED = 3
LABELS = (
    Column("layer", "text"),
    Column("change", "text"),
    Column("type", "text", drop=3, tone="quiet"),
    Column("output", "text", drop=4),
)
"""The columns before the numbers."""


def _columns(quantity: Quantity, unit: str) -> Iterator[Column]:
    """Old, new and the difference of a stepwise quantity, else the difference alone."""
    column = replace(quantity_column(quantity), key="", tone="", unit=unit)
    if quantity.stepwise:
        for age in ("old", "new"):
            yield replace(column, name=f"{age} {column.name}", drop=min(quantity.drop, 1))
    drop = 5 if quantity.stepwise else quantity.drop if quantity.pico else 2
    yield replace(column, name=f"Δ {column.name}", kind="delta", drop=drop if quantity.drop else 0)


def diff(old: Counted, new: Counted) -> Diff:
    """What changed from `old` to `new`, each a Result or what `read_report` gives."""
    before, after = ({row.path: row for row in report.modules} for report in (old, new))
    paths = _merged(list(before), list(after))
    return Diff(old, new, tuple(LayerDiff(path, before.get(path), after.get(path)) for path in paths))


def _merged(old: Iterable[str], new: Iterable[str]) -> list[str]:
    """The new order; what only the old one has follows what it followed there."""
    in_new = set(new := list(new))
    behind: dict[str, list[str]] = {}
    last = ""  # the root is in both
    for path in old:
        if path in in_new:
            last = path
        else:
            behind.setdefault(last, []).append(path)
    return [path for there in new for path in (there, *behind.get(there, ()))]


@dataclass(frozen=True, slots=True)
class ShownLayer:
    """A layer as a table shows it: with its children at the last depth shown, else without."""

    layer: LayerDiff
    change: Change
    old_cost: Amount
    new_cost: Amount

    @classmethod
    def of(cls, layer: LayerDiff, depth: int, inside: frozenset[str]) -> ShownLayer:
        """As shown down to `depth`; `inside` are the modules that contain a layer that differs."""
        whole = layer.row.depth == depth
        changed = whole and layer.path in inside and layer.change is Change.UNCHANGED
        change = Change.CHANGED if changed else layer.change
        return cls(layer, change, _cost(layer.old, whole), _cost(layer.new, whole))

    @property
    def path(self) -> str:
        """Where the layer is; empty for the outermost."""
        return self.layer.path

    @property
    def counts(self) -> bool:
        """Whether there is anything to show in numbers."""
        return bool(self.old_cost or self.new_cost)

    @property
    def differs(self) -> bool:
        """Whether it, or what is shown with it, was added, removed or changed."""
        return self.change is not Change.UNCHANGED

    @property
    def rebuilt(self) -> bool:
        """Whether the module itself differs, and not only its shapes."""
        return self.layer.old is None or self.layer.new is None or self.layer.old.type != self.layer.new.type

    @property
    def type(self) -> str:
        """Its type, and what that turned into."""
        return _turned(*(row.type for row in self.layer.sides))

    @property
    def output(self) -> str:
        """Its first output without the batch, and what that turned into."""
        return _shape_turned(*(row.output_shapes[0] if row.output_shapes else () for row in self.layer.sides))

    def cells(self, name: str, quantities: Iterable[Quantity]) -> tuple[Any, ...]:
        """Its row of the table."""
        return (name, self.change.value, self.type, self.output, *_numbers([self], quantities))


def _cost(row: ModuleRow | None, whole: bool) -> Amount:
    if row is None:
        return Amount()
    return row.cost if whole else row.own


def _numbers(rows: Iterable[ShownLayer], quantities: Iterable[Quantity]) -> Iterator[int]:
    """What the columns of each quantity show for all rows together."""
    old, new = summed(row.old_cost for row in rows), summed(row.new_cost for row in rows)
    for quantity in quantities:
        before, after = old[quantity.name], new[quantity.name]
        yield from (before, after, after - before) if quantity.stepwise else (after - before,)


def _turned(old: str, new: str | None = None) -> str:
    return old if new in (None, old) else f"{old} → {new}"


def _shape_turned(old: tuple[int, ...], new: tuple[int, ...] | None = None) -> str:
    """First output without the batch; only the sizes that differ are written twice: 64×(16→32)×112×112."""
    if new is None or old[1:] == new[1:]:
        return times(old[1:] or old)
    if len(old) != len(new):
        return f"{times(old[1:] or old)} → {times(new[1:] or new)}"
    return "×".join(str(a) if a == b else f"({a}→{b})" for a, b in zip(old[1:], new[1:], strict=True))


def _titled(report: Counted) -> str:
    shapes = ", ".join(times(shape) for shape in report.input.shapes)
    return f"{report.model} on {shapes}" if shapes else report.model  # a whole job has no input of its own


def _total(quantity: Quantity, report: Counted) -> tuple[int | float, str] | None:
    """The total in its unit, or None."""
    if not report.total.knows(quantity):
        return None
    return quantity.exact(report.total[quantity.name]), unit_of(quantity, report)
