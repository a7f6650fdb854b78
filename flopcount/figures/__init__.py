"""Comparisons and reports -> matplotlib; imported only when a picture is asked for."""

from __future__ import annotations

from .breakdown import breakdown
from .files import FORMATS, picture, picture_links, picture_markup, themed_pictures
from .pages import comparison_files, comparison_page, comparison_pictures, comparison_texts
from .scatter import scatter
from .sweep_lines import sweep_lines

__all__ = [
    "FORMATS",
    "breakdown",
    "comparison_files",
    "comparison_page",
    "comparison_pictures",
    "comparison_texts",
    "picture",
    "picture_links",
    "picture_markup",
    "scatter",
    "sweep_lines",
    "themed_pictures",
]
