"""A pass that costs more each time, as a decoding step over a growing cache: many passes summed exactly, few counted.

What enters is a function that counts the pass of a number, from 0. Each operator's work is found as a polynomial of
that number, from the first passes, and held against the pass in the middle and the last one. Where they differ, as
where a sliding window is full, the range is halved. The sum of a polynomial is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from ..core.amount import Amount
from ..core.errors import InputError
from ..core.one_line import OneLine
from ..core.ops import CostedOp, ModuleCall, Workload
from ..core.quantity import counted
from ..core.result import Result
from .differences import Differences, sum_of, value_at

__all__ = ["Growing", "Piece"]

Works: TypeAlias = tuple[Workload, ...]


@dataclass(frozen=True, slots=True)
class Piece(OneLine):
    """Passes from `start` on, `count` of them, whose operators' work is a polynomial; `first` is the first of them."""

    start: int
    count: int
    first: Result
    differences: tuple[tuple[Differences, ...], ...]  # by operator, then as `_numbers`

    def ops(self) -> Iterator[CostedOp]:
        """The operators of all passes together."""
        for op, of_op in zip(self.first.ops, self.differences, strict=True):
            *work, read, written = (sum_of(each, self.count) for each in of_op)
            yield op._replace(work=Workload(*work), times=self.count, elements=(read, written))

    def amounts(self) -> dict[str, Differences]:
        """Forward differences of each quantity that operators sum to."""
        at = [replace(self.first, ops=tuple(self._at(k))) for k in range(3)]
        found = {}
        for quantity in counted():
            if quantity.of_operator is not None:
                a, b, c = (sum(map(quantity.of_operator, result.ops)) for result in at)
                found[quantity.name] = (a, b - a, c - 2 * b + a)
        return found

    def _at(self, k: int) -> Iterator[CostedOp]:
        for op, of_op in zip(self.first.ops, self.differences, strict=True):
            *work, read, written = (value_at(each, k) for each in of_op)
            yield op._replace(work=Workload(*work), elements=(read, written))

    def _headline(self) -> str:
        return f"passes {self.start:,} to {self.start + self.count - 1:,} of {self.first.model}"


class Growing(OneLine):
    """Passes of a loop whose cost grows; `count(k)` counts pass k, from 0, and is called for few of them.

    The sum is exact where an operator's work grows steadily, however often it bends or jumps on the way: caches,
    windows, chunks, and caches padded to multiples. What a pass does only now and then in between is not seen, as where
    every tenth one costs more: give such passes a stage of their own.
    """

    def __init__(self, count: Callable[[int], Result]) -> None:
        self._count = count
        self._passes: dict[int, Result] = {}
        self._pieces: dict[int, tuple[Piece, ...]] = {}

    def _headline(self) -> str:
        of = f" of {self._passes[0].model}" if 0 in self._passes else ""
        return f"passes{of}, {len(self._passes)} of them counted"

    def at(self, k: int) -> Result:
        """The result of pass k."""
        if k not in self._passes:
            self._passes[k] = self._count(k)
        return self._passes[k]

    @property
    def first(self) -> Result:
        """The first pass."""
        return self.at(0)

    @property
    def model(self) -> str:
        """The name of its model."""
        return self.first.model

    @property
    def total(self) -> Amount:
        """What the first pass costs."""
        return self.first.total

    def pieces(self, count: int) -> tuple[Piece, ...]:
        """So many passes as pieces with a polynomial each."""
        if count not in self._pieces:
            self._pieces[count] = tuple(self._split(0, count)) if count else ()
        return self._pieces[count]

    def summed(self, count: int) -> Result:
        """So many passes together: each operator with its work in all of them."""
        pieces = self.pieces(count)
        ops = tuple(op for piece in pieces for op in piece.ops())
        calls = tuple(ModuleCall(*call[:3], times=piece.count) for piece in pieces for call in piece.first.calls)
        return replace(self.first, ops=ops, calls=calls, dataflow=None, saving="")

    def amount(self, count: int) -> Amount:
        """What so many passes cost, with the parameters of one."""
        return self.summed(count).total

    def _split(self, start: int, count: int) -> Iterator[Piece]:
        piece = self._piece(start, count)
        if piece is not None:
            yield piece
            return
        half = count // 2
        yield from self._split(start, half)
        yield from self._split(start + half, count - half)

    def _piece(self, start: int, count: int) -> Piece | None:
        """The passes as one piece; None where no polynomial fits them."""
        first = self.at(start)
        if count == 1:
            return Piece(start, 1, first, tuple(tuple((n, 0, 0) for n in _numbers(op)) for op in first.ops))
        second, last, middle = (self.at(start + k) for k in (1, count - 1, count // 2))
        if not all(_alike(first, other) for other in (second, middle, last)):
            return None
        checks = {k: _works(self.at(start + k)) for k in {count // 2, count - 1}}
        affine = _differences([first, second])
        if _fits(affine, checks):
            return Piece(start, count, first, affine)
        if count < 4 or not _alike(first, self.at(start + 2)):
            return None
        curved = _differences([first, second, self.at(start + 2)])
        return Piece(start, count, first, curved) if _fits(curved, checks) else None

    def __getstate__(self) -> dict[str, object]:
        return {"_count": _gone, "_passes": self._passes, "_pieces": self._pieces}


def _gone(k: int) -> Result:
    raise InputError(f"pass {k} was not counted before it was saved", [("fix", "count the model again")])


def _alike(one: Result, other: Result) -> bool:
    """Whether both run the same operators in the same modules."""
    return len(one.ops) == len(other.ops) and all(
        a.name == b.name and a.op.module == b.op.module and a.kind is b.kind
        for a, b in zip(one.ops, other.ops, strict=True)
    )


def _numbers(op: CostedOp) -> tuple[int, ...]:
    """All that is summed over passes: the fields of a Workload, and elements read and written."""
    work = op.work
    numbers = work.macs, work.other_flops, work.bytes_read, work.bytes_written, op.elements_read, op.elements_written
    return tuple(map(int, numbers))


def _works(result: Result) -> tuple[tuple[int, ...], ...]:
    return tuple(map(_numbers, result.ops))


def _differences(results: Sequence[Result]) -> tuple[tuple[Differences, ...], ...]:
    """Of each operator, from its work in two or three passes that follow each other."""
    found = []
    for numbers in zip(*map(_works, results), strict=True):
        of_op = []
        for values in zip(*numbers, strict=True):
            a, b, *more = values
            of_op.append((a, b - a, more[0] - 2 * b + a if more else 0))
        found.append(tuple(of_op))
    return tuple(found)


def _fits(differences: tuple[tuple[Differences, ...], ...], checks: dict[int, tuple[tuple[int, ...], ...]]) -> bool:
    return all(
        tuple(value_at(each, k) for each in of_op) == numbers
        for k, works in checks.items()
        for of_op, numbers in zip(differences, works, strict=True)
    )
