"""What a job is paid by: a video, a second of it, a token, a step."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ..core.amount import Amount, in_brief
from ..core.errors import InputError
from ..core.one_line import OneLine
from .expression import Expression, Value

__all__ = ["PerUnit", "Unit", "per_unit"]


@dataclass(frozen=True, slots=True)
class Unit(OneLine):
    """A unit and how many of them a job makes: `Unit("second", "frames / fps")`; of one stage where it is named.

    A unit of a stage counts that stage alone: `Unit("step", "steps", "denoise")`.

    Raises:
        InputError: it has no name, or its count is no arithmetic.
    """

    name: str
    count: Expression
    stage: str = ""

    def __init__(self, name: str, count: int | float | str | Expression, stage: str = "") -> None:
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"{name!r} is no name of a unit", [("fix", "name it, such as video or second")])
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "count", Expression.of(count))
        object.__setattr__(self, "stage", stage)

    def require_some(self, count: Value, *, zero: bool = False) -> None:
        """Refuse so many of it as no cost can be divided by; with `zero` there is no cost, and 0 will do.

        Raises:
            InputError: there are none, or less.
        """
        if count < 0 or not (count or zero):
            fix = "give more than 0"
            raise InputError(f"there are {count} {self.name}s", [("seen", str(self.count)), ("fix", fix)])

    def _headline(self) -> str:
        return f"{self.name}" + f" of {self.stage}" * bool(self.stage) + f": {self.count}"


@dataclass(frozen=True, slots=True)
class PerUnit(OneLine):
    """What one of so many units costs, rounded down to whole numbers."""

    unit: Unit
    count: Value
    total: Amount

    @property
    def words(self) -> str:
        """The unit, and the stage that it is of: "step of denoise"."""
        return f"{self.unit.name} of {self.unit.stage}" if self.unit.stage else self.unit.name

    def _headline(self) -> str:
        return f"{self.words}: {in_brief(self.total)}"


def per_unit(unit: Unit, count: Value, whole: Amount) -> PerUnit:
    """The whole amount divided; parameters are the same for each.

    Raises:
        InputError: there is less than nothing of the unit.
    """
    unit.require_some(count)
    exact = Fraction(count)
    return PerUnit(unit, count, whole * exact.denominator // exact.numerator)
