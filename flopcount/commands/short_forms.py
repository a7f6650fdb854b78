"""--json: the short form of --format json, wherever json is a format."""

from __future__ import annotations

from functools import wraps
from inspect import Parameter
from typing import Any, get_args

import typer

from ..core.errors import FlopcountError, InputError
from .parameters import Command, parameter, parameters_of, with_parameters

__all__ = ["with_json"]

_JSON = parameter("json", bool, typer.Option("--json", help="Short for --format json."), False)


def with_json(command: Command) -> Command:
    """The command with an option --json behind --format, if json is one of its formats; else the command as it is."""
    form = next((each for each in parameters_of(command) if each.name == "format"), None)
    if form is None or not _takes_json(form):
        return command

    @wraps(command)
    def run(*, json: bool, **values: Any) -> None:
        if json and values["format"] not in (form.default, "json"):
            fix = "leave one of the two out"
            raise InputError(f"--json is --format json, and --format {values['format']} is given too", [("fix", fix)])
        command(**(values | {"format": "json"} if json else values))

    return with_parameters(run, command, {"format": [form, _JSON]})


def _takes_json(form: Parameter) -> bool:
    parse = get_args(form.annotation)[1].parser
    try:
        return parse is not None and bool(parse("json"))
    except FlopcountError:
        return False
