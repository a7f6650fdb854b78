"""A table: rows of exact values under typed columns. Formats decide how a value looks, never what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .one_line import OneLine
from .units import duration, plural, si

__all__ = ["Column", "Formula", "Line", "Measured", "Table", "frame_with", "render_with"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, and what its values are ("text", "prose", "count", "delta", "share").

    `drop` says in which order columns leave a narrow terminal: 1 first, 0 never. A `minor` column shows only where no
    other column has to leave for it. `unit` is the unit of its numbers, which are whole numbers of 10^-12 of it in a
    `pico` column. `key` is its name in data, by default the
    heading. `tone` is "strong" for what a reader looks for first and "quiet" for the figures beside it. With a `prefix`
    ("G") text has all numbers in that multiple of the unit, with `places` decimals; else each has its own prefix.
    A `tally` is a number of things, such as calls, which has no unit.
    """

    name: str
    kind: str = "count"
    drop: int = 0
    unit: str = ""
    key: str = ""
    tone: str = ""
    minor: bool = False
    pico: bool = False
    tally: bool = False
    prefix: str | None = None
    places: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """A number with a unit of its own, in a column of several: text shows it in SI, data have it in that unit.

    Long times are shown in minutes or hours.
    """

    amount: int | float
    unit: str = ""

    def __str__(self) -> str:
        return duration(self.amount) if self.unit == "s" else si(self.amount, self.unit)


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula in a table: as plain text, and for LaTeX's math mode."""

    text: str
    latex: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Line(OneLine):
    """A row as a reader sees it in a tree: the lines below it of a higher level are parts of it, and sum to it."""

    level: int
    values: tuple[Any, ...]

    def _headline(self) -> str:
        return f"{self.values[0]}, level {self.level}"


@dataclass(frozen=True, slots=True)
class Table(OneLine):
    """Exact values: text, integers, or for shares a pair (part, whole). Count columns sum to their total, if any.

    `tree` shows the same as a tree with subtotals: text is written of it, data of the rows, which sum to the total.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    total: tuple[Any, ...] | None
    notes: tuple[str, ...] = ()
    tree: tuple[Line, ...] = ()

    @property
    def lines(self) -> tuple[Line, ...]:
        """What a reader sees: the tree, or else the rows."""
        return self.tree or tuple(Line(0, row) for row in self.rows)

    def to_markdown(self) -> str:
        """GitHub's markdown."""
        return self._render("markdown")

    def to_latex(self) -> str:
        """LaTeX with booktabs."""
        return self._render("latex")

    def to_csv(self) -> str:
        """Exact integers, no notes."""
        return self._render("csv")

    def to_pandas(self) -> Any:
        """A DataFrame, one row per row; notes and title are in its `attrs`."""
        return _framers[-1](self)

    def _render(self, form: str) -> str:
        return _renderers[-1](self, form)

    def __str__(self) -> str:
        return self._render("table")

    def _repr_html_(self) -> str:
        return self._render("html")

    def _headline(self) -> str:
        return f"{self.title}: {plural(len(self.rows), 'row')}, {plural(len(self.columns), 'column')}"


_renderers: list[Callable[[Table, str], str]] = []


def render_with(renderer: Callable[[Table, str], str]) -> None:
    """Set the function that turns a table into text of a named format; the room of formats calls this when loaded."""
    _renderers.append(renderer)


_framers: list[Callable[[Table], Any]] = []


def frame_with(framer: Callable[[Table], Any]) -> None:
    """Set the function that turns a table into a DataFrame; the room of formats calls this when loaded."""
    _framers.append(framer)
