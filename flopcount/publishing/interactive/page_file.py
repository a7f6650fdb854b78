"""The file that a page goes to: refused before long work where it could not be written, and written whole or not."""

from __future__ import annotations

from pathlib import Path

from ...output.atomic_files import require_writable, write_files
from .template import library

__all__ = ["require_page", "write_page"]


def require_page(path: Path) -> None:
    """Refuse, before long work, a page that could not be written.

    Raises:
        InputError: jinja2 is not installed, or the file is a folder or in one that does not exist or takes no files.
    """
    require_writable(path)
    library("jinja2")


def write_page(path: Path, text: str) -> None:
    """Write a page, whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    write_files({path: text.encode()})
