"""Where results go: a terminal, a pipe or a file, and a spinner while a person waits."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from ..core.errors import InputError, UnknownNameError
from .stopping import stop_if_pressed, telling_what_stopped
from .table_form import chosen

if TYPE_CHECKING:
    from ..core.table import Table

__all__ = ["progress", "say_written", "show", "working", "write"]


@contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """A spinner on stderr while a person waits, which says how far it is; nothing where stderr is not a terminal.

    What a user's model prints meanwhile goes to stderr too: stdout is for the answer. The block writes no file.

    Raises:
        Stopped: Ctrl-C came; it says what was being done.
    """
    from rich.text import Text

    from ..output.terminal import plain

    console, doing = Console(stderr=True), [what]

    def say(text: str) -> None:
        stop_if_pressed()
        doing[0] = text
        if console.is_terminal:  # as Text, since a name may hold what rich takes for markup
            status.update(Text(plain(f"{text} ...")))

    with redirect_stdout(sys.stderr), telling_what_stopped(lambda: doing[0]):
        if not console.is_terminal:
            yield say
            return
        with console.status(Text(plain(f"{what} ..."))) as status:
            yield say


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[str], None]]:
    """A bar on stderr that names what comes next; nothing where stderr is not a terminal.

    What a model prints goes to stderr too. The block writes no file.

    Raises:
        Stopped: Ctrl-C came; it says what was being done, and how many of all were begun.
    """
    from rich.markup import escape
    from rich.progress import MofNCompleteColumn, Progress

    from ..output.terminal import plain

    console = Console(stderr=True)
    begun, doing = [0], [what]
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())

    def step(text: str) -> None:
        stop_if_pressed()
        begun[0] += 1
        doing[0] = f"{what} {text} ({begun[0]} of {total})".replace("  ", " ")
        bar.update(task, description=escape(plain(f"{what} {text}")), completed=begun[0] - 1)

    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = bar.add_task(what, total=total)
    with redirect_stdout(sys.stderr), telling_what_stopped(lambda: doing[0]), bar:
        yield step


def show(table: Table, form: str) -> None:
    """Print a table: to a terminal in colour and its own width, to a pipe as plain text of 80 columns (or $COLUMNS).

    Raises:
        UnknownNameError: a column that was chosen is not in it; a reader gets the whole table, as the work is done.
    """
    try:
        table = chosen(table, form)
    except UnknownNameError:
        if form == "table":
            _print(table, form)
        raise
    _print(table, str(form))


def _print(table: Table, form: str) -> None:
    from ..output import render
    from ..output.terminal import PLAIN_WIDTH, renderable, terminal

    if form != "table":
        write(render(table, form))
    elif sys.stdout.isatty():
        console = Console(highlight=False)
        console.print(renderable(table, console.width))
    else:
        columns = os.environ.get("COLUMNS", "")
        write(terminal(table, int(columns) if columns.isdigit() else PLAIN_WIDTH))


def say_written(folder: Path, files: Iterable[str]) -> None:
    """Say on stderr how many files were written below a folder, and which page to open."""
    files = list(files)
    pages = [file for file in files if "/" not in file and file.endswith((".html", ".md"))]
    first = next((page for page in pages if page.partition(".")[0] in ("index", "README")), *pages[:1] or [""])
    page = f"; the page to open: {folder / first}" if first else ""
    sys.stderr.write(f"wrote {len(files)} file{'s' * (len(files) != 1)} below {folder}{page}\n")


def write(text: str) -> None:
    """Print a text to stdout, unchanged.

    Raises:
        InputError: it cannot be written there, as on a disk that is full.
    """
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads any more
        raise
    except OSError as error:
        fix = "write to another place"
        raise InputError("the output cannot be written", [("seen", str(error.strerror)), ("fix", fix)]) from None
