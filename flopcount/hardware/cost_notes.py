"""A prediction in words: under its tables and on its pages, the most important first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from ..core.ops import Kind
from ..core.quantity import PICO
from ..core.result import CONVENTION
from ..core.units import duration, joules, money, percent, si
from ..core.wording import PRICE, cost_text, missing_lines
from ..facts.devices import devices
from .energy import ENERGY_SCOPE
from .money import Money
from .prediction import Prediction, UnitCost

__all__ = ["RANGE_WORDS", "device_lines", "gap_lines", "notes", "price_text", "scope_words", "spent_lines"]

RANGE_WORDS = "8 of 10 networks of families that the fit has not seen are within it"
_MISMATCH = 0.05  # shares that differ by less are not worth a line


Shares: TypeAlias = tuple[str, int, int]
"""The name of a row of a table, its MACs and its picoseconds."""


def notes(cost: Prediction, rows: Sequence[Shares] = ()) -> tuple[str, ...]:
    """Gaps, what of `rows` is out of proportion, the three numbers and their basis, units, energy, money, device."""
    lines = [*gap_lines(cost), *_mismatch_lines(cost, rows), *_time_lines(cost)]
    lines += spent_lines(cost)
    if cost.money is not None:
        lines.append(f"{PRICE}{price_text(cost.money)}")
    lines += device_lines(cost)
    result = cost.result
    lines.append(f"total: {cost_text(result.total)}; {si(result.params)} parameters")
    lines += [f"departs from the paper: {departure}" for departure in result.departures]
    lines.append(f"convention: {CONVENTION}")
    if result.engine in ("fake", "real"):
        lines.append(f"engine: {result.engine} tensors, since the module could not run on shapes alone")
    return tuple(lines)


def gap_lines(cost: Prediction) -> Iterator[str]:
    """Operators without a rule, whose time is missing, and what the count had to assume."""
    missing = list(dict.fromkeys(op.name for op in (*cost.result.ops, *cost.ran) if op.kind is Kind.UNCOSTED))
    if missing:
        yield f"UNCOSTED {', '.join(missing)}: the time of what they compute is missing from every number here"
    yield from missing_lines(cost.result)


def _mismatch_lines(cost: Prediction, rows: Sequence[Shares]) -> Iterator[str]:
    """The row whose share of the time exceeds its share of the MACs most, and the one where it is the other way.

    Where no row of a deep network is far off, its kinds of kernel may be.
    """
    kinds = [(kind.kind, kind.macs, round(kind.seconds * PICO)) for kind in cost.by_kind]
    for shares in (rows, kinds):
        texts = list(_mismatches(shares))
        if texts:
            yield f"most out of proportion: {'; '.join(texts)}"
            return


def _mismatches(rows: Sequence[Shares]) -> Iterator[str]:
    macs, time = sum(of_macs for _, of_macs, _ in rows), sum(of_time for _, _, of_time in rows)
    if not macs or not time:
        return
    more = sorted((of_time / time - of_macs / macs, place) for place, (_, of_macs, of_time) in enumerate(rows))
    for difference, place in (more[-1], more[0]):
        name, of_macs, of_time = rows[place]
        if abs(difference) >= _MISMATCH:
            yield f"{name} has {_share(of_macs, macs)} of the MACs and {_share(of_time, time)} of the time"


def _share(part: int, whole: int) -> str:
    return percent(part, whole) if part else "none"


def _time_lines(cost: Prediction) -> Iterator[str]:
    batch = "" if cost.batch is None or cost.job is not None else f" of batch {cost.batch}"
    yield f"bound: {duration(cost.bound)} at least, by the datasheet, with all but contractions fused away"
    yield f"estimate: {duration(cost.estimate)} per {cost.pass_word}{batch}"
    yield f"range: {duration(cost.low)} to {duration(cost.high)}; {RANGE_WORDS}"
    yield f"basis: {cost.basis_words}"
    if cost.widened:
        seconds = {kind.kind: kind.seconds for kind in cost.by_kind}
        share = sum(seconds.get(kind, 0.0) for kind in cost.widened) / cost.estimate
        verb = "takes" if len(cost.widened) == 1 else "take"
        yield f"less sure: {' and '.join(cost.widened)} {verb} {100 * share:.0f}% of the time, and few were measured"
    if cost.utilisation:
        peak = si(cost.peak, "FLOP/s")
        yield f"utilisation: {100 * cost.utilisation:.1f}% of the peak of {peak} (MFU), contractions alone"


def spent_lines(cost: Prediction) -> Iterator[str]:
    """Time, energy and money of all that is asked for, such as a video, and the energy of a pass with its range."""
    yield from (f"per {_unit_line(unit)}" for unit in cost.units)
    yield from _energy_lines(cost)


def _unit_line(unit: UnitCost) -> str:
    """One unit and what it costs."""
    words = f" ({unit.words})" if unit.words else ""
    parts = [unit.range_text]
    if unit.energy is not None:
        parts.append(joules(unit.energy.mid))
    if unit.money is not None:
        parts.append(money(unit.money.amount, unit.money.currency))
    return f"{unit.unit}{words}: {', '.join(parts)}"


def _energy_lines(cost: Prediction) -> Iterable[str]:
    if cost.energy is None:
        yield f"energy: unknown, since the power limit of {cost.conditions.device.name} is"
        return
    between = f"{joules(cost.energy.low)} to {joules(cost.energy.high)}"
    yield f"energy: {joules(cost.energy.mid)} ({between}) per {cost.pass_word}; {scope_words(cost)}"


def scope_words(cost: Prediction) -> str:
    """What the energy is that of."""
    return ENERGY_SCOPE[cost.conditions.device.kind]


def price_text(price: Money) -> str:
    """The price that an amount is made of, with its region, date and source."""
    where = ", ".join(filter(None, (price.region, price.date)))
    note = f" ({price.note})" if price.note else ""
    return f"{price.per_hour:g} {price.currency} per hour{f' at {where}' if where else ''}: {price.source}{note}"


def device_lines(cost: Prediction) -> Iterable[str]:
    """What the numbers of a device are those of, where torch shows it as several."""
    name = cost.conditions.device.name
    for device in devices():
        if device.name == name and device.torch_devices > 1:
            parts = device.torch_devices
            yield f"device: torch shows {name} as {parts} devices, and this is one: 1/{parts} of its numbers"
