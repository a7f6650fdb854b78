"""Which clips to trace: along each axis enough to tell all staircases apart, and some where several axes vary."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from ..core.errors import InputError
from .aligning import aligned, numbers
from .axes import SQUARE
from .fitting import Steps, disagreement, fit_line
from .observing import Clip, Entry, Observation, Refused, quantities

__all__ = ["STEP_LIMITS", "Axis", "Sampler"]

STEP_LIMITS = {"B": 4, "T": 64}
"""The largest step of a staircase along an axis."""
_LIMIT = 256  # along the other axes: Swin's windows of 7 on a stride of 32 repeat after 224
_STEPS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 64)
_FIRST = (0, 1, 2, 3, 5, 8, 13, 21)  # in steps above the base
_MOST = 48  # sizes to trace along one axis


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: the model runs on sizes in steps above its base, or only on the base (`pinned` says why)."""

    name: str
    base: int
    step: int = 1
    pinned: str = ""

    @property
    def steps(self) -> Steps:
        """The staircases to try."""
        return Steps(STEP_LIMITS.get(self.name, _LIMIT), self.step, (1, 2) if self.name == SQUARE else (1,))

    @property
    def farthest(self) -> int:
        """The largest size to trace: two periods of the widest staircase above the base."""
        return self.base + 2 * self.step * -(-self.steps.limit // self.step)


@dataclass
class Sampler:
    """Traces clips, each once."""

    model: Observation
    progress: Callable[[str], None]
    outcomes: dict[Clip, tuple[Entry, ...] | Refused] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The axes."""
        return self.model.names

    @property
    def base(self) -> Clip:
        """The base sizes of the axes."""
        return self.model.base

    def at(self, clip: Clip) -> tuple[Entry, ...] | Refused:
        """What the model does at a clip, or why it does not run."""
        if clip not in self.outcomes:
            self.progress("×".join(map(str, clip)))
            self.outcomes[clip] = self.model.observe(clip)
        return self.outcomes[clip]

    def runs(self, clip: Clip) -> bool:
        """Whether the model runs at a clip."""
        return not isinstance(self.at(clip), Refused)

    def why(self, clip: Clip) -> str:
        """Why the model does not run at a clip; "" if it does."""
        outcome = self.at(clip)
        return outcome.why if isinstance(outcome, Refused) else ""

    def sizes(self, clip: Clip) -> str:
        """The sizes of a clip as text."""
        return ", ".join(f"{name} = {size}" for name, size in zip(self.names, clip, strict=True))

    def moved(self, index: int, size: int) -> Clip:
        """The base with another size of one axis."""
        return (*self.base[:index], size, *self.base[index + 1 :])

    def axis(self, index: int) -> Axis:
        """The sizes of this axis on which the model runs, with the other axes at the base."""
        why = ""
        for step in _STEPS:
            axis = Axis(self.names[index], self.base[index], step)
            near, far = (self.base[index] + step * k for k in (1, 2)), (axis.farthest - step, axis.farthest)
            refused = next((clip for size in (*near, *far) if not self.runs(clip := self.moved(index, size))), None)
            if refused is None:
                return axis
            why = self.why(refused)
        return Axis(self.names[index], self.base[index], 1, why)

    def line(self, index: int, axis: Axis) -> list[Clip]:
        """Clips along one axis that tell the staircases of all sizes apart."""
        sizes = [axis.base + axis.step * k for k in _FIRST if axis.base + axis.step * k <= axis.farthest]
        sizes += [axis.farthest - axis.step, axis.farthest]
        grid = range(axis.base, axis.farthest + 1, axis.step)
        while len(sizes) < _MOST:
            clips = [self.moved(index, size) for size in sizes]
            values = _moving(self.entries(clips))
            more = disagreement([fit_line(sizes, column, axis.steps) for column in values], grid)
            if more is None or more in sizes:
                break
            sizes.append(more)
        return [self.moved(index, size) for size in sizes]

    def entries(self, clips: Iterable[Clip]) -> list[tuple[Entry, ...]]:
        """What the model does at each clip.

        Raises:
            InputError: the model does not run at one of them, although it runs on sizes around it.
        """
        by_clip = []
        for clip in clips:
            entries = self.at(clip)
            if isinstance(entries, Refused):
                raise InputError(
                    f"no closed form: the model runs on sizes around {self.sizes(clip)}, but not there",
                    [("seen", entries.why), ("fix", "name fewer axes, or give a clip that it takes")],
                )
            by_clip.append(entries)
        return by_clip

    def crossings(self, lines: Sequence[Sequence[Clip]]) -> list[Clip]:
        """Clips where two axes vary, and clips where all vary, which show products."""
        draw = random.Random(0)
        moving = [index for index, line in enumerate(lines) if len(line) > 1]
        corners = [
            [(index, lines[index][place]) for index in pair] for pair in combinations(moving, 2) for place in (1, 4)
        ]
        anywhere = [[(index, draw.choice(lines[index])) for index in moving] for _ in range(4)]
        clips = {self.base: None}
        for moves in (*corners, *anywhere):
            clip = list(self.base)
            for index, on_line in moves:
                clip[index] = on_line[index]
            clips[tuple(clip)] = None
        return list(clips)[1:]


def _moving(by_clip: Sequence[Sequence[Entry]]) -> list[tuple[int, ...]]:
    """Sizes that differ between clips, each distinct column once."""
    sizes: dict[tuple[int, ...], None] = {}
    keys: set[tuple[int, ...]] = set()
    for quantity, _ in enumerate(quantities()):
        for column in aligned(by_clip, quantity) or ():
            key = tuple(map(id, column.signatures))
            if key not in keys:
                keys.add(key)
                for values in zip(*map(numbers, column.signatures), strict=False):
                    sizes[values] = None
            sizes[column.times] = None
    return [values for values in sizes if len(set(values)) > 1]
