"""What a time was measured on: the device by its own name, torch's version, and its threads."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Machine"]


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
