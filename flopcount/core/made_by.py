"""How a page says what made it; nothing else of a page depends on versions, so a test can set them aside."""

from __future__ import annotations

from .._version import __version__

__all__ = ["made_by"]


def made_by(command: str) -> str:
    """One line: the command, our version and torch's."""
    from torch import __version__ as torch_version

    version = torch_version.partition("+")[0]  # CPU or CUDA makes no difference to a count
    return f"Made by `{command}`, flopcount {__version__}, torch {version}."
