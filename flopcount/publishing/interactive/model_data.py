"""A CostReport -> what the page's script works with: the axes, every polynomial term by term, and the layers' own cost.

Whole numbers are strings, since JSON's are read as floats in a browser. Staircases are listed once and named by index.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, TypeAlias

from ...core.result import ModuleRow, Result
from ...symbolic import ClosedForm
from ...symbolic.observing import QUANTITIES
from ...symbolic.polynomial import Polynomial, Staircase
from ...symbolic.quantities import TABLE
from ..cost_report import CostReport

__all__ = ["COLUMNS", "FARTHEST", "MEASURES", "axis_range", "layers_of", "model_data", "own_amount", "quantities_data"]

COLUMNS = ("params", "macs", "flops", "other_flops")
"""Of each layer, in the order of their table."""
MEASURES = tuple(quantity for quantity in QUANTITIES if quantity in COLUMNS)
"""What of each layer is handed over, and what the chart of layers can be sized by."""
SHARES = ("macs", "other_flops")
"""A layer has a share of the first of these of which the model has any."""
FARTHEST = 4
"""A slider ends at this many times the size the form is made from."""

Terms: TypeAlias = list[tuple[str, list[int]]]


def quantities_data() -> dict[str, Any]:
    """Every quantity in its order, and which of them a layer has; JSON-able; assets/quantities.js reads it."""
    return {"table": [asdict(quantity) for quantity in TABLE.values()], "columns": COLUMNS, "shares": SHARES}


def model_data(cost: CostReport) -> dict[str, Any]:
    """JSON-able; assets/model.js reads it."""
    report, form = cost.report, cost.form
    stairs: dict[Staircase, int] = {}
    layers = layers_of(cost)
    amounts = {
        quantity: {"terms": [_terms(form.own(quantity, row.path), stairs) for row in layers]}
        if form is not None and _follows(form, report, quantity)
        else {"counted": [str(own_amount(row, quantity)) for row in layers]}
        for quantity in MEASURES
    }
    return {
        "name": cost.name,
        "base": {} if form is None else form.base,
        "counted": {quantity: str(getattr(report, quantity)) for quantity in QUANTITIES},
        "forms": {} if form is None else {q: _form(form, q, stairs) for q in QUANTITIES if q in form.parts},
        "layers": {"paths": [row.path for row in layers], "amounts": amounts},
        "stairs": [(stair.axis, stair.shift, stair.step) for stair in stairs],
    }


def axis_range(base: int, minimum: int, step: int) -> tuple[int, int]:
    """Least and largest size on a slider: from the domain's minimum in its steps, up to FARTHEST times the base."""
    return minimum, minimum + (FARTHEST * base - minimum) // step * step


def layers_of(cost: CostReport) -> tuple[ModuleRow, ...]:
    """Modules that cost something or have parameters, alone or in what they hold, here or at another clip."""
    elsewhere = {path for parts in cost.form.parts.values() for path in parts} if cost.form else set()
    holders = {path[:at] for path in elsewhere for at, letter in enumerate(path) if letter == "."} | {""}
    paths = elsewhere | holders
    return tuple(row for row in cost.report.modules if row.cost.total_flops or row.params or row.path in paths)


def own_amount(row: ModuleRow, quantity: str) -> int:
    """Of a module without what is in it."""
    return row.own_params if quantity == "params" else getattr(row.own, quantity)


def _follows(form: ClosedForm, report: Result, quantity: str) -> bool:
    """Whether the form's parts are what the report says of each module at its clip, so that layers can follow."""
    if quantity not in form.parts:
        return False
    parts = form.parts[quantity]
    amounts = {row.path: own_amount(row, quantity) for row in report.modules}
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
