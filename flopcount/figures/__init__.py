"""Comparisons and reports -> matplotlib; imported only when a picture is asked for."""

from __future__ import annotations

from .breakdown import breakdown
from .files import FORMATS, picture
from .scatter import scatter

__all__ = ["FORMATS", "breakdown", "picture", "scatter"]
