"""A comparison -> every file of its page: markdown, LaTeX, and for each chart PNG, SVG, PDF and its data as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from matplotlib.axes import Axes

from ...core.made_by import made_by
from ..candidates import FLOW_BENCHMARKS
from ..chart_size import PAGE
from ..comparison import Comparison
from ..comparison_rows import PER
from ..figures.files import picture_links, picture_markup, themed_pictures
from ..figures.scatter import scatter

__all__ = ["comparison_files", "comparison_page", "comparison_pictures", "comparison_texts"]


def comparison_files(
    comparison: Comparison, command: str, pers: Sequence[str] = PER, *, width: str = PAGE.name
) -> dict[str, bytes]:
    """Path below the folder asked for -> content; nothing is written here, so that all can be written or nothing.

    Arguments:
        comparison: what to show; with no point at all the page is its table alone.
        command: what made it, for the page.
        pers: charts per "view", per "video", or both.
        width: of the charts.
    """
    texts = comparison_texts(comparison, command, pers)
    return {path: text.encode() for path, text in texts.items()} | comparison_pictures(comparison, pers, width=width)


def comparison_texts(comparison: Comparison, command: str, pers: Sequence[str] = PER) -> dict[str, str]:
    """What of the files is text: the page, its table for LaTeX, and the data of its charts."""
    name, table = comparison.dataset, comparison.table()
    charts = pers if comparison.rows else ()
    return {
        f"{name}.md": comparison_page(comparison, command, charts),
        f"{name}/{name}.tex": table.to_latex() + "\n",
        **{f"{name}/{chart.stem}.csv": table.to_csv() + "\n" for chart in _charts(comparison, charts)},
    }


class _Chart(NamedTuple):
    """A chart of a comparison: per "view" or "video", and what is across."""

    per: str
    x: str

    @property
    def stem(self) -> str:
        return f"per_{self.per}" if self.x == "macs" else f"time_per_{self.per}"

    @property
    def unit(self) -> str:
        return "GMACs" if self.x == "macs" else "estimated ms"


def _charts(comparison: Comparison, pers: Sequence[str]) -> list[_Chart]:
    """Those of MACs, and one of time where one is known: per video, as it is asked of a network, if at all."""
    if comparison.dataset in FLOW_BENCHMARKS:
        pers = ("view",)  # flow has no views of a video
    charts = [_Chart(per, "macs") for per in pers]
    if pers and any(row.times is not None for row in comparison.rows):
        charts.append(_Chart("video" if "video" in pers else pers[0], "time"))
    return charts


def comparison_pictures(
    comparison: Comparison, pers: Sequence[str] = PER, *, width: str = PAGE.name
) -> dict[str, bytes]:
    """The charts."""
    files: dict[str, bytes] = {}
    for chart in _charts(comparison, pers if comparison.rows else ()):
        files |= themed_pictures(partial(_drawn, comparison, chart, width), f"{comparison.dataset}/{chart.stem}", width)
    return files


def _drawn(comparison: Comparison, chart: _Chart, width: str, dark: bool) -> Axes:
    return scatter(comparison, chart.per, x=chart.x, dark=dark, width=width)


def _described(comparison: Comparison, chart: _Chart) -> str:
    return f"{comparison.metric.name} on {comparison.dataset} against {chart.unit} per {comparison.unit(chart.per)}"


def comparison_page(comparison: Comparison, command: str, pers: Sequence[str] = PER) -> str:
    """The page in markdown: how it was made, the charts, the table with its notes."""
    parts = [f"# Cost against accuracy on {comparison.dataset}", made_by(command)]
    for chart in _charts(comparison, pers):
        stem = f"{comparison.dataset}/{chart.stem}"
        parts.append(picture_markup(stem, _described(comparison, chart)))
        unit = comparison.unit(chart.per)
        name = f"per {unit}" if chart.x == "macs" else f"of time per {unit}"
        parts.append(f"The chart {name}: {picture_links(stem)}; its data: [CSV]({stem}.csv).")
    parts.append(comparison.table().to_markdown())
    return "\n\n".join(parts) + "\n"
