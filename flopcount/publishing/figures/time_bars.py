"""Where the time on a device goes: the share of each layer beside its share of the MACs, and what limits it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from ...core.errors import InputError
from ...core.quantity import PICO
from ...core.table import Column, Table
from ...core.units import duration
from ...core.wording import missing_lines
from ...hardware.cost import Cost
from ..chart_size import SPREAD, ChartSize, chart_size
from .bars import ROW_NAMES, Bar, bars_height, gathered, name_bars
from .themes import Theme, bare_sides, canvas, dress, theme_of
from .ticks import linear_ticks
from .words import gap_lines, paper_name, wrapped

__all__ = ["time_bars", "time_data"]


class _Look(NamedTuple):
    """What a bar of time has where something limits it: words, colours in light and dark, and strokes for print."""

    words: str
    light: str
    dark: str
    hatch: str


_LIMITS: Mapping[str, _Look] = {
    "compute": _Look("time, limited by arithmetic", "#0072B2", "#3F8FDC", ""),
    "bytes": _Look("time, limited by bytes moved", "#E69F00", "#E69F00", "////"),
    "launch": _Look("time, limited by launches", "#CC79A7", "#E59CC5", "...."),
    "uncosted": _Look("time, in part unknown: no rule", "#7F7F7F", "#A6A6A6", "xxxx"),
    "": _Look("time, of several layers", "#999999", "#8B949E", ""),
}
_MACS = "MACs"


def time_bars(
    cost: Cost,
    by: str = "module",
    ax: Axes | None = None,
    *,
    depth: int = 2,
    dark: bool = False,
    width: str = SPREAD.name,
) -> Axes:
    """Two bars for each row of the table of a cost: its share of the time, and of the MACs, in the table's order.

    Arguments:
        cost: `report.cost("rtx-4090")`.
        by: "module", "kind" of kernel or "operator".
        ax: where to draw; a new figure where None.
        depth: down to which level of modules, -1 for all; a row above it has its own operators alone.
        dark: on a dark ground.
        width: "3.3in" for a column of a paper, "7in" for both, "slide", or "page" for a screen.

    Raises:
        InputError: nothing takes time.
        UnknownNameError: `by` is not a table, or no such width.
    """
    size, theme, own = chart_size(width), theme_of(dark), ax is None
    bars = _bars(cost.table(by, depth), cost)
    whole, macs = cost.result.total["time"], sum(bar.beside for bar in bars)
    limits = [limit for limit in _LIMITS if any(bar.limit == limit for bar in bars)]
    legend = size.inches((len(limits) + 1) / _columns(size) + 0.5, size.small * 1.3)
    gaps = gap_lines(missing_lines(cost.result), size.letters(size.width * 0.6, size.text))
    ax = canvas(ax, theme, size, bars_height(len(bars), size, 2.4) + legend + size.inches(len(gaps), size.text))
    for place, bar in enumerate(bars):
        look = _look(_LIMITS[bar.limit], theme)
        ax.barh(place - _APART, bar.amount / whole, height=_THICK, gid=f"time {bar.name}", **look)
        if macs:
            share = bar.beside / macs
            ax.barh(place + _APART, share, height=_THICK, gid=f"macs {bar.name}", **_hollow(theme, size))
        end = max(bar.amount / whole, bar.beside / macs if macs else 0)
        ax.text(end, place, f" {duration(bar.amount / PICO)}", fontsize=size.small, color=theme.ink, va="center")
    inches = name_bars(ax, [bar.name for bar in bars], size)
    widest = max(max(bar.amount / whole, bar.beside / macs if macs else 0) for bar in bars)
    ax.set_xlim(0, widest / (1 - 10 / max(20, size.letters(inches, size.small))))
    linear_ticks(ax.xaxis, most=4 if size.narrow else 7)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    room = size.letters(inches, size.text)
    run = "a training step" if cost.conditions.training else "a forward pass"
    ax.set_xlabel("\n".join([wrapped(f"share of the time of {run}, and of its MACs", room), *gaps]))
    ax.set_title(wrapped(_title(cost), room))
    bare_sides(ax)
    dress(ax, theme, size)
    patches = [Patch(label=_LIMITS[limit].words, **_look(_LIMITS[limit], theme)) for limit in limits]
    patches += [Patch(label=_MACS, **_hollow(theme, size))] if macs else []
    _legend(ax, patches, theme, size, below=own)
    return ax


_APART, _THICK = 0.2, 0.36


def time_data(cost: Cost, by: str = "module", depth: int = 2) -> Table:
    """The bars of the chart, exact.

    Raises:
        InputError, UnknownNameError: as `time_bars`.
    """
    table = cost.table(by, depth)
    bars = _bars(table, cost)
    whole, macs = cost.result.total["time"], sum(bar.beside for bar in bars)
    columns = (
        Column(ROW_NAMES[by], "text"),
        Column("time", unit="s", pico=True),
        Column("share of time", "share"),
        Column("MACs"),
        Column("share of MACs", "share"),
        Column("limited by", "text"),
        Column("on", "text"),
    )
    on = str(cost.conditions)
    rows = tuple(
        (bar.name, bar.amount, (bar.amount, whole), bar.beside, (bar.beside, macs), bar.limit, on) for bar in bars
    )
    return Table("", columns, rows, None, tuple(note for note in table.notes if note.startswith("assumed: ")))


def _bars(table: Table, cost: Cost) -> list[Bar]:
    headings = [column.name for column in table.columns]
    macs, time, limit = (headings.index(name) for name in ("MACs", "time", "limit"))
    bars = [Bar(str(row[0]), int(row[time]), int(row[macs]), str(row[limit])) for row in table.rows]
    if not cost.result.total["time"]:
        raise InputError(f"nothing in {cost.result.model} takes time", [("fix", "see its table")])
    return gathered(bars)


def _title(cost: Cost) -> str:
    times = f"{duration(cost.estimate)} ({duration(cost.low)} to {duration(cost.high)})"
    clip = f" on {cost.result.input.clip}" if cost.result.input.clip else ""
    return f"{paper_name(cost.result.model)}{clip}, {cost.conditions}: {times}"


def _look(limit: _Look, theme: Theme) -> dict[str, Any]:
    colour = limit.dark if theme.dark else limit.light
    return {"facecolor": colour, "hatch": limit.hatch, "edgecolor": theme.ground, "linewidth": 0}


def _hollow(theme: Theme, size: ChartSize) -> dict[str, Any]:
    return {"facecolor": "none", "edgecolor": theme.ink, "linewidth": size.line * 0.5}


def _columns(size: ChartSize) -> int:
    return 1 if size.narrow else 2


def _legend(ax: Axes, patches: Sequence[Patch], theme: Theme, size: ChartSize, *, below: bool) -> None:
    look: dict[str, Any] = {"frameon": False, "fontsize": size.small, "labelcolor": theme.ink}
    figure = ax.get_figure(root=True)
    assert figure is not None
    if below:
        figure.legend(handles=patches, loc="outside lower center", ncols=_columns(size), **look)
    else:
        ax.legend(handles=patches, loc="lower right", **look)
