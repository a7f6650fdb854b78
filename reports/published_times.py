"""Published times of whole networks beside their predictions: what the scale of a chip is made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from measured_counts import MeasuredCount, measured_counts

from flopcount.facts.attention_rates import chip_of
from flopcount.facts.devices import find_device
from flopcount.hardware.constants import Scale, Table
from flopcount.hardware.cost import Cost
from flopcount.hardware.kernels import Family
from flopcount.hardware.setting import Setting


@dataclass(frozen=True)
class Judged:
    """A published time and its prediction: the cost of one forward, and that of each other part."""

    count: MeasuredCount
    cost: Cost
    others: tuple[tuple[int, Cost], ...]
    left_out_ratio: float | None = None  # predicted over measured, without this network in the scale of its chip

    @property
    def seconds(self) -> float:
        """Predicted for all that the time is of."""
        return self.cost.estimate * self.count.run.times + sum(times * cost.estimate for times, cost in self.others)

    @property
    def low(self) -> float:
        """The lower end of the range, as far from the prediction as that of one forward."""
        return self.seconds * self.cost.low / self.cost.estimate

    @property
    def high(self) -> float:
        """The upper end of the range."""
        return self.seconds * self.cost.high / self.cost.estimate

    @property
    def bound(self) -> float:
        """The least that the datasheet allows for the model, without other parts."""
        return self.cost.bound * self.count.run.times

    @property
    def ratio(self) -> float:
        """Predicted over measured."""
        return self.seconds / self.count.seconds

    @property
    def model(self) -> str:
        """The network."""
        return self.count.run.model

    @property
    def chip(self) -> str:
        """The device with the same chip whose scale it has."""
        return chip_of(find_device(self.count.run.device))

    @property
    def scaled(self) -> float:
        """Seconds of attention, which a scale multiplies."""
        attention = Family.ATTENTION.value
        return sum(kind.seconds for kind in self.cost.by_kind if kind.kind == attention) * self.count.run.times

    @property
    def rest(self) -> float:
        """Seconds of all else."""
        return self.seconds - self.scaled

    @property
    def factor(self) -> float:
        """What attention has to be multiplied by for the prediction to be right."""
        return max((self.count.seconds - self.rest) / self.scaled, 0.1) if self.scaled else 1.0


def judged(table: Table, say: Callable[[str], None] = lambda text: None) -> list[Judged]:
    """Every published time that can be judged, predicted with these constants."""
    rows = []
    for count in measured_counts():
        run = count.run
        # not `Setting.of`, which reads the committed constants: these may be the first that have all names
        setting = Setting(find_device(run.device).one_torch_device, table, run.dtype, run.compile)
        others = tuple((part.times, setting.cost(result)) for part, result in count.others)
        rows.append(Judged(count, setting.cost(count.result), others))
        if len(rows) % 20 == 0:
            say(f"{len(rows)} published times predicted")
    return rows


def scales(rows: Iterable[Judged]) -> tuple[Scale, ...]:
    """A scale for each chip that has complete rows of generators and no set of its own.

    Each network counts alike, however many rows it has. The range is that of networks that are left out, over all
    chips with at least two; a chip with one network has the same.
    """
    by_chip = _by_chip(rows)
    left = [np.log(row.factor / factor) for row, factor in _left_out(by_chip)]
    low, high = (round(float(np.quantile(left, at)), 4) for at in (0.1, 0.9))
    return tuple(
        Scale(
            chip,
            round(_factor([row for rows in models.values() for row in rows]), 4),
            sum(map(len, models.values())),
            len(models),
            low,
            high,
        )
        for chip, models in sorted(by_chip.items())
    )


def left_out_ratios(rows: Iterable[Judged]) -> dict[str, float]:
    """Predicted over measured of each complete row, by its key, with the scale of other networks on its chip.

    `rows` are predicted without scales.
    """
    ratios = {}
    for row, factor in _left_out(_by_chip(rows)):
        ratios[row.count.run.key] = (row.rest + row.scaled * factor) / row.count.seconds
    return ratios


_ByChip = dict[str, dict[str, list[Judged]]]


def _by_chip(rows: Iterable[Judged]) -> _ByChip:
    by_chip: _ByChip = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.count.run.complete and row.count.row.kind == "generation" and row.cost.basis == "zero-shot":
            by_chip[row.chip][row.model].append(row)
    return by_chip


def _left_out(by_chip: _ByChip) -> Iterator[tuple[Judged, float]]:
    """Each row whose chip has another network, with the scale of the others."""
    for models in by_chip.values():
        for name, mine in models.items():
            others = [row for other, rows in models.items() if other != name for row in rows]
            if others:
                yield from ((row, _factor(others)) for row in mine)


def _factor(rows: Sequence[Judged]) -> float:
    """The median over networks of their medians."""
    by_model: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        by_model[row.model].append(float(np.log(row.factor)))
    return float(np.exp(np.median([np.median(logs) for logs in by_model.values()])))
