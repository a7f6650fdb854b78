"""Printed numbers against counts: published rows, one claim, the lecture's slide, and how much a verdict is worth."""

from __future__ import annotations

from .claims import ClaimReading, ClaimVerdict, verify_claim
from .lecture import LectureRow, lecture_page, lecture_table, verify_lecture
from .placebo import Placebo, placebo, placebo_table
from .readings import Counted, Reading
from .verdict import Finding, RowVerdict, Verdict
from .verdict_tables import published_report, verdicts_table
from .verdicts import judge, only, verify_published

__all__ = [
    "ClaimReading",
    "ClaimVerdict",
    "Counted",
    "Finding",
    "LectureRow",
    "Placebo",
    "Reading",
    "RowVerdict",
    "Verdict",
    "judge",
    "lecture_page",
    "lecture_table",
    "only",
    "placebo",
    "placebo_table",
    "published_report",
    "verdicts_table",
    "verify_claim",
    "verify_lecture",
    "verify_published",
]
