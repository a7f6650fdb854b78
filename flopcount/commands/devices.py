"""The devices that flopcount has numbers of."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ..core.errors import InputError
from .application import app
from .arguments import FormatOpt
from .output import show, write

__all__ = ["devices"]


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount devices\n\n"
    "flopcount devices --kind edge --format csv\n\n"
    "flopcount devices rtx-4090\n\n"
    "flopcount devices 'A100 80GB SXM' --format json"
)
def devices(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One device, with all that is known and where it was read.")
    ] = None,
    kind: Annotated[str | None, typer.Option(metavar="KIND", help="Only gpu, cpu, edge or tpu.")] = None,
    format: FormatOpt = "table",
) -> None:
    """List the devices whose data sheets flopcount has, and what each can be used for."""
    from ..facts.devices import find_device
    from .device_tables import device_data, device_table, devices_of_kind, devices_table

    if name is not None and kind is not None:
        raise InputError(
            f"--kind {kind} is for the list, and {name!r} is one device", [("fix", "leave out one of the two")]
        )
    chosen = devices_of_kind(kind) if name is None else (find_device(name),)
    if format == "json":
        data = [device_data(device) for device in chosen]
        write(json.dumps(data if name is None else data[0], indent=2, ensure_ascii=False))
    elif format == "csv":  # one row per device with exact numbers, also of one
        show(devices_table(chosen, sources=True), format)
    else:
        show(devices_table(chosen) if name is None else device_table(chosen[0]), format)
