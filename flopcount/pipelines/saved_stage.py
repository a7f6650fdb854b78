"""A stage as it was saved: what one pass costs, or what each of growing passes does, without its layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..core.amount import Amount, in_brief
from ..core.errors import InputError
from ..core.one_line import OneLine
from ..core.result import Totals, UncostedRow
from .differences import Differences, sum_of

__all__ = ["SavedPiece", "SavedStage"]


@dataclass(frozen=True, slots=True)
class SavedPiece(OneLine):
    """Passes from `start` on, `count` of them, with forward differences of each quantity at the first."""

    start: int
    count: int
    differences: Mapping[str, Differences]

    def amount(self, count: int) -> dict[str, int]:
        """What the first so many of these passes cost."""
        return {name: sum_of(of_name, count) for name, of_name in self.differences.items()}


@dataclass(frozen=True, slots=True)
class SavedStage(Totals, OneLine):
    """One pass of a stage; `pieces` are there where passes grow, and `key` says whose weights it has."""

    model: str
    total: Amount
    key: str
    pieces: tuple[SavedPiece, ...] = ()
    uncosted: tuple[UncostedRow, ...] = ()
    assumed: tuple[str, ...] = ()
    type: str = ""

    def summed(self, count: int) -> Amount:
        """What so many passes cost.

        Raises:
            InputError: passes grow, and fewer were saved.
        """
        if not self.pieces:
            return self.total * count
        saved = sum(piece.count for piece in self.pieces)
        if count > saved:
            fix = "count the model again, or ask for fewer"
            raise InputError(f"{saved} passes of {self.model} were saved, not {count}", [("fix", fix)])
        sums = dict.fromkeys(self.pieces[0].differences, 0)
        for piece in self.pieces:
            amount = piece.amount(max(0, min(piece.count, count - piece.start)))
            sums = {name: sums[name] + amount[name] for name in sums}
        return Amount({**(self.total * 1).counts, **sums})

    def _headline(self) -> str:
        return f"{self.model}: {in_brief(self.total)} per pass"
