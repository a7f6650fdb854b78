"""What a file of the user's own has that can be counted."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from ..core.errors import InputError, UnknownNameError
from ..core.table import Column, Table
from ..models import CARDS
from ..models.definitions import Definition, definitions_in
from .application import app
from .arguments import FormatOpt
from .output import show as print_table
from .output import write

__all__ = ["show"]


@app.command(
    "show",
    epilog="[bold]Examples[/]\n\n"
    "flopcount show nets.py\n\n"
    "flopcount show nets.py:Net\n\n"
    "flopcount show package.module --json",
)
def show(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE[:NAME]", help="A Python file or module of your own; with a class or function of it, that one."
        ),
    ],
    format: FormatOpt = "table",
) -> None:
    """Show which classes and functions of a file can be counted, and what each needs with --set.

    The file is read, and nothing of it is run.
    """
    where, name = _parted(source)
    found = definitions_in(where)
    if name:
        named = {each.name: each for each in found}
        if name not in named:
            fix = f"`flopcount show {where}` lists them"
            raise UnknownNameError(f"class or function in {where}", name, named, fix)
        one = named[name]
        if format == "json":
            write(json.dumps(_data(where, one), indent=2, ensure_ascii=False))
        else:
            print_table(_parameters_table(where, one), format)
    elif format == "json":
        write(json.dumps([_data(where, each) for each in found], indent=2, ensure_ascii=False))
    else:
        print_table(_definitions_table(where, found), format)


def _parted(source: str) -> tuple[str, str]:
    """The file or module, and the name within it or ""."""
    where, colon, name = source.rpartition(":")
    if not colon or len(where) == 1:  # no name, or a drive of Windows
        where, name = source, ""
    if where in CARDS:
        raise InputError(f"{where} is a network of the zoo, not a file", [("fix", f"see `flopcount list {where}`")])
    return where, name


def _definitions_table(where: str, found: tuple[Definition, ...]) -> Table:
    if not found:
        fix = "a class of torch.nn.Module, a function that builds one, or a module is named as file.py:name"
        raise InputError(f"nothing in {where} can be counted", [("fix", fix)])
    columns = (
        Column("name", "text", tone="strong"),
        Column("kind", "text", drop=1, tone="quiet"),
        Column("arguments", "prose"),
        Column("needs", "text"),
        Column("takes", "text", drop=3, tone="quiet"),
        Column("what it is", "prose", drop=4),
    )
    rows = tuple(
        (each.name, each.kind, each.signature, ", ".join(each.needed), _taken(each), each.summary) for each in found
    )
    first = next((each for each in found if not each.needed), found[0])
    notes = (
        f"count one as {_counted(where, first)}",
        "needs: what has no default; give it with --set, such as --set depth=18",
    )
    return Table(
        f"what can be counted in {where}", columns, rows, None, notes if any(e.needed for e in found) else notes[:1]
    )


def _parameters_table(where: str, of: Definition) -> Table:
    columns = (Column("argument", "text", tone="strong"), Column("type", "text", drop=1), Column("default", "text"))
    rows = tuple(
        (each.name, each.annotation, each.default or ("" if each.optional else "needed"))
        for each in of.parameters or ()
    )
    notes = [line for line in (of.summary, of.inputs and f"takes {_taken(of)}") if line]
    if of.parameters is None:
        notes.append(f"its arguments are those of {of.base}, which is defined elsewhere")
    notes.append(f"count it as {_counted(where, of)}")
    return Table(f"{where}:{of.name}, {of.kind} in line {of.line}", columns, rows, None, tuple(notes))


def _taken(of: Definition) -> str:
    """The inputs of its forward(), where the file says them."""
    return ", ".join(each.name for each in of.inputs or ())


def _counted(where: str, of: Definition) -> str:
    """The command that counts it, with the values and shapes left open that only the user knows."""
    given = "".join(f" --set {name}=..." for name in of.needed)
    needed = [each.name for each in of.inputs or () if not each.optional]
    inputs = "".join(f" --input {name}:1x..." for name in needed)
    return f"flopcount model {where}:{of.name}{given}{inputs if len(needed) > 1 else ' --clip 16x112x112'}"


def _data(where: str, of: Definition) -> dict[str, Any]:
    parameters = [
        {"name": each.name, "annotation": each.annotation, "default": each.default or None, "needed": not each.optional}
        for each in of.parameters or ()
    ]
    known = None if of.parameters is None else parameters
    return {
        "name": f"{where}:{of.name}",
        "kind": of.kind,
        "line": of.line,
        "parameters": known,
        **({"base": of.base} if known is None else {}),
        "inputs": None if of.inputs is None else [each.name for each in of.inputs],
        "doc": of.doc,
    }
