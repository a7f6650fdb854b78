"""What there is: networks, models of known sizes, and rules."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ..core.errors import InputError, UnknownNameError
from ..core.registries import any_of
from ..facts.model_sizes import RECOGNITION, TASKS
from .application import app
from .arguments import FormatOpt, TableFormatOpt
from .output import show, write

__all__ = ["list_", "rules"]


@app.command(
    "list",
    epilog="[bold]Examples[/]\n\n"
    "flopcount list --format markdown\n\n"
    "flopcount list slowfast\n\n"
    'flopcount list --family "3D CNN"\n\n'
    "flopcount list --task generation\n\n"
    "flopcount list --task language --json",
)
def list_(
    word: Annotated[
        str | None,
        typer.Argument(metavar="[WORD]", help="Only what has the word in its name, title or family, or its year."),
    ] = None,
    family: Annotated[str | None, typer.Option(metavar="FAMILY", help="Only one family of networks.")] = None,
    task: Annotated[str | None, typer.Option(metavar="TASK", help=f"What the models are for: {any_of(TASKS)}.")] = None,
    format: FormatOpt = "table",
) -> None:
    """List the networks of the zoo, or the models of known sizes for a task."""
    if task is not None and task not in TASKS:
        raise UnknownNameError("task", task, TASKS, f"choose {any_of(TASKS)}")
    if task is not None and family is not None:
        raise InputError("--family is of the zoo, which has no tasks", [("fix", "leave out --family or --task")])
    from .catalogue_tables import models_table, recognition_table, sizes_data, sizes_table

    if format == "json":
        write(json.dumps(sizes_data(task, family, word), indent=2, ensure_ascii=False))
    elif task is None:
        show(models_table(family, word), format)
    else:
        show(recognition_table(word) if task == RECOGNITION else sizes_table(task, word), format)


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount rules conv3d\n\n"
    "flopcount rules nn.MultiheadAttention\n\n"
    "flopcount rules pool\n\n"
    "flopcount rules --format markdown"
)
def rules(
    word: Annotated[
        str | None,
        typer.Argument(metavar="[WORD]", help="An operator, a module type, a kind such as pool, or part of a name."),
    ] = None,
    format: TableFormatOpt = "table",
) -> None:
    """Show the rule of every operator, or of those that a word names: what it costs, and the source."""
    from .catalogue_tables import rule_table, rules_table

    if word is None:
        show(rules_table(), format)
        return
    from ..rules.lookup import rules_named

    found = rules_named(word)
    show(rule_table(found[0]) if len(found) == 1 and format != "csv" else rules_table(found), format)
