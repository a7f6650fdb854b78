"""A closed form from counts: a few clips are traced, sizes are fitted, and the form is checked at random clips.

The form assumes nothing about the model. It must equal the count at every traced clip, of which there are enough to
tell all staircases apart, and then at clips that are drawn at random.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..core.errors import InputError, TraceError
from ..core.ops import Kind
from .aligning import aligned
from .form import Domain, Form
from .observing import Clip, Refused, quantities
from .polynomial import Polynomial, total
from .sampling import Axis, Sampler
from .solving import Clips, Resists, solved

__all__ = ["derived"]


def derived(name: str, sampled: Callable[[Any], Sampler], names: str | Sequence[str] | None, *, rebuilt: bool) -> Form:
    """The form of a model, from the clips of a sampler of these axes; errors as `closed_form`."""
    sampler = sampled(names)
    entries = sampler.at(sampler.base)
    if isinstance(entries, Refused):
        if isinstance(entries.error, TraceError):  # the model needs its weights, which another caller may have
            raise entries.error
        at = sampler.sizes(sampler.base)
        raise InputError(f"{name} does not run at {at}", [("seen", entries.why), ("fix", "give a clip that it takes")])
    axes, points = _free(sampler)
    if names is None and {axis.name for axis in axes if axis.pinned} >= {"H", "W"}:
        square = sampled([*(axis.name for axis in axes if axis.name not in "HW"), "S"])
        if not isinstance(square.at(square.base), Refused):
            of_square = _free(square)
            if not of_square[0][-1].pinned:
                sampler, (axes, points) = square, of_square
    clips = Clips(sampler.names, tuple(axis.steps for axis in axes), tuple(points))
    parts, missing = _parts(sampler, clips)
    domains = _domains(sampler, axes, parts)
    checked = _checked(sampler, domains, parts, missing)
    uncosted = tuple(dict.fromkeys(entry.name for entry in entries if entry.kind is Kind.UNCOSTED))
    assumed = tuple(sampler.model.assumed)
    return Form(name, sampler.model.input, domains, parts, missing, uncosted, rebuilt, checked, assumed)


def _free(sampler: Sampler) -> tuple[list[Axis], list[Clip]]:
    """The axes, and the clips that the form is made from; an axis that cannot vary with the others is pinned."""
    axes = [sampler.axis(index) for index in range(len(sampler.names))]
    lines = [[sampler.base] if axis.pinned else sampler.line(index, axis) for index, axis in enumerate(axes)]
    while refused := next((clip for clip in sampler.crossings(lines) if not sampler.runs(clip)), None):
        last = max(index for index, size in enumerate(refused) if size != sampler.base[index])
        axes[last] = replace(axes[last], pinned=f"at {sampler.sizes(refused)}: {sampler.why(refused)}")
        lines[last] = [sampler.base]
    return axes, list(
        dict.fromkeys([sampler.base, *(clip for line in lines for clip in line), *sampler.crossings(lines)])
    )


def _parts(sampler: Sampler, clips: Clips) -> tuple[dict[str, dict[str, Polynomial]], dict[str, str]]:
    """Each quantity's polynomials by module, or why it has none."""
    parts, missing = {}, {}
    entries = sampler.entries(clips.seen)
    for index, quantity in enumerate(quantities()):
        columns = aligned(entries, index)
        try:
            if columns is None:
                raise Resists(f"other operators run on other clips ({_first_difference(sampler, clips, index)})")
            parts[quantity] = solved(columns, quantity, clips)
        except Resists as error:
            missing[quantity] = str(error)
    return parts, missing


def _first_difference(sampler: Sampler, clips: Clips, quantity: int) -> str:
    """The first clip that runs other operators than the base."""
    at_base = sampler.entries([sampler.base])[0]
    for clip, entries in zip(clips.seen, sampler.entries(clips.seen), strict=True):
        if aligned([at_base, entries], quantity) is None:
            return f"at {sampler.sizes(clip)}"
    return "at some"


def _says(parts: dict[str, dict[str, Polynomial]], names: Sequence[str], clip: Clip) -> dict[str, int]:
    sizes = dict(zip(names, clip, strict=True))
    return {quantity: total(by_module.values()).at(sizes) for quantity, by_module in parts.items()}


def _wrong(sampler: Sampler, parts: dict[str, dict[str, Polynomial]], clip: Clip) -> list[str] | None:
    """The quantities whose form differs from the count of this clip; None if the model does not run there."""
    entries = sampler.at(clip)
    if isinstance(entries, Refused):
        return None
    totals = {q: sum(entry.amounts[index] for entry in entries) for index, q in enumerate(quantities())}
    return [quantity for quantity, amount in _says(parts, sampler.names, clip).items() if amount != totals[quantity]]


def _domains(sampler: Sampler, axes: Sequence[Axis], parts: dict[str, dict[str, Polynomial]]) -> tuple[Domain, ...]:
    """The domains from the smallest sizes at which the form equals the count, each axis alone and all together."""

    def holds(clip: Clip) -> bool:
        return _wrong(sampler, parts, clip) == []

    def down(index: int, steps: int) -> int:
        return axes[index].base - steps * axes[index].step

    def alone(index: int) -> int:
        most = 0 if axes[index].pinned else (axes[index].base - 1) // axes[index].step
        return _largest(most, lambda steps: holds(sampler.moved(index, down(index, steps))))

    each = [alone(index) for index in range(len(axes))]
    share = _largest(_SHARES, lambda part: holds(tuple(down(i, a * part // _SHARES) for i, a in enumerate(each))))
    smallest = [down(index, steps * share // _SHARES) for index, steps in enumerate(each)]
    return tuple(
        Domain(axis.name, axis.base, minimum, axis.step, axis.pinned)
        for axis, minimum in zip(axes, smallest, strict=True)
    )


_SHARES = 64


def _largest(most: int, holds: Callable[[int], bool]) -> int:
    """The largest number up to `most` that holds, if all numbers below it hold; 0 always does."""
    below, above = 0, most
    while below < above:
        middle = above if above == most else (below + above + 1) // 2
        if holds(middle):
            below = middle
        else:
            above = middle - 1
    return below


_DRAWS = 8


def _checked(
    sampler: Sampler, domains: Sequence[Domain], parts: dict[str, dict[str, Polynomial]], missing: dict[str, str]
) -> int:
    """The number of traced clips at which the form equals the count.

    A quantity whose form is wrong at one of the clips drawn here moves to `missing`. Clips outside of the domain, at
    which the form may be wrong, do not count.
    """
    draw = random.Random(1)
    for clip in (tuple(_drawn(domain, draw) for domain in domains) for _ in range(_DRAWS)):
        wrong = _wrong(sampler, parts, clip)
        for quantity in list(parts) if wrong is None else wrong:
            why = "it does not run" if wrong is None else "a count differs"
            missing[quantity] = f"{why} at {sampler.sizes(clip)}"
            del parts[quantity]
    return sum(_wrong(sampler, parts, clip) == [] for clip in sampler.outcomes) if parts else 0


def _drawn(domain: Domain, draw: random.Random) -> int:
    if domain.pinned:
        return domain.base
    most = (2 * domain.base - domain.minimum) // domain.step + 1
    return domain.minimum + domain.step * draw.randint(0, most)
