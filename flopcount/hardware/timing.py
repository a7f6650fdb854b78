"""The time of a call: warm-up, repeats, median and quartiles.

On CUDA the clock waits for the device. On one thread of a CPU it is the thread's own clock, which stands still while
other processes have the core: on a shared machine that is what the call takes. Several threads wait for one another, so
of them only the wall clock says how long they take.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..core.errors import InputError
from ..core.one_line import OneLine
from ..core.units import duration

__all__ = ["Timing", "clock_of", "is_thread_clock", "timed"]


@dataclass(frozen=True, slots=True)
class Timing(OneLine):
    """Seconds of each repeat, in their order, after so many calls that do not count.

    `wall` are the same repeats by the wall clock, and `own` says whether the seconds are by the clock of one thread.
    """

    seconds: tuple[float, ...]
    warmup: int
    wall: tuple[float, ...] = ()
    own: bool = False

    @property
    def repeats(self) -> int:
        """How many calls were timed."""
        return len(self.seconds)

    @property
    def median(self) -> float:
        """The middle one of the repeats, in seconds."""
        return statistics.median(self.seconds)

    @property
    def low(self) -> float:
        """The first quartile: a quarter of the repeats took less."""
        return self._quartiles()[0]

    @property
    def high(self) -> float:
        """The third quartile: a quarter of the repeats took more."""
        return self._quartiles()[2]

    @property
    def best(self) -> float:
        """The shortest of the repeats, in seconds."""
        return min(self.seconds)

    @property
    def share(self) -> float:
        """The part of the time by the wall clock in which the thread ran; 1 where that is the clock."""
        return self.median / statistics.median(self.wall) if self.own and any(self.wall) else 1.0

    def _quartiles(self) -> list[float]:
        if len(self.seconds) < 2:
            return list(self.seconds) * 3
        return statistics.quantiles(self.seconds, n=4, method="inclusive")

    def _headline(self) -> str:
        return f"median {duration(self.median)} of {self.repeats} repeats after {self.warmup}"


def is_thread_clock(device: torch.device) -> bool:
    """Whether times are by the clock of one thread: on a CPU, while torch has one."""
    return device.type == "cpu" and torch.get_num_threads() == 1


def clock_of(device: torch.device) -> Callable[[], float]:
    """The clock for times on a device, in seconds."""
    if device.type == "cpu":
        return time.thread_time if is_thread_clock(device) else time.perf_counter

    def clock() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return clock


def timed(
    run: Callable[[], object],
    device: torch.device,
    *,
    warmup: int = 3,
    repeats: int = 10,
    most_seconds: float = float("inf"),
    say: Callable[[str], object] = lambda text: None,
) -> Timing:
    """Time a call: `warmup` calls that do not count, then `repeats` that do, each until the device has finished.

    Once the calls behind the first take more than `most_seconds`, no further one starts; one is always timed. `say` is
    told how far it is.

    Raises:
        InputError: there are no repeats, or less than no calls before them; or a number is no whole one.
    """
    for name, number, least in (("repeats", repeats, 1), ("warmup", warmup, 0)):
        if type(number) is not int or number < least:
            raise InputError(f"{name} is {number!r}", [("fix", f"give a whole number from {least} upwards")])
    clock, wall = clock_of(device), time.perf_counter
    start = wall()
    done = 0
    for done in range(1, warmup + 1):
        say(f"warm-up {done} of {warmup}")
        run()
        if done == 1:  # which may compile, or load what the others find
            start = wall()
        if wall() - start > most_seconds:
            break
    clock()  # the device has finished the warm-up
    seconds: list[float] = []
    by_wall: list[float] = []
    for count in range(1, repeats + 1):
        say(f"repeat {count} of {repeats}")
        before, begun = clock(), wall()
        run()
        seconds.append(clock() - before)
        by_wall.append(wall() - begun)
        if wall() - start > most_seconds:
            break
    return Timing(tuple(seconds), done, tuple(by_wall), is_thread_clock(device))
