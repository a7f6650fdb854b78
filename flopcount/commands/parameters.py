"""Parameters of a command, put together from those of several: what typer reads instead of the function's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer

__all__ = ["Command", "option", "parameter", "parameters_of", "with_parameters"]

Command = Callable[..., None]


def parameter(name: str, kind: Any, info: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    """A parameter of this type, which is as `info` (typer's option or argument) says on the command line."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[kind, info], default=default)


def option(name: str, kind: Any, metavar: str, text: str) -> inspect.Parameter:
    """The option --name with a value, None where it is not given."""
    return parameter(name, kind | None, typer.Option(f"--{name.replace('_', '-')}", metavar=metavar, help=text), None)


def parameters_of(command: Command) -> list[inspect.Parameter]:
    """The parameters of a command with their types, by keyword."""
    parameters = inspect.signature(command, eval_str=True).parameters.values()
    return [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]


def with_parameters(run: Command, command: Command, replaced: Mapping[str, Sequence[inspect.Parameter]]) -> Command:
    """`run` with the parameters of `command`, some of them replaced by others."""
    parameters: dict[str, inspect.Parameter] = {}
    for own in parameters_of(command):
        parameters |= {new.name: new for new in replaced.get(own.name, [own])}
    run.__signature__ = inspect.Signature([*parameters.values()])  # type: ignore[attr-defined]
    run.__annotations__ = {name: new.annotation for name, new in parameters.items()}
    return run
