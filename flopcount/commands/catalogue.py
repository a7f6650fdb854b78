"""What there is: networks and rules."""

from __future__ import annotations

from typing import Annotated

import typer

from .application import app
from .arguments import TableFormatOpt
from .output import show

__all__ = ["list_", "rules"]


@app.command("list", epilog='[bold]Examples[/]\n\nflopcount list --format markdown\n\nflopcount list --family "3D CNN"')
def list_(
    family: Annotated[str | None, typer.Option(metavar="FAMILY", help="Only one family of networks.")] = None,
    format: TableFormatOpt = "table",
) -> None:
    """List the networks of the zoo."""
    from .catalogue_tables import models_table

    show(models_table(family), format)


@app.command(epilog="[bold]Example[/]\n\nflopcount rules --format markdown")
def rules(format: TableFormatOpt = "table") -> None:
    """Show the rule of every operator: what it costs, and the source."""
    from .catalogue_tables import rules_table

    show(rules_table(), format)
