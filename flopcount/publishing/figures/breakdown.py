"""Which modules or kinds of operators cost most in one model: bars of MACs, each with its share."""

from __future__ import annotations

from matplotlib.axes import Axes

from ...analysis.cost_tables import table_by
from ...core.errors import InputError
from ...core.result import Result
from ...core.table import Column, Table
from ...core.units import percent, si
from ...core.wording import missing_lines
from ..chart_size import SPREAD, chart_size
from .bars import BARS, ROW_NAMES, Bar, bars_height, gathered, name_bars, prefix_of
from .themes import STYLES, bare_sides, canvas, dress, theme_of
from .ticks import linear_ticks
from .words import gap_lines, paper_name, wrapped

__all__ = ["BARS", "breakdown", "breakdown_data"]


def breakdown(
    report: Result,
    by: str = "module",
    ax: Axes | None = None,
    *,
    depth: int = 2,
    dark: bool = False,
    width: str = SPREAD.name,
) -> Axes:
    """MACs of each row of the table by module, operator or kind, in the table's order from the top.

    A module above `depth` has a bar of its own operators alone, as its row in the table.

    Raises:
        InputError: nothing in the model is a contraction, so no row has MACs.
        UnknownNameError: `by` is not a table, or no such width.
    """
    size, theme = chart_size(width), theme_of(dark)
    bars = _bars(report, by, depth)
    gaps = gap_lines(missing_lines(report), size.letters(size.width * 0.6, size.text))
    ax = canvas(ax, theme, size, bars_height(len(bars), size) + size.inches(len(gaps), size.text))
    scale, prefix = prefix_of(max(bar.amount for bar in bars))
    places = range(len(bars))
    lengths = [bar.amount / scale for bar in bars]
    colours = [theme.front if bar.gathers else STYLES["3D CNN"][dark] for bar in bars]
    container = ax.barh(places, lengths, color=colours, height=0.72)
    texts = [f"{si(bar.amount)}  {percent(bar.amount, report.macs)}" for bar in bars]
    ax.bar_label(container, texts, padding=size.small * 0.3, fontsize=size.small, color=theme.ink)
    inches = name_bars(ax, [bar.name for bar in bars], size)
    beyond = (max(map(len, texts)) + 1) / size.letters(inches, size.small)
    ax.set_xlim(0, max(lengths) / (1 - min(beyond, 0.6)))
    linear_ticks(ax.xaxis, most=4 if size.narrow else 7)
    room = size.letters(inches, size.text)
    across = wrapped(f"{prefix}MACs per forward pass ({prefix}FLOPs = 2 × {prefix}MACs)", room)
    ax.set_xlabel("\n".join([across, *gaps]))
    clip = f" on {report.input.clip}" if report.input.clip else ""
    title = f"{paper_name(report.model)}{clip}: {si(report.macs, 'MACs')} by {ROW_NAMES[by]}"
    ax.set_title(wrapped(title, room))
    bare_sides(ax)
    dress(ax, theme, size)
    return ax


def breakdown_data(report: Result, by: str = "module", depth: int = 2) -> Table:
    """The bars of the chart, exact.

    Raises:
        InputError, UnknownNameError: as `breakdown`.
    """
    columns = (Column(ROW_NAMES[by], "text"), Column("MACs"), Column("FLOPs"), Column("share of MACs", "share"))
    bars = _bars(report, by, depth)
    rows = tuple((bar.name, bar.amount, 2 * bar.amount, (bar.amount, report.macs)) for bar in bars)
    return Table("", columns, rows, None)


def _bars(report: Result, by: str, depth: int) -> list[Bar]:
    table = table_by(report, by, depth)
    column = [heading.name for heading in table.columns].index("MACs")
    bars = [Bar(str(row[0]), int(row[column])) for row in table.rows if row[column]]
    if not bars:
        raise InputError(f"{report.model} has no contraction to draw", [("fix", "see its table by kind")])
    return gathered(bars)
