"""What a format is: how a table becomes text, and where it is offered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..core.table import Table

__all__ = ["Format"]


@dataclass(frozen=True, slots=True)
class Format:
    """`write` makes the text; `for_commands` says whether `--format` offers it, or only notebooks and pages use it."""

    write: Callable[[Table], str]
    for_commands: bool = True
