"""What a job costs as a function of its parameters: stages times their expressions, growing passes in closed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..core.errors import InputError, UnknownNameError
from ..core.one_line import OneLine
from ..core.quantity import TABLE, counted, of_layers
from ..core.shown_as_tables import ShownAsTables
from ..core.table import Column, Formula, Table
from ..core.units import plural
from .differences import Differences, sum_of
from .expression import Expression, Value
from .leaf import Leaf
from .staged_job import StagedJob

__all__ = ["JobFormula", "Term", "job_formula"]


@dataclass(frozen=True, slots=True)
class Term(OneLine):
    """A stage: forward differences of its amount at the first pass, how many passes, and how often they all run."""

    place: str
    differences: Differences
    passes: Expression
    around: tuple[Expression, ...]

    def _headline(self) -> str:
        return f"{self.place}: {self.passes} passes"


@dataclass(frozen=True)
class JobFormula(ShownAsTables):
    """A quantity of a whole job as a function of its parameters, exact wherever each repeat is a whole number."""

    quantity: str
    terms: tuple[Term, ...]
    constant: int
    parameters: Mapping[str, Value]

    @cached_property
    def expression(self) -> Any:
        """The sum as an expression of sympy, expanded."""
        import sympy

        # a share such as 0.3 is no integer, and floor(0.3 * steps) must stay
        symbols = {name: sympy.Symbol(name, positive=True) for name in self.parameters}
        whole = sympy.Integer(self.constant)
        for term in self.terms:
            n = term.passes.sympy(symbols)
            a, b, c = term.differences
            amount = a * n + b * n * (n - 1) / 2 + c * n * (n - 1) * (n - 2) / 6
            for around in term.around:
                amount *= around.sympy(symbols)
            whole += amount
        return sympy.expand(whole)

    @property
    def text(self) -> str:
        """As plain text: "2496498661990400 + 283001787777024*steps"."""
        return str(self.expression)

    @property
    def latex(self) -> str:
        """In LaTeX, for math mode."""
        import sympy

        return str(sympy.latex(self.expression))

    def at(self, **values: int) -> int:
        """The exact amount at these values; other parameters stay as they are.

        Raises:
            UnknownNameError: there is no such parameter.
            InputError: a repeat is no whole number of 0 or more.
        """
        for name in values:
            if name not in self.parameters:
                fix = f"the parameters are {', '.join(self.parameters) or 'none'}"
                raise UnknownNameError("parameter", name, self.parameters, fix)
        given = {**self.parameters, **values}
        whole = self.constant
        for term in self.terms:
            amount = sum_of(term.differences, term.passes.whole(given, f"the times of stage {term.place}"))
            for around in term.around:
                amount *= around.whole(given, f"what runs {term.place}")
            whole += amount
        return whole

    @property
    def _title(self) -> str:
        return f"{self.quantity} as a function of {', '.join(self.parameters) or 'nothing'}"

    def _tables(self) -> tuple[Table, ...]:
        at = ", ".join(f"{name} = {value}" for name, value in self.parameters.items())
        row = (TABLE[self.quantity].title, Formula(self.text, self.latex), self.at())
        columns = (Column("quantity", "text"), Column("formula", "prose"), Column(f"at {at}" if at else "amount"))
        return (Table(self._title, columns, (row,), None),)

    def __str__(self) -> str:
        return self.text

    def _headline(self) -> str:
        return f"{self._title}, {plural(len(self.terms), 'stage')}"


def job_formula(pipeline: StagedJob, quantity: str) -> JobFormula:
    """The closed form of a quantity.

    Raises:
        UnknownNameError: no layer has such a quantity.
        InputError: a stage grows in several pieces, or its growth was not saved.
    """
    names = [q.name for q in (*of_layers(), *TABLE.values()) if not q.pico]
    if quantity not in names:
        names = list(dict.fromkeys(names))
        raise UnknownNameError("quantity", quantity, names, f"choose {', '.join(names)}")
    made_of = TABLE[quantity].made_of or {quantity: 1}
    static = {q.name for q in counted() if q.of_module is not None}
    if made_of.keys() & static:
        return JobFormula(quantity, (), pipeline.total[quantity], pipeline.parameters)
    terms = (Term(leaf.place, _differences(leaf, made_of), leaf.times, leaf.around) for leaf in pipeline.leaves)
    return JobFormula(quantity, tuple(terms), 0, pipeline.parameters)


def _differences(leaf: Leaf, made_of: Mapping[str, int]) -> Differences:
    """Of the sum that a quantity is made of; parameters of a pipeline within are its own, and do not vary."""
    if not leaf.grows:
        total = leaf.stage.report.total
        return sum(times * total[part] for part, times in made_of.items()), 0, 0
    pieces = leaf.pieces
    if len(pieces) > 1:
        raise InputError(
            f"no closed form: passes of {leaf.place} grow in {len(pieces)} pieces",
            [("fix", "change the parameters and count: with_parameters(...)")],
        )
    if not pieces:
        return 0, 0, 0
    of = pieces[0].differences
    summed = [sum(times * of[part][order] for part, times in made_of.items()) for order in range(3)]
    return summed[0], summed[1], summed[2]
