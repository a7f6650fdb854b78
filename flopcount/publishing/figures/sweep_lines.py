"""A sweep as lines: MACs or time against one of its names, a line for each combination of the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from ...analysis.sweep_rows import SweepRow, SweepRows
from ...core.errors import InputError, UnknownNameError
from ...core.units import plural
from ...core.wording import assumed_lines
from ..chart_size import SPREAD, ChartSize, chart_size
from .themes import STYLES, Theme, canvas, dress, theme_of
from .ticks import linear_ticks, log_ticks
from .words import gap_lines, paper_name, wrapped

__all__ = ["HEIGHTS", "LINES", "sweep_lines"]

LINES = 12  # as many as one can tell apart
_GIGA = 10**9
_LOOKS = ("3D CNN", "transformer", "two pathways", "two streams", "image", "2D CNN", "recurrent")  # seven of them
_DASHES = ("-", "--", ":", "-.")


HEIGHTS = {
    "macs": "GMACs per forward pass (GFLOPs = 2 × GMACs)",
    "time": "ms per forward pass, estimated",
}
"""What a line may show, and the name of its axis."""

_AXES = {"frames": "frames of the clip", "size": "height and width of the clip (px)"}
_WORDS: Mapping[str, Callable[[Any], str]] = {
    "model": paper_name,
    "frames": "{} frames".format,
    "size": "{} px".format,
}
"""How a value of a sweep of clips is said; of another name the name stands before it."""
_HIGH = {"3.3in": 2.7, "7in": 4.2, "page": 5.6}  # inches, without a legend below


class _Line(NamedTuple):
    """The points of a line, from left to right, and what it has in common with others: its hue and its dashes."""

    label: str
    hue: int
    dash: int
    points: list[tuple[float, ...]]


def sweep_lines(
    sweep: SweepRows,
    x: str,
    ax: Axes | None = None,
    *,
    y: str = "macs",
    dark: bool = False,
    width: str = SPREAD.name,
) -> Axes:
    """GMACs or milliseconds (log) against the numbers of one name; what was not counted leaves a gap.

    A band around a line of time is its range. What is the same in all lines is said in the title.

    Raises:
        UnknownNameError: the sweep has no such name, `y` is neither "macs" nor "time", or no such width.
        InputError: nothing to draw, or more lines than one can tell apart.
    """
    size, theme = chart_size(width), theme_of(dark)
    if x not in sweep.names:
        raise UnknownNameError("column of the sweep", x, sweep.names, f"choose {', '.join(sweep.names)}")
    if y not in HEIGHTS:
        raise UnknownNameError("axis of the sweep", y, HEIGHTS, f"choose {' or '.join(HEIGHTS)}")
    if y == "time" and sweep.pricing is None:
        raise InputError("the sweep has no time", [("fix", "name a device: on, or --on on the command line")])
    alike, lines = _lines(sweep, x, y)
    if not lines:
        raise InputError("no configuration of the sweep was counted", [("fix", "see its table for the reasons")])
    if len(lines) > LINES:
        raise InputError(f"{len(lines)} lines are too many to tell apart", [("fix", f"sweep fewer than {LINES + 1}")])
    below = ax is None and size.narrow and len(lines) > 1
    ax = canvas(ax, theme, size, _HIGH.get(size.name, 0) + below * size.inches(len(lines) / 2 + 1, size.small * 1.4))
    for line in lines:
        _draw(ax, line, theme, size)
    _frame(ax, sweep, lines, x, y, size)
    title = [", ".join(alike), _range_words(sweep) if y == "time" else ""]
    letters = size.letters(size.width * 0.8, size.text)
    ax.set_title("\n".join(wrapped(part, letters) for part in title if part))
    dress(ax, theme, size)
    if len(lines) > 1:
        _legend(ax, theme, size, below=below)
    return ax


def _lines(sweep: SweepRows, x: str, y: str) -> tuple[list[str], list[_Line]]:
    """What all counted configurations have in common, in words; and the lines in the order of the sweep."""
    counted = [(row, heights) for row in sweep.rows if (heights := _heights(row, y))]
    values = {
        name: list(dict.fromkeys(row.configuration.get(name) for row, _ in counted))
        for name in sweep.names
        if name != x
    }
    varied = [name for name, choices in values.items() if len(choices) > 1]
    alike = [_said(name, choices[0]) for name, choices in values.items() if len(choices) == 1]
    lines: dict[tuple[Any, ...], _Line] = {}
    for row, heights in counted:
        key = tuple(row.configuration.get(name) for name in varied)
        if key not in lines:
            label = ", ".join(_said(name, value) for name, value in zip(varied, key, strict=True))
            places = [values[name].index(value) for name, value in zip(varied, key, strict=True)]
            paired = (
                len(varied) == 2 and len(values[varied[1]]) <= len(_DASHES) and len(values[varied[0]]) <= len(_LOOKS)
            )
            hue, dash = places if paired else (len(lines) % len(_LOOKS), len(lines) // len(_LOOKS))
            lines[key] = _Line(label, hue, dash, [])
        lines[key].points.append((row.configuration[x], *heights))
    return alike, list(lines.values())


def _said(name: str, value: Any) -> str:
    return _WORDS[name](value) if name in _WORDS else f"{name} {value}"


def _heights(row: SweepRow, y: str) -> tuple[float, ...]:
    """GMACs; or the time with its range in milliseconds."""
    if y == "time":
        times = row.times
        return () if times is None else (times.estimate * 1000, times.low * 1000, times.high * 1000)
    return (row.macs / _GIGA,) if row.macs else ()


def _draw(ax: Axes, line: _Line, theme: Theme, size: ChartSize) -> None:
    across, up, *span = zip(*sorted(line.points), strict=True)
    style = STYLES[_LOOKS[line.hue]]
    look: dict[str, Any] = {"color": style[theme.dark], "lw": size.line, "ms": size.marker}
    ax.plot(across, up, _DASHES[line.dash], marker=style[2], label=line.label, **look)
    if len(span) == 2:
        ax.fill_between(across, span[0], span[1], color=style[theme.dark], alpha=0.15, linewidth=0)


def _frame(ax: Axes, sweep: SweepRows, lines: Sequence[_Line], x: str, y: str, size: ChartSize) -> None:
    ax.set_yscale("log")
    log_ticks(ax.yaxis)
    ax.grid(visible=True, which="major", axis="y", color="0.5", alpha=0.25, lw=size.line * 0.4)
    sizes = sorted({point[0] for line in lines for point in line.points})
    linear_ticks(ax.xaxis)
    if len(sizes) <= (LINES if not size.narrow else LINES // 2):
        ax.xaxis.set_major_locator(FixedLocator(sizes))
        ax.xaxis.set_minor_locator(NullLocator())
    height = _HIGH.get(size.name, size.height or 0) * 0.8
    letters = size.letters(size.width * 0.7, size.text)
    ax.set_xlabel("\n".join([_AXES.get(x, x), *gap_lines(_gaps(sweep), letters)]))
    ax.set_ylabel(wrapped(HEIGHTS[y], size.letters(height, size.text)))


def _gaps(sweep: SweepRows) -> list[str]:
    """How many configurations are missing or incomplete, and what the others assume."""
    failed = sum(bool(row.problem) for row in sweep.rows)
    missing = f"{failed} of {plural(len(sweep.rows), 'configuration')} missing or incomplete"
    assumed = dict.fromkeys(text for row in sweep.rows for text in row.assumed)
    return [*([missing] * bool(failed)), *assumed_lines(assumed)]


def _range_words(sweep: SweepRows) -> str:
    conditions = sweep.pricing.conditions if sweep.pricing is not None else ""
    return f"{conditions}; band: what 8 of 10 networks lie between"


def _legend(ax: Axes, theme: Theme, size: ChartSize, *, below: bool) -> None:
    """The lines in words, those with the most above; on the right, or below where there is no room beside."""
    handles = sorted(ax.get_lines(), key=lambda line: -float(numpy.asarray(line.get_ydata())[-1]))
    entries: dict[str, Any] = {"handles": handles}
    look: dict[str, Any] = {"frameon": False, "fontsize": size.small, "labelcolor": theme.ink, "handlelength": 2.6}
    figure = ax.get_figure(root=True)
    assert figure is not None
    if below:
        figure.legend(**entries, loc="outside lower center", ncols=2, **look)
    else:
        ax.legend(**entries, loc="center left", bbox_to_anchor=(1, 0.5), **look)
