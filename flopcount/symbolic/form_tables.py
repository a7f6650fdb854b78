"""Closed forms as tables and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .._version import __version__
from ..core.quantity import TABLE, of_layers
from ..core.table import Column, Formula, Table
from ..core.wording import assumed_lines
from .form import Form
from .polynomial import Polynomial

__all__ = ["by_module", "by_quantity", "to_json"]

SCHEMA = "flopcount/form/1"


def by_quantity(form: Form) -> Table:
    """One row per quantity, with its formula or the reason why it has none."""
    columns = (Column("quantity", "text"), Column("closed form", "prose"))
    return Table(_title(form), columns, tuple(_rows(form)), None, tuple(_notes(form)))


def _rows(form: Form) -> Iterator[tuple[str, Any]]:
    for quantity in of_layers():
        if quantity.made_of:
            yield quantity.title, _sum(quantity.made_of)
        elif quantity.name in form.missing:
            yield quantity.title, f"none: {form.missing[quantity.name]}"
        else:
            yield quantity.title, _formula(form, quantity.name)


def _sum(parts: Mapping[str, int]) -> Formula:
    titles = [(times, TABLE[name].title) for name, times in parts.items()]
    latex = " + ".join(rf"{times}\,\mathrm{{{title}}}" for times, title in titles)
    return Formula(" + ".join(f"{times}·{title}" for times, title in titles), latex)


def by_module(form: Form, quantity: str, depth: int) -> Table:
    """What each module at `depth` costs with its children, and each module above it without them."""
    form.polynomial(quantity)  # raises if the quantity has no form
    rows: dict[str, None] = {}
    for part in TABLE[quantity].made_of or (quantity,):
        for path in form.parts[part]:
            rows[path if depth < 0 else ".".join(path.split(".")[:depth])] = None
    body = tuple((path or f"({form.model})", _formula(form, quantity, path, depth)) for path in rows)
    columns = (Column("layer", "text"), Column(TABLE[quantity].title, "prose"))
    return Table(_title(form), columns, body, ("total", _formula(form, quantity)), tuple(_notes(form)))


def _formula(form: Form, quantity: str, path: str = "", depth: int | None = None) -> Formula:
    """The formula of a module; a module above the shown depth has only its own."""
    own = depth is not None and (depth < 0 or path.count(".") + 1 < depth or not path)
    polynomial = form.own(quantity, path) if own else form.polynomial(quantity, path)
    return Formula(form.written(polynomial), form.written(polynomial, latex=True))


def _title(form: Form) -> str:
    origin = "built anew for each clip" if form.rebuilt else "one built module"
    return f"{form.model} on {form.input} as a function of {', '.join(form.base)}; {origin}"


def _notes(form: Form) -> Iterator[str]:
    yield f"holds for {', '.join(str(domain) for domain in form.domains)}"
    for domain in form.domains:
        if domain.pinned:
            yield f"{domain.axis} is pinned: {domain.pinned}"
    if any(form.frees(domain) for domain in form.domains):
        yield "--rebuild builds a model by name anew for each clip, so the form includes the parts sized to the clip"
    if any(domain.axis == "S" for domain in form.domains):
        yield "S is the side of a square: H = W = S"
    yield f"equal to a count at {f'each of {form.checked} clips' if form.checked != 1 else 'one clip'}"
    if form.uncosted:
        yield f"UNCOSTED {', '.join(form.uncosted)}: missing from every formula"
    yield from assumed_lines(form.assumed)


def to_json(form: Form) -> str:
    """The axes with their domains, and each polynomial as text, LaTeX and terms."""
    whole = {
        "schema": SCHEMA,
        "model": form.model,
        "input": form.input,
        "rebuilt": form.rebuilt,
        "axes": [
            {"axis": d.axis, "base": d.base, "minimum": d.minimum, "step": d.step, "pinned": d.pinned or None}
            for d in form.domains
        ],
        "forms": {quantity: _as_data(form, form.polynomial(quantity)) for quantity in form.parts},
        "missing": dict(form.missing),
        "uncosted": list(form.uncosted),
        **({"assumed": list(form.assumed)} if form.assumed else {}),
        "checked_clips": form.checked,
        "versions": {"flopcount": __version__},
    }
    return json.dumps(whole, indent=2, ensure_ascii=False)


def _as_data(form: Form, polynomial: Polynomial) -> dict[str, Any]:
    terms = [
        {"coefficient": number, "factors": [{"axis": s.axis, "shift": s.shift, "step": s.step} for s in monomial]}
        for monomial, number in polynomial.terms.items()
    ]
    return {"text": form.written(polynomial), "latex": form.written(polynomial, latex=True), "terms": terms}
