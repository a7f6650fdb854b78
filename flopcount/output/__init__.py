"""Table -> text in one of the formats, each of which is one file and loaded when it is first asked for.

None of these files adds anything up: what stands in a table is given.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..core.errors import UnknownNameError
from ..core.table import Table, render_with

__all__ = ["FORMATS", "render"]

FORMATS = {"table": "terminal", "markdown": "markdown", "latex": "latex", "csv": "csv", "html": "html"}
"""Names of formats, and the file of each, whose function has the file's name."""


def render(table: Table, form: str) -> str:
    """The table in one of FORMATS.

    Raises:
        UnknownNameError: no such format.
    """
    if form not in FORMATS:
        raise UnknownNameError("format", form, FORMATS, f"choose {', '.join(FORMATS)}")
    write: Any = getattr(import_module(f".{FORMATS[form]}", __name__), FORMATS[form])
    return str(write(table))


render_with(render)
