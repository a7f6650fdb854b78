"""Cost reports as one self-contained HTML page: it opens offline, loads nothing, and works out new totals.

What enters are CostReports, a Comparison or none, and the command that made them; what leaves is the text of the page.
The browser evaluates the same polynomials as Python, in whole numbers, so that a slider shows what a count would.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from importlib import import_module, resources
from typing import Any

from ..._version import __version__
from ...core.errors import InputError
from ...core.installation import Installation
from ..comparison import Comparison
from ..cost_report import CostReport
from .chart_data import chart_data
from .model_data import columns, measures, model_data, quantities_data
from .scripts import one_script
from .sections import comparison_section, model_section

__all__ = ["INSTALLATION", "page"]

INSTALLATION = Installation("html", ("jinja2>=3.1", "plotly>=6.0"))


def page(reports: Sequence[CostReport], comparison: Comparison | None, command: str) -> str:
    """One self-contained page: a tab for each model, and the chart of a comparison where there is one.

    Arguments:
        reports: one or several; names may be anything, they are escaped.
        comparison: cost against accuracy, or None.
        command: what made the page, to be shown on it.

    Raises:
        InputError: jinja2 or plotly is not installed.
    """
    jinja2, plotly = _library("jinja2"), _library("plotly.offline")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    data = {
        "quantities": quantities_data(),
        "models": [model_data(cost) for cost in reports],
        "comparison": chart_data(comparison, [cost.name for cost in reports]) if comparison else None,
    }
    text: str = environment.from_string(_asset("page.html.j2")).render(
        models=[model_section(cost) for cost in reports],
        columns=columns(),
        measures=measures(),
        comparison=comparison_section(comparison) if comparison else None,
        command=command,
        versions={"flopcount": __version__, **reports[0].report.versions} if reports else {"flopcount": __version__},
        data=_script_safe(data),
        style=_asset("page.css"),
        script=one_script("page", _asset),
        plotly=_packed(plotly.get_plotlyjs()),
    )
    return text


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        library = name.partition(".")[0]
        raise InputError(f"a page needs {library}, which is not installed", [("fix", str(INSTALLATION))]) from None


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def _packed(script: str) -> str:
    """The script at a third of its size; without a time stamp, so that the same report gives the same page."""
    return base64.b64encode(gzip.compress(script.encode(), mtime=0)).decode()


def _script_safe(data: Any) -> str:
    """JSON that cannot end the script element around it, nor be read as anything but JSON."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
