"""The reference of the command line, from the commands themselves."""

from __future__ import annotations

from typing import Any

import typer

from flopcount.cli import app
from flopcount.commands.application import EXIT_CODES

from .markdown import table

__all__ = ["command_line_page", "exit_codes_page"]

_HEAD = """# Command line

Every command, argument and option, generated from the program. `flopcount COMMAND --help` prints the same.
Piped output is plain text and 80 columns wide, or `$COLUMNS`; `NO_COLOR` turns colours off.
"""


def command_line_page() -> str:
    """One section per command, in the order of `flopcount --help`."""
    group = typer.main.get_command(app)
    commands = {name: group.commands[name] for name in group.list_commands(typer.Context(group))}
    first_lines = [
        (f"[`{name}`](#flopcount-{name})", command.help.split("\n")[0]) for name, command in commands.items()
    ]
    sections = [_section(name, command) for name, command in commands.items()]
    return "\n".join([_HEAD, table(("command", "what it does"), first_lines), *sections])


def exit_codes_page() -> str:
    """What the exit code of any command says."""
    return "# Exit codes\n\nAll commands have the same exit codes.\n\n" + table(
        ("code", "meaning"), ((f"`{code}`", meaning) for code, meaning in EXIT_CODES.items())
    )


def _section(name: str, command: Any) -> str:
    context = typer.Context(command, info_name=f"flopcount {name}")
    usage = " ".join([context.info_name, *command.collect_usage_pieces(context)])
    rows = [
        (f"`{parameter.get_help_record(context)[0].strip()}`", _plain(parameter.help or ""), _default(parameter))
        for parameter in command.get_params(context)
    ]
    return "\n".join(
        [
            f"## flopcount {name}\n",
            _plain(command.help) + "\n",
            f"```text\n{usage}\n```\n",
            table(("argument or option", "meaning", "default"), rows),
            _examples(command.epilog),
        ]
    )


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    default = getattr(parameter.default, "value", parameter.default)
    return "" if default in (None, False, ()) or callable(default) else f"`{default}`"


def _examples(epilog: str | None) -> str:
    lines = [_plain(line) for line in (epilog or "").split("\n\n")[1:]]
    return "```text\n" + "\n".join(lines) + "\n```\n" if lines else ""


def _plain(text: str) -> str:
    """Without the markup of rich."""
    from rich.text import Text

    return Text.from_markup(text).plain.strip()
