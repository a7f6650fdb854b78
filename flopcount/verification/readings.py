"""What a printed cost may mean: a count at a clip, once or twice per MAC, by a named counter, times views.

Every reading is computed from a trace by its own formula; nothing here is fitted to what was printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from ..core.model_spec import ModelSpec
from ..core.one_line import OneLine
from ..core.ops import Kind
from ..core.protocol import Clip
from ..core.result import Result
from ..count import count_named
from .counter import Counter
from .counter_registry import all_counters, find_counter

__all__ = ["EVAL_NORM", "LAYERS", "MMCV", "PLAIN", "TRAIN_NORM", "XLA", "Counted", "Reading", "count"]

PLAIN = Counter("contractions", "", "", lambda report: 0, "", "", everywhere=True)
"""No counter: our multiply-accumulates."""

EVAL_NORM = find_counter("fvcore")
TRAIN_NORM = find_counter("fvcore 2021-03")
MMCV = find_counter("mmcv")
LAYERS = find_counter("hooks")
XLA = find_counter("xla")


@dataclass(frozen=True, slots=True)
class Counted(OneLine):
    """One trace in a few numbers: MACs, parameters, those of normalisation layers, and what each counter adds.

    `added` is beside as many times the MACs as the counter counts a multiply-add.
    """

    macs: int
    params: int
    norm_params: int = 0
    added: Mapping[Counter, int] = field(default_factory=dict)

    @classmethod
    def of(cls, report: Result) -> Counted:
        """The numbers of a report."""
        added = {counter: counter.adds(report) for counter in all_counters()}
        places = {costed.op.module for costed in report.ops if costed.kind is Kind.NORM}
        norm_params = sum(row.own_params for row in report.modules if row.path in places)
        return cls(report.macs, report.params, norm_params, added)


@dataclass(frozen=True, slots=True)
class Reading(OneLine):
    """One meaning of a printed cost; `value` is the number it gives."""

    counted: Counted
    clip: Clip
    per_mac: int = 1
    counter: Counter = PLAIN
    views: int = 1

    @property
    def value(self) -> int:
        """The counter's own number, twice where it counts a multiply-add once and this reading twice, times views."""
        own = self.counter.per_mac * self.counted.macs + self.counted.added.get(self.counter, 0)
        return self.counter.shown(own) * self.per_mac // self.counter.per_mac * self.views


@cache
def count(spec: ModelSpec) -> Counted:
    """Trace a network once; the same call is answered from a cache.

    Raises:
        FlopcountError: the network cannot take the clip, or cannot be built.
    """
    return Counted.of(count_named(spec))
