"""How large a chart is, and its type: one column of a paper, both columns, a slide, or a page on a screen.

A name enters, a frozen ChartSize leaves; other names are refused. Nothing here draws, so that commands can offer the
names while matplotlib is not loaded.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..core.errors import UnknownNameError

__all__ = ["CHART_SIZES", "COLUMN", "LETTER", "PAGE", "SLIDE", "SPREAD", "ChartSize", "chart_size"]


@dataclass(frozen=True, slots=True)
class ChartSize:
    """What every chart takes its inches and its points from; text is printed at these points, without scaling.

    Arguments:
        name: as asked for.
        width: inches.
        height: inches of a frame that is always filled, as a slide is; None where a chart is as high as it needs.
        text: points of titles and of the names of axes.
        small: points of ticks, legends and values.
        least: points of the names beside markers and of the line below a chart; nothing is smaller.
        line: points of a line.
        marker: points across a marker on a line.
        least_area: points² of the ink of the smallest bubble.
        most_area: points² of the ink of the largest bubble, so that it hides no neighbour.
        legend_columns: of a legend below the chart; 0 where it stands on the right.
        dpi: dots per inch of a PNG.
    """

    name: str
    width: float
    height: float | None
    text: float
    small: float
    least: float
    line: float
    marker: float
    least_area: float
    most_area: float
    legend_columns: int
    dpi: int

    @property
    def narrow(self) -> bool:
        """Whether there is no room beside a chart."""
        return self.width < _ROOMY

    def inches(self, lines: float, points: float) -> float:
        """The height of lines of text."""
        return lines * points * _LEADING / 72

    def letters(self, inches: float, points: float) -> int:
        """How many letters of a line fit in a width."""
        return max(1, int(inches * 72 / (points * LETTER)))


_ROOMY = 5.0
_LEADING = 1.2
LETTER = 0.58
"""Of the size of type: what a letter of DejaVu Sans is wide, on average."""

COLUMN = ChartSize("3.3in", 3.3, None, 7.5, 6.8, 6.2, 1.1, 3.4, 9, 70, 2, 300)
SPREAD = ChartSize("7in", 7.0, None, 9, 8, 6.8, 1.5, 4.5, 14, 150, 3, 300)
SLIDE = ChartSize("slide", 13.33, 7.5, 18, 15, 12, 2.6, 9, 40, 420, 0, 150)
PAGE = ChartSize("page", 10.4, None, 9.5, 8, 6.6, 1.4, 4.5, 14, 190, 0, 200)

CHART_SIZES = {size.name: size for size in (COLUMN, SPREAD, SLIDE, PAGE)}
"""One column of a paper, both columns, a slide, and a page that is read on a screen."""


def chart_size(width: str) -> ChartSize:
    """The size of a name.

    Raises:
        UnknownNameError: it is none of `CHART_SIZES`.
    """
    if width not in CHART_SIZES:
        raise UnknownNameError("width", width, CHART_SIZES, f"choose {', '.join(CHART_SIZES)}")
    return CHART_SIZES[width]
