"""What --help shows together: commands by the question that they answer, options by what they speak of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from inspect import Parameter
from typing import Annotated, get_args

from typer.models import ArgumentInfo, OptionInfo

from .completion import completion_of
from .parameters import Command, parameters_of, with_parameters

__all__ = ["COMMAND_PANELS", "arranged", "in_order", "panel_of"]

COMMAND_PANELS = {
    "What does it cost?": ("model", "pipeline", "generate", "video", "streaming", "formula", "sweep", "fit"),
    "What does it take?": ("cost", "memory", "span", "measure", "calibrate"),
    "Why, and is it right?": ("explain", "check", "verify"),
    "Which network?": ("compare", "lecture", "survey"),
    "What changed, and can I show it?": ("diff", "budget", "report"),
    "What is there?": ("list", "show", "datasets", "devices", "rules", "clip", "tokens"),
}
"""Question -> the commands that answer it, both in the order of --help. A command stands in exactly one."""

_OPTION_PANELS = {
    "The model": ("clip", "video", "batch", "dtype", "input", "num_classes", "set"),
    "The test": ("views", "fps", "stride"),
    "The device": ("on", "compile", "layout", "price", "prices", "region", "utilisation"),
    "A training step": ("train", "optimizer", "freeze", "loss", "epochs", "samples"),
    "The output": (
        *("by", "depth", "columns", "unit", "receptive_field", "format", "json", "strict"),
        *("plot", "width", "html", "out", "write", "summary", "into"),
    ),
}
"""Panel -> options, by the names of their parameters; all others are a command's own, and stand before these."""

_FEW = 8
"""With so many options or fewer, one panel is easier to read than several."""


def panel_of(command: str) -> str:
    """The question that a command answers.

    Raises:
        KeyError: the command stands in no panel.
    """
    return {name: panel for panel, names in COMMAND_PANELS.items() for name in names}[command]


def in_order(commands: Iterable[str]) -> list[str]:
    """Commands as --help shows them: panel by panel."""
    order = [name for names in COMMAND_PANELS.values() for name in names]
    return sorted(commands, key=order.index)


def arranged(command: Command, name: str) -> Command:
    """The command with each option in its panel, and with what the shell completes for each parameter."""
    parameters = parameters_of(command)
    panels = _panels([parameter.name for parameter in parameters if isinstance(_info(parameter), OptionInfo)])
    replaced = {}
    for parameter in parameters:
        kind, info = get_args(parameter.annotation)
        info = copy(info)  # several commands share one option
        info.rich_help_panel = panels.get(parameter.name)
        info.autocompletion = info.autocompletion or completion_of(name, parameter.name)
        replaced[parameter.name] = [parameter.replace(annotation=Annotated[kind, info])]
    return with_parameters(command, command, replaced)


def _panels(options: Sequence[str]) -> dict[str, str]:
    """Option -> panel, for those that do not stand among a command's own."""
    if len(options) <= _FEW:
        return {}
    shown = dict(_OPTION_PANELS)
    if "on" not in options:
        del shown["The device"]  # else --layout is that of an input, or all that there is
    return {option: panel for panel, names in shown.items() for option in names if option in options}


def _info(parameter: Parameter) -> OptionInfo | ArgumentInfo:
    info: OptionInfo | ArgumentInfo = get_args(parameter.annotation)[1]
    return info
