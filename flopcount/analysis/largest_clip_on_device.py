"""The largest clips within a time or an energy on a device: frames traded against size, by counting.

A time has no closed form, so clips are counted and priced one by one. For each number of frames the search begins at
the largest size of the one before and gallops to the border; it assumes that time grows with size, and at every border
the next larger clip was counted too, and did not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ..core.errors import FlopcountError, InputError
from ..core.model_spec import ModelSpec
from ..core.one_line import OneLine
from ..core.pricing import LOW_TO_HIGH, Pricing, Times
from ..core.protocol import ONE_VIEW, Protocol, Views
from ..core.quantity import PICO
from ..core.shown_as_tables import ShownAsTable
from ..core.table import Column, Table
from ..core.units import si, times
from ..core.wording import assumed_lines
from ..hardware.setting import Setting
from ..models import CARDS
from .largest_clip import SIZES, Allowance
from .sweep_rows import build_of_zoo, clip_axes

__all__ = ["FRAMES", "ClipOnDevice", "FitOnDevice", "largest_clips_on"]

FRAMES = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""Frames tried by default, beside those of the model's own clip: each costs about seven counts."""


@dataclass(frozen=True, slots=True)
class ClipOnDevice(OneLine):
    """A clip, frames × side × side, and what one view of it takes: seconds, and 10^-12 of what the budget is of."""

    frames: int
    side: int
    times: Times
    amount: Fraction

    def __str__(self) -> str:
        return times((self.frames, self.side, self.side))

    def _headline(self) -> str:
        return f"{self}: {self.times}"


@dataclass(frozen=True, slots=True)
class FitOnDevice(ShownAsTable):
    """Clips within a time or an energy; no other one that was tried is as long and as large."""

    model: str
    budget: Allowance
    views: Views
    clips: tuple[ClipOnDevice, ...]
    pricing: Pricing
    notes: tuple[str, ...]

    def table(self) -> Table:
        """One row per clip, the longest first."""
        quantity, count = self.budget.quantity, self.views.count
        of_time = quantity.name == "time"
        several = count > 1
        columns = (
            Column("clip", "text"),
            *(() if of_time else (_column(f"{quantity.name} per view", quantity.unit),)),
            _column("time per view", "s"),
            _column("low", "s", drop=2),
            _column("high", "s", drop=2),
            *((_column(f"{quantity.name} per video", quantity.unit, drop=3),) if several else ()),
            Column("of budget", "share", drop=1),
        )
        rows = []
        for clip in self.clips:
            spans = (round(s * PICO) for s in (clip.times.estimate, clip.times.low, clip.times.high))
            of_view = () if of_time else (round(clip.amount),)
            of_video = round(clip.amount * count)
            share = (of_video, self.budget.amount)
            rows.append((str(clip), *of_view, *spans, *((of_video,) if several else ()), share))
        views = f" in {self.views} views" if several else ""
        title = f"{self.model} within {self.budget.text}{views} on {self.pricing.conditions}"
        return Table(title, columns, tuple(rows), None, self.notes)

    def _headline(self) -> str:
        clips = ", ".join(map(str, self.clips))
        return f"{self.model} within {self.budget.text} on {self.pricing.conditions}: {clips}"


def _column(name: str, unit: str, drop: int = 0) -> Column:
    return Column(name, unit=unit, pico=True, drop=drop)


