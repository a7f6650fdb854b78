"""A printed number: its text, its scale, and every exact value that rounds to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from ..core.errors import InputError

__all__ = ["SCALES", "Printed"]

SCALES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_NUMBER = re.compile(r"(\d+(?:,\d{3})*|\d*)(?:\.(\d+))?")
_CLAIM = re.compile(r"([\d.,]+) *([kMGTP]?)(?:FLOPs?|FLOPS|MACs?|B)?")
_WHOLE_DIGITS = 7  # digits from which a bare number counts as written in full


@dataclass(frozen=True, slots=True)
class Printed:
    """`Printed("27.6", "G")`: what rounds to 27.6 G lies between 27.55 G and 27.65 G, both included.

    A half may have been rounded either way, so both ends belong to it.
    """

    text: str
    scale: str = ""

    def __post_init__(self) -> None:
        match = _NUMBER.fullmatch(self.text)
        if match is None or not any(c.isdigit() for c in self.text):
            raise InputError(f"{self.text!r} is not a printed number", [("fix", "write digits, such as 27.6 or 27.6G")])
        if self.scale not in SCALES:
            scales = ", ".join(filter(None, SCALES))
            raise InputError(f"no scale {self.scale!r} of {self.text!r}", [("fix", f"choose {scales} or none")])

    @classmethod
    def parse(cls, text: str, scale: str = "G") -> Printed:
        """Read a claim: "27.6", "34.5M", "1.97 TFLOPs", "38548959232".

        Without a suffix the number is in units of `scale`, unless it has 7 digits or more: then it is written in full.
        """
        match = _CLAIM.fullmatch(text.strip())
        if match is None:
            raise InputError(
                f"{text!r} is not a printed number", [("fix", "write a number and k, M, G or T, such as 27.6 or 34.5M")]
            )
        number, suffix = match[1], match[2]
        whole = len(number.replace(",", "").partition(".")[0]) >= _WHOLE_DIGITS
        return cls(number, suffix or ("" if whole else scale))

    @property
    def value(self) -> Fraction:
        """The exact value of the printed text."""
        return Fraction(self.text.replace(",", "")) * SCALES[self.scale]

    @property
    def step(self) -> Fraction:
        """One unit of its last digit."""
        decimals = len(self.text.partition(".")[2])
        return Fraction(SCALES[self.scale], 10**decimals)

    @property
    def low(self) -> Fraction:
        """The least value that rounds to it."""
        return self.value - self.step / 2

    @property
    def high(self) -> Fraction:
        """The greatest value that rounds to it."""
        return self.value + self.step / 2

    def matches(self, count: Fraction | int) -> bool:
        """Whether `count` rounds to the printed number."""
        return self.low <= count <= self.high

    def cut_from(self, count: Fraction | int) -> bool:
        """Whether `count` gives the printed number when digits are cut off instead of rounded."""
        return self.value <= count < self.value + self.step

    def rounded_twice_from(self, count: Fraction | int) -> bool:
        """Whether `count` gives the printed number when it is rounded to one digit more, and then that half up."""
        finer = self.step / 10
        return self.low <= finer * floor(Fraction(count) / finer + Fraction(1, 2)) < self.high

    def divided_by(self, parts: int) -> Printed | None:
        """The number of as many decimals of which this one is `parts` times; None where it is no multiple."""
        whole, _, decimals = self.text.replace(",", "").partition(".")
        steps, rest = divmod(int(whole + decimals), parts)
        if rest or not steps:
            return None
        digits = str(steps).rjust(len(decimals) + 1, "0")
        cut = len(digits) - len(decimals)
        return Printed(digits[:cut] + ("." + digits[cut:] if decimals else ""), self.scale)

    def __str__(self) -> str:
        return f"{self.text} {self.scale}".rstrip()
