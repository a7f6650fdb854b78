"""A figure -> the bytes of a PNG, SVG or PDF file, the same for the same figure; nothing is written here.

A page shows a picture twice, light and dark, and links the light one in every format.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from functools import partial
from html import escape
from typing import Any

import matplotlib.pyplot as plt
from matplotlib import rc_context
from matplotlib.axes import Axes

from ...core.errors import UnknownNameError
from ..chart_size import PAGE, chart_size

__all__ = ["FORMATS", "picture", "picture_links", "picture_markup", "themed_pictures"]

FORMATS = ("png", "svg", "pdf")
_NO_DATE = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
}
# ids by content instead of by chance; fonts as outlines that journals accept
_SETTINGS: Any = {"svg.hashsalt": "flopcount", "pdf.fonttype": 42}


def picture(draw: Callable[[], Axes], form: str, width: str = PAGE.name) -> bytes:
    """The file that holds what `draw` draws.

    Arguments:
        draw: makes a new figure and returns its axes.
        form: "png", "svg" or "pdf".
        width: of the chart, whose PNG has the dots per inch that it needs.

    Raises:
        UnknownNameError: `form` is another one, or no such width.
    """
    dpi = chart_size(width).dpi
    if form not in FORMATS:
        raise UnknownNameError("picture format", form, FORMATS, f"choose {', '.join(FORMATS)}")
    return _pictures(draw, (form,), dpi)[form]


def _pictures(draw: Callable[[], Axes], forms: Iterable[str], dpi: int) -> dict[str, bytes]:
    """The same drawing in several formats; drawing is what takes long."""
    files = {}
    with rc_context(_SETTINGS):
        figure = draw().get_figure(root=True)
        assert figure is not None
        try:
            for form in forms:
                buffer = io.BytesIO()
                ground = figure.get_facecolor()
                figure.savefig(buffer, format=form, dpi=dpi, facecolor=ground, metadata=_NO_DATE[form])
                files[form] = buffer.getvalue()
        finally:
            plt.close(figure)
    return files


_THEMES = (("light", False), ("dark", True))


def themed_pictures(draw: Callable[[bool], Axes], stem: str, width: str = PAGE.name) -> dict[str, bytes]:
    """Path -> file, light and dark in every format; `draw` gets whether it is dark."""
    dpi = chart_size(width).dpi
    return {
        f"{stem}_{theme}.{form}": content
        for theme, dark in _THEMES
        for form, content in _pictures(partial(draw, dark), FORMATS, dpi).items()
    }


def picture_markup(stem: str, text: str) -> str:
    """The picture in a page of markdown, light or dark as its reader has it; `text` says what it shows."""
    return (
        f'<picture>\n<source media="(prefers-color-scheme: dark)" srcset="{stem}_dark.svg">\n'
        f'<img src="{stem}_light.svg" alt="{escape(text)}">\n</picture>'
    )


def picture_links(stem: str) -> str:
    """Links to the light picture in every format."""
    return ", ".join(f"[{form.upper()}]({stem}_light.{form})" for form in FORMATS)
