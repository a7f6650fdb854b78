"""Which counter a source used for its printed costs, each with the place that says so.

A line of counters.csv fits a row if `source` is a part of its url or its data set ("tsn/metafile.yml ssv1" is one of
both), and if its model begins with `model`; either may be empty. A row may have several, as repositories change their
tools. Where no line fits, nothing is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from ..core.one_line import OneLine
from .published import Published
from .rows import filled, read, sourced

__all__ = ["OTHER_FRAMEWORKS", "CounterUse", "counter_uses"]

OTHER_FRAMEWORKS = ("TensorFlow", "JAX")
"""What stands for a counter where a source is written without PyTorch, whose tools cannot have seen it."""


@dataclass(frozen=True, slots=True)
class CounterUse(OneLine):
    """`counter` is the name of a tool; `url` and `locator` are the place that says that the source uses it.

    Where nothing says so (`cited` is False) the tool is only worth a try, and `why` says for what reason.
    """

    source: str
    model: str
    counter: str
    cited: bool
    url: str
    locator: str
    why: str

    def fits(self, row: Published) -> bool:
        """Whether it speaks of this row."""
        return self.source in f"{row.url} {row.dataset}" and row.model.startswith(self.model)


def counter_uses(row: Published | None = None) -> tuple[CounterUse, ...]:
    """What is known about a row, or all lines.

    Raises:
        InputError: a line has no source of its own, or names no counter, or would fit every row.
    """
    return tuple(use for use in _uses() if row is None or use.fits(row))


@cache
def _uses() -> tuple[CounterUse, ...]:
    uses = []
    for place, row in read("counters.csv"):
        sourced(place, row, ("counter", "why"))
        if not row["model"]:
            filled(place, row, ("source",), "give a part of the urls that it speaks of, or the beginning of models")
        words = {column: text for column, text in row.items() if column != "cited"}
        uses.append(CounterUse(cited=row["cited"] == "yes", **words))
    return tuple(uses)
