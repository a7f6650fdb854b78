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
from ..core.quantity import Quantity, of_layers, of_modules, of_operators, quantity_column
from ..core.result import ModuleRow, Result, SavedReport
from ..core.shown_as_tables import ShownAsTable
from ..core.table import Column, Table
from ..core.units import si, signed, times
from ..core.wording import assumed_lines, uncosted_lines

__all__ = ["Change", "Counted", "Diff", "LayerDiff", "diff"]

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
        layers = [layer for layer in self.layers if depth < 0 or _row(layer).depth <= depth]
        rows = [_Row.of(layer, depth, self._inside) for layer in layers]
        steps = [quantity for quantity in self.quantities if not quantity.made_of]
        differing = [row for row in rows if row.change is not Change.UNCHANGED]
        cells = [row.cells(self._name(row.path), steps) for row in differing if row.counts]
        silent = [self._name(row.path) for row in differing if not row.counts and (row.rebuilt or not cells)]
        same = [row for row in rows if row.change is Change.UNCHANGED and row.counts]
        if same:
            label = f"({len(same)} unchanged)" if cells else f"(all {len(same)} unchanged)"
            cells.append((label, "", "", "", *_numbers(same, steps)))
        total = ("total", "", "", "", *_numbers(rows, steps))
        columns = (
            *_LABELS,
            *(column for quantity in steps for column in _columns(quantity, unit_of(quantity, self.new))),
        )
        return Table(self._title, columns, tuple(cells), total, tuple(self._notes(silent)))

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

    def _name(self, path: str) -> str:
        return path or (f"({self.old.model})" if self.old.model == self.new.model else "(the model itself)")

    def _notes(self, silent: list[str]) -> Iterator[str]:
        for side, report in (("old", self.old), ("new", self.new)):
            yield from (f"{line} ({side})" for line in uncosted_lines(report.uncosted))
        for text in dict.fromkeys((*self.old.assumed, *self.new.assumed)):
            sides = [side for side, report in (("old", self.old), ("new", self.new)) if text in report.assumed]
            yield from (line + (f" ({sides[0]})" if len(sides) == 1 else "") for line in assumed_lines([text]))
        if not self.different:
            yield "no layer differs"
        if silent:
            more = f" and {len(silent) - _NAMED} more" if len(silent) > _NAMED else ""
            yield f"also changed, without cost or parameters: {', '.join(silent[:_NAMED])}{more}"
        for quantity in of_layers(self.new.total):
            if all(report.total.knows(quantity) for report in (self.old, self.new)) and self._compares(quantity):
                old, new = (quantity.exact(report.total[quantity.name]) for report in (self.old, self.new))
                yield f"{quantity.title}: {_step(old, new, unit_of(quantity, self.new))}"
        yield from pricing_lines({"old": self.old, "new": self.new})
        if self.old.views != self.new.views:
            yield f"views: {self.old.views} → {self.new.views}; the table shows one view"
        for name in sorted({*self.old.versions, *self.new.versions}):
            before, after = (report.versions.get(name, "none") for report in (self.old, self.new))
            if before != after:
                yield f"counted with {name}: {before} → {after}"

    def _headline(self) -> str:
        return f"{self._title}: {signed(self.macs, 'MACs')}, {signed(self.params)} parameters"


_NAMED = 3
_LABELS = (
    Column("layer", "text"),
    Column("change", "text"),
    Column("type", "text", drop=3, tone="quiet"),
    Column("output", "text", drop=4),
)


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
class _Row:
    """A layer as the table shows it: with its children at the last depth shown, else without."""

    path: str
    change: Change
    old: ModuleRow | None
    new: ModuleRow | None
    old_cost: Amount
    new_cost: Amount

    @classmethod
    def of(cls, layer: LayerDiff, depth: int, inside: frozenset[str]) -> _Row:
        whole = _row(layer).depth == depth
        changed = whole and layer.path in inside and layer.change is Change.UNCHANGED
        return cls(
            layer.path,
            Change.CHANGED if changed else layer.change,
            layer.old,
            layer.new,
            _cost(layer.old, whole),
            _cost(layer.new, whole),
        )

    @property
    def counts(self) -> bool:
        """Whether there is anything to show in numbers."""
        return bool(self.old_cost or self.new_cost)

    @property
    def rebuilt(self) -> bool:
        """Whether the module itself differs, and not only its shapes."""
        return self.old is None or self.new is None or self.old.type != self.new.type

    def cells(self, name: str, quantities: Iterable[Quantity]) -> tuple[Any, ...]:
        types = [row.type for row in (self.old, self.new) if row is not None]
        outputs = [row.output_shapes[0] if row.output_shapes else () for row in (self.old, self.new) if row is not None]
        return (name, self.change.value, _turned(*types), _shape_turned(*outputs), *_numbers([self], quantities))


def _row(layer: LayerDiff) -> ModuleRow:
    row = layer.new or layer.old
    assert row is not None
    return row


def _cost(row: ModuleRow | None, whole: bool) -> Amount:
    if row is None:
        return Amount()
    return row.cost if whole else row.own


def _numbers(rows: Iterable[_Row], quantities: Iterable[Quantity]) -> Iterator[int]:
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


def _step(old: float, new: float, unit: str) -> str:
    if old == new:
        return f"{si(old, unit)}, the same"
    relative = f", {100 * (new - old) / old:+.1f}%".replace("-", "−") if old else ""
    return f"{si(old, unit)} → {si(new, unit)} ({signed(new - old, unit)}{relative})"
