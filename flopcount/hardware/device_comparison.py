"""Predictions of one network on several devices -> Table: bound, estimate and range, energy, money and the basis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..core.pricing import TIMES
from ..core.quantity import PICO, TABLE, quantity_column
from ..core.result import CONVENTION
from ..core.table import Column, Table
from ..core.units import duration, money
from ..core.wording import PRICE, cost_text, title
from .conditions import mode_word
from .cost_notes import RANGE_WORDS, device_lines, gap_lines, price_text, scope_words
from .prediction import Prediction, UnitCost

__all__ = ["device_comparison"]

_OF_MONEY = ("money", "currency", "price per hour", "region", "date", "source")
_UNKNOWN = "unknown"


def device_comparison(costs: Sequence[Prediction], *, exact: bool = False) -> Table:
    """One row per device, in the order that they are given.

    Arguments:
        costs: of one result on several devices, which runs alike on all of them.
        exact: with all that a program needs in columns, as csv has no notes.
    """
    first = costs[0]
    units = [unit.unit for unit in first.units if not unit.is_million]
    columns = _exact_columns(units) if exact else _columns(costs, units)
    rows = tuple((_exact_row if exact else _row)(cost, columns) for cost in costs)
    mode = str(replace(first.conditions, training=False)).partition(", ")[2]
    heading = f"{title(first.result)}: {first.pass_word} on {len(costs)} devices, {mode}"
    return Table(heading, tuple(columns), rows, None, tuple(_notes(costs)))


def _columns(costs: Sequence[Prediction], units: Sequence[str]) -> list[Column]:
    columns = [
        Column("device", "text"),
        _seconds("bound", drop=6),
        replace(_seconds("estimate"), tone="strong"),
        _seconds("low", drop=5),
        _seconds("high", drop=5),
        *(replace(_seconds(f"per {unit}"), minor=True) for unit in units),  # names are copied, and stay whole
        replace(quantity_column(TABLE["energy"], always=True), drop=3),
    ]
    million = next((unit for unit in costs[0].units if unit.is_million), None)
    if any(cost.money is not None for cost in costs):
        columns.append(Column(_heading(million) if million else "money", "text", drop=4))
    return [*columns, Column("basis", "text", tone="quiet", minor=True)]


def _exact_columns(units: Sequence[str]) -> list[Column]:
    return [
        *(Column(name, "text") for name in ("device", "dtype", "mode", "layout", "batch")),
        *map(_seconds, TIMES),
        *(_seconds(f"per {unit}") for unit in units),
        *(Column(name, unit="J", pico=True) for name in ("energy", "energy low", "energy high")),
        *(Column(name, "text") for name in (*_OF_MONEY, "basis", "basis in words")),
    ]


def _seconds(name: str, drop: int = 0) -> Column:
    return Column(name, unit="s", pico=True, drop=drop)


def _row(cost: Prediction, columns: Sequence[Column]) -> tuple[Any, ...]:
    values = _values(cost) | {"basis": cost.basis.value.removesuffix(" only")}
    return tuple(values.get(column.name, _UNKNOWN) for column in columns)


def _exact_row(cost: Prediction, columns: Sequence[Column]) -> tuple[Any, ...]:
    """What is unknown is empty."""
    conditions, price = cost.conditions, cost.money
    values = _values(cost) | {
        "dtype": conditions.precision.name,
        "mode": mode_word(conditions.compiled),
        "layout": conditions.layout,
        "batch": cost.batch,
        "basis in words": cost.basis_words,
    }
    if price is not None:
        texts = (price.amount, price.currency, price.per_hour, price.region, price.date, price.source)
        values |= dict(zip(_OF_MONEY, texts, strict=True))
    chosen = [values.get(column.name) for column in columns]
    return tuple("" if value is None else value for value in chosen)


def _values(cost: Prediction) -> dict[str, Any]:
    """What is known, by heading."""
    values: dict[str, Any] = {"device": cost.conditions.device.name, "basis": cost.basis.value}
    values |= {name: _whole(getattr(cost, name)) for name in TIMES}
    for unit in cost.units:
        if unit.is_million:
            values[_heading(unit)] = _money(unit)
        else:
            values[f"per {unit.unit}"] = _whole(unit.estimate)
    if cost.energy is not None:
        of_energy = {"energy": cost.energy.mid, "energy low": cost.energy.low, "energy high": cost.energy.high}
        values |= {name: _whole(joules) for name, joules in of_energy.items()}
    if cost.money is not None:
        values["money"] = money(cost.money.amount, cost.money.currency)
    return values


def _heading(million: UnitCost) -> str:
    return million.unit.replace("million", "1M")


def _whole(value: float) -> int:
    return round(value * PICO)


def _money(unit: UnitCost) -> str:
    return _UNKNOWN if unit.money is None else money(unit.money.amount, unit.money.currency)


def _notes(costs: Sequence[Prediction]) -> Iterator[str]:
    first = costs[0]
    yield from gap_lines(first)
    batch = "" if first.batch is None or first.job is not None else f" of batch {first.batch}"
    yield f"bound, estimate, low to high: seconds per {first.pass_word}{batch}; {RANGE_WORDS}"
    yield "bound: what the datasheet allows at least, with all but contractions fused away"
    yield from (f"{cost.conditions.device.name}: {cost.basis_words}" for cost in costs)
    for kind in dict.fromkeys(kind for cost in costs for kind in cost.widened):
        where = [cost.conditions.device.name for cost in costs if kind in cost.widened]
        yield f"less sure: {kind} on {', '.join(where)}, since few were measured"
    for units in zip(*(cost.units for cost in costs), strict=True):
        if not units[0].is_million:
            names = (cost.conditions.device.name for cost in costs)
            each = (f"{name} {duration(unit.estimate)}" for name, unit in zip(names, units, strict=True))
            words = f" ({units[0].words})" if units[0].words else ""
            yield f"per {units[0].unit}{words}: {', '.join(each)}"
    scopes = dict.fromkeys(scope_words(cost) for cost in costs if cost.energy is not None)
    yield from (f"energy: per {first.pass_word}; {scope}" for scope in scopes)
    for cost in costs:
        if cost.money is not None:
            yield f"{PRICE}{cost.conditions.device.name}: {price_text(cost.money)}"
    for cost in costs:
        yield from device_lines(cost)
    yield f"total: {cost_text(first.result.total)}"
    yield from (f"departs from the paper: {departure}" for departure in first.result.departures)
    yield f"convention: {CONVENTION}"
