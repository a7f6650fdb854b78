"""How an optional package is installed: its pip requirements, and the extra of flopcount that includes them."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Installation"]


@dataclass(frozen=True, slots=True)
class Installation:
    """The pip requirements of a package, such as ("timm>=1.0.15",), and the `extra` of pyproject.toml that has them."""

    extra: str
    requirements: tuple[str, ...]

    def __str__(self) -> str:
        """The commands that do it; the extra by way of a checkout, as flopcount is on no index."""
        names = [re.split(r"[^\w.-]", requirement)[0] for requirement in self.requirements]
        return f"pip install {' '.join(names)}, or pip install -e '.[{self.extra}]' in a checkout of flopcount"
