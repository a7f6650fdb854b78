"""What changed from one model, job or saved report to another, as one self-contained HTML page.

What enters are a Diff, what its sides are called and the command that made it; what leaves is the text of the page.
Whole numbers go to the browser as text, which adds them exactly.
"""

from __future__ import annotations

from ..._version import __version__
from ...analysis.difference import Diff
from .diff_data import diff_data
from .diff_sections import diff_section
from .scripts import one_script
from .template import asset, filled, script_safe

__all__ = ["diff_page"]


def diff_page(difference: Diff, command: str, names: tuple[str, str] | None = None) -> str:
    """One self-contained page of a difference.

    Arguments:
        difference: of two models, jobs or saved reports.
        command: what made the page, to be shown on it.
        names: what the old and the new side are called, such as the files they are from; by default their models.

    Raises:
        InputError: jinja2 is not installed.
    """
    section = diff_section(difference, names or (difference.old.model, difference.new.model))
    return filled(
        "diff.html.j2",
        diff=section,
        command=command,
        version=__version__,
        data=script_safe(diff_data(difference)),
        style=asset("page.css") + asset("diff.css"),
        script=one_script("diff", asset),
    )
