"""The largest batch that fits into a memory: a search that counts every batch it tries."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..core.errors import InputError
from ..core.one_line import OneLine
from ..core.units import si
from .memory import memory_of

if TYPE_CHECKING:
    from ..core.result import Result

__all__ = ["MOST", "BatchFit", "largest", "largest_batch", "parse_bytes"]

MOST = 1 << 20  # no larger batch is tried

_BYTES = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGTP]?)(i?)B?", re.IGNORECASE)
_PREFIXES = " kmgtp"


@dataclass(frozen=True, slots=True)
class BatchFit(OneLine):
    """The largest batch that fits, and the bytes that it and the next larger one need (None: unknown, or not tried).

    `assumed` names what the counts had to assume.
    """

    budget: int
    batch: int
    needs: int | None
    next_needs: int | None
    assumed: tuple[str, ...] = ()

    def __str__(self) -> str:
        known = self.batch or self.next_needs is not None
        return self._text + ", partly assumed" * bool(self.assumed and known)

    @property
    def _text(self) -> str:
        if not self.batch and self.next_needs is None:
            return "unknown"
        if not self.batch:
            return "none" + (f" (1 needs {si(self.next_needs, 'B', digits=4)})" if self.next_needs else "")
        needs = "" if self.needs is None else f" ({si(self.needs, 'B', digits=4)}"
        more = "" if self.next_needs is None else f"; {self.batch + 1:,} needs {si(self.next_needs, 'B', digits=4)}"
        return f"{self.batch:,}{needs}{more})" if needs else f"{self.batch:,}"

    def _headline(self) -> str:
        return f"{self} in {si(self.budget, 'B')}"


def parse_bytes(text: str | int) -> int:
    """Bytes of "80GB", "16 GiB", "512M" or a number; GB is 10^9 and GiB 2^30 bytes.

    Raises:
        InputError: the text is none of these, or says 0.
    """
    match = _BYTES.fullmatch(str(text).strip())
    number = float(match[1]) if match else 0.0
    if match is None or not number:
        raise InputError(f"memory {text!r} is not an amount of bytes", [("fix", "write 80GB, 24GiB or 512MB")])
    return int(number * (1024 if match[3] else 1000) ** _PREFIXES.index(match[2].lower() or " "))


def largest_batch(
    count: Callable[[int], Result],
    memory: str | int,
    *,
    training: bool = False,
    optimizer: str = "adamw",
    kernels: str = "cpu",
) -> BatchFit:
    """The largest batch whose peak fits into `memory`; both it and the next larger batch are counted.

    Arguments:
        count: the result of a batch with its data followed, such as
            `lambda batch: count_flops(model, (batch, 3, 16, 112, 112)).with_dataflow()`.
        memory: "80GB", "24GiB" or bytes.
        training: fit a training step instead of a forward pass.
        optimizer: the one whose state a training step keeps.
        kernels: as for `memory_of`.

    Raises:
        InputError: `memory` is not an amount of bytes, or `count` raises.
    """
    budget = parse_bytes(memory)

    assumed: dict[str, None] = {}

    def need(batch: int) -> int | None:
        result = count(batch)
        assumed.update(dict.fromkeys(result.assumed))
        usage = memory_of(result, kernels=kernels)
        return usage.step(optimizer) if training else usage.inference

    return replace(largest(need, budget), assumed=tuple(assumed))


def largest(need: Callable[[int], int | None], budget: int) -> BatchFit:
    """The largest b up to `MOST` with need(b) <= budget < need(b + 1), by secants, then halves.

    Where the need of a single sample is unknown (None), two are tried: batch normalisation cannot train on one value.
    """
    needs: dict[int, int | None] = {}

    def fits(batch: int) -> bool:
        if batch not in needs:
            needs[batch] = need(batch)
        nbytes = needs[batch]
        return nbytes is not None and nbytes <= budget

    low = next((batch for batch in (1, 2) if fits(batch)), 0)
    if not low:
        return BatchFit(budget, 0, None, needs[1] if needs[1] is not None else needs[2])
    high = MOST + 1
    while high - low > 1:
        guess = _secant(needs, low, budget) if len(needs) < _SECANTS else (low + high) // 2
        guess = min(max(guess, low + 1), high - 1)
        if fits(guess):
            low = guess
        else:
            high = guess
    return BatchFit(budget, low, needs[low], needs.get(low + 1))


_SECANTS = 12


def _secant(needs: dict[int, int | None], low: int, budget: int) -> int:
    """Where the line through two batches meets the budget: the nearest ones on either side of it, if there are any."""
    points = sorted((batch, n) for batch, n in needs.items() if n is not None)
    below = [point for point in points if point[0] <= low]
    above = [point for point in points if point[0] > low]
    first, second = (below[-1], above[0]) if above else (below[-2], below[-1]) if len(below) > 1 else (below[-1],) * 2
    if first[0] == second[0]:
        return low + 1
    slope = second[1] - first[1]
    return low * 2 if slope <= 0 else first[0] + (budget - first[1]) * (second[0] - first[0]) // slope
