"""Budgets: what a network may cost at most, from pyproject.toml or the command line, and whether it does.

What enters are Budgets; what leaves is a BudgetCheck, a verdict for every limit. An operator without a rule leaves a
limit on computation undecided, and an undecided limit does not hold: a missing count is never zero. A limit on time,
energy or money is of a device, and holds where the estimate is within it; the verdict says where the range is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from ..analysis.difference import Counted
from ..core.errors import FlopcountError, InputError, UnknownNameError
from ..core.model_spec import ModelSpec
from ..core.one_line import OneLine
from ..core.protocol import ONE_VIEW, Protocol
from ..core.shown_as_tables import ShownAsTable
from ..core.spending import parse_spending
from ..core.table import Column, Measured, Table
from ..core.units import percent, plural, si
from ..core.wording import assumed_lines, uncosted_lines
from ..facts import Printed
from ..hardware.energy import ENERGY_SCOPE
from ..pipelines.named_file import PipelineFile
from .measures import Measure, measures

if TYPE_CHECKING:
    from ..hardware.cost import Cost
    from ..hardware.setting import Setting

__all__ = ["Budget", "BudgetCheck", "LimitVerdict", "check_budgets", "parse_limit"]


@dataclass(frozen=True, slots=True)
class Budget(OneLine):
    """A network or a whole job, how it is tested, and `limits` by key of `measures`: what it may cost at most.

    `setting` is what it runs on, which limits on time, energy and money need.
    """

    name: str
    model: ModelSpec | PipelineFile
    limits: dict[str, int]
    protocol: Protocol = ONE_VIEW
    setting: Setting | None = None

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
        self._require_device()

    def _require_device(self) -> None:
        """Refuse, before anything is counted, a limit that the device cannot be judged by, or a device without one."""
        spent = {key: measures()[key].quantity.name for key in self.limits if measures()[key].quantity.pico}
        if not spent:
            if self.setting is not None:
                why = f"budget {self.name} names a device, and none of its limits is of time, energy or money"
                raise InputError(why, [("fix", "add max-ms, or leave the device out")])
            return
        if self.setting is None:
            why = f"{next(iter(spent))} of budget {self.name} needs a device"
            raise InputError(why, [("fix", 'say which: on = "t4" in the file, --on t4 on the command line')])
        device = self.setting.device
        for key, name in spent.items():
            if name == "money" and self.setting.price is None:
                why = f"{key} of budget {self.name} needs the price of an hour of {device.name}"
                raise InputError(why, [("fix", 'say it: price = "2.79" in the file, --price 2.79 on the command line')])
            if name == "energy" and device.tdp is None:
                why = f"{key} of budget {self.name}: the power limit of {device.name} is not known"
                raise InputError(why, [("fix", "limit the time instead, or choose another device")])

    def _headline(self) -> str:
        return (
            f"{self.name}: {', '.join(f'{measures()[key].what} up to {limit:,}' for key, limit in self.limits.items())}"
        )


@dataclass(frozen=True, slots=True)
class LimitVerdict(OneLine):
    """One limit of one budget, what was counted, and its cost on a device where the budget names one."""

    budget: Budget
    limit: str
    report: Counted
    cost: Cost | None = None

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
        """The count of the network; of time, energy and money the estimate, in 10^-12 of their unit."""
        return self.measure.of(self.report)

    @property
    def exceeded_by(self) -> int:
        """How far the count is above the limit; 0 where it is not."""
        return max(self.counted - self.allowed, 0)

    @property
    def holds(self) -> bool:
        """Whether all was counted, and the count is within the limit."""
        return not self.exceeded_by and self.measure.complete(self.report)

    @property
    def span(self) -> tuple[float, float] | None:
        """The range of an estimate, in the unit of its quantity; None of a count, and where nobody knows a range."""
        quantity, cost = self.measure.quantity, self.cost
        if cost is None or not quantity.pico:
            return None
        passes = float(self.measure.passes(self.report))
        if quantity.name == "energy":
            return None if cost.energy is None else (cost.energy.low * passes, cost.energy.high * passes)
        if quantity.name == "time":
            return cost.low * passes, cost.high * passes
        if not quantity.in_currency:
            return None
        return cost.low * passes * self._per_second, cost.high * passes * self._per_second

    @property
    def _per_second(self) -> float:
        assert self.cost is not None
        assert self.cost.money is not None
        return self.cost.money.amount / self.cost.estimate if self.cost.estimate else 0.0

    @property
    def amounts(self) -> tuple[Measured, Measured]:
        """What was counted and what is allowed, in the unit of the quantity."""
        return self.measure.measured(self.counted, self.report), self.measure.measured(self.allowed, self.report)

    def __str__(self) -> str:
        if self.exceeded_by:
            return f"exceeded by {self.measure.measured(self.exceeded_by, self.report)}{self._although}"
        return f"holds{self._although}" if self.holds else "unknown: uncosted operators"

    @property
    def _although(self) -> str:
        """Where the range says otherwise than the estimate."""
        if self.span is None:
            return ""
        low, high = self.span
        unit = self.measure.measured(0, self.report).unit
        allowed = self.measure.quantity.exact(self.allowed)
        if self.exceeded_by:
            return f", though the range begins at {Measured(low, unit)}" if low <= allowed else ""
        return f", but the range reaches {Measured(high, unit)}" if high > allowed else ""

    def _headline(self) -> str:
        return f"{self.budget.name}: {self.measure.what}, {' of '.join(map(str, self.amounts))}, {self}"


@dataclass(frozen=True, slots=True)
class BudgetCheck(ShownAsTable):
    """The verdicts of all budgets."""

    verdicts: tuple[LimitVerdict, ...]

    @property
    def holds(self) -> bool:
        """Whether every limit holds."""
        return all(verdict.holds for verdict in self.verdicts)

    def table(self) -> Table:
        """One row per limit; below it the layers that cost most of what is exceeded."""
        estimated = any(verdict.cost for verdict in self.verdicts)
        columns = (
            Column("budget", "text"),
            Column("of", "text"),
            Column("amount" if estimated else "counted"),
            Column("limit"),
            Column("used", "share"),
            Column("verdict", "prose" if estimated else "text"),
        )
        rows = tuple((v.budget.name, v.measure.what, *v.amounts, (v.counted, v.allowed), str(v)) for v in self.verdicts)
        return Table("budgets", columns, rows, None, tuple(self._notes()))

    def _notes(self) -> Iterator[str]:
        reports = {verdict.budget.name: verdict.report for verdict in self.verdicts}
        for name, report in reports.items():
            lines = (*uncosted_lines(report.uncosted), *assumed_lines(report.assumed))
            yield from (f"{line} ({name})" for line in lines)
        for name, pricing in {name: report.pricing for name, report in reports.items()}.items():
            if pricing is not None:
                yield f"time of {name} on {pricing.conditions}: {pricing.times}"
                yield from (f"{line} ({name})" for line in pricing.notes)
        for verdict in self.verdicts:
            if verdict.measure.quantity.name == "energy" and verdict.span is not None and verdict.cost is not None:
                low, high = (si(joules, "J") for joules in verdict.span)
                scope = ENERGY_SCOPE[verdict.cost.conditions.device.kind]
                yield f"{verdict.measure.what} of {verdict.budget.name}: {low} to {high}; {scope}"
            if verdict.exceeded_by:
                yield f"EXCEEDED {verdict.budget.name}: {_excess(verdict)}"
        holds = sum(verdict.holds for verdict in self.verdicts)
        yield f"limits: {holds} of {len(self.verdicts)} hold"

    def _headline(self) -> str:
        return f"{sum(verdict.holds for verdict in self.verdicts)} of {plural(len(self.verdicts), 'limit')} hold"


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
    more = measure.measured(verdict.exceeded_by, report)
    return f"{more}{over} more {measure.what} than allowed; most {_IS[measure.quantity.pico]} in {largest}"


_IS = {False: "are", True: "is"}  # MACs are counted, time is not


def parse_limit(key: str, value: object) -> int:
    """A limit as a person writes it: 40, 38.5, "1.5T" or "80M"; a bare number is in G, of parameters in M.

    What a device spends is written 12, "12ms" or "0.5s"; a bare number is in the unit of the key.

    Raises:
        InputError: the value is not such a number.
    """
    quantity = measures()[key].quantity
    if quantity.pico:
        return parse_spending(value, quantity, what=key)
    text = f"{Decimal(str(value)):f}" if isinstance(value, float) else str(value)  # 46e-6 is not a printed number
    try:
        return int(
            Printed.parse(text, measures()[key].quantity.scale).value
        )  # a count is whole: below 40.5 is 40 at most
    except InputError as error:
        raise InputError(f"{key} is {value!r}, not a number", [("fix", "write 40, 38.5, '80M' or '1.5T'")]) from error


def check_budgets(budgets: Sequence[Budget], progress: Callable[[str], None] = lambda text: None) -> BudgetCheck:
    """Count the network of every budget and compare it with its limits; `progress` gets what is being counted.

    Raises:
        FlopcountError: a network cannot be counted; the message names the budget.
    """
    verdicts = []
    for number, budget in enumerate(budgets, 1):
        progress(f"counting {budget.name} ({number} of {len(budgets)})")
        report, cost = _judged(budget)
        verdicts += [LimitVerdict(budget, limit, report, cost) for limit in measures() if limit in budget.limits]
    return BudgetCheck(tuple(verdicts))


def _judged(budget: Budget) -> tuple[Counted, Cost | None]:
    """The count, priced where a device is named, and its cost on it."""
    try:
        return _of_job(budget, budget.model) if isinstance(budget.model, PipelineFile) else _of_model(budget)
    except FlopcountError as error:
        raise InputError(error.message, [("budget", budget.name), *error.details]) from error


def _of_model(budget: Budget) -> tuple[Counted, Cost | None]:
    from ..count import count_named  # imports torch, which a mistyped budget does not need

    assert isinstance(budget.model, ModelSpec)
    report = count_named(budget.model, budget.protocol, dataflow=budget.setting is not None, saving=False)
    cost = None if budget.setting is None else budget.setting.cost(report)
    return (report, None) if cost is None else (cost.result, cost)


def _of_job(budget: Budget, file: PipelineFile) -> tuple[Counted, Cost | None]:
    from ..pipelines.pipeline_file import read_pipeline

    job = read_pipeline(file.path, parameters=file.parameters, dataflow=budget.setting is not None)
    cost = None if budget.setting is None else job.cost_under(budget.setting)
    return (job.result, None) if cost is None else (cost.result, cost)
