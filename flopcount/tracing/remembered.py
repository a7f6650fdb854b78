"""What the memo of the first engine keeps of earlier calls: signatures and layouts, and no tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from ..core.ops import Signature

__all__ = ["Argument", "Calls", "Known", "Parts"]


@dataclass(frozen=True, slots=True)
class Argument:
    """A result that is one of the arguments, by its position."""

    position: int


@dataclass(frozen=True, slots=True)
class Known:
    """An earlier call: the signature to record, and how to rebuild its result (no tensor is kept)."""

    signature: Signature
    result: Any = None  # Argument, Layout, or a list or tuple of them; None if torch makes it each time


@dataclass(frozen=True, slots=True)
class Parts:
    """An earlier composite: the signatures of its parts to record, and the layouts of its result."""

    signatures: tuple[Signature, ...]
    result: Any


Calls: TypeAlias = dict[Any, Any] | None
"""Earlier calls (Known, or Parts), or None without the memo."""
