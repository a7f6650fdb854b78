"""A Comparison -> the points of the chart of cost against accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...core.units import si
from ...core.wording import assumed_lines
from ...facts.pretraining import Pretraining
from ..comparison import Comparison
from ..comparison_rows import OURS, PER, Row
from ..figures.themes import STYLES

__all__ = ["chart_data", "linked"]

_SYMBOLS = {
    "s": "square",
    "o": "circle",
    "D": "diamond",
    "P": "cross",
    "X": "x",
    "^": "triangle-up",
    "v": "triangle-down",
    "h": "hexagon",
    "<": "triangle-left",
    "p": "pentagon",
    "8": "octagon",
    "H": "hexagon2",
    ">": "triangle-right",
    "d": "diamond-tall",
    "*": "star",
}
"""Matplotlib's markers as plotly calls them."""

_FILLED = {
    Pretraining.SCRATCH: "-open",
    Pretraining.IMAGENET: "-open-dot",
    Pretraining.MORE: "",
    Pretraining.UNSAID: "-dot",
    None: "",
}
"""What plotly adds to the name of a marker for a kind of pre-training; None is the user's own."""
_DASHES = {
    Pretraining.SCRATCH: "dot",
    Pretraining.IMAGENET: "dash",
    Pretraining.MORE: "solid",
    Pretraining.UNSAID: "dashdot",
}


def chart_data(comparison: Comparison, reported: Sequence[str]) -> dict[str, Any]:
    """Points, families with colour and marker, and the Pareto fronts; `reported` are the models of the page.

    There is a front for each kind of pre-training. Where a device was named, a third choice beside MACs per view and
    per video is the time of a video.
    """
    fronts = {per: comparison.fronts(per) for per in PER}
    if comparison.conditions:
        fronts["time"] = comparison.fronts("video", "time")
    families = [family for family in STYLES if any(row.family == family for row in comparison.rows)]
    return {
        "dataset": comparison.dataset,
        "families": [_family(family) for family in families],
        "points": [_point(row, row.name in reported or row.family == OURS) for row in comparison.rows],
        "metric": {
            "name": comparison.metric.name,
            "unit": comparison.metric.unit,
            "lower": comparison.metric.lower_is_better,
        },
        "fronts": {
            name: [
                {"name": kind.value, "dash": _DASHES[kind], "points": [comparison.rows.index(row) for row in front]}
                for kind, front in of_kinds.items()
            ]
            for name, of_kinds in fronts.items()
        },
        "conditions": comparison.conditions,
    }


def linked(url: str) -> str:
    """The url where it is one a page may link to, else ""."""
    return url if url.startswith(("https://", "http://")) else ""


def _family(name: str) -> dict[str, str]:
    light, dark, marker = STYLES[name]
    return {"name": name, "light": light, "dark": dark, "symbol": _SYMBOLS[marker]}


def _point(row: Row, reported: bool) -> dict[str, Any]:
    times = row.times_per("video")
    return {
        "name": row.title,
        "network": row.name,
        "filled": _FILLED[row.pretraining],
        "family": row.family,
        "reported": reported,
        "own": row.family == OURS,
        "macs": {per: str(row.cost(per)) for per in PER},
        "seconds": None if times is None else [times.estimate, times.low, times.high],
        "params": str(row.params),
        "params_si": si(row.params),
        "score": row.score,
        "top5": row.top5,
        "clip": str(row.clip),
        "views": f"{row.views} views" if row.views == str(row.view_count) else f"{row.views} = {row.view_count} views",
        "pretrain": row.pretraining.described(row.pretrain) if row.pretraining else "",
        "source": ", ".join(filter(None, (row.source, row.locator))),
        "url": linked(row.url),
        "note": "; ".join(filter(None, (row.note, *assumed_lines(row.assumed)))),
    }
