"""A CostReport -> what the page's script works with: the axes, every polynomial term by term, and the layers' own cost.

Whole numbers are strings, since JSON's are read as floats in a browser. Staircases are listed once and named by index.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from ...core.layer_tree import in_running_order
from ...core.pricing import TIMES
from ...core.quantity import Quantity, counted, of_layers, of_modules, of_operators
from ...core.result import ModuleRow, Result
from ...symbolic import ClosedForm
from ...symbolic.polynomial import Polynomial, Staircase
from ..cost_report import CostReport

__all__ = ["columns", "layers_of", "measures", "model_data", "quantities_data"]

SHARES = ("macs", "other_flops")
"""The share of a layer is of the first of these that the model has any of."""

Terms: TypeAlias = list[tuple[str, list[int]]]


def columns() -> tuple[Quantity, ...]:
    """The quantities of each layer, in the order of their table."""
    return (*of_modules(), *of_operators())


def measures() -> tuple[Quantity, ...]:
    """The quantities of each layer that the page gets, by any of which its chart can be sized."""
    return tuple(quantity for quantity in counted() if quantity.of_layers)


def quantities_data() -> dict[str, Any]:
    """Every quantity in its order, and which of them a layer has; JSON-able; assets/quantities.js reads it."""
    table = [
        {"name": q.name, "title": q.title, "unit": q.unit, "grows_with": q.grows_with, "made_of": dict(q.made_of)}
        for q in of_layers()
    ]
    return {"table": table, "columns": [quantity.name for quantity in columns()], "shares": SHARES}


def model_data(cost: CostReport) -> dict[str, Any]:
    """JSON-able; assets/model.js reads it."""
    report, form = cost.report, cost.form
    stairs: dict[Staircase, int] = {}
    layers = layers_of(cost)
    names = [quantity.name for quantity in measures()]
    amounts = {
        quantity: {"terms": [_terms(form.own(quantity, row.path), stairs) for row in layers]}
        if form is not None and _follows(form, report, quantity)
        else {"counted": [str(row.own[quantity]) for row in layers]}
        for quantity in names
    }
    return {
        "name": cost.name,
        "base": {} if form is None else form.base,
        "counted": {quantity: str(report.total[quantity]) for quantity in names},
        "forms": {} if form is None else {q: _form(form, q, stairs) for q in names if q in form.parts},
        "layers": {"paths": [row.path for row in layers], "amounts": amounts},
        "timing": _time(cost),
        "stairs": [(stair.axis, stair.shift, stair.step) for stair in stairs],
    }


def _time(cost: CostReport) -> dict[str, Any] | None:
    """The time as counted, and the grid that it is interpolated on; assets/timing.js reads it."""
    if cost.cost is None:
        return None
    grid = cost.grid
    return {
        "counted": {name: getattr(cost.cost, name) for name in TIMES},
        "grid": None
        if grid is None
        else {
            "axes": grid.axes,
            "sizes": grid.sizes,
            "features": grid.features,
            "curves": {name: [curve.weights, curve.ratios] for name, curve in grid.curves.items()},
            "counts": grid.counted,
        },
    }


def layers_of(cost: CostReport) -> tuple[ModuleRow, ...]:
    """Modules that cost something or have parameters, alone or in what they hold, here or at another clip.

    Each stands behind its parent, and children in the order in which they first run.
    """
    elsewhere = {path for parts in cost.form.parts.values() for path in parts} if cost.form else set()
    holders = {path[:at] for path in elsewhere for at, letter in enumerate(path) if letter == "."} | {""}
    paths = elsewhere | holders
    ordered = in_running_order(cost.report.modules, cost.report.course)
    return tuple(row for row in ordered if row.cost or row.path in paths)


def _follows(form: ClosedForm, report: Result, quantity: str) -> bool:
    """Whether the form's parts are what the report says of each module at its clip, so that layers can follow."""
    if quantity not in form.parts:
        return False
    parts = form.parts[quantity]
    amounts = {row.path: row.own[quantity] for row in report.modules}
    return set(parts) <= set(amounts) and all(
        form.own(quantity, path).at(form.base) == amount for path, amount in amounts.items()
    )


def _form(form: ClosedForm, quantity: str, stairs: dict[Staircase, int]) -> dict[str, Any]:
    return {"text": form.text(quantity), "terms": _terms(form.polynomial(quantity), stairs)}


def _terms(polynomial: Polynomial, stairs: dict[Staircase, int]) -> Terms:
    return [
        (str(number), [stairs.setdefault(stair, len(stairs)) for stair in monomial])
        for monomial, number in polynomial.terms.items()
    ]
