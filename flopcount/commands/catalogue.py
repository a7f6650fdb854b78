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
    'flopcount list --family "3D CNN"\n\n'
    "flopcount list --task generation\n\n"
    "flopcount list --task language --format json",
)
def list_(
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
        write(json.dumps(sizes_data(task, family), indent=2, ensure_ascii=False))
    elif task is None:
        show(models_table(family), format)
    else:
        show(recognition_table() if task == RECOGNITION else sizes_table(task), format)


@app.command(epilog="[bold]Example[/]\n\nflopcount rules --format markdown")
def rules(format: TableFormatOpt = "table") -> None:
    """Show the rule of every operator: what it costs, and the source."""
    from .catalogue_tables import rules_table

    show(rules_table(), format)
