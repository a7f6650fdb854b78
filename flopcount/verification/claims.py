"""A printed claim about a network: which conventions, frames, crops, views and terms give it to its printed digits.

What enters is a name and printed numbers; what leaves are the readings with the fewest changes to the network's own
clip, one view and plain MACs. Readings with more than three changes are not looked at: among so many numbers some
always fit. Where none fits, the nearest are named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

from ..core.errors import FlopcountError, InputError
from ..core.model_spec import ModelSpec
from ..core.one_line import OneLine
from ..core.protocol import Clip
from ..core.shown_as_tables import ShownAsTable
from ..core.table import Column, Table
from ..core.units import decimals, exact, si
from ..facts import Printed, dataset_classes
from ..models import CARDS
from .counter_registry import all_counters
from .odds import by_accident, odds_text
from .readings import PLAIN, Counted, Reading, count

__all__ = ["ClaimReading", "ClaimVerdict", "verify_claim"]

FRAMES = (4, 8, 13, 16, 25, 32, 64)
CROPS = (112, 128, 160, 182, 224, 256, 312, 320, 356)
VIEWS = (1, 3, 4, 5, 10, 12, 15, 30)
PER_MAC = (1, 2)
MAX_CHANGES = 3
_NEAREST = 3


@dataclass(frozen=True, slots=True)
class ClaimReading(OneLine):
    """A reading that gives the printed cost, and the classes that give the printed parameters (None: not asked)."""

    reading: Reading
    changes: int
    classes: int | None


@dataclass(frozen=True, slots=True)
class ClaimVerdict(ShownAsTable):
    """What a claim can mean. `readings` are those with the fewest changes; there are none where nothing fits.

    `tried` readings were compared; `by_accident` is the share of numbers around the claim, of as many digits, that one
    of them would have met. `nearest` are those that come closest, and `refused` clips do not fit the network.
    """

    name: str
    own: Clip
    plain: Counted
    printed: Printed
    params: Printed | None
    readings: tuple[ClaimReading, ...]
    tried: int
    by_accident: float
    nearest: tuple[Reading, ...]
    refused: int

    @property
    def holds(self) -> bool:
        """Whether some reading gives what was printed."""
        return bool(self.readings)

    def table(self) -> Table:
        """One row per reading; the notes say what was tried."""
        columns = (
            Column("counted", "text"),
            Column("clip", "text"),
            Column("views", "text"),
            Column("added", "prose", drop=2),
            Column("gives", "text"),
            Column("parameters", "text", drop=1),
        )
        rows = tuple(_cells(match) for match in self.readings)
        claim = f"{self.printed}" + (f" and {self.params} parameters" if self.params else "")
        return Table(f"{self.name}: readings of {claim}", columns, rows, None, tuple(self._notes()))

    def _notes(self) -> list[str]:
        own = self.plain
        if self.holds:
            changes = self.readings[0].changes
            how = "without changes" if not changes else f"with {changes} change{'s' * (changes > 1)}"
            verdict = f"{len(self.readings)} reading{'s' * (len(self.readings) > 1)} {how}; more changes were not tried"
        else:
            verdict = f"none: no reading with up to {MAX_CHANGES} changes gives {self.printed}"
            verdict += f" and {self.params} parameters" if self.params else ""
        lines = [
            verdict,
            f"{self.name} itself on {self.own}: {decimals(own.macs, 'MACs', places=3)}, "
            f"{decimals(2 * own.macs, 'FLOPs', places=3)}, {decimals(own.params, places=3)} parameters",
            f"readings tried: {self.tried}; numbers of these digits within 10 % of the claim that one of them would "
            f"meet by accident: {odds_text(self.by_accident)}",
            "a change: FLOPs instead of MACs, other frames, another crop, more views, or the rules of a named counter",
        ]
        if not self.holds and self.nearest:
            lines.insert(1, f"nearest: {'; '.join(map(self._near, self.nearest))}")
        if self.refused:
            lines.append(f"{self.refused} clip{'s' * (self.refused > 1)} left out: the network cannot take them")
        return lines

    def _near(self, reading: Reading) -> str:
        unit, clip, views, added, value, _ = _cells(ClaimReading(reading, 0, None))
        how = f"{unit} of {views} view{'s' * (views != '1')} on {clip}" + (f", {added}" if added else "")
        away = f", {100 * (reading.value / float(self.printed.value) - 1):+.2g} %" if self.printed.value else ""
        return f"{how}: {value}{away}"

    def _headline(self) -> str:
        return f"{self.name}: {self.printed} is given by {len(self.readings)} of {self.tried} readings"


def _cells(match: ClaimReading) -> tuple[str, ...]:
    reading = match.reading
    params = "" if match.classes is None else si(reading.counted.params)
    if match.classes:
        params = f"with {match.classes} classes"
    unit = "FLOPs" if reading.per_mac == 2 else "MACs"
    return unit, str(reading.clip), str(reading.views), reading.counter.text, exact(reading.value), params


def verify_claim(
    spec: ModelSpec,
    printed: Printed,
    *,
    params: Printed | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> ClaimVerdict:
    """Search for the readings of a claim with the fewest changes.

    Arguments:
        spec: the network; where it names a clip, other frames and crops are not tried.
        printed: the cost claimed.
        params: the parameters claimed, which the same network has to have, with the classes of some data set.
        progress: called with what is being counted.

    Raises:
        InputError: a model outside the zoo has no clip, the model cannot take the clip, or inputs replace it.
    """
    name = spec.name
    if spec.inputs:
        raise InputError("a claim is compared at clips, not at inputs", [("fix", "leave --input out")])
    if spec.clip is None and name not in CARDS:
        raise InputError(f"{name} has no clip of its own", [("fix", "give --clip 16x112x112")])
    own = spec.clip or CARDS[name].clip
    plain = count(replace(spec, clip=own))
    classes = spec.num_classes or (CARDS[name].num_classes if name in CARDS else None)
    clips = [own] if spec.clip is not None else _clips(own)
    readings: list[Reading] = []
    refused = 0
    for changes in range(MAX_CHANGES + 1):
        nearer = [candidate for candidate in clips if _moved(candidate, own) == changes]
        for number, candidate in enumerate(nearer, 1):
            progress(f"counting {name} on {candidate} ({number} of {len(nearer)})")
            try:
                readings += _readings(candidate, count(replace(spec, clip=candidate)))
            except FlopcountError:
                refused += 1  # not every network takes every clip: a note says how many
        matches = []
        for reading in readings:
            if _changes(reading, own) == changes and printed.matches(reading.value):
                fits, fitting = _classes(params, spec, reading, classes)
                if fits:
                    matches.append(ClaimReading(reading, changes, fitting))
        if matches:
            break
    attempts = [reading for reading in readings if _changes(reading, own) <= changes]
    odds = by_accident((reading.value for reading in attempts), printed)
    nearest = sorted(attempts, key=lambda reading: (abs(reading.value - printed.value), _changes(reading, own)))
    few = tuple(nearest[:_NEAREST])
    return ClaimVerdict(name, own, plain, printed, params, tuple(matches), len(attempts), odds, few, refused)


def _clips(own: Clip) -> list[Clip]:
    """The network's own clip first, then other crops, other frames, and both."""
    frames = dict.fromkeys((own.frames, *FRAMES))
    crops = dict.fromkeys(((own.height, own.width), *((side, side) for side in CROPS)))
    return [Clip(count, *crop) for count in frames for crop in crops]