def largest_clips_on(
    model: ModelSpec | str,
    budget: Allowance | str,
    on: Setting | str,
    *,
    protocol: Protocol = ONE_VIEW,
    frames: Sequence[int] | None = None,
    sizes: Sequence[int] | None = None,
    progress: Callable[[str], None] = lambda clip: None,
) -> FitOnDevice:
    """Clips whose estimated time, or energy, is within the budget: a longer clip is smaller, a larger one shorter.

    Arguments:
        model: by name, or a spec; of inputs all frames, heights and widths move together.
        budget: for all views of a video together, such as "33ms" or "2J".
        on: the device, or a `Setting`.
        protocol: the views, and the batch, whose samples share the time of its pass.
        frames: lengths to choose from; by default some up to 256.
        sizes: sides to choose from; by default the multiples of 16 up to 1024.
        progress: called with each clip that is counted.

    Raises:
        InputError: the budget is no time and no energy, the device has no energy, the model takes none of the clips,
            or not even the smallest fits.
        UnknownNameError: no such device.
    """
    spec = ModelSpec(model) if isinstance(model, str) else model
    budget = Allowance.parse(budget) if isinstance(budget, str) else budget
    setting = Setting.named(on) if isinstance(on, str) else on
    if not budget.quantity.pico:
        raise InputError(f"budget {budget.text!r} is no time and no energy", [("fix", "write 33ms, 0.5s or 2J")])
    if budget.quantity.name == "energy" and setting.device.tdp is None:
        why = f"the power limit of {setting.device.name} is not known, so its energy is not either"
        raise InputError(why, [("fix", "give a time, such as --budget 33ms, or choose another device")])
    search = _Search(spec, budget, setting, protocol, sorted(set(sizes or SIZES)), progress)
    lengths = sorted(set(frames or {*FRAMES, *([search.usual[0]] if search.usual else [])}))
    clips = search.longest_first(lengths)
    notes = (*search.notes(lengths, clips), *search.pricing.notes)
    return FitOnDevice(spec.name, budget, protocol.views, clips, search.pricing, notes)


