"""Result + device -> Cost: the time that the datasheet bounds, the one to expect and its range, energy and money.

What enters is a result with the dataflow of its trace; what leaves is a frozen Cost, whose `result` is the same result
with the time, energy and money of every operator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np

from ..core.dataflow import Dataflow
from ..core.errors import InputError
from ..core.ops import CostedOp, Spending
from ..core.pricing import Pricing, Times
from ..core.quantity import PICO
from ..core.result import Result
from ..core.shown_as_tables import ShownAsTable
from ..core.table import Table
from ..facts.prices import Price
from .conditions import Conditions
from .constants import Choice, choose
from .cost_tables import cost_table_by
from .energy import energy_of, mid_energy
from .execution import kernels_of
from .kernels import Family, Kernel
from .money import money_of
from .prediction import LIMITS, KindTime, Prediction
from .pricing import pricing_of
from .time_model import Kernels, bound_of, parts_of

__all__ = ["Cost", "cost_on"]


class Cost(Prediction, ShownAsTable):
    """What a result costs on a device, with its tables; see `Prediction` for its numbers."""

    def table(self, by: str = "module", depth: int = 2) -> Table:
        """The table by module (down to `depth`, -1: all), kind of kernel or operator; rows sum to the total.

        Raises:
            UnknownNameError: no such table.
        """
        return cost_table_by(self, by, depth)

    def to_pandas(self, by: str = "module", depth: int = -1) -> Any:
        """The table as a DataFrame: seconds, joules, and names as in the JSON."""
        return self.table(by, depth).to_pandas()

    def to_markdown(self, by: str = "module", depth: int = 2) -> str:
        """The table in GitHub's markdown."""
        return self.table(by, depth).to_markdown()

    def to_latex(self, by: str = "module", depth: int = 2) -> str:
        """The table for a paper (booktabs)."""
        return self.table(by, depth).to_latex()

    def to_csv(self, by: str = "module", depth: int = -1) -> str:
        """The table in exact numbers."""
        return self.table(by, depth).to_csv()


def cost_on(
    result: Result,
    conditions: Conditions,
    *,
    price: Price | None = None,
    utilisation: float = 1.0,
    step: tuple[Sequence[CostedOp], Dataflow] | None = None,
    choice: Choice | None = None,
) -> Cost:
    """What a result costs on a device.

    Arguments:
        result: counted with `dataflow=True`.
        conditions: the device and how the network runs on it.
        price: of the device for an hour.
        utilisation: the share of the paid hours in which it is in use.
        step: the operators of a training step with their data, whose time is shown in `result`, a step's.
        choice: constants of a calibration; by default the committed ones.

    Raises:
        InputError: the result has no dataflow, or the datasheet lacks what the precision needs.
    """
    ops, flow = (result.ops, result.dataflow) if step is None else step
    if flow is None:
        raise InputError(f"the data of {result.model} were not followed", [("fix", "count it with dataflow=True")])
    kernels = kernels_of(ops, flow, conditions.precision, compiled=conditions.compiled, cpu=conditions.cpu)
    columns = Kernels.of(kernels, conditions.device, conditions.precision)
    choice = choose(conditions) if choice is None else choice
    compute, traffic, launch = parts_of(columns, choice.constants.values)
    seconds = np.hypot(compute, traffic) + launch
    bound, model = bound_of(columns), float(np.sum(seconds))
    if model < bound:
        scale = bound / model if model else 1.0
        compute, traffic, launch, seconds = (part * scale for part in (compute, traffic, launch, seconds))
    parts = np.stack([compute, traffic, launch])
    spending = _spending(len(ops), kernels, seconds, parts, conditions, price, utilisation)
    spending = _at_least(spending, bound)
    estimate = max(sum(spent.time for spent in spending) / PICO, bound)
    low, high, widened = _range(choice, kernels, seconds)
    times = Times(bound, estimate, max(bound, min(estimate * low, estimate)), estimate * max(high, 1.0))
    money = money_of(estimate, price, utilisation) if price is not None else None
    pricing = pricing_of(str(conditions), times, choice.words, widened, money)
    return Cost(
        conditions,
        times.bound,
        times.estimate,
        times.low,
        times.high,
        choice.basis,
        choice.words,
        energy_of(estimate, min(float(np.sum(launch)), estimate), conditions.device),
        money,
        widened,
        tuple(_by_kind(kernels, seconds, parts)),
        _priced(result, ops, spending, pricing, stepwise=step is not None),
        float(np.sum(np.hypot(columns.compute, columns.traffic))),
        tuple(op._replace(spending=spends) for op, spends in zip(ops, spending, strict=True)),
    )


def _range(choice: Choice, kernels: Sequence[Kernel], seconds: np.ndarray) -> tuple[float, float, tuple[str, ...]]:
    """Factors on the estimate, and the kinds that make them wider, by their share of the time."""
    whole = float(np.sum(seconds)) or 1.0
    low, high, names = choice.low, choice.high, []
    for name, (below, above) in choice.widened.items():
        share = float(sum(t for kernel, t in zip(kernels, seconds, strict=True) if kernel.family.value == name)) / whole
        if share > 0:
            low, high = low - share * below, high + share * above
        if share >= _NAMED:
            names.append(name)
    return float(np.exp(low)), float(np.exp(high)), tuple(names)


