"""The legend of a comparison, where it covers nothing: families, kinds of pre-training with their fronts, bubbles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from ...facts.pretraining import Pretraining
from ..chart_size import ChartSize
from ..comparison_rows import Row
from .bubbles import across, legend_params
from .themes import STYLES, Theme
from .words import wrapped

__all__ = ["FILLED", "LINES", "legend_below", "legend_lines", "legend_right"]

LINES: Mapping[Pretraining, str] = {
    Pretraining.SCRATCH: ":",
    Pretraining.IMAGENET: "--",
    Pretraining.MORE: "-",
    Pretraining.UNSAID: "-.",
}
FILLED: Mapping[Pretraining | None, Any] = {
    Pretraining.SCRATCH: "none",
    Pretraining.IMAGENET: "left",
    Pretraining.MORE: "full",
    Pretraining.UNSAID: "top",
    None: "full",  # the user's own
}
_Fronts = Mapping[Pretraining, tuple[Row, ...]]
_LETTERS = 26  # of a line of the legend
_LINE = 1.2  # of the size of type, from one line to the next


def legend_right(
    ax: Axes, rows: Sequence[Row], fronts: _Fronts, theme: Theme, size: ChartSize, *, ranges: bool
) -> None:
    """Outside, on the right."""
    handles = _handles(rows, fronts, theme, size, ranges)
    look = _look(size)
    if size.height is not None:  # a frame does not grow with its legend
        lines = sum(str(handle.get_label()).count("\n") + 1 for handle in handles)
        most = size.height * 72 * 0.9 / (lines * _LINE + len(handles) * look["labelspacing"])
        look["fontsize"] = max(size.least, min(size.small, most))
    _ink(ax.legend(handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5), **look), theme)


def legend_below(
    ax: Axes, rows: Sequence[Row], fronts: _Fronts, theme: Theme, size: ChartSize, *, ranges: bool
) -> None:
    """Below the chart, in columns."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    handles = _handles(rows, fronts, theme, size, ranges)
    where: dict[str, Any] = {"loc": "outside lower center", "ncols": size.legend_columns, "columnspacing": 1.2}
    _ink(figure.legend(handles=handles, **where, **_look(size)), theme)


def legend_lines(rows: Sequence[Row], fronts: _Fronts, size: ChartSize, *, ranges: bool) -> int:
    """Lines of text from top to bottom of the legend below a chart."""
    texts = [_words(text) for text in _texts(rows, fronts, ranges)]
    return ceil(sum(text.count("\n") + 1 for text in texts) / max(1, size.legend_columns)) + 1


def _look(size: ChartSize) -> dict[str, Any]:
    return {"fontsize": size.small, "frameon": False, "labelspacing": 0.7, "handletextpad": 0.7, "handlelength": 2.6}


def _ink(legend: Legend, theme: Theme) -> None:
    for text in legend.get_texts():
        text.set_color(theme.ink)


def _words(text: str) -> str:
    return wrapped(text, _LETTERS)


def _families(rows: Sequence[Row]) -> list[str]:
    return [family for family in STYLES if any(row.family == family for row in rows)]


def _texts(rows: Sequence[Row], fronts: _Fronts, ranges: bool) -> list[str]:
    bubbles = [text for _, text in legend_params([row.params for row in rows])]
    return [*_families(rows), *map(_of_pretraining, fronts), _FRONT, *([_RANGE] if ranges else []), *bubbles]


_FRONT = "line: front of its kind"
_RANGE = "range: 8 of 10"


def _of_pretraining(kind: Pretraining) -> str:
    return f"pre-training: {kind.value}"


def _handles(rows: Sequence[Row], fronts: _Fronts, theme: Theme, size: ChartSize, ranges: bool) -> list[Line2D]:
    """One of each family; of each pre-training its filling on the line of its front; the bubbles of the chart."""
    look: dict[str, Any] = {"ls": "", "mec": theme.ink, "mew": size.line * 0.4}
    handles = [
        Line2D(
            [], [], marker=STYLES[family][2], color=STYLES[family][theme.dark], ms=size.small * 0.9,
            label=_words(family), **look,
        )
        for family in _families(rows)
    ]  # fmt: skip
    for kind in fronts:
        marker: dict[str, Any] = {"marker": "o", "ms": size.small * 0.8, "fillstyle": FILLED[kind]}
        marker |= {"mfc": theme.ink, "markerfacecoloralt": theme.ground, "mec": theme.ink, "mew": size.line * 0.5}
        if FILLED[kind] == "none":  # the line of its front would show through
            marker |= {"fillstyle": "full", "mfc": theme.ground}
        line: dict[str, Any] = {"color": theme.front, "lw": size.line * 0.8, "ls": LINES[kind]}
        handles.append(Line2D([], [], label=_words(_of_pretraining(kind)), **line, **marker))
    handles.append(Line2D([], [], label=_words(_FRONT), color=theme.front, lw=size.line * 0.8))
    if ranges:
        bar: dict[str, Any] = {"color": theme.ink, "lw": size.line * 0.75, "marker": "|", "ms": size.marker}
        handles.append(Line2D([], [], label=_words(_RANGE), **bar))
    handles += [
        Line2D([], [], marker="o", mfc="none", ms=across(params, "o", size), label=_words(text), **look)
        for params, text in legend_params([row.params for row in rows])
    ]
    return handles
