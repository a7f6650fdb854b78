"""Table -> text in one of the formats, each of which is one file of `formats`, loaded when it is first asked for.

None of these files adds anything up: a table has every number already.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..core.errors import UnknownNameError
from ..core.registries import FORMATS
from ..core.table import Table, frame_with, render_with
from .format import Format

__all__ = ["FORMATS", "command_formats", "find_format", "render"]


def find_format(form: str) -> Format:
    """One of FORMATS.

    Raises:
        UnknownNameError: no such format, with near names.
    """
    if form not in FORMATS:
        raise UnknownNameError("format", form, FORMATS, f"choose {', '.join(FORMATS)}")
    definition: Format = import_module(f".formats.{form}", __name__).FORMAT
    return definition


def command_formats() -> tuple[str, ...]:
    """The formats that commands offer."""
    return tuple(name for name in FORMATS if find_format(name).for_commands)


def render(table: Table, form: str) -> str:
    """The table in one of FORMATS.

    Raises:
        UnknownNameError: no such format, with near names.
    """
    return find_format(form).write(table)


def _frame(table: Table) -> Any:
    return import_module(".frame", __name__).to_frame(table)  # here, since pandas takes long to load


render_with(render)
frame_with(_frame)
