"""The readings that are tried for a published cost: the source's own units, and one or two changes to them.

A change is a crop that the source does not print, a named counter, a multiply-add that counts otherwise than the facts
say, or views multiplied in. All readings of a row come from two traces at most: of its clip, and of the other crop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

from ..core.errors import FlopcountError
from ..core.one_line import OneLine
from ..core.protocol import Clip
from ..core.reason import Reason
from ..facts import Published, ZooModel
from .counter import Counter
from .counter_registry import CountersOf, counters_of
from .readings import PLAIN, Counted, Reading

__all__ = ["PER_MAC", "VIEWS", "Candidate", "Candidates", "Count"]

Count = Callable[[ZooModel], Counted]

MAX_CHANGES = 2  # a reading further from the plain one explains too much to explain anything
PER_MAC = {1: Reason("a multiply-add counts once"), 2: Reason("a multiply-add counts twice")}
VIEWS = "multiplied by {} views"
_CROPS = {112: 128, 128: 112, 160: 182, 182: 160, 224: 256, 256: 224, 312: 356, 356: 312}
"""The crop that goes with a crop: papers train on one and test on the other."""


@dataclass(frozen=True, slots=True)
class Candidate(OneLine):
    """A reading, how many changes it makes, and what it says; `cited`: the source is cited to use its counter."""

    reading: Reading
    changes: int
    reasons: tuple[Reason, ...]
    cited: bool

    @property
    def value(self) -> int:
        """What it gives."""
        return self.reading.value

    @property
    def text(self) -> str:
        """Its reasons in words."""
        return "; ".join(map(str, self.reasons)) or "as counted"

    @property
    def short(self) -> str:
        """The same in few words: "256×256, twice, mmengine"."""
        reading = self.reading
        words = [
            "×".join(map(str, reading.clip.sizes[1:])),
            "twice" if reading.per_mac == 2 else "",
            reading.counter.name if reading.counter is not PLAIN else "plain",
            f"{reading.views} views" if reading.views > 1 else "",
        ]
        return ", ".join(filter(None, words))


class Candidates:
    """The readings of one row; the second trace is made when the row's own clip does not give the number."""

    def __init__(self, row: Published, model: ZooModel, count: Count, counters: CountersOf | None = None) -> None:
        self.row, self.model, self._count = row, model, count
        self.counters = counters or counters_of(row)
        self.views = (row.views or 1) if row.scope == "video" else 1
        self.per_mac = (1, 2) if row.convention == "unknown" else (2 if row.convention == "2mac" else 1,)
        self.counted = count(model)

    @cached_property
    def plain(self) -> tuple[Candidate, ...]:
        """Our count in the source's own units: one reading, or two where these are unknown."""
        found = self._at(self.model.clip, self.counted, (PLAIN,))
        return tuple(one for one in found if not one.changes)

    @cached_property
    def all(self) -> tuple[Candidate, ...]:
        """Every reading, those with the fewest changes first."""
        counters = (PLAIN, *self.counters.tried)
        found = [one for clip, counted in self._clips() for one in self._at(clip, counted, counters)]
        return tuple(_once(sorted(found, key=_order)))

    def is_views_only(self, one: Candidate) -> bool:
        """Whether a reading is our count in the source's units, times the views that the row prints."""
        reading = one.reading
        same = reading.clip == self.model.clip and reading.counter is PLAIN and (reading.per_mac,) == self.per_mac
        return same and reading.views != self.views

    def _clips(self) -> Iterator[tuple[Clip, Counted]]:
        """The clip itself, and the crop that goes with its own if the network can take it."""
        clip = self.model.clip
        yield clip, self.counted
        side = _CROPS.get(clip.height) if clip.height == clip.width else None
        if side is not None:
            other = Clip(clip.frames, side, side)
            with suppress(FlopcountError):  # a crop that this network cannot take explains nothing
                yield other, self._count(replace(self.model, clip=other))

    def _at(self, clip: Clip, counted: Counted, counters: tuple[Counter, ...]) -> Iterator[Candidate]:
        protocols = dict.fromkeys((self.views, self.row.views or 1))
        for counter, per_mac, views in product(counters, (1, 2), protocols):
            adds = counter is PLAIN or counted.added.get(counter, 0) != 0
            if adds and per_mac >= counter.per_mac:
                candidate = self._candidate(Reading(counted, clip, per_mac, counter, views))
                if candidate.changes <= MAX_CHANGES:
                    yield candidate

    def _candidate(self, reading: Reading) -> Candidate:
        counter, own, other = reading.counter, self.model.clip.sizes[1:], reading.clip.sizes[1:]
        units = []
        if reading.views > 1:
            units.append(Reason(VIEWS, (reading.views,)))
        if reading.per_mac == 2 or len(self.per_mac) > 1:
            units.append(PER_MAC[reading.per_mac])
        changes = []
        if other != own:
            changes.append(Reason("counted at {}×{}, not {}×{}", (*other, *own)))
        if counter is not PLAIN:
            changes.append(Reason(counter.text))
        contradicts = (reading.per_mac not in self.per_mac) + (reading.views != self.views)
        own_unit = reading.per_mac == counter.per_mac or self.row.convention == "2mac"
        cited = counter.name in self.counters.cited and own_unit
        return Candidate(reading, len(changes) + contradicts, (*units, *changes), cited)


def _order(one: Candidate) -> tuple[int, str, int, int, tuple[int, ...]]:
    """Fewest changes first, and then an order that does not depend on that of the registry."""
    reading = one.reading
    return one.changes, reading.counter.name, reading.per_mac, reading.views, reading.clip.sizes


def _once(candidates: Iterable[Candidate]) -> Iterator[Candidate]:
    """Versions of a tool that give the same number are one reading, under the name of the first."""
    seen = set()
    for one in candidates:
        reading = one.reading
        key = (reading.clip, reading.per_mac, reading.views, reading.counter.tool, one.value)
        if key not in seen:
            seen.add(key)
            yield one
