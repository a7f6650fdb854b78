"""The application that the commands register with: its help, its exit codes, and errors as messages."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from .._version import __version__
from ..core.errors import FlopcountError, InputError, UncostedError
from .panels import arranged, in_order, panel_of
from .parameters import Command
from .short_forms import with_json
from .stopping import EXIT_STOPPED, Stopped
from .table_form import with_table_form

__all__ = ["EXIT_BAD_INPUT", "EXIT_CODES", "EXIT_FAILED_CHECK", "EXIT_STOPPED", "EXIT_UNCOSTED", "app"]

EXIT_FAILED_CHECK = 1
EXIT_BAD_INPUT = 2
EXIT_UNCOSTED = 3

EXIT_CODES = {
    0: "success",
    EXIT_FAILED_CHECK: "a negative answer: a limit exceeded, a claim refuted, a difference unexplained",
    EXIT_BAD_INPUT: "bad input",
    EXIT_UNCOSTED: "operators without a rule, under --strict",
    EXIT_STOPPED: "stopped by Ctrl-C, before anything was written",
}


class _Group(TyperGroup):
    """Turns our errors into one clear message and an exit code; anything else is a bug and keeps its traceback."""

    def list_commands(self, ctx: Any) -> list[str]:
        """As --help shows them."""
        return in_order(super().list_commands(ctx))

    def make_context(self, *args: Any, **more: Any) -> Any:
        try:
            return super().make_context(*args, **more)
        except KeyboardInterrupt:
            _say("stopped", "")
            raise typer.Exit(EXIT_STOPPED) from None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command of the first word; a network or a file in its place is told how it is counted."""
        if self.get_command(ctx, args[0]) is None and not ctx.resilient_parsing:
            _refuse_model(args[0])
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except FlopcountError as error:
            _say("error: ", str(error))
            raise typer.Exit(EXIT_UNCOSTED if isinstance(error, UncostedError) else EXIT_BAD_INPUT) from None
        except KeyboardInterrupt as error:
            where = f"{error.doing}; nothing was written" if isinstance(error, Stopped) else ctx.invoked_subcommand
            _say("stopped", f": {where}")
            raise typer.Exit(EXIT_STOPPED) from None


def _refuse_model(word: str) -> None:
    """Say what to write instead, where a word that should be a command names something to count.

    Raises:
        InputError: it does.
    """
    from ..models import CARDS

    if word in CARDS or word.endswith((".py", ".toml")) or ".py:" in word:
        what = "a network" if word in CARDS else "something to count"
        command = {".py": "show", ".toml": "pipeline"}.get(Path(word).suffix, "model")
        fix = f"write flopcount {command} {word}, or see what else can be asked: flopcount --help"
        raise InputError(f"{word} is {what}, not a command", [("fix", fix)])


def _say(first: str, text: str) -> None:
    """A message on stderr, its first word in red."""
    from ..output.terminal import plain

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    text = plain(text)
    if console.is_terminal:
        text = _wrapped(first + text, console.width).removeprefix(first)
    console.print(first, style="bold red", end="")
    console.print(text, markup=False, emoji=False)


_LABEL = re.compile(r"  \S.{6} ")  # as errors put before each detail


def _wrapped(text: str, width: int) -> str:
    """A message in lines that a terminal has room for; what follows a label stays to the right of it.

    A pipe gets whole lines, which are easier to search.
    """
    lines = []
    for line in text.split("\n"):
        indent = " " * (len(label[0]) if (label := _LABEL.match(line)) else len(line) - len(line.lstrip()) + 2)
        wrapper = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False, subsequent_indent=indent)
        lines += wrapper.wrap(line) or [""]
    return "\n".join(lines)


class _Application(typer.Typer):
    """An application whose commands stand in panels, complete names, and take --columns, --unit and --json."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Command], Command]:  # type: ignore[override]
        """Register a command under its name, or that of the function."""

        def register(function: Command) -> Command:
            called = name or function.__name__
            place = super(_Application, self).command(called, rich_help_panel=panel_of(called), **settings)
            place(arranged(with_json(with_table_form(function)), called))
            return function

        return register


app = _Application(
    cls=_Group,
    name="flopcount",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Tells what a video network costs, exactly and with reasons, before anyone runs it.",
    epilog="[bold]Exit codes[/]\n\n" + "\n\n".join(f"{code}  {meaning}" for code, meaning in EXIT_CODES.items()),
)


@app.callback(invoke_without_command=True)
def flopcount(
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.", is_eager=True)] = False,
) -> None:
    """Tells what a video network costs, exactly and with reasons, before anyone runs it."""
    if version:
        typer.echo(f"flopcount {__version__}")
        raise typer.Exit
