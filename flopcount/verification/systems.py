"""The lecture's video systems side by side: each counted at one common clip, or at its own where it cannot take that.

What enters is a clip; what leaves is a table and the page reports/lecture.md, with the corrections to the slide below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..core.errors import FlopcountError
from ..core.made_by import made_by
from ..core.model_spec import ModelSpec
from ..core.protocol import Clip
from ..core.result import Result
from ..core.table import Column, Table
from ..count import count_named
from ..models import CARDS
from .lecture import lecture_table, verify_lecture

__all__ = ["COMMON_CLIP", "LectureSystem", "count_systems", "lecture_page", "systems_table"]

COMMON_CLIP = Clip(16, 224, 224)


@dataclass(frozen=True, slots=True)
class LectureSystem:
    """One system; `refused` says why it was not counted at the common clip."""

    name: str
    report: Result
    refused: str = ""


def count_systems(
    clip: Clip = COMMON_CLIP, progress: Callable[[str], None] = lambda text: None
) -> tuple[LectureSystem, ...]:
    """Every system of the lecture, in its order.

    Raises:
        FlopcountError: a system cannot be counted at its own clip either.
    """
    return tuple(_system(card.name, clip, progress) for card in CARDS.values() if card.lecture)


def _system(name: str, clip: Clip, progress: Callable[[str], None]) -> LectureSystem:
    progress(f"counting {name}")
    try:
        report = count_named(ModelSpec(name, clip))
        return LectureSystem(name, report)
    except FlopcountError as error:
        return LectureSystem(name, count_named(ModelSpec(name)), error.message)


def systems_table(systems: tuple[LectureSystem, ...], clip: Clip = COMMON_CLIP) -> Table:
    """One row per system; the notes say which were counted at another clip, or built otherwise than in their paper."""
    columns = (
        Column("system", "text"),
        Column("family", "text", drop=2),
        Column("clip", "text"),
        Column("params", drop=3),
        Column("MACs", tone="strong"),
        Column("FLOPs", drop=4),
        Column("other", drop=1, tone="quiet"),
    )
    rows = tuple(
        (
            *(system.name, CARDS[system.name].family, str(system.report.input.clip), system.report.params),
            *(system.report.macs, system.report.flops, system.report.other_flops),
        )
        for system in systems
    )
    notes = ["papers' GFLOPs are GMACs; FLOPs = 2 × MACs; other: every floating-point operation outside contractions"]
    notes += [f"{system.name} at its own clip: {system.refused}" for system in systems if system.refused]
    notes += [
        f"{system.name} departs from its paper: {text}" for system in systems for text in system.report.departures
    ]
    return Table(
        f"the lecture's systems, one clip of {clip}, the classes of each paper", columns, rows, None, tuple(notes)
    )


def lecture_page(progress: Callable[[str], None] = lambda text: None) -> str:
    """The page reports/lecture.md."""
    origin = made_by("flopcount verify lecture --write FILE")
    systems = systems_table(count_systems(progress=progress)).to_markdown()
    corrections = lecture_table(verify_lecture()).to_markdown()
    return "\n\n".join(
        ("# The lecture's systems, and its slide", origin, "## Systems", systems, "## The slide", corrections + "\n")
    )
