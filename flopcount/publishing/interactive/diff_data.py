"""A Diff -> what its page's script works with: quantities, and of each layer its place and its own old and new amounts.

Whole numbers are strings, since JSON's are read as floats in a browser.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...analysis.difference import Diff, ShownLayer
from ...core.amount import Amount
from ...core.pricing import unit_of
from ...core.quantity import Quantity

__all__ = ["MOST_BARS", "diff_data", "diff_quantities", "diff_rows", "shown_rows", "step_of"]

MOST_BARS = 20
"""Layers in the picture of where a difference is; the others are summed below it."""
_MOST_ROWS = 1500  # of layers: deeper levels stand in the rows above them


def diff_rows(difference: Diff) -> tuple[ShownLayer, ...]:
    """Layers that cost something or differ, down to the deepest level that has room, which holds all below it."""
    rows = _worth(difference.rows())
    depths = sorted({row.layer.row.depth for row in rows})
    while len(rows) > _MOST_ROWS and len(depths) > 1:
        depths.pop()
        rows = _worth(difference.rows(depths[-1]))
    return rows


def _worth(rows: Iterable[ShownLayer]) -> tuple[ShownLayer, ...]:
    """With what holds other layers, into which a level folds them."""
    return tuple(row for row in rows if not row.path or row.differs or any(side.cost for side in row.layer.sides))


def shown_rows(rows: Sequence[ShownLayer]) -> tuple[bool, ...]:
    """Which layers have a row of their own: a container without cost has none, unless it was built anew."""
    silent = not any(
        row.counts and row.differs for row in rows
    )  # then what differs in its shapes alone is all there is
    return tuple(row.counts or (row.differs and (row.rebuilt or silent)) for row in rows)


def diff_quantities(difference: Diff, rows: Sequence[ShownLayer]) -> tuple[Quantity, ...]:
    """The quantities of the table in their order, those that no layer differs in behind the others."""
    return tuple(sorted(difference.steps, key=lambda quantity: not any(step_of(row, quantity) for row in rows)))


def step_of(row: ShownLayer, quantity: Quantity) -> int:
    """How much more of a quantity the new one has."""
    return row.new_cost[quantity.name] - row.old_cost[quantity.name]


def diff_data(difference: Diff) -> dict[str, Any]:
    """JSON-able; assets/diff.js reads it."""
    rows = diff_rows(difference)
    quantities = diff_quantities(difference, rows)
    places = {row.path: place for place, row in enumerate(rows)}
    return {
        "quantities": [
            {
                "name": quantity.name,
                "unit": unit_of(quantity, difference.new),
                "pico": quantity.pico,
                "stepwise": quantity.stepwise,
            }
            for quantity in quantities
        ],
        "most": MOST_BARS,
        "layers": [
            {
                "depth": row.layer.row.depth,
                "parent": places[row.path.rpartition(".")[0]] if row.path else -1,
                "change": row.change.value,
                "shown": shown,
                "old": _texts(row.old_cost, quantities),
                "new": _texts(row.new_cost, quantities),
            }
            for row, shown in zip(rows, shown_rows(rows), strict=True)
        ],
    }


def _texts(amount: Amount, quantities: Iterable[Quantity]) -> list[str]:
    return [str(amount[quantity.name]) for quantity in quantities]