_NAMED = 0.05  # of the time; what takes less is not worth a word


def _spending(
    count: int,
    kernels: Sequence[Kernel],
    seconds: np.ndarray,
    parts: np.ndarray,
    conditions: Conditions,
    price: Price | None,
    utilisation: float,
) -> list[Spending]:
    """What each operator spends: its shares of its kernels."""
    time = np.zeros(count)
    by_limit = np.zeros((3, count))
    for at, kernel in enumerate(kernels):
        positions, shares = list(kernel.positions), np.array(kernel.shares)
        time[positions] += seconds[at] * shares
        by_limit[:, positions] += parts[:, at, None] * shares
    limits = np.argmax(by_limit, axis=0)
    spending = []
    for at in range(count):
        if not time[at]:
            spending.append(_NOTHING if price is not None else _NOTHING_PRICELESS)
            continue
        joules = mid_energy(float(time[at]), float(min(by_limit[2, at], time[at])), conditions.device)
        spending.append(
            Spending(
                round(time[at] * PICO),
                None if joules is None else round(joules * PICO),
                None if price is None else round(money_of(float(time[at]), price, utilisation).amount * PICO),
                LIMITS[limits[at]],
            )
        )
    if any(spent.energy is None for spent in spending if spent.time):
        return [spent._replace(energy=None) for spent in spending]
    return spending


def _at_least(spending: list[Spending], bound: float) -> list[Spending]:
    """Times that sum to the bound at least: what rounding takes away is given back to the longest of them."""
    missing = ceil(bound * PICO) - sum(spent.time for spent in spending)
    if missing <= 0 or not spending:
        return spending
    longest = max(range(len(spending)), key=lambda at: spending[at].time)
    more = spending[longest]._replace(time=spending[longest].time + missing)
    return [*spending[:longest], more, *spending[longest + 1 :]]


_NOTHING, _NOTHING_PRICELESS = Spending(0, 0, 0), Spending(0, 0, None)


def _by_kind(kernels: Sequence[Kernel], seconds: np.ndarray, parts: np.ndarray) -> list[KindTime]:
    rows: dict[Family, list[int]] = {}
    for at, kernel in enumerate(kernels):
        rows.setdefault(kernel.family, []).append(at)
    kinds = [
        KindTime(
            family.value,
            round(sum(kernels[at].flops for at in places) / 2),
            round(sum(kernels[at].nbytes for at in places)),
            float(sum(seconds[at] for at in places)),
            round(sum(kernels[at].launches for at in places)),
            LIMITS[int(np.argmax(parts[:, places].sum(axis=1)))],
        )
        for family, places in rows.items()
    ]
    return sorted(kinds, key=lambda kind: -kind.seconds)


def _priced(
    result: Result,
    ops: Sequence[CostedOp],
    spending: Sequence[Spending],
    pricing: Pricing,
    *,
    stepwise: bool,
) -> Result:
    """The result with what its operators spend; that of a step's kernels goes to the step's operators by module."""
    if not stepwise:
        spent = tuple(op._replace(spending=spends) for op, spends in zip(ops, spending, strict=True))
    else:
        spent = _by_module(result.ops, ops, spending)
    return replace(result, ops=spent, pricing=pricing)


def _by_module(
    shown: Sequence[CostedOp], ops: Sequence[CostedOp], spending: Sequence[Spending]
) -> tuple[CostedOp, ...]:
    """The operators that are shown, with what those that run spend in the same module.

    A step is counted by phases, and its data are followed in autograd's own operators: both have the same modules.
    """
    first: dict[str, int] = {}
    for at, op in enumerate(shown):
        first.setdefault(op.op.module, at)
    totals: dict[int, list[Spending]] = {}
    for op, spends in zip(ops, spending, strict=True):
        totals.setdefault(first.get(op.op.module, 0), []).append(spends)
    some = next(iter(spending), _NOTHING_PRICELESS)
    nothing = Spending(0, None if some.energy is None else 0, None if some.money is None else 0)
    return tuple(op._replace(spending=_sum(totals[at]) if at in totals else nothing) for at, op in enumerate(shown))


def _sum(spending: Sequence[Spending]) -> Spending:
    limits: Mapping[str, int] = {
        limit: sum(spent.time for spent in spending if spent.limit == limit) for limit in LIMITS
    }
    energies, amounts = [spent.energy for spent in spending], [spent.money for spent in spending]
    return Spending(
        sum(spent.time for spent in spending),
        None if None in energies else sum(energy for energy in energies if energy is not None),
        None if None in amounts else sum(amount for amount in amounts if amount is not None),
        max(limits, key=lambda limit: limits[limit]),
    )
