"""What a cost is made of, from the table of quantities."""

from __future__ import annotations

from flopcount.core.quantity import TABLE, Quantity
from flopcount.publishing.measures import measures

from .markdown import table

__all__ = ["quantities_page"]

_HEAD = """# Quantities

What a cost is made of. A result has these as attributes, and JSON under these names. Tables, csv, pages, closed forms,
sweeps, diffs and budgets have those that layers show, each under its heading. Counts are exact integers; time, energy
and money are those of a result on a device ([cost](../how_to/cost.md)), and sum exactly too.
[What is counted](../explanation/what_is_counted.md) says what each means.
"""


_UNITS = {"B": "bytes", "s": "seconds", "J": "joules"}


def quantities_page() -> str:
    """One row per quantity, in the order in which they are shown."""
    limits = {measure.quantity.name: key for key, measure in measures().items() if not measure.per_video}
    rows = [
        (
            f"`{quantity.name}`",
            quantity.title,
            _made_of(quantity),
            _UNITS.get(quantity.unit, quantity.unit),
            " and ".join(quantity.grows_with),
            f"`{limits[quantity.name]}`" if quantity.name in limits else "",
        )
        for quantity in TABLE.values()
    ]
    return _HEAD + "\n" + table(("name", "in words", "made of", "unit", "multiplied by", "limit of a budget"), rows)


def _made_of(quantity: Quantity) -> str:
    return " + ".join(f"{times} × `{name}`" if times > 1 else f"`{name}`" for name, times in quantity.made_of.items())
