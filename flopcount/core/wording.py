"""A result in words: under its tables, on its pages and in a paper."""

from __future__ import annotations

from collections.abc import Iterable

from .amount import Amount
from .result import Result, UncostedRow
from .units import decimals, si, times

__all__ = ["ASSUMED", "PRICE", "assumed_lines", "cost_text", "missing_lines", "sentence", "title", "uncosted_lines"]

ASSUMED = "assumed: "
"""How a note begins that names what a count had to assume."""
PRICE = "price: "
"""How a note begins that says what price an amount of money is made of."""


def title(result: Result) -> str:
    """Model and input."""
    shapes = ", ".join(times(shape) for shape in result.input.shapes)
    return f"{result.model} on {shapes} {result.input.dtype}" if shapes else result.model


def cost_text(cost: Amount) -> str:
    """MACs, FLOPs and other FLOPs in words."""
    return f"{si(cost.macs, 'MACs')} = {si(cost.flops, 'FLOPs')}, and {si(cost.other_flops)} other FLOPs"


_PLACES = 3


def uncosted_lines(uncosted: Iterable[UncostedRow]) -> Iterable[str]:
    """One line per operator without a rule: how often, where, and how large."""
    for row in uncosted:
        places = ", ".join(place or "the model itself" for place in row.modules[:_PLACES])
        more = f" and {len(row.modules) - _PLACES} more" if len(row.modules) > _PLACES else ""
        calls = f"{row.calls} call" + "s" * (row.calls > 1)
        size = f"{si(row.elements, 'elements')} read and written"
        yield f"UNCOSTED {row.op}: {calls} in {places}{more}; {size}, up to {si(row.upper_macs, 'MACs')}"


def assumed_lines(assumed: Iterable[str]) -> Iterable[str]:
    """One line for each thing that a count had to assume."""
    yield from (f"{ASSUMED}{text}" for text in assumed)


def missing_lines(result: Result) -> Iterable[str]:
    """What is missing and what is assumed: operators without a rule, how much their work may be, and assumptions."""
    yield from uncosted_lines(result.uncosted)
    if result.uncosted:
        unknown = result.unknown
        share = f"{1000 * unknown.elements_costed // max(unknown.elements_written, 1) / 10:.1f}%"  # never rounded up
        yield (
            f"what is missing: operators with a rule write {share} of all elements; the others may cost up to "
            f"{si(unknown.upper_macs, 'MACs')} (an estimate, no guarantee: one MAC per pair of an element read and one "
            "written)"
        )
    yield from assumed_lines(result.assumed)


def sentence(result: Result) -> str:
    """The line for a paper: "38.5 GMACs (77.1 GFLOPs) per 16×112×112 clip, ..., 80.0 M parameters".

    Where the batch is unknown the numbers are those of the whole input, and the line says so.
    """
    cost = result.per_view
    per = f" per {_unit(result)}" if result.input.shapes or result.input.clip else ""
    parts = [f"{decimals(cost.macs, 'MACs')} ({decimals(cost.flops, 'FLOPs')}){per}"]
    if result.views.count > 1:
        parts.append(f"{result.views.count} views: {decimals(result.per_video.macs, 'MACs')} per video")
    missing = sum(row.calls for row in result.uncosted)
    if missing:
        parts.append(f"{missing} operation{'s' * (missing > 1)} uncosted")
    if result.assumed:
        parts.append("partly assumed")
    return ", ".join([*parts, f"{decimals(result.params)} parameters"])


def _unit(result: Result) -> str:
    """What the cost of a sentence is of: a clip, a sample of the input, or all of it."""
    batch, shapes = result.input.batch, [shape for shape in result.input.shapes if shape]
    if batch is None:
        return " ".join(["input", *(["of", " and ".join(map(times, shapes))] if shapes else [])])
    if result.input.clip is not None:
        return f"{result.input.clip} clip"
    return " and ".join(times(s[1:] if len(s) > 1 and s[0] == batch else s) for s in shapes) + " input"
