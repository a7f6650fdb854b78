"""Which modules or kinds of operators cost most in one model: bars of MACs, each with its share."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from ...analysis.cost_tables import table_by
from ...core.errors import InputError
from ...core.result import Result
from ...core.units import percent, si
from .themes import DARK, LIGHT, STYLES, dress

__all__ = ["BARS", "breakdown"]

BARS = 20  # the most expensive rows get a bar each, all the others share one
_GIGA = 10**9


def breakdown(
    report: Result, by: str = "module", ax: Axes | None = None, *, depth: int = 1, dark: bool = False
) -> Axes:
    """MACs of each row of the table by module, operator or kind, in the table's order from the top.

    Raises:
        InputError: nothing in the model is a contraction, so no row has MACs.
        UnknownNameError: `by` is not a table.
    """
    table = table_by(report, by, depth)
    column = [heading.name for heading in table.columns].index("MACs")
    bars = [(str(row[0]), int(row[column])) for row in table.rows if row[column]]
    if not bars:
        raise InputError(f"{report.model} has no contraction to draw", [("fix", "see its table by kind")])
    largest = set(sorted(range(len(bars)), key=lambda index: -bars[index][1])[:BARS])
    selection = [bar for index, bar in enumerate(bars) if index in largest]
    if len(selection) < len(bars):
        rest = [macs for index, (_, macs) in enumerate(bars) if index not in largest]
        selection.append((f"{len(rest)} others", sum(rest)))
    theme = DARK if dark else LIGHT
    if ax is None:
        ax = plt.subplots(figsize=(7.0, 1.2 + 0.27 * len(selection)), layout="constrained")[1]
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.set_facecolor(theme.ground)
    names, costs = zip(*selection, strict=True)
    places = range(len(selection))
    container = ax.barh(places, [macs / _GIGA for macs in costs], color=STYLES["3D CNN"][dark], height=0.72)
    texts = [f"{si(macs)}  {percent(macs, report.macs)}" for macs in costs]
    ax.bar_label(container, texts, padding=3, fontsize=8, color=theme.ink)
    ax.set_yticks(places, names)
    ax.invert_yaxis()
    ax.margins(x=0.22)
    ax.set_xlim(left=0)
    ax.set_xlabel("GMACs per forward pass (GFLOPs = 2 × GMACs)", fontsize=9)
    ax.set_title(f"{report.model}: {si(report.macs, 'MACs')} by {by}", fontsize=10)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    dress(ax, theme)
    return ax
