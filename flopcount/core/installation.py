"""How something that is optional is installed: what pip takes, and the extra of flopcount that brings it."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Installation"]


@dataclass(frozen=True, slots=True)
class Installation:
    """`requirements` as pip takes them, such as ("timm>=1.0.15",), which pyproject.toml has under `extra`."""

    extra: str
    requirements: tuple[str, ...]

    def __str__(self) -> str:
        """The commands that do it; the extra by way of a checkout, as flopcount is on no index."""
        names = [re.split(r"[^\w.-]", requirement)[0] for requirement in self.requirements]
        return f"pip install {' '.join(names)}, or pip install -e '.[{self.extra}]' in a checkout of flopcount"
