"""What registers itself by standing in a folder of the package: names of its files and sub-packages, none imported.

So help texts, errors and tests know every name before torch is loaded; who loads a file is the room that it is in.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from pkgutil import iter_modules

__all__ = ["DEFAULT_TOOLS", "FORMATS", "PREFIXES", "TOOLS", "any_of"]


def _names(folder: str) -> tuple[str, ...]:
    """In the order of the alphabet."""
    return tuple(sorted(module.name for module in iter_modules([str(Path(__file__).parent.parent / folder)])))


PREFIXES = _names("models/libraries")
"""Of models of other libraries: "timm" of "timm:resnet50"."""

TOOLS = _names("crosscheck/peers")
"""The counters that a check can ask."""

DEFAULT_TOOLS = ("fvcore", "torch")
"""Those that it asks where none is named, which are installed with flopcount."""

FORMATS = _names("output/formats")
"""In which a table is written."""


def any_of(names: Sequence[str]) -> str:
    """Names as a sentence offers them: "a, b or c"."""
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))
