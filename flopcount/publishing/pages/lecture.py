"""The lecture's systems -> every file of their page: markdown with the slide's corrections, LaTeX, CSV, the chart."""

from __future__ import annotations

from ...core.made_by import made_by
from ...core.protocol import Clip
from ...verification import lecture_table, verify_lecture
from ..figures.files import picture_links, picture_markup, themed_pictures
from ..figures.lecture_chart import lecture_chart
from ..lecture_systems import LectureSystem, systems_table

__all__ = ["lecture_files", "lecture_pictures", "lecture_texts"]

_STEM = "lecture/systems"


def lecture_files(systems: tuple[LectureSystem, ...], clip: Clip, command: str) -> dict[str, bytes]:
    """Path below the folder asked for -> content; nothing is written here, so that all can be written or nothing.

    Arguments:
        systems: what to show, counted on `clip`.
        clip: the common clip.
        command: what made it, for the page.
    """
    texts = lecture_texts(systems, clip, command)
    return {path: text.encode() for path, text in texts.items()} | lecture_pictures(systems, clip)


def lecture_texts(systems: tuple[LectureSystem, ...], clip: Clip, command: str) -> dict[str, str]:
    """What of the files is text."""
    table = systems_table(systems, clip)
    parts = (
        "# The lecture's systems, and its slide",
        made_by(command),
        "## Systems",
        picture_markup(_STEM, f"cost and span of the lecture's systems on {clip}, and when each merges time"),
        f"The chart: {picture_links(_STEM)}; the table: [CSV]({_STEM}.csv), [LaTeX]({_STEM}.tex).",
        table.to_markdown(),
        "## The slide",
        lecture_table(verify_lecture()).to_markdown(),
    )
    return {
        "lecture.md": "\n\n".join(parts) + "\n",
        f"{_STEM}.csv": table.to_csv() + "\n",
        f"{_STEM}.tex": table.to_latex() + "\n",
    }


def lecture_pictures(systems: tuple[LectureSystem, ...], clip: Clip) -> dict[str, bytes]:
    """The chart."""
    return themed_pictures(lambda dark: lecture_chart(systems, clip, dark=dark), _STEM)
