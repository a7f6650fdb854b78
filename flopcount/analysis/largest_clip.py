"""The largest clips within a budget, from the closed form: frames traded against size."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.errors import InputError
from ..core.one_line import OneLine
from ..core.protocol import Views
from ..core.quantity import TABLE, Quantity
from ..core.shown_as_tables import ShownAsTable
from ..core.spending import parse_spending, quantity_of_unit
from ..core.table import Column, Table
from ..core.units import si, times
from ..core.wording import assumed_lines
from ..symbolic import ClosedForm

__all__ = ["Allowance", "Fit", "largest_clips"]

_BUDGET = re.compile(r"([\d.]+)\s*([kMGTP]?)\s*(MACs?|FLOPs?)", re.IGNORECASE)
_SCALES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
MOST_FRAMES = 256
SIZES = tuple(range(32, 1025, 16))
"""Heights and widths tried by default, multiples of 16 as networks are trained and tested at."""


@dataclass(frozen=True, slots=True)
class Allowance(OneLine):
    """What one video may cost: MACs, or 10^-12 of a second or a joule; `text` as it was written."""

    amount: int
    text: str
    quantity: Quantity = TABLE["macs"]

    @property
    def macs(self) -> int:
        """MACs that one video may cost.

        Raises:
            InputError: it is an allowance of time or energy.
        """
        if self.quantity.pico:
            why = f"budget {self.text!r} is of {self.quantity.name}, which has no closed form"
            raise InputError(why, [("fix", "name a device: `largest_clips_on`, or --on on the command line")])
        return self.amount

    @classmethod
    def parse(cls, text: str) -> Allowance:
        """Read "25GMACs" or "50 GFLOPs", half as many MACs as FLOPs; or "33ms", "0.5s" and "2J" of a device.

        Raises:
            InputError: the text has no number, or a unit that says none of these.
        """
        spent = quantity_of_unit(text)
        if spent is not None:
            return cls(parse_spending(text, spent, what="budget"), text, spent)
        match = _BUDGET.fullmatch(text.strip())
        if match is None:
            raise InputError(
                f"budget {text!r} is not an amount of work",
                [("fix", "write 25GMACs or 50GFLOPs; say which, since many papers call MACs FLOPs, a factor of 2")],
            )
        try:
            amount = float(match[1]) * _SCALES[match[2].upper()]
        except ValueError:
            raise InputError(f"budget {text!r} has no number", [("fix", "write 25GMACs or 50GFLOPs")]) from None
        return cls(int(amount / (2 if match[3].upper().startswith("FLOP") else 1)), text)

    def _headline(self) -> str:
        return f"{self.text} of {self.quantity.title}"


@dataclass(frozen=True, slots=True)
class Fit(ShownAsTable):
    """Clips (frames, side of the square, MACs of one view) within a budget; no other one is as long and as large."""

    model: str
    budget: Allowance
    views: Views
    clips: tuple[tuple[int, int, int], ...]
    notes: tuple[str, ...]

    def table(self) -> Table:
        """One row per clip, the longest first."""
        columns = (
            Column("clip", "text"),
            Column("MACs per view"),
            Column("FLOPs per view", drop=1),
            *((Column("MACs per video"),) if self.views.count > 1 else ()),
            Column("of budget", "share"),
        )
        rows = []
        for frames, side, macs in self.clips:
            per_video = (macs * self.views.count,) if self.views.count > 1 else ()
            share = (macs * self.views.count, self.budget.macs)
            rows.append((times((frames, side, side)), macs, 2 * macs, *per_video, share))
        views = f" in {self.views} views" if self.views.count > 1 else ""
        return Table(f"{self.model} within {self.budget.text}{views}", columns, tuple(rows), None, self.notes)

    def _headline(self) -> str:
        return f"{self.model} within {self.budget.text}: {', '.join(times((t, s, s)) for t, s, _ in self.clips)}"


def largest_clips(
    form: ClosedForm,
    budget: Allowance | str,
    *,
    views: Views | None = None,
    frames: Sequence[int] | None = None,
    sizes: Sequence[int] | None = None,
    batch: int = 1,
) -> Fit:
    """Clips within the budget, frames × side × side: a longer clip is smaller, and a larger one is shorter.

    Arguments:
        form: a closed form in T, and in H and W or in S; an axis that it pins stays fixed.
        budget: for all views of a video together, such as "25GMACs".
        views: one view where None.
        frames: lengths to choose from; where None, all up to 256 for which the form holds.
        sizes: sides to choose from; where None, the multiples of 16 for which the form holds.
        batch: clips that the form counts at once, each of another video; each has an equal share of the cost.

    Raises:
        InputError: the form lacks T or a side, not even the smallest clip fits, or the form holds for none of the
            sizes.
    """
    budget = Allowance.parse(budget) if isinstance(budget, str) else budget
    views = views or Views()
    axes = {domain.axis for domain in form.domains}
    if "T" not in axes or not ({"S"} <= axes or {"H", "W"} <= axes):
        raise InputError(
            f"the form of {form.model} is not one of frames and of both sides",
            [("seen", f"a form in {', '.join(form.base)}"), ("fix", "derive it in T, H and W, or in T and S")],
        )
    t = _choices(form, ("T",), frames, range(1, MOST_FRAMES + 1), "frames")
    s = _choices(form, ("H", "W", "S"), sizes, SIZES, "sizes")
    at = {domain.axis: (t[:, None] if domain.axis == "T" else s[None, :]) for domain in form.domains}
    allowed = budget.macs
    macs = np.broadcast_to(form.macs(**at) // batch, (len(t), len(s)))
    within = macs * views.count <= allowed
    if not within.any():
        least = f"{times((int(t[0]), int(s[0]), int(s[0])))} needs {si(int(macs[0, 0]) * views.count, 'MACs')}"
        raise InputError(f"no clip of {form.model} fits {budget.text}", [("seen", least), ("fix", "raise the budget")])
    clips: list[tuple[int, int, int]] = []
    for row in reversed(range(len(t))):
        columns = np.flatnonzero(within[row])
        if len(columns) and (not clips or s[columns[-1]] > clips[-1][1]):
            clips.append((int(t[row]), int(s[columns[-1]]), int(macs[row, columns[-1]])))
    return Fit(form.model, budget, views, tuple(clips), tuple(_notes(form, clips, int(t[-1]), int(s[-1]))))


def _choices(
    form: ClosedForm, names: tuple[str, ...], sizes: Sequence[int] | None, usual: Sequence[int], what: str
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Sizes on which the form holds for all these axes, in order."""
    domains = [domain for domain in form.domains if domain.axis in names]
    pinned = [domain.base for domain in domains if domain.pinned]
    candidates = sorted(set(sizes or (*usual, *pinned)))
    choices = [size for size in candidates if all(size in domain for domain in domains)]
    if not choices:
        holds = ", ".join(map(str, domains))
        raise InputError(
            f"{form.model} takes none of the {what} {candidates[0]} to {candidates[-1]}", [("seen", holds)]
        )
    return np.array(choices, dtype=np.int64)


def _notes(form: ClosedForm, clips: Sequence[tuple[int, int, int]], most: int, largest: int) -> list[str]:
    notes = [f"UNCOSTED {', '.join(form.uncosted)}: missing from every clip's cost"] if form.uncosted else []
    notes += assumed_lines(form.assumed)
    notes += ["within the budget, a longer clip is smaller and a larger clip is shorter"]
    if any(frames == most or side == largest for frames, side, _ in clips):
        notes.append(f"clips tried: up to {most} frames and {largest}×{largest}")
    notes += [f"{domain.axis} is pinned: {domain.pinned}" for domain in form.domains if domain.pinned]
    notes.append(f"from the closed form, which holds for {', '.join(str(domain) for domain in form.domains)}")
    return notes
