"""--plot: a picture of the result; a path that cannot be written is refused before long work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import UnknownNameError
from ..output.atomic_files import require_writable, write_files
from .output import working

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PlotOpt", "require_picture", "write_picture"]

PlotOpt = Annotated[
    Path | None,
    typer.Option("--plot", metavar="FILE", help="Draw the result to a png, svg or pdf file."),
]


def require_picture(path: Path) -> None:
    """Refuse, before long work, a path that its picture cannot go to.

    Raises:
        InputError: the path cannot be written.
        UnknownNameError: its ending is not a picture format.
    """
    from ..publishing.figures import FORMATS

    require_writable(path)
    form = path.suffix.removeprefix(".")
    if form not in FORMATS:
        raise UnknownNameError("picture format", form, FORMATS, f"choose {', '.join(FORMATS)}")


def write_picture(path: Path, draw: Callable[[], Axes]) -> None:
    """Draw and write the picture, and say so on stderr."""
    import matplotlib

    matplotlib.use("agg")  # a file needs no screen, and a broken one must not matter
    from ..publishing.figures import picture

    with working(f"drawing {path}"):
        content = picture(draw, path.suffix.removeprefix("."))
    write_files({path: content})
    typer.echo(f"wrote {path}", err=True)
