"""The line of a page that names its maker; only this line depends on versions, so a test can ignore them."""

from __future__ import annotations

from .._version import __version__

__all__ = ["made_by"]


def made_by(command: str) -> str:
    """One line: the command, our version and torch's."""
    from torch import __version__ as torch_version

    version = torch_version.partition("+")[0]  # a count is the same with a CPU build and a CUDA build
    return f"Made by `{command}`, flopcount {__version__}, torch {version}."
