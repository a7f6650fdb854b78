"""Modules as a reader sees them: a tree whose parents hold what is below them, in the order in which they run.

What enters are rows of modules, each after its parent, with their costs; what leaves are branches, the lines of the
tree. The branches below a parent sum to it, and those of level 0 sum to the whole. Nothing is added up here: a module
has its cost with its children already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

from .one_line import OneLine
from .units import plural

__all__ = ["Branch", "CostedModule", "Course", "Part", "in_running_order", "layer_tree", "shown_modules"]

CostT_co = TypeVar("CostT_co", covariant=True)


class CostedModule(Protocol[CostT_co]):
    """What a table needs of a module: its path and depth, and its cost with and without its children."""

    @property
    def path(self) -> str:
        """The dotted path, empty for the root."""

    @property
    def depth(self) -> int:
        """0 for the root."""

    @property
    def cost(self) -> CostT_co:
        """With its children."""

    @property
    def own(self) -> CostT_co:
        """Without them."""


ModuleT = TypeVar("ModuleT", bound=CostedModule[Any])


class Part(Enum):
    """What of a module a line is of."""

    WHOLE = "the module and all that is in it"
    OWN = "its own operations and parameters"
    IDLE = "those of its children that never run"


@dataclass(frozen=True, slots=True)
class Branch(OneLine, Generic[ModuleT]):
    """A line: how deep it is, the module, what of it, and what that costs; `idle` are the children that never run."""

    level: int
    row: ModuleT
    part: Part
    cost: Any
    idle: tuple[ModuleT, ...] = ()

    def _headline(self) -> str:
        return f"{self.label('the model')}, level {self.level}: {self.cost}"

    @property
    def named(self) -> ModuleT | None:
        """The module, where the line is named after it."""
        return self.row if self.part is Part.WHOLE or (self.part is Part.OWN and not self.row.path) else None

    def label(self, model: str) -> str:
        """The path of a module; of a part that has none, in brackets, what it is."""
        if self.part is Part.IDLE:
            return "(never called)"
        if self.part is Part.OWN and self.row.path:
            return "(own)"
        return self.row.path or f"({model})"


def shown_modules(rows: Iterable[ModuleT], depth: int) -> Iterator[tuple[ModuleT, Any]]:
    """Modules down to `depth` (-1: all levels), each with its cost; a module above that depth shows only its own."""
    for row in rows:
        if depth < 0 or row.depth <= depth:
            yield row, row.cost if row.depth == depth else row.own


@dataclass(frozen=True, slots=True)
class Course(OneLine):
    """How the modules of a network run.

    `first` is the place of the first operation in a module or in its children, `called` are the modules that are
    called, and `idle` those that never run, nor anything in them, nor are their weights used.
    """

    first: Mapping[str, int] = field(default_factory=dict)
    called: frozenset[str] = frozenset()
    idle: frozenset[str] = frozenset()

    def _headline(self) -> str:
        return f"of {plural(len(self.first), 'module')}, {len(self.idle)} never run"


def in_running_order(rows: Sequence[ModuleT], course: Course) -> list[ModuleT]:
    """The same rows, children of one parent in the order in which they first run; those that never do come last."""
    children, last = _children(rows), max(course.first.values(), default=0) + 1
    ordered: list[ModuleT] = []
    waiting = [row for row in rows if not row.path]
    while waiting:
        row = waiting.pop()
        ordered.append(row)
        below = sorted(children.get(row.path, ()), key=lambda child: course.first.get(child.path, last))
        waiting += reversed(below)
    return ordered


def layer_tree(
    rows: Sequence[ModuleT],
    depth: int,
    course: Course,
    add: Callable[[Iterable[Any]], Any],
    worth: Callable[[ModuleT, Part], bool] | None = None,
) -> Iterator[Branch[ModuleT]]:
    """The lines down to `depth` (-1: all levels).

    A container that does nothing itself, such as a ModuleList, has no line where its children have; nor has the whole,
    which is the total. Children that never run share one line.

    Arguments:
        rows: each after its parent, in the order to show.
        depth: down to which level of modules.
        course: how they run.
        add: sums costs.
        worth: whether the whole of a module, or its own part, is worth a line; by default if it costs anything.
    """
    children, shown = _children(rows), worth or _costs

    def grow(row: ModuleT, level: int) -> Iterator[Branch[ModuleT]]:
        below = [child for child in children.get(row.path, ()) if shown(child, Part.WHOLE)]
        if row.depth == depth or not below:
            yield Branch(level, row, Part.WHOLE, row.cost)
            return
        if row.path and (shown(row, Part.OWN) or row.path in course.called):
            yield Branch(level, row, Part.WHOLE, row.cost)
            level += 1
        if shown(row, Part.OWN):
            yield Branch(level, row, Part.OWN, row.own)
        for child in below:
            if child.path not in course.idle:
                yield from grow(child, level)
        idle = tuple(child for child in below if child.path in course.idle)
        if idle:
            yield Branch(level, row, Part.IDLE, add(child.cost for child in idle), idle)

    for root in rows:
        if not root.path and shown(root, Part.WHOLE):
            yield from grow(root, 0)


def _costs(row: CostedModule[Any], part: Part) -> bool:
    return bool(row.cost if part is Part.WHOLE else row.own)


def _children(rows: Iterable[ModuleT]) -> dict[str, list[ModuleT]]:
    """Rows by the path of their parent."""
    children: dict[str, list[ModuleT]] = {}
    for row in rows:
        if row.path:
            children.setdefault(row.path.rpartition(".")[0], []).append(row)
    return children
