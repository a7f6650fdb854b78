"""Comparisons, results and sweeps -> matplotlib; imported only when a picture is asked for."""

from __future__ import annotations

from .breakdown import breakdown
from .files import FORMATS, picture, picture_links, picture_markup, themed_pictures
from .scatter import scatter
from .sweep_lines import sweep_lines

__all__ = [
    "FORMATS",
    "breakdown",
    "picture",
    "picture_links",
    "picture_markup",
    "scatter",
    "sweep_lines",
    "themed_pictures",
]
