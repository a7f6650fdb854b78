"""Budgets: what a network may cost at most, from pyproject.toml or the command line, and whether it does.

What enters are Budgets; what leaves is a BudgetCheck, a verdict for every limit. An operator without a rule leaves a
limit on computation undecided, and an undecided limit does not hold: a missing count is never zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from ..core.errors import FlopcountError, InputError, UnknownNameError
from ..core.model_spec import ModelSpec
from ..core.protocol import ONE_VIEW, Protocol
from ..core.result import Result
from ..core.table import Column, Table
from ..core.units import percent, si
from ..core.wording import assumed_lines, uncosted_lines
from ..facts import Printed
from .measures import Measure, measures

__all__ = ["Budget", "BudgetCheck", "LimitVerdict", "check_budgets", "parse_limit"]


@dataclass(frozen=True, slots=True)
class Budget:
    """A network, how it is tested, and `limits` by key of `measures`: what it may cost at most."""

    name: str
    model: ModelSpec
    limits: dict[str, int]
    protocol: Protocol = ONE_VIEW

    def __post_init__(self) -> None:
        if isinstance(self.model, str):
            object.__setattr__(self, "model", ModelSpec(self.model))
        for key in self.limits:
            if key not in measures():
                raise UnknownNameError(
                    f"limit of budget {self.name}", key, measures(), f"choose {', '.join(measures())}"
                )
        if not self.limits:
            raise InputError(f"budget {self.name} has no limit", [("fix", f"give it some of {', '.join(measures())}")])


@dataclass(frozen=True, slots=True)
class LimitVerdict:
    """One limit of one budget, and what was counted."""

    budget: Budget
    limit: str
    report: Result

    @property
    def measure(self) -> Measure:
        """What is limited."""
        return measures()[self.limit]

    @property
    def allowed(self) -> int:
        """The limit."""
        return self.budget.limits[self.limit]

    @property
    def counted(self) -> int:
        """The count of the network."""
        return self.measure.of(self.report)

    @property
    def exceeded_by(self) -> int:
        """How far the count is above the limit; 0 where it is not."""
        return max(self.counted - self.allowed, 0)

    @property
    def holds(self) -> bool:
        """Whether all was counted, and the count is within the limit."""
        return not self.exceeded_by and self.measure.complete(self.report)

    def __str__(self) -> str:
        if self.exceeded_by:
            return f"exceeded by {si(self.exceeded_by)}"
        return "holds" if self.holds else "unknown: uncosted operators"


@dataclass(frozen=True, slots=True)
class BudgetCheck:
    """The verdicts of all budgets."""

    verdicts: tuple[LimitVerdict, ...]

    @property
    def holds(self) -> bool:
        """Whether every limit holds."""
        return all(verdict.holds for verdict in self.verdicts)

    def table(self) -> Table:
        """One row per limit; below it the layers that cost most of what is exceeded."""
        columns = (
            Column("budget", "text"),
            Column("of", "text"),
            Column("counted"),
            Column("limit"),
            Column("used", "share"),
            Column("verdict", "text"),
        )
        rows = tuple(
            (v.budget.name, v.measure.what, v.counted, v.allowed, (v.counted, v.allowed), str(v)) for v in self.verdicts
        )
        return Table("budgets", columns, rows, None, tuple(self._notes()))

    def _notes(self) -> Iterator[str]:
        reports = {verdict.budget.name: verdict.report for verdict in self.verdicts}
        for name, report in reports.items():
            lines = (*uncosted_lines(report.uncosted), *assumed_lines(report.assumed))
            yield from (f"{line} ({name})" for line in lines)
        for verdict in self.verdicts:
            if verdict.exceeded_by:
                yield f"EXCEEDED {verdict.budget.name}: {_excess(verdict)}"
        holds = sum(verdict.holds for verdict in self.verdicts)
        yield f"limits: {holds} of {len(self.verdicts)} hold"

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


_LAYERS = 4


def _excess(verdict: LimitVerdict) -> str:
    """By how much, and the layers that need most, with their part of the count."""
    measure, report = verdict.measure, verdict.report
    rows = sorted(report.modules, key=measure.own, reverse=True)[:_LAYERS]
    whole = sum(map(measure.own, report.modules))
    largest = ", ".join(
        f"{row.path or 'the model itself'} {percent(measure.own(row), whole)}" for row in rows if measure.own(row)
    )
    over = f" ({percent(verdict.exceeded_by, verdict.allowed)})" if verdict.allowed else ""
    return f"{si(verdict.exceeded_by)}{over} more {measure.what} than allowed; most are in {largest}"


def parse_limit(key: str, value: object) -> int:
    """A limit as a person writes it: 40, 38.5, "1.5T" or "80M"; a bare number is in G, of parameters in M.

    Raises:
        InputError: the value is not such a number.
    """
    text = f"{Decimal(str(value)):f}" if isinstance(value, float) else str(value)  # 46e-6 is not a printed number
    try:
        return int(
            Printed.parse(text, measures()[key].quantity.scale).value
        )  # a count is whole: below 40.5 is 40 at most
    except InputError as error:
        raise InputError(f"{key} is {value!r}, not a number", [("fix", "write 40, 38.5, '80M' or '1.5T'")]) from error


def check_budgets(budgets: Sequence[Budget], progress: Callable[[str], None] = lambda name: None) -> BudgetCheck:
    """Count the network of every budget and compare it with its limits; `progress` gets each name.

    Raises:
        FlopcountError: a network cannot be counted; the message names the budget.
    """
    verdicts = []
    for budget in budgets:
        progress(budget.name)
        report = _counted(budget)
        verdicts += [LimitVerdict(budget, limit, report) for limit in measures() if limit in budget.limits]
    return BudgetCheck(tuple(verdicts))


def _counted(budget: Budget) -> Result:
    from ..count import count_named  # imports torch, which a mistyped budget does not need

    try:
        return count_named(budget.model, budget.protocol)
    except FlopcountError as error:
        raise InputError(error.message, [("budget", budget.name), *error.details]) from error