def _readings(clip: Clip, counted: Counted) -> list[Reading]:
    counters = [PLAIN, *(counter for counter in all_counters() if counted.added.get(counter))]
    every = product(PER_MAC, counters, VIEWS)
    readings = [Reading(counted, clip, per_mac, counter, views) for per_mac, counter, views in every]
    return [reading for reading in readings if reading.per_mac >= reading.counter.per_mac]


def _changes(reading: Reading, own: Clip) -> int:
    return sum(
        (
            reading.per_mac != reading.counter.per_mac,
            reading.counter is not PLAIN,
            reading.views != 1,
            _moved(reading.clip, own),
        )
    )


def _moved(clip: Clip, own: Clip) -> int:
    """Other frames are one change, another crop is one."""
    return (clip.frames != own.frames) + ((clip.height, clip.width) != (own.height, own.width))


def _classes(params: Printed | None, spec: ModelSpec, reading: Reading, classes: int | None) -> tuple[bool, int | None]:
    """Whether the network of this reading has the parameters claimed, and with which classes (0: its own)."""
    if params is None:
        return True, None
    if params.matches(reading.counted.params):
        return True, 0
    if classes is None:
        return False, None
    more = count(replace(spec, clip=reading.clip, num_classes=classes + 1))
    per_class = more.params - reading.counted.params
    for other in dataset_classes().values():
        if params.matches(reading.counted.params + (other - classes) * per_class):
            return True, other
    return False, None
