"""Cost reports -> pages of markdown with their pictures and data; nothing here counts, and nothing is written."""

from __future__ import annotations

from .files import report_files, report_pictures, report_texts

__all__ = ["report_files", "report_pictures", "report_texts"]
