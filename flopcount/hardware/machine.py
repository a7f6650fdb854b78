"""What a time was measured on: the device by its own name, torch's version and threads, and how far to trust it."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.errors import InputError

__all__ = ["NOISY", "Machine", "noise_words", "require_same_kind"]

NOISY = 1.15
"""The third over the first quartile of repeats, beyond which something else seems to run meanwhile."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where something ran: `kind` is "cpu" or "gpu", `threads` are torch's on the CPU, `day` is as 2026-11-30."""

    name: str
    kind: str
    torch: str
    threads: int
    day: str

    def __str__(self) -> str:
        threads = f", {self.threads} thread{'s' * (self.threads > 1)}" if self.kind == "cpu" else ""
        return f"{self.name}{threads}, torch {self.torch}"


def noise_words(machine: Machine) -> str:
    """What may make the repeats on a machine spread, and what helps."""
    several = machine.kind == "cpu" and machine.threads > 1
    one = "; --threads 1 takes the clock of one thread, which they do not move" if several else ""
    return f"other processes seem to run on this machine{one}"


def require_same_kind(machine: str, kind: str, name: str) -> None:
    """Refuse to compare a run on a CPU with a GPU's datasheet, and the reverse.

    Raises:
        InputError: the kinds differ.
    """
    suits = {"cpu": ("cpu", "edge"), "gpu": ("gpu", "edge")}[machine]
    if kind not in suits:
        raise InputError(
            f"the network runs on a {machine.upper()}, and {name} is a {kind.upper()}",
            [("fix", "name the device that it runs on, or give --measured with a time from there")],
        )
