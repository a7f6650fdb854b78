"""Bits of a compressed header, and the codes that H.264 and HEVC write numbers in.

Sources: ISO/IEC 14496-10 (H.264) clauses 7.2, read_bits, and 9.1, ue(v) and se(v); ISO/IEC 23008-2 (HEVC)
has the same in 7.2 and 9.2.
"""

from __future__ import annotations

__all__ = ["BitReader", "NotUnderstood"]

_LONGEST_CODE = 32
"""Zeros before the one of ue(v): the largest number has 32 (9.1)."""


class NotUnderstood(ValueError):
    """A header that ends too soon, refers to what is not there, or has what is not read here."""


class BitReader:
    """Reads bits from the most significant one of the first byte on."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def bits(self, count: int) -> int:
        """The next bits as a number: u(n).

        Raises:
            NotUnderstood: the data end before.
        """
        end = self._at + count
        if end > 8 * len(self._data):
            raise NotUnderstood("a header ends too soon")
        last = (end + 7) // 8
        number = int.from_bytes(self._data[self._at // 8 : last], "big") >> (8 * last - end)
        self._at = end
        return number & ((1 << count) - 1)

    def flag(self) -> bool:
        """The next bit: u(1)."""
        return bool(self.bits(1))

    def unsigned(self) -> int:
        """A number without a sign as an Exp-Golomb code: ue(v).

        Raises:
            NotUnderstood: the data end before, or no such code begins here.
        """
        zeros = 0
        while not self.bits(1):
            zeros += 1
            if zeros > _LONGEST_CODE:
                raise NotUnderstood("no Exp-Golomb code has so many zeros")
        return (1 << zeros) - 1 + self.bits(zeros)

    def signed(self) -> int:
        """A number with a sign as an Exp-Golomb code: se(v), which counts 0, 1, -1, 2, -2 (9.1.1)."""
        code = self.unsigned()
        return (code + 1) // 2 if code % 2 else -(code // 2)

    def number(self, most: int) -> int:
        """As `unsigned`, of a number that is `most` at most.

        Raises:
            NotUnderstood: also for one that is larger.
        """
        value = self.unsigned()
        if value > most:
            raise NotUnderstood(f"a header has {value} where {most} is the most")
        return value
