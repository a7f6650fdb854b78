"""Cost reports as one self-contained HTML page: it opens offline, loads nothing, and works out new totals.

What enters are CostReports, a Comparison or none, and the command that made them; what leaves is the text of the page.
The browser evaluates the same polynomials as Python, in whole numbers, so that a slider shows what a count would.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence

from ..._version import __version__
from ..comparison import Comparison
from ..cost_report import CostReport
from .chart_data import chart_data
from .model_data import columns, measures, model_data, quantities_data
from .scripts import one_script
from .sections import comparison_section, model_section
from .side_by_side import side_by_side
from .template import asset, filled, library, script_safe

__all__ = ["page", "require_page"]


def require_page() -> None:
    """Refuse, before long work, a page that could not be made.

    Raises:
        InputError: jinja2 or plotly is not installed.
    """
    for name in ("jinja2", "plotly.offline"):
        library(name)


def page(reports: Sequence[CostReport], comparison: Comparison | None, command: str, *, depth: int = 2) -> str:
    """One self-contained page: a comparison first where there is one, then a tab for each model.

    Arguments:
        reports: one or several; names may be anything, they are escaped.
        comparison: cost against accuracy, or None.
        command: what made the page, to be shown on it.
        depth: how many levels of modules the tables by layer have (-1: all); that of the cost has all, to choose from.

    Raises:
        InputError: jinja2 or plotly is not installed.
    """
    require_page()
    plotly = library("plotly.offline")
    data = {
        "quantities": quantities_data(),
        "models": [model_data(cost) for cost in reports],
        "comparison": chart_data(comparison, [cost.name for cost in reports]) if comparison else None,
    }
    return filled(
        "page.html.j2",
        models=[model_section(cost, depth) for cost in reports],
        columns=columns(),
        measures=measures(),
        beside=side_by_side(reports),
        comparison=comparison_section(comparison) if comparison else None,
        command=command,
        versions={"flopcount": __version__, **reports[0].report.versions} if reports else {"flopcount": __version__},
        data=script_safe(data),
        style=asset("page.css") + asset("report.css"),
        script=one_script("page", asset),
        plotly=_packed(plotly.get_plotlyjs()),
    )


def _packed(script: str) -> str:
    """The script at a third of its size; without a time stamp, so that the same report gives the same page."""
    return base64.b64encode(gzip.compress(script.encode(), mtime=0)).decode()
