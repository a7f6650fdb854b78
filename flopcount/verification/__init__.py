"""Printed numbers against counts: the published rows, one claim, and the lecture's slide."""

from __future__ import annotations

from .claims import ClaimReading, ClaimVerdict, verify_claim
from .lecture import LectureRow, lecture_table, verify_lecture
from .readings import Counted, Reading
from .systems import LectureSystem, count_systems, lecture_page, systems_table
from .verdict_tables import published_report, verdicts_table
from .verdicts import Finding, RowVerdict, Verdict, judge, verify_published

__all__ = [
    "ClaimReading",
    "ClaimVerdict",
    "Counted",
    "Finding",
    "LectureRow",
    "LectureSystem",
    "Reading",
    "RowVerdict",
    "Verdict",
    "count_systems",
    "judge",
    "lecture_page",
    "lecture_table",
    "published_report",
    "systems_table",
    "verdicts_table",
    "verify_claim",
    "verify_lecture",
    "verify_published",
]
