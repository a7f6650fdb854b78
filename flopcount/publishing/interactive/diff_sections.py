"""What the template shows of a difference: its sides, totals, where it is, layers and notes; all of it text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from ...analysis.difference import LABELS, Change, Counted, Diff, ShownLayer, TotalDiff
from ...core.pricing import unit_of
from ...core.quantity import PICO, Quantity
from ...core.units import exact, plural, si, signed, times
from ...output.cells import cell
from .diff_data import MOST_BARS, diff_quantities, diff_rows, shown_rows, step_of
from .sections import sum_text

__all__ = ["diff_section"]

_TIMES = 2  # as much, from which on a multiple says more than a percentage


def diff_section(difference: Diff, names: tuple[str, str]) -> dict[str, Any]:
    """All that is shown before anything is clicked."""
    rows = diff_rows(difference)
    shown = [row for row, there in zip(rows, shown_rows(rows), strict=True) if there]
    deepest = max(row.layer.row.depth for row in rows)
    quantities = diff_quantities(difference, rows)
    basis = _basis(quantities, rows)
    level = _level(difference, basis, deepest)
    return {
        "names": names,
        "sentence": _sentence(difference, shown),
        "sides": list(_sides(difference)),
        "warnings": difference.missing,
        "assumed": difference.assumed,
        "totals": [_total(total) for total in difference.totals],
        "measures": quantities,
        "basis": basis.name,
        "level": level,
        "bars": _bars(difference, shown if level < 0 else difference.rows(level), basis),
        "changes": [change.value for change in Change if any(row.change is change for row in shown)],
        "differs": any(row.differs for row in shown),
        "depths": range(1, deepest),
        "deeper": any(layer.row.depth > deepest for layer in difference.layers for side in layer.sides if side.cost),
        **_layers(difference, rows, quantities),
        "notes": (*_departures(difference), *difference.conditions),
    }


def _sentence(difference: Diff, shown: Sequence[ShownLayer]) -> str:
    """MACs and parameters, and how many layers became what."""
    totals = {total.quantity.name: total for total in difference.totals if total.compares}
    parts = [f"{totals[name].quantity.title} {totals[name]}" for name in ("macs", "params", "time") if name in totals]
    return f"{'; '.join(parts)}. {_tally(shown)}"


def _tally(rows: Sequence[ShownLayer]) -> str:
    """How many layers differ, by what became of them."""
    many = Counter(row.change for row in rows)
    differing = len(rows) - many.pop(Change.UNCHANGED, 0)
    if not differing:
        return f"None of {plural(len(rows), 'layer')} differs."
    words = ", ".join(f"{many[change]} {change.value}" for change in Change if many[change])
    return f"{differing} of {plural(len(rows), 'layer')} differ{'s' if differing == 1 else ''}: {words}."


def _sides(difference: Diff) -> Iterator[tuple[str, str, str]]:
    """What each side is: a name, and of the old and of the new; lines that are empty for both are left out."""
    for name, of in (
        ("model", lambda side: side.model),
        ("input", _input),
        ("clip", lambda side: str(side.input.clip or "")),
        ("views", _views),
        ("counted with", lambda side: ", ".join(f"{name} {version}" for name, version in side.versions.items())),
        ("counted on", lambda side: f"{side.engine} tensors" if side.engine else ""),
        ("priced on", lambda side: side.pricing.conditions if side.pricing else ""),
    ):
        old, new = of(difference.old), of(difference.new)
        if old or new:
            yield name, old or "none", new or "none"


def _views(side: Counted) -> str:
    """A whole job has none: they are among its repeats."""
    if not side.input.shapes:
        return ""
    return f"{side.views} = {side.views.count}" if side.views.count > 1 else str(side.views)


def _input(side: Counted) -> str:
    shapes = ", ".join(times(shape) for shape in side.input.shapes)
    return f"{shapes} {side.input.dtype}" if shapes else "none of its own"


def _departures(difference: Diff) -> Iterator[str]:
    """What departs from a paper; a report that was saved does not say."""
    for age, side in (("old", difference.old), ("new", difference.new)):
        yield from (f"departs from the paper: {text} ({age})" for text in getattr(side, "departures", ()))


def _total(total: TotalDiff) -> dict[str, Any]:
    quantity = total.quantity
    return {
        "name": quantity.name,
        "title": quantity.title,
        "aside": sum_text(quantity.made_of, " × ") if quantity.made_of else "",
        "old": _amount(total.old, quantity),
        "new": _amount(total.new, quantity),
        "step": _step(total),
        "relative": total.relative if total.compares and total.step else "",
        "words": _words(total),
    }


def _amount(amount: tuple[int | float, str] | None, quantity: Quantity) -> tuple[str, str]:
    """In SI, and with all digits where it is a count."""
    if amount is None:
        return "–", "not known"
    return si(*amount), "" if quantity.pico else exact(int(amount[0]))


def _step(total: TotalDiff) -> tuple[str, str]:
    if not total.compares:
        return "–", ""
    step, unit = total.step, total.new[1] if total.new else ""
    digits = "" if total.quantity.pico or not step else f"{step:+,}".replace("-", "−")
    return signed(step, unit) if step else "0", digits


def _words(total: TotalDiff) -> str:
    """The difference as people say it."""
    if not total.compares:
        unknown = [age for age, side in (("old", total.old), ("new", total.new)) if side is None]
        return f"not known of the {unknown[0]} one" if unknown else "in different currencies"
    assert total.old is not None
    assert total.new is not None
    old, new = total.old[0], total.new[0]
    if old == new:
        return "the same"
    if not old or not new:
        return "none left" if old else "none before"
    if new >= _TIMES * old:
        return f"{si(new / old)} times as much"
    return "more" if new > old else "less"


def _basis(quantities: Sequence[Quantity], rows: Sequence[ShownLayer]) -> Quantity:
    """What the picture is of at first: MACs, or where no layer differs in them the first that one differs in."""
    macs = [quantity for quantity in quantities if quantity.name == "macs"]
    return next((quantity for quantity in (*macs, *quantities) if any(step_of(row, quantity) for row in rows)), macs[0])


def _level(difference: Diff, quantity: Quantity, deepest: int) -> int:
    """The deepest level at which the bars that there is room for hold most of what differs; -1 for all levels."""

    def tells(depth: int) -> bool:
        steps = sorted((abs(step_of(row, quantity)) for row in difference.rows(depth)), reverse=True)
        return 2 * sum(steps[:MOST_BARS]) >= sum(steps)

    return next((depth for depth in (-1, *range(deepest - 1, 0, -1)) if tells(depth)), -1)


def _bars(difference: Diff, shown: Sequence[ShownLayer], quantity: Quantity) -> dict[str, Any]:
    """The layers that differ most, each with the place of its bar in percent of the width; the others as a sum."""
    steps = [(row, step) for row in shown if (step := step_of(row, quantity))]
    steps.sort(key=lambda entry: -abs(entry[1]))
    largest, others = steps[:MOST_BARS], steps[MOST_BARS:]
    low, high = (pick((0, *(step for _, step in largest))) for pick in (min, max))
    unit = unit_of(quantity, difference.new)

    def text(step: int) -> str:
        return signed(step / PICO if quantity.pico else step, unit) if step else "0"

    def place(step: int) -> float:
        return 100 * (step - low) / (high - low)

    bars = [
        {
            "layer": difference.name_of(row.path),
            "change": row.change.value,
            "step": text(step),
            "grows": step > 0,
            "zero": f"{place(0):.3f}",
            "x": f"{place(min(0, step)):.3f}",
            "width": f"{100 * abs(step) / (high - low):.3f}",
        }
        for row, step in largest
    ]
    more = f"and {plural(len(others), 'more layer')}: {text(sum(step for _, step in others))}" if others else ""
    return {"rows": bars, "more": more}


def _layers(difference: Diff, rows: Sequence[ShownLayer], quantities: Sequence[Quantity]) -> dict[str, Any]:
    """The table of layers without its script: every level, and every row."""
    columns, first = difference.columns(quantities), len(LABELS)
    numbers = columns[first:]
    whole = ShownLayer(rows[0].layer, rows[0].change, difference.old.total, difference.new.total)
    totals = whole.cells("", quantities)[first:]
    return {
        "labels": [column.name for column in LABELS],
        "columns": [column.name for column in numbers],
        "layers": [
            {
                "path": difference.name_of(row.path),
                "change": row.change.value,
                "type": row.type,
                "output": row.output,
                "shown": shown,
                "cells": [
                    (cell(column, value), str(value))
                    for column, value in zip(numbers, row.cells("", quantities)[first:], strict=True)
                ],
            }
            for row, shown in zip(rows, shown_rows(rows), strict=True)
        ],
        "layer_totals": [cell(column, value) for column, value in zip(numbers, totals, strict=True)],
    }
