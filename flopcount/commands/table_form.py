"""--columns and --unit: how a reader wants a table, wherever a command prints one; the numbers stay the same."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, get_args

from ..core.errors import InputError
from .parameters import Command, option, parameters_of, with_parameters

if TYPE_CHECKING:
    from ..core.table import Table

__all__ = ["Form", "chosen", "with_table_form"]

_OPTIONS = (
    option("columns", str, "NAME,...", "Only these columns, in this order, such as MACs,share."),
    option("unit", str, "PREFIX", "One unit for all numbers of a column: G, or G,params=M."),
)
_DATA = ("csv", "json")


class Form(str):
    """The name of a format, with the columns and the units that a reader chose."""

    __slots__ = ("columns", "units")

    columns: tuple[str, ...]
    units: dict[str, str]

    @classmethod
    def of(cls, name: str, columns: str | None, unit: str | None) -> Form:
        """From what was typed.

        Raises:
            InputError: a unit is none, or data are asked for, which have exact numbers.
        """
        from ..core.table_choices import parse_units

        if columns is not None and name == "json":
            raise InputError("--columns is of a table, and JSON is the whole result", [("fix", "leave --columns out")])
        if unit is not None and name in _DATA:
            raise InputError(f"--unit is of text, and {name} has exact numbers", [("fix", "leave --unit out")])
        form = cls(name)
        form.columns = tuple(part.strip() for part in (columns or "").split(",") if part.strip())
        form.units = parse_units(unit) if unit is not None else {}
        if columns is not None and not form.columns:
            raise InputError(f"--columns {columns!r} names no column", [("fix", "write --columns MACs,share")])
        return form


def chosen(table: Table, form: str) -> Table:
    """The table with the columns and in the units of the form.

    Raises:
        UnknownNameError: it lacks such a column; the message has its columns.
    """
    from ..core.table_choices import in_units, with_columns

    if isinstance(form, Form):
        table = with_columns(table, form.columns) if form.columns else table
        table = in_units(table, form.units) if form.units else table
    return table


def with_table_form(command: Command) -> Command:
    """The command with --columns and --unit before --format, if a table is one of its formats; else as it is."""
    form = next((each for each in parameters_of(command) if each.name == "format"), None)
    if form is None or get_args(form.annotation)[1].parser is None:
        return command

    @wraps(command)
    def run(*, columns: str | None, unit: str | None, **values: Any) -> None:
        command(**(values | {"format": Form.of(values["format"], columns, unit)}))

    return with_parameters(run, command, {"format": [*_OPTIONS, form]})
