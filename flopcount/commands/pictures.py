"""--plot: a picture of the result, refused before long work where it could not be written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import UnknownNameError
from ..output.atomic_files import require_writable, write_files

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PlotOpt", "require_picture", "write_picture"]

PlotOpt = Annotated[
    Path | None,
    typer.Option("--plot", metavar="FILE", help="Draw it there as png, svg or pdf; whole or not at all."),
]


def require_picture(path: Path) -> None:
    """Before work whose picture goes there.

    Raises:
        InputError: it cannot be written.
        UnknownNameError: its ending is no format of a picture.
    """
    from ..publishing.figures import FORMATS

    require_writable(path)
    form = path.suffix.removeprefix(".")
    if form not in FORMATS:
        raise UnknownNameError("format of a picture", form, FORMATS, f"choose {', '.join(FORMATS)}")


def write_picture(path: Path, draw: Callable[[], Axes]) -> None:
    """Draw it and write it, and say so on stderr."""
    import matplotlib

    matplotlib.use("agg")  # a file needs no screen, and a broken one must not matter
    from ..publishing.figures import picture

    write_files({path: picture(draw, path.suffix.removeprefix("."))})
    typer.echo(f"wrote {path}", err=True)
