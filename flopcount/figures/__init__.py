"""Comparisons and reports -> matplotlib; imported only when a picture is asked for."""

from __future__ import annotations

from .breakdown import breakdown
from .files import FORMATS, picture
from .pages import comparison_files, comparison_page
from .report_pages import report_files, report_page, reports_files
from .scatter import scatter
from .sweep_lines import sweep_lines

__all__ = [
    "FORMATS",
    "breakdown",
    "comparison_files",
    "comparison_page",
    "picture",
    "report_files",
    "report_page",
    "reports_files",
    "scatter",
    "sweep_lines",
]
