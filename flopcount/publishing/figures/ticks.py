"""Ticks at 1, 2 and 5 times powers of ten, on logarithmic and on linear axes, with as many numbers as have room.

Every tick of a logarithmic axis stays where its number has to go, so that a reader can count from one to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, floor, log10
from typing import Any

from matplotlib.axis import Axis, XAxis
from matplotlib.ticker import Formatter, FuncFormatter, Locator, LogLocator, MaxNLocator, NullFormatter, NullLocator

from ..chart_size import LETTER

__all__ = ["STEPS", "OneTwoFive", "linear_ticks", "log_ticks", "number"]

STEPS = (1, 2, 5)
_FEWEST = 3  # ticks, below which a part of a decade is divided evenly
_GAP = 0.8  # of the size of type, between two numbers


def log_ticks(axis: Axis) -> None:
    """Give an axis ticks at 1, 2 and 5, small ones between them, and numbers on those that have room."""
    axis.set_major_locator(OneTwoFive())
    axis.set_major_formatter(_Numbers())
    axis.set_minor_locator(LogLocator(subs=tuple(range(1, 10)), numticks=99))
    axis.set_minor_formatter(NullFormatter())


def linear_ticks(axis: Axis, most: int = 7) -> None:
    """Give a linear axis at most so many ticks, whose step is 1, 2 or 5 times a power of ten."""
    axis.set_major_locator(MaxNLocator(most, steps=[*STEPS, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axis.set_minor_locator(NullLocator())


def number(value: float) -> str:
    """In full: 10,000 or 0.5."""
    return f"{value:,.10g}"


class OneTwoFive(Locator):
    """1, 2 and 5 in every decade in view; even steps where they would be fewer than three."""

    def __call__(self) -> Sequence[float]:
        """The ticks of the axis as it is."""
        assert self.axis is not None
        return self.tick_values(*sorted(self.axis.get_view_interval()))

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        """The ticks between two numbers above zero."""
        decades = range(floor(log10(vmin)), ceil(log10(vmax)) + 1)
        ticks = [step * 10.0**decade for decade in decades for step in STEPS]
        inside = [tick for tick in ticks if vmin <= tick <= vmax]
        if len(inside) >= _FEWEST:
            return inside
        even = MaxNLocator(5, steps=[*STEPS, 10]).tick_values(vmin, vmax)
        return [float(tick) for tick in even if vmin <= tick <= vmax]


class _Numbers(Formatter):
    """Numbers in full, 10,000; where all do not fit side by side, those of fewer ticks, the same in each decade."""

    def __call__(self, value: float, pos: int | None = None) -> str:
        """A number by itself."""
        return number(value)

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """The text of each tick, empty where there is no room for it."""
        texts = [self(value) for value in values]
        for keep in _PREFERENCES:
            shown = [(value, text) for value, text in zip(values, texts, strict=True) if keep(value)]
            if self._fit(shown):
                kept = {text for _, text in shown}
                return [text if text in kept else "" for text in texts]
        return [text if index in (0, len(texts) - 1) else "" for index, text in enumerate(texts)]

    def _fit(self, shown: Sequence[tuple[float, str]]) -> bool:
        """Whether these numbers stand clear of each other."""
        axis: Any = self.axis
        points = 72 / axis.get_figure(root=True).dpi
        along = 0 if isinstance(axis, XAxis) else 1
        places = [
            float(axis.axes.transData.transform((value, 1) if along == 0 else (1, value))[along]) * points
            for value, _ in shown
        ]
        type_size = axis.get_major_ticks(1)[0].label1.get_size()
        lengths = [type_size * (LETTER * len(text) if along == 0 else 1.0) for _, text in shown]
        needs = [(one + other) / 2 + _GAP * type_size for one, other in pairwise(lengths)]
        return all(abs(b - a) >= need for (a, b), need in zip(pairwise(places), needs, strict=True))


def _every(value: float) -> bool:
    return True


def _power(value: float) -> bool:
    return round(value / 10.0 ** floor(log10(value) + 1e-9), 6) == 1


def _even_power(value: float) -> bool:
    return _power(value) and round(log10(value)) % 2 == 0


_PREFERENCES = (_every, _power, _even_power)
