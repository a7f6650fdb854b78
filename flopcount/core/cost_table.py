"""Costs as a table: labelled rows with the same columns of amounts, and a total that they sum to.

The table of a count and that of a training step have different columns and the same layout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Generic, Protocol, TypeVar

from .quantity import Quantity, quantity_column
from .table import Column, Table

__all__ = ["CostColumn", "cost_columns", "cost_table", "shown_modules"]

CostT = TypeVar("CostT")
CostT_co = TypeVar("CostT_co", covariant=True)


@dataclass(frozen=True, slots=True)
class CostColumn(Generic[CostT]):
    """A column, and the function that gives its value from the cost of a row."""

    column: Column
    of: Callable[[CostT], Any]


class CostedModule(Protocol[CostT_co]):
    """What a table needs of a module: its depth, and its cost with and without its children."""

    @property
    def depth(self) -> int: ...
    @property
    def cost(self) -> CostT_co: ...
    @property
    def own(self) -> CostT_co: ...


ModuleT = TypeVar("ModuleT", bound=CostedModule[Any])


def cost_columns(quantities: Iterable[Quantity], *, always: bool = False) -> list[CostColumn[Any]]:
    """A column per quantity; minor ones are shown where there is room for them, or `always`."""
    return [CostColumn(quantity_column(q, always=always), itemgetter(q.name)) for q in quantities]


def shown_modules(rows: Iterable[ModuleT], depth: int) -> Iterator[tuple[ModuleT, Any]]:
    """Modules down to `depth` (-1: all levels), each with its cost; a module above that depth shows only its own."""
    for row in rows:
        if depth < 0 or row.depth <= depth:
            yield row, row.cost if row.depth == depth else row.own


def cost_table(
    title: str,
    labels: Sequence[Column],
    rows: Iterable[tuple[tuple[Any, ...], CostT]],
    columns: Sequence[CostColumn[CostT]],
    total: CostT,
    notes: tuple[str, ...],
) -> Table:
    """The table; a label column of counts has a total too."""
    body = tuple((*names, *(column.of(cost) for column in columns)) for names, cost in rows)
    sums = (sum(row[at] for row in body) if c.kind == "count" else "" for at, c in enumerate(labels) if at)
    last = ("total", *sums, *(column.of(total) for column in columns))
    return Table(title, (*labels, *(column.column for column in columns)), body, last, notes)
