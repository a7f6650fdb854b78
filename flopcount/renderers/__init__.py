"""Table -> text in one of the formats; none of these files knows what a FLOP is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import UnknownNameError
from .html import html
from .latex import latex
from .machine import csv
from .markdown import markdown
from .terminal import terminal

__all__ = ["FORMATS", "render"]

FORMATS: dict[str, Callable[[Any], str]] = {
    "table": terminal,
    "markdown": markdown,
    "latex": latex,
    "csv": csv,
    "html": html,
}


def render(table: Any, form: str) -> str:
    """The table in one of FORMATS."""
    if form not in FORMATS:
        raise UnknownNameError("format", form, FORMATS, f"choose {', '.join(FORMATS)}")
    return FORMATS[form](table)