class _Search:
    """Clips of one model, each counted once; a clip that the model refuses is no choice."""

    def __init__(
        self,
        spec: ModelSpec,
        budget: Allowance,
        setting: Setting,
        protocol: Protocol,
        sizes: list[int],
        progress: Callable[[str], None],
    ) -> None:
        self.spec, self.budget, self.setting, self.protocol = spec, budget, setting, protocol
        self.sizes, self.progress = sizes, progress
        self.clips: dict[tuple[int, int], ClipOnDevice | None] = {}
        self.counted = 0
        self.priced: Pricing | None = None
        self.uncosted: dict[str, None] = {}
        self.assumed: dict[str, None] = {}
        self.refusal = ""
        self.usual = self._usual()

    def _usual(self) -> tuple[int, int] | None:
        """Frames and side of the clip that the model is known to take."""
        if self.spec.inputs:
            frames, height, _ = clip_axes(self.spec).base
            return frames, height
        clip = self.spec.clip or (CARDS[self.spec.name].clip if self.spec.name in CARDS else None)
        return None if clip is None else (clip.frames, clip.height)

    @property
    def pricing(self) -> Pricing:
        """The conditions, and what the times rest on."""
        assert self.priced is not None
        return self.priced

    def longest_first(self, lengths: Sequence[int]) -> tuple[ClipOnDevice, ...]:
        """The choices.

        Raises:
            InputError: there is none.
        """
        middle = self.sizes[len(self.sizes) // 2]
        usual = self.usual[1] if self.usual else middle
        begin = min(range(len(self.sizes)), key=lambda at: abs(self.sizes[at] - usual))
        largest: list[ClipOnDevice] = []
        for frames in lengths:
            before = self.counted
            found = self._largest(frames, begin)
            if found is not None:
                largest.append(found)
                begin = self.sizes.index(found.side)
            elif self.counted > before:
                break  # none fits, and longer ones take longer
        if not largest:
            self._refuse(lengths)
        clips: list[ClipOnDevice] = []
        for clip in reversed(largest):
            if not clips or clip.side > clips[-1].side:
                clips.append(clip)
        return tuple(clips)

    def _refuse(self, lengths: Sequence[int]) -> None:
        counted = [clip for clip in self.clips.values() if clip is not None]
        if not counted:
            what = f"{lengths[0]} to {lengths[-1]} frames and sides of {self.sizes[0]} to {self.sizes[-1]}"
            raise InputError(f"{self.spec.name} takes no clip of {what}", [("seen", self.refusal)])
        least = min(counted, key=lambda clip: clip.amount)
        views = self.protocol.views
        of_video = si(float(least.amount * views.count) / PICO, self.budget.quantity.unit)
        in_views = f" in {views.count} views" if views.count > 1 else ""
        seen = f"{least} takes {of_video}{in_views} on {self.pricing.conditions}"
        raise InputError(
            f"no clip of {self.spec.name} fits {self.budget.text}",
            [("seen", seen), ("fix", "raise the budget, or choose a faster device or a lower precision")],
        )

    def _largest(self, frames: int, begin: int) -> ClipOnDevice | None:
        """The largest that fits, searched from one size on; None where none does or all are refused."""
        fits, not_fits = -1, len(self.sizes)
        start = self._near(frames, begin, fits, not_fits)
        if start is None:
            return None
        if self._fits(frames, start):
            fits, step = start, 1
            while (at := self._near(frames, min(fits + step, not_fits - 1), fits, not_fits)) is not None:
                if not self._fits(frames, at):
                    not_fits = at
                    break
                fits, step = at, 2 * step
        else:
            not_fits, step = start, 1
            while (at := self._near(frames, max(not_fits - step, 0), fits, not_fits)) is not None:
                if self._fits(frames, at):
                    fits = at
                    break
                not_fits, step = at, 2 * step
        while (at := self._near(frames, (fits + not_fits) // 2, fits, not_fits)) is not None:
            fits, not_fits = (at, not_fits) if self._fits(frames, at) else (fits, at)
        return self.clip(frames, self.sizes[fits]) if fits >= 0 else None

    def _near(self, frames: int, at: int, above: int, below: int) -> int | None:
        """The position next to `at`, strictly between two others, at which the model takes the clip."""
        for distance in range(_FARTHEST + 1):
            for position in dict.fromkeys((at + distance, at - distance)):
                if above < position < below and self.clip(frames, self.sizes[position]) is not None:
                    return position
        return None

    def _fits(self, frames: int, position: int) -> bool:
        clip = self.clip(frames, self.sizes[position])
        return clip is not None and clip.amount * self.protocol.views.count <= self.budget.amount

    def clip(self, frames: int, side: int) -> ClipOnDevice | None:
        """The clip, or None where the model refuses it."""
        if (frames, side) not in self.clips:
            self.progress(times((frames, side, side)))
            self.clips[frames, side] = self._counted(frames, side)
        return self.clips[frames, side]

    def _counted(self, frames: int, side: int) -> ClipOnDevice | None:
        try:
            result = build_of_zoo(self.spec, self.protocol, True, model=self.spec.name, frames=frames, size=side)
        except FlopcountError as error:
            self.refusal = error.message
            return None
        cost = self.setting.cost(result)
        self.counted += 1
        self.priced = cost.result.pricing
        self.uncosted |= dict.fromkeys(row.op for row in result.uncosted)
        self.assumed |= dict.fromkeys(result.assumed)
        batch = result.input.batch or 1
        amount = Fraction(cost.result.total[self.budget.quantity.name], batch)
        return ClipOnDevice(frames, side, cost.times.scaled(1 / batch), amount)

    def notes(self, lengths: Sequence[int], clips: Sequence[ClipOnDevice]) -> Iterator[str]:
        """What is missing, what was tried, and how far the answer can be relied on."""
        if self.uncosted:
            yield f"UNCOSTED {', '.join(self.uncosted)}: missing from every clip's {self.budget.quantity.name}"
        yield from assumed_lines(self.assumed)
        yield "within the budget, a longer clip is smaller and a larger clip is shorter"
        yield f"a clip fits where the estimate is within the budget; {LOW_TO_HIGH}"
        sides = f"{self.sizes[0]}×{self.sizes[0]} to {self.sizes[-1]}×{self.sizes[-1]}"
        yield f"clips tried: of {', '.join(map(str, lengths))} frames, {sides}; {self.counted} were counted"
        ends = any(clip.side == self.sizes[-1] for clip in clips)
        larger = "beside each clip a larger was counted" + ", where one was tried" * ends
        yield f"no closed form has a time: it is taken to grow with size, and {larger}"
        if ends:
            yield f"larger clips than {self.sizes[-1]}×{self.sizes[-1]} were not tried"


_FARTHEST = (
    8  # positions from where a search looks to a size that the model takes: a stride of 128 among multiples of 16
)
