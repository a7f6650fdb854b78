"""A figure -> the bytes of a PNG, SVG or PDF file, the same for the same figure; nothing is written here."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
from matplotlib import rc_context
from matplotlib.axes import Axes

from ..errors import UnknownNameError

__all__ = ["FORMATS", "picture"]

FORMATS = ("png", "svg", "pdf")
_NO_DATE = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
}
# ids by content instead of by chance; fonts as outlines that journals accept
_SETTINGS: Any = {"svg.hashsalt": "flopcount", "pdf.fonttype": 42}


def picture(draw: Callable[[], Axes], form: str) -> bytes:
    """The file that holds what `draw` draws.

    Arguments:
        draw: makes a new figure and returns its axes.
        form: "png", "svg" or "pdf".

    Raises:
        UnknownNameError: another form.
    """
    if form not in FORMATS:
        raise UnknownNameError("format of a picture", form, FORMATS, f"choose {', '.join(FORMATS)}")
    with rc_context(_SETTINGS):
        figure = draw().get_figure(root=True)
        assert figure is not None
        try:
            buffer = io.BytesIO()
            figure.savefig(buffer, format=form, dpi=200, facecolor=figure.get_facecolor(), metadata=_NO_DATE[form])
        finally:
            plt.close(figure)
    return buffer.getvalue()
