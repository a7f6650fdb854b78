"""Two reports, layer by layer: what was added, removed or changed, and by how much.

What enters are two reports, counted now or saved as JSON; what leaves is a frozen Diff. Layers are matched by their
path alone: one that was renamed is removed under one name and added under the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeAlias

from ..core.result import Amount, ModuleRow, Result, SavedReport
from ..core.table import Column, Table
from ..core.units import si, signed, times
from ..core.wording import uncosted_lines

__all__ = ["Change", "Counted", "Diff", "LayerDiff", "diff"]

Counted: TypeAlias = Result | SavedReport


class Change(StrEnum):
    """What became of a layer."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class LayerDiff:
    """One layer in both reports; None where it does not exist. It changed where anything but its children did."""

    path: str
    old: ModuleRow | None
    new: ModuleRow | None

    @property
    def change(self) -> Change:
        """What became of it."""
        if self.old is None or self.new is None:
            return Change.ADDED if self.old is None else Change.REMOVED
        return Change.UNCHANGED if _told(self.old) == _told(self.new) else Change.CHANGED


def _told(row: ModuleRow) -> tuple[Any, ...]:
    """All that a report says of a layer itself."""
    return row.type, row.calls, row.input_shapes, row.output_shapes, row.own_params, row.own


@dataclass(frozen=True)
class Diff:
    """Every layer of either report, in the new one's order; what was removed stands behind what was before it."""

    old: Counted
    new: Counted
    layers: tuple[LayerDiff, ...]

    @cached_property
    def different(self) -> bool:
        """Whether any layer was added, removed or changed; the models' names do not matter."""
        return any(layer.change is not Change.UNCHANGED for layer in self.layers)

    @property
    def macs(self) -> int:
        """MACs that the new one has more than the old one."""
        return self.new.total.macs - self.old.total.macs

    @property
    def flops(self) -> int:
        """2 * macs."""
        return 2 * self.macs

    @property
    def other_flops(self) -> int:
        """Other FLOPs that the new one has more than the old one."""
        return self.new.total.other_flops - self.old.total.other_flops

    @property
    def params(self) -> int:
        """Parameters that the new one has more than the old one."""
        return self.new.params - self.old.params

    def table(self, depth: int = -1) -> Table:
        """One row per layer that differs, down to `depth` (-1: all levels), and one for all that do not.

        A row at that depth holds the layer with its children, a row above it only the layer's own operators. Layers
        that cost nothing and have no parameters are no rows; a note names those that are others now. Every count
        column sums to its total row.
        """
        layers = [layer for layer in self.layers if depth < 0 or _row(layer).depth <= depth]
        rows = [_Row.of(layer, depth, self._inside) for layer in layers]
        differing = [row for row in rows if row.change is not Change.UNCHANGED]
        cells = [row.cells(self._name(row.path)) for row in differing if row.counts]
        silent = [self._name(row.path) for row in differing if not row.counts and (row.rebuilt or not cells)]
        same = [row for row in rows if row.change is Change.UNCHANGED and row.counts]
        if same:
            label = f"({len(same)} unchanged)" if cells else f"(all {len(same)} unchanged)"
            cells.append((label, "", "", "", *_summed(same)))
        total = ("total", "", "", "", *_summed(rows))
        return Table(self._title, _COLUMNS, tuple(cells), total, tuple(self._notes(silent)))

    @cached_property
    def _inside(self) -> frozenset[str]:
        """Modules that a layer which differs is in."""
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
        if not self.different:
            yield "no layer differs"
        if silent:
            more = f" and {len(silent) - _NAMED} more" if len(silent) > _NAMED else ""
            yield f"differing too, without cost or parameters: {', '.join(silent[:_NAMED])}{more}"
        old, new = self.old.total, self.new.total
        yield f"MACs: {_step(old.macs, new.macs)}"
        yield f"FLOPs: {_step(old.flops, new.flops)}"
        yield f"other FLOPs: {_step(old.other_flops, new.other_flops)}"
        yield f"parameters: {_step(self.old.params, self.new.params)}"
        if self.old.views != self.new.views:
            yield f"views: {self.old.views} → {self.new.views}, of which the table shows one"
        for name in sorted({*self.old.versions, *self.new.versions}):
            before, after = (report.versions.get(name, "none") for report in (self.old, self.new))
            if before != after:
                yield f"counted with {name}: {before} → {after}"

    def __str__(self) -> str:
        return str(self.table())

    def __repr__(self) -> str:
        return f"<Diff {self._title}: {signed(self.macs, 'MACs')}, {signed(self.params)} parameters>"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


_NAMED = 3
_COLUMNS = (
    Column("layer", "text"),
    Column("change", "text"),
    Column("type", "text", drop=3),
    Column("output", "text", drop=4),
    Column("old params", drop=1),
    Column("new params", drop=1),
    Column("Δ params", "delta", drop=5),
    Column("old MACs"),
    Column("new MACs"),
    Column("Δ MACs", "delta"),
    Column("Δ other", "delta", drop=2),
)


def diff(old: Counted, new: Counted) -> Diff:
    """What changed from `old` to `new`, each a Result or what `read_report` gives."""
    before, after = ({row.path: row for row in report.modules} for report in (old, new))
    paths = _merged(list(before), list(after))
    return Diff(old, new, tuple(LayerDiff(path, before.get(path), after.get(path)) for path in paths))


def _merged(old: Iterable[str], new: Iterable[str]) -> list[str]:
    """The new order, with what only the old one has behind what stood before it there."""
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
    old_cost: tuple[int, Amount]
    new_cost: tuple[int, Amount]

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
        return any(params or cost.total_flops for params, cost in (self.old_cost, self.new_cost))

    @property
    def rebuilt(self) -> bool:
        """Whether it is another module, where otherwise it was given another shape."""
        return self.old is None or self.new is None or self.old.type != self.new.type

    def cells(self, name: str) -> tuple[Any, ...]:
        types = [row.type for row in (self.old, self.new) if row is not None]
        outputs = [row.output_shapes[0] if row.output_shapes else () for row in (self.old, self.new) if row is not None]
        return (name, self.change.value, _turned(*types), _shape_turned(*outputs), *self.numbers)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Parameters and MACs, old, new and the difference; other FLOPs, the difference alone."""
        (old_params, old), (new_params, new) = self.old_cost, self.new_cost
        params = (old_params, new_params, new_params - old_params)
        return (*params, old.macs, new.macs, new.macs - old.macs, new.other_flops - old.other_flops)


def _row(layer: LayerDiff) -> ModuleRow:
    row = layer.new or layer.old
    assert row is not None
    return row


def _cost(row: ModuleRow | None, whole: bool) -> tuple[int, Amount]:
    if row is None:
        return 0, Amount()
    return (row.params, row.cost) if whole else (row.own_params, row.own)


def _summed(rows: list[_Row]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*(row.numbers for row in rows), strict=True)))


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
    return f"{report.model} on {', '.join(times(shape) for shape in report.input.shapes)}"


def _step(old: int, new: int) -> str:
    if old == new:
        return f"{si(old)}, the same"
    relative = f", {100 * (new - old) / old:+.1f}%".replace("-", "−") if old else ""
    return f"{si(old)} → {si(new)} ({signed(new - old)}{relative})"
