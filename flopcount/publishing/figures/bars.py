"""Bars of a table: the most expensive rows have one each, in the table's order, and all others share one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from ...output.short_names import shortened
from ..chart_size import LETTER, ChartSize

__all__ = ["BARS", "ROW_NAMES", "Bar", "bars_height", "gathered", "name_bars", "prefix_of"]

BARS = 20
ROW_NAMES = {"module": "layer", "kind": "kind", "operator": "operator"}
"""Table -> what a row of it is called on a chart."""
_PREFIXES = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"), (1, ""))


@dataclass(frozen=True, slots=True)
class Bar:
    """A row: what decides its length, what stands beside that, what limits it, and whether it gathers several."""

    name: str
    amount: int
    beside: int = 0
    limit: str = ""
    gathers: bool = False


def gathered(bars: Sequence[Bar], most: int = BARS) -> list[Bar]:
    """The largest bars in their order, and one of all others behind them; bars sum to what they summed to."""
    largest = set(sorted(range(len(bars)), key=lambda index: -bars[index].amount)[:most])
    shown = [bar for index, bar in enumerate(bars) if index in largest]
    rest = [bar for index, bar in enumerate(bars) if index not in largest]
    if not rest:
        return shown
    others = Bar(f"{len(rest)} others", sum(bar.amount for bar in rest), sum(bar.beside for bar in rest), gathers=True)
    return [*shown, others]


def bars_height(count: int, size: ChartSize, points: float = 2.0) -> float:
    """Inches of a figure of so many bars, each so many times the type high, with title and axis."""
    return count * size.small * points / 72 + size.inches(6.5, size.text)


def name_bars(ax: Axes, names: Sequence[str], size: ChartSize) -> float:
    """Write the names of bars beside them, from the top; the inches that are left for the bars are returned.

    Long paths are shortened where they are alike.
    """
    room = size.letters(size.width * _NAMES, size.small)
    texts = shortened(names, [room] * len(names))
    ax.set_yticks(range(len(names)), texts)
    ax.set_ylim(len(names) - 0.4, -0.6)
    left = size.width - (max(map(len, texts)) * size.small * LETTER + 2.5 * size.text) / 72
    return max(left, size.width * _BARS_WIDE)


_NAMES = 0.33  # of the width of a chart
_BARS_WIDE = 0.4  # of it, at least


def prefix_of(most: float) -> tuple[int, str]:
    """The factor and the letter of the SI prefix that a number is written with: 38 * 10**9 has (10**9, "G")."""
    return next((entry for entry in _PREFIXES if most >= entry[0]), _PREFIXES[-1])
