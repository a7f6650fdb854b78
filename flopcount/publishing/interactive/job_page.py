"""A whole job as one self-contained HTML page: sliders for its parameters move every total, exactly.

What enters are a pipeline, its costs on devices and the command that made them; what leaves is the text of the page.
The browser evaluates the same expressions and differences as Python, in whole numbers, so that a slider shows what a
count would.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..._version import __version__
from ...core.result import Result
from ...pipelines.job_cost import JobCost
from ...pipelines.pipeline import Pipeline
from .job_data import job_data
from .job_sections import job_section
from .scripts import one_script
from .template import asset, filled, script_safe

__all__ = ["job_page"]


def job_page(job: Pipeline, costs: Sequence[JobCost], command: str) -> str:
    """One self-contained page of a job.

    Arguments:
        job: counted, or read from JSON; then there are no layers.
        costs: what it costs on devices, if asked for.
        command: what made the page, to be shown on it.

    Raises:
        InputError: jinja2 is not installed.
    """
    result = job.result
    versions = result.versions if isinstance(result, Result) else {}
    return filled(
        "job.html.j2",
        job=job_section(job, costs),
        command=command,
        versions={"flopcount": __version__, **versions},
        data=script_safe(job_data(job, costs)),
        style=asset("page.css") + asset("job.css"),
        script=one_script("job", asset),
    )
