"""The cost as a closed form of the clip."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ..core.model_spec import ModelSpec
from ..core.protocol import Protocol
from ..core.quantity import of_layers, require_quantity
from ..core.registries import any_of
from .application import app
from .arguments import DepthOpt, format_option, takes_model
from .output import show, working, write

__all__ = ["formula"]


class Rows(StrEnum):
    """Rows of the table of forms."""

    quantity = "quantity"
    module = "module"


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount formula r3d_18\n\n"
    "flopcount formula c3d --rebuild\n\n"
    "flopcount formula slowfast_r50_8x8 --rebuild --axes T --by module --depth 3\n\n"
    "flopcount formula x3d_m --axes B,T,H,W --format latex\n\n"
    "flopcount formula nets.py:build --clip 16x112x112 --dtype bfloat16 --set depth=18\n\n"
    "flopcount formula nets.py:Tokens --input tokens:1x196x768:float32 --layout BND --axes N"
)
@takes_model()
def formula(
    *,
    spec: ModelSpec,
    axes: Annotated[
        str | None,
        typer.Option(metavar="T,H,W,B", help="Variables of the form, T,H,W by default; S is the side of a square."),
    ] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Rebuild the model for each clip, with the parts that are sized to it.")
    ] = False,
    by: Annotated[Rows, typer.Option(help="Rows of the table.")] = Rows.quantity,
    of: Annotated[
        str, typer.Option(metavar="QUANTITY", help=f"Quantity of each module: {any_of([q.name for q in of_layers()])}.")
    ] = "macs",
    depth: DepthOpt = 2,
    protocol: Protocol,
    layout: Annotated[
        str | None,
        typer.Option(metavar="BCTHW", help="Names of the axes of each input, inputs separated by commas."),
    ] = None,
    format: Annotated[str, format_option("json", help="Format of the output; json has every term.")] = "table",
) -> None:
    """Show what a model costs as an exact function of the frames, height and width of its clip.

    The model is traced at enough clips to determine the function, which is then compared with counts of other clips.
    """
    require_quantity(of)
    with working(f"counting {spec.name}") as say:
        from ..symbolic import form_of_model

        form = form_of_model(
            spec,
            _listed(axes),
            batch=protocol.batch,
            layout=_listed(layout) if layout and "," in layout else layout,
            rebuild=rebuild,
            progress=lambda at: say(f"counting {spec.name} at {at}"),
        )
    if format == "json":
        write(form.to_json())
    else:
        show(form.table() if by is Rows.quantity else form.by_module(of, depth), format)


def _listed(text: str | None) -> list[str] | None:
    """Letters with commas between them, or without."""
    if text is None:
        return None
    return [part.strip() for part in text.split(",")] if "," in text else list(text.strip())
