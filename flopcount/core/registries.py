"""Registries that are folders of the package: the names of their files and sub-packages, none of them imported.

So help texts, errors and tests know every name before torch is loaded; the room that owns a folder loads its files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from pkgutil import iter_modules

__all__ = ["COUNTERS", "DEFAULT_TOOLS", "FORMATS", "PREFIXES", "TOOLS", "any_of"]


def _names(folder: str) -> tuple[str, ...]:
    """The names in a folder, in alphabetical order."""
    return tuple(sorted(module.name for module in iter_modules([str(Path(__file__).parent.parent / folder)])))


PREFIXES = _names("models/libraries")
"""The prefixes of models of other libraries: "timm" of "timm:resnet50"."""

TOOLS = _names("crosscheck/peers")
"""The counters that `check` can run."""

DEFAULT_TOOLS = ("fvcore", "torch")
"""The counters that `check` runs by default; they are installed with flopcount."""

COUNTERS = _names("verification/counters")
"""The tools whose rules a printed number is read by."""

FORMATS = _names("output/formats")
"""The formats of tables."""


def any_of(names: Sequence[str]) -> str:
    """Names as a choice in a sentence: "a, b or c"."""
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))
