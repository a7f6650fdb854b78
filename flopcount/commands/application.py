"""The application that the commands register with: its help, its exit codes, and errors as messages."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from .._version import __version__
from ..core.errors import FlopcountError, UncostedError

__all__ = ["EXIT_BAD_INPUT", "EXIT_CODES", "EXIT_FAILED_CHECK", "EXIT_UNCOSTED", "app"]

EXIT_FAILED_CHECK = 1
EXIT_BAD_INPUT = 2
EXIT_UNCOSTED = 3

EXIT_CODES = {
    0: "success",
    EXIT_FAILED_CHECK: "a negative answer: a limit exceeded, a claim refuted, a difference unexplained",
    EXIT_BAD_INPUT: "bad input",
    EXIT_UNCOSTED: "operators without a rule, under --strict",
}


class _Group(TyperGroup):
    """Turns our errors into one clear message and an exit code; anything else is a bug and keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except FlopcountError as error:
            from ..output.terminal import plain

            console = Console(stderr=True, highlight=False, soft_wrap=True)
            console.print("error: ", style="bold red", end="")
            console.print(plain(str(error)), markup=False, emoji=False)
            raise typer.Exit(EXIT_UNCOSTED if isinstance(error, UncostedError) else EXIT_BAD_INPUT) from None


app = typer.Typer(
    cls=_Group,
    name="flopcount",
    no_args_is_help=True,
    add_completion=False,
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
