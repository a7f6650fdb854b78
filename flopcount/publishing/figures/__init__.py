"""Comparisons, results and sweeps -> matplotlib; imported only when a picture is asked for."""

from __future__ import annotations

from .breakdown import breakdown, breakdown_data
from .files import FORMATS, picture, picture_links, picture_markup, themed_pictures
from .memory_curve import memory_curve
from .scatter import scatter
from .span_timeline import span_data, span_timeline
from .sweep_lines import sweep_lines
from .time_bars import time_bars, time_data

__all__ = [
    "FORMATS",
    "breakdown",
    "breakdown_data",
    "memory_curve",
    "picture",
    "picture_links",
    "picture_markup",
    "scatter",
    "span_data",
    "span_timeline",
    "sweep_lines",
    "themed_pictures",
    "time_bars",
    "time_data",
]
