"""--plot and --width: a picture of the result with its data beside it; what cannot be written is refused at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from io import UnsupportedOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import InputError, UnknownNameError
from ..output.atomic_files import require_writable, write_files
from .output import working

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..core.table import Table

__all__ = ["Picture", "PlotOpt", "Width", "WidthOpt", "requested_picture", "width_of_files"]


class Width(StrEnum):
    """Names of `publishing.chart_size`, so that --help does not load it; a test compares them."""

    column = "3.3in"
    spread = "7in"
    slide = "slide"
    page = "page"


PlotOpt = Annotated[
    Path | None,
    typer.Option(
        "--plot", metavar="FILE", help="Draw the result to a png, svg or pdf file; its data go to a csv file beside it."
    ),
]
WidthOpt = Annotated[
    Width | None,
    typer.Option("--width", help="Of charts: a column of a paper, both columns, a slide, or a page on a screen."),
]
_DEFAULT = Width.spread


@dataclass(frozen=True, slots=True)
class Picture:
    """Where a picture goes, and how wide it is."""

    path: Path
    width: str

    @property
    def data_path(self) -> Path:
        """Where what is drawn goes as numbers."""
        return self.path.with_suffix(".csv")

    def write(self, draw: Callable[[], Axes], data: Table) -> None:
        """Draw and write the picture and its data, both or neither, and say so on stderr."""
        import matplotlib

        matplotlib.use("agg")  # a file needs no screen, and a broken one must not matter
        from ..publishing.figures import picture

        with working(f"drawing {self.path}"):
            drawn = picture(draw, self.path.suffix.removeprefix("."), self.width)
        write_files({self.path: drawn, self.data_path: (data.to_csv() + "\n").encode()})
        typer.echo(f"wrote {self.path} and {self.data_path}", err=True)


def requested_picture(path: Path | None, width: Width | None) -> Picture | None:
    """The picture that --plot and --width ask for; refused before long work where it cannot be.

    Raises:
        InputError: the picture or its data cannot be written, or there is a width without a picture.
        UnknownNameError: its ending is not a picture format.
    """
    if path is None:
        if width is not None:
            raise InputError(f"--width {width.value} is of a picture", [("fix", "add --plot FILE, or leave it out")])
        return None
    from ..publishing.figures import FORMATS

    request = Picture(path, (width or _DEFAULT).value)
    require_writable(path)
    form = path.suffix.removeprefix(".")
    if form not in FORMATS:
        raise UnknownNameError("picture format", form, FORMATS, f"choose {', '.join(FORMATS)}")
    require_writable(request.data_path)
    if _is_stdout(request.data_path):
        why = f"{request.data_path} is where the output goes, and the data of the picture go there too"
        raise InputError(why, [("fix", "name the picture otherwise, or the output")])
    return request


def _is_stdout(path: Path) -> bool:
    """Whether the shell sends the output to this file."""
    try:
        return path.exists() and os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    except (OSError, UnsupportedOperation):
        return False


def width_of_files(width: Width | None, out: Path | None) -> str:
    """The width of the charts of --out.

    Raises:
        InputError: there is a width without charts.
    """
    if width is not None and out is None:
        raise InputError(
            f"--width {width.value} is of the charts of --out", [("fix", "add --out DIR, or leave it out")]
        )
    return (width or Width.page).value
